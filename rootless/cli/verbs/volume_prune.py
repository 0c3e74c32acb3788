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
    from rootless.cli import asking, output

    what = "all volumes not used by at least one container"
    if not call.options["force"] and not asking.sure([what]):
        return 0
    for name in call.engine().volumes.prune():
        output.line(name)
    return 0
