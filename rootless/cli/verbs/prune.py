"""`rootless prune`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "prune",
    "",
    "Remove stopped containers and unused images",
    (
        flag("-a --all", "also images that have a name and no container"),
        flag("--volumes", "also volumes that no container uses"),
        flag("-f --force", "do not ask"),
        several("--filter", "KEY=VALUE", "which containers, as ps has it"),
    ),
    maximum=0,
)


def run(call: Call) -> int:
    """Ask, remove, say what was removed."""
    from rootless.cli import output

    given = call.options
    what = "all stopped containers and " + ("all unused" if given["all"] else "all nameless")
    what += " images" + (", and all unused volumes" if given["volumes"] else "")
    if not given["force"] and not output.confirm(f"This removes {what}. Continue?"):
        return 0
    engine = call.engine()
    for gone in engine.containers.prune(output.filters(given["filter"])):
        output.line(f"Deleted container: {gone}")
    done = engine.images.prune(given["all"])
    for one in done["ImagesDeleted"]:
        for key, value in one.items():
            output.line(f"{key}: {value}")
    if given["volumes"]:
        for name in engine.volumes.prune():
            output.line(f"Deleted volume: {name}")
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0
