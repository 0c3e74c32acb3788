"""`rootless builder prune`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text
from rootless.cli.verbs._shared_options import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "builder prune",
    "",
    "Remove the build cache",
    (
        flag("-a --all", "Also let go of layers that images have"),
        FORCE,
        several("--filter", "until=TIME", "Keep what was used since then, as in until=24h"),
        text("--keep-storage", "SIZE", "Keep this much of what was used last, as in 5g"),
    ),
    maximum=0,
    text="What was used longest ago goes first. Images keep their layers.",
    examples="rootless builder prune -f\nrootless builder prune -af --keep-storage 5g",
)


def run(call: Call) -> int:
    """Ask, remove, print what is gone."""
    from rootless.cli import confirm, output
    from rootless.engine.build import cache
    from rootless.errors import UsageError

    given = call.options
    until = None
    for word in given["filter"]:
        name, equals, value = word.partition("=")
        if name not in ("until", "unused-for") or not equals:
            raise UsageError(f'builder prune does not know the filter "{word}"', hint="until=24h")
        until = cache.seconds(value)
    keep = cache.size(given["keep_storage"]) if given["keep_storage"] else 0
    what = "all of the build cache" if given["all"] else "what of the build cache no image has"
    if not given["force"] and not confirm.sure([what]):
        return 0
    told = cache.prune(call.engine(), all=bool(given["all"]), keep=keep, until=until)
    for name in told["CachesDeleted"]:
        output.line(name)
    output.line(f"Total:\t{output.human_size(told['SpaceReclaimed'])}")
    return 0
