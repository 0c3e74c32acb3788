"""`rootless volume reload`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume reload",
    "",
    "Remove leftovers of interrupted volume commands",
    maximum=0,
    text="There are no volume plugins to reload.",
)


def run(call: Call) -> None:
    """Print what was removed."""
    from rootless.cli import output

    for name in call.engine().volumes.reload():
        output.line(name)
