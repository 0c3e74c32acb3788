"""`rootless image mount`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, output_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image mount",
    "[IMAGE...]",
    "Mount the root file systems of images",
    (
        flag("-a --all", "Mount all images"),
        output_format(),
    ),
    complete=("image",),
    text="Works inside `rootless unshare` and prints the mount points. Without IMAGE, lists "
    "the mounted images. The mounts are visible in that namespace only and end with its "
    "last process.",
    examples="rootless unshare sh -c 'ls $(rootless image mount debian)'",
)


def run(call: Call) -> int:
    """Mount each, or list."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine.images import mount as image_mount
    from rootless.engine.images.local import familiar

    images = call.engine().images
    words = [one.id for one in images.list()] if call.options["all"] else call.words
    if words:
        return output.each(words, lambda word: image_mount.mount(images, word))
    found = [
        {
            "id": record.id,
            "mountpoint": path,
            "repositories": [familiar(name) for name in record.names],
        }
        for record, path in image_mount.mounts(images)
    ]
    if call.options["format"] == "json":
        output.line(documents.dumps(found, indent=True))
        return 0
    for one in found:
        output.line(f"{' '.join(one['repositories']) or one['id'][:12]}  {one['mountpoint']}")
    return 0
