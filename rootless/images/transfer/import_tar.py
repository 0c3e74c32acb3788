"""An image out of a tar of a root filesystem."""

from __future__ import annotations

import os
import sys
import time
from typing import BinaryIO

from rootless import documents
from rootless.errors import StorageError, UsageError
from rootless.images.formats import platforms
from rootless.images.formats.dockerfile_changes import apply
from rootless.images.names import reference
from rootless.images.store import assemble, ingest
from rootless.images.store.store import ImageRecord, ImageStore
from rootless.progress import Progress


def import_rootfs(
    store: ImageStore,
    source: str | BinaryIO,
    name: str = "",
    *,
    changes: list[str] | None = None,
    message: str = "",
    platform: str | None = None,
    progress: Progress | None = None,
) -> ImageRecord:
    """Make an image of one layer from a tar, plain or compressed; "-" is standard input.

    `changes` are Dockerfile instructions, `message` goes into the history.  gzip and zstd are kept
    as they come; xz and bzip2, which layers may not use, are stored plain.
    Raises UsageError, StorageError.
    """
    progress = progress or Progress()
    # What can be wrong with the options is found before a large file is read.
    names = [reference.parse(name).canonical] if name else []
    inner: dict[str, documents.Json] = {}
    apply(inner, changes or [])
    wanted = platforms.parse(platform) if platform else platforms.host()
    shown = source if isinstance(source, str) else "a stream"
    if isinstance(source, str) and source.partition("://")[0] in ("http", "https", "ftp"):
        raise UsageError(
            f"{source} is an address, and import reads files only",
            hint=f"fetch it first: curl -L {source} | rootless import - NAME",
        )
    with store.guard():
        if not isinstance(source, str):
            arrived = _bring(store, source, progress)
        elif source == "-":
            arrived = _bring(store, sys.stdin.buffer, progress)
        else:
            try:
                file = open(source, "rb")  # noqa: SIM115
            except OSError as error:
                raise StorageError(
                    f"cannot read {source}: {error.strerror}", hint="check the path of the tar"
                ) from None
            with file:
                arrived = _bring(store, file, progress)
        layer = assemble.layer_of(arrived)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        config: dict[str, documents.Json] = {
            "created": created,
            "architecture": wanted.architecture,
            "os": wanted.os,
            "config": inner,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "comment": message or f"imported from {shown}"}],
        }
        if wanted.variant:
            config["variant"] = wanted.variant
        data = documents.dumps(config).encode()
        return assemble.keep(store, data, config, [layer], names)


def _bring(store: ImageStore, file: BinaryIO, progress: Progress) -> ingest.Arrived:
    size: int | None = None
    try:
        status = os.fstat(file.fileno())
        size = status.st_size or None
    except (OSError, AttributeError):
        pass
    try:
        progress.start("import", "layer", size)
        arrived = ingest.ingest_layer(store, file, on_bytes=lambda n: progress.advance("import", n))
    except IsADirectoryError:
        raise StorageError(
            "a directory cannot be imported",
            hint="tar it: tar -C DIRECTORY -c . | rootless import -",
        ) from None
    progress.finish("import")
    return arrived
