"""`rootless quadlet print`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "quadlet print",
    "NAME",
    "Print a unit file with its drop-ins",
    (),
    minimum=1,
    maximum=1,
    complete=("quadlet",),
    text="To see the generated service: systemctl --user cat SERVICE",
)


def run(call: Call) -> None:
    """Print it."""
    from rootless.cli import output
    from rootless.engine.systemd import quadlet as systemd_quadlet

    output.write(systemd_quadlet.shown(call.words[0]))
