"""`rootless prune`, which is `rootless system prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several
from rootless.cli.verbs._shared_options import ALL_UNUSED, FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.documents import Json

VERB = Verb(
    "prune",
    "",
    "Remove unused data",
    (
        ALL_UNUSED,
        flag("--volumes", "Prune anonymous volumes"),
        FORCE,
        several("--filter", "KEY=VALUE", "Filter by until, label or label!"),
    ),
    maximum=0,
    text="Removes stopped containers, dangling images, leftovers of interrupted commands and "
    "incomplete downloads. Nothing that a container or a running command uses is removed.",
    examples="rootless system prune -a --volumes\nrootless system prune -f --filter until=24h",
)


def run(call: Call) -> int:
    """Ask, remove, say what was removed."""
    from rootless.cli import confirm, output
    from rootless.engine.system import prune as system_prune

    given = call.options
    filters = output.filters(given["filter"])
    system_prune.check(filters)
    what = ["all stopped containers"]
    if given["volumes"]:
        what.append("all anonymous volumes not used by at least one container")
    what.append(
        "all images without at least one container associated to them"
        if given["all"]
        else "all dangling images"
    )
    what.append("unused layers and blobs")
    more = ""
    if given["filter"]:
        more = "  Items to be pruned will be filtered with:\n"
        more += "".join(f"  - {one}\n" for one in given["filter"]) + "\n"
    if not given["force"] and not confirm.sure(what, more):
        return 0
    done = system_prune.prune(
        call.engine(), all=bool(given["all"]), volumes=bool(given["volumes"]), filters=filters
    )
    _tell("Deleted Containers:", done["ContainersDeleted"])
    _tell("Deleted Volumes:", done["VolumesDeleted"])
    _tell("Deleted Images:", lines(done["ImagesDeleted"]))
    output.line(f"Total reclaimed space: {output.human_size(done['SpaceReclaimed'])}")
    return 0


def lines(done: list[Json]) -> list[str]:
    """`untagged: …` and `deleted: …`."""
    return [f"{key.lower()}: {value}" for one in done for key, value in one.items()]


def _tell(title: str, names: list[str]) -> None:
    from rootless.cli import output

    if names:
        output.write(title + "\n" + "".join(one + "\n" for one in names) + "\n")
