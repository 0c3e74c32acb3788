"""`rootless container prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, several
from rootless.cli.verbs._shared_options import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "container prune",
    "",
    "Remove all stopped containers",
    (
        FORCE,
        several("--filter", "KEY=VALUE", "Filter as ps does"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, print the ids."""
    from rootless.cli import confirm, output

    if not call.options["force"] and not confirm.sure(["all stopped containers"]):
        return 0
    done = call.engine().containers.prune(output.filters(call.options["filter"]))
    for gone in done["ContainersDeleted"]:
        output.line(gone)
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0
