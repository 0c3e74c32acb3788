"""`rootless rmi`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.images.collection import Images

VERB = Verb(
    "rmi",
    "IMAGE...",
    "Remove one or more images",
    (
        flag("-f --force", "Remove containers that use the image as well; ignore missing images"),
        flag("-a --all", "Remove all images"),
        flag("-i --ignore", "Ignore images that do not exist"),
        flag("--no-prune", "Accepted for compatibility; an image has no images below it"),
    ),
    complete=("image",),
)


def _every(images: Images) -> list[str]:
    """Each name, and the ids of images that have none."""
    return [name for one in images.list() for name in one.names or [one.id]]


def run(call: Call) -> int:
    """Untag or delete each."""
    from rootless.cli import output
    from rootless.errors import ImageNotFound, UsageError

    given = call.options
    images = call.engine().images
    words = call.words or (_every(images) if given["all"] else [])
    if not words and not given["all"]:
        raise UsageError("no image is named", hint="name one, or use --all")

    def work(word: str) -> str | None:
        try:
            done = images.remove(word, given["force"])
        except ImageNotFound:
            if given["ignore"] or given["force"]:
                return None
            raise
        return "\n".join(f"{key}: {value}" for one in done for key, value in one.items())

    return output.each(words, work, missing=1, in_use=2)
