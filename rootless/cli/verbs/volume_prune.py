"""`rootless volume prune`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "volume prune",
    "",
    "Remove volumes that no container uses",
    (flag("-f --force", "do not ask"),),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, print the names."""
    from rootless.cli import output

    if not call.options["force"] and not output.confirm(
        "This removes all volumes that no container uses. Continue?"
    ):
        return 0
    for name in call.engine().volumes.prune():
        output.line(name)
    return 0
