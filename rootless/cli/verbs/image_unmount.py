"""`rootless image unmount`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image unmount",
    "IMAGE...",
    "Unmount the root file systems of images",
    (
        flag("-a --all", "Unmount all mounted images"),
        flag("-f --force", "Unmount even if a process uses the image"),
    ),
    complete=("image",),
)


def run(call: Call) -> int:
    """Unmount each and print its id."""
    from rootless.cli import output
    from rootless.engine.images import mount as image_mount
    from rootless.errors import UsageError

    images = call.engine().images
    words = call.words
    if call.options["all"]:
        words = [record.id for record, _ in image_mount.mounts(images)]
    elif not words:
        raise UsageError("no image is named", hint="name one, or use --all")
    force = bool(call.options["force"])
    return output.each(words, lambda word: image_mount.unmount(images, word, force=force))
