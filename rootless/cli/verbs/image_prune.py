"""`rootless image prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several
from rootless.cli.verbs._shared_options import ALL_UNUSED, FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image prune",
    "",
    "Remove unused images",
    (
        ALL_UNUSED,
        FORCE,
        flag("--external", "Remove what builds have left as well (they leave nothing)"),
        several("--filter", "KEY=VALUE", "Filter by dangling, until, label or label!"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, say what was removed."""
    from rootless.cli import confirm, output
    from rootless.cli.verbs.prune import lines

    given = call.options
    what = (
        "all images without at least one container associated to them"
        if given["all"]
        else "all dangling images"
    )
    if not given["force"] and not confirm.sure([what]):
        return 0
    done = call.engine().images.prune(bool(given["all"]), output.filters(given["filter"]))
    if done["ImagesDeleted"]:
        output.line("Deleted Images:")
        output.write("".join(one + "\n" for one in lines(done["ImagesDeleted"])) + "\n")
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0
