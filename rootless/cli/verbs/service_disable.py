"""`rootless service disable`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "service disable",
    "NAME...",
    "Disable a service of rootless",
    (),
    minimum=1,
    complete=("auto-update restart",),
)


def run(call: Call) -> int:
    """Disable each."""
    from rootless.cli import output
    from rootless.engine.systemd import builtin_units

    return output.each(call.words, builtin_units.disable)
