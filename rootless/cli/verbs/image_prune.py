"""`rootless image prune`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "image prune",
    "",
    "Remove unused images",
    (
        flag("-a --all", "also those that have a name"),
        flag("-f --force", "do not ask"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, say what was removed."""
    from rootless.cli import output

    kind = "unused" if call.options["all"] else "nameless"
    if not call.options["force"] and not output.confirm(
        f"This removes all {kind} images. Continue?"
    ):
        return 0
    done = call.engine().images.prune(call.options["all"])
    for one in done["ImagesDeleted"]:
        for key, value in one.items():
            output.line(f"{key}: {value}")
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0
