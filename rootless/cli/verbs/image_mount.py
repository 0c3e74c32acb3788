"""`rootless image mount`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "image mount",
    "[IMAGE...]",
    "Mount images, inside `rootless unshare`",
    (
        flag("-a --all", "all images"),
        text("--format", "FORMAT", "json", complete="json"),
    ),
    complete=("image",),
    text="Prints where. Without an IMAGE it lists what is mounted. The mounts are seen in that "
    "namespace alone and end with its last process.",
    examples="rootless unshare sh -c 'ls $(rootless image mount debian)'",
)


def run(call: Call) -> int:
    """Mount each, or list."""
    from rootless import documents
    from rootless.cli import output
    from rootless.engine import pictures
    from rootless.images import reference

    images = call.engine().images
    words = [one.id for one in images.list()] if call.options["all"] else call.words
    if words:
        return output.each(words, lambda word: pictures.mount(images, word))
    found = [
        {
            "id": record.id,
            "mountpoint": path,
            "repositories": [reference.parse(name).familiar for name in record.names],
        }
        for record, path in pictures.mounts(images)
    ]
    if call.options["format"] == "json":
        output.line(documents.dumps(found, indent=True))
        return 0
    for one in found:
        output.line(f"{' '.join(one['repositories']) or one['id'][:12]}  {one['mountpoint']}")
    return 0
