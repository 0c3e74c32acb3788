"""`rootless save`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._shared_options import OUTPUT, QUIET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "save",
    "IMAGE...",
    "Save one or more images to an archive",
    (
        OUTPUT,
        text("--format", "FORMAT",
             "Format of the archive: docker-archive, oci-archive, oci-dir, docker-dir "
             "or squashfs (default docker-archive)",
             complete="docker-archive oci-archive oci-dir docker-dir squashfs"),
        flag("--compress", "Compress uncompressed layers with gzip (not for docker-archive)"),
        flag("--uncompressed", "Leave uncompressed layers uncompressed (default)"),
        flag("-m --multi-image-archive",
            "Accepted for compatibility; an archive may hold several images"),
        QUIET,
    ),
    minimum=1,
    complete=("image",),
    text="Images given by name keep their names, images given by ID have none. Blobs are not "
    "converted, so digests stay the same, and the same images give the same archive. A "
    "squashfs holds one image, which `run ./FILE` mounts directly.",
    examples="rootless save -o both.tar debian busybox\n"
    "rootless save --format oci-archive debian | ssh host podman load",
)  # fmt: skip


def run(call: Call) -> None:
    """Write the archive or directory."""
    import os
    import sys

    from rootless.errors import UsageError

    given = call.options
    if given["compress"] and given["uncompressed"]:
        raise UsageError("--compress and --uncompressed contradict each other")
    format = given["format"] or "docker-archive"
    output = given["output"]
    if not output and format.endswith("-dir"):
        raise UsageError(f"{format} is a directory", hint="name it with --output")
    if not output and os.isatty(1):
        raise UsageError(
            "standard output is a terminal, which is no place for an archive",
            hint="use -o FILE, or a pipe",
        )
    engine = call.engine()
    engine.progress.quiet = given["quiet"]
    engine.images.save(
        call.words,
        output or sys.stdout.buffer,
        format=format,
        compress=bool(given["compress"]),
    )
