"""`rootless volume prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several
from rootless.cli.verbs._shared_options import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume prune",
    "",
    "Remove unused volumes",
    (
        flag("-a --all", "Remove all unused volumes, not just anonymous ones"),
        FORCE,
        several("--filter", "KEY=VALUE", "Filter by label, label!, name, until or all=true"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, print the names."""
    from rootless.cli import confirm, output

    given = call.options
    which = "all volumes" if given["all"] else "all anonymous volumes"
    if not given["force"] and not confirm.sure([f"{which} not used by at least one container"]):
        return 0
    filters = output.filters(given["filter"])
    done = call.engine().volumes.prune(filters, all=given["all"])
    for name in done["VolumesDeleted"]:
        output.line(name)
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0
