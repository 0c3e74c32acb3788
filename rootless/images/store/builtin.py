"""`rootless/hello`: the image that comes with the package.

Scope: made on the fly from a static program, the same bytes on every host with the same program,
so that a first container needs no network.
"""

from __future__ import annotations

import io
import tarfile

from rootless import documents, paths
from rootless.errors import StorageError
from rootless.images.formats import platforms
from rootless.images.store import assemble, ingest
from rootless.images.store.store import ImageRecord, ImageStore

NAME = "docker.io/rootless/hello:latest"
# A fixed time, so that the image has one digest; the year OCI images came of age as 1.0.
_CREATED = "2017-07-19T00:00:00Z"
_FILES = (
    ("etc/passwd", b"root:x:0:0:root:/:/hello\n"),
    ("etc/group", b"root:x:0:\n"),
)


def ensure_hello(store: ImageStore) -> ImageRecord:
    """Make the image, or find it made.  Raises StorageError."""
    program = paths.helper("hello")
    try:
        with open(program, "rb") as file:
            data = file.read()
    except OSError as error:
        raise StorageError(
            f"cannot read {program}: {error.strerror}", hint="install rootless again"
        ) from None
    tar = _layer(data)
    host = platforms.host()
    with store.guard():
        arrived = ingest.ingest_layer(store, io.BytesIO(tar))
        config: dict[str, documents.Json] = {
            "created": _CREATED,
            "architecture": host.architecture,
            "os": host.os,
            "config": {
                "Cmd": ["/hello"],
                "Env": ["PATH=/"],
                "WorkingDir": "/",
                "Labels": {"org.opencontainers.image.title": "rootless/hello"},
            },
            "rootfs": {"type": "layers", "diff_ids": [arrived.diff_id]},
            "history": [
                {"created": _CREATED, "created_by": "rootless", "comment": "carried along"}
            ],
        }
        if host.variant:
            config["variant"] = host.variant
        encoded = documents.dumps(config).encode()
        return assemble.keep(store, encoded, config, [assemble.layer_of(arrived)], [NAME])


def _layer(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        # Mount points as well: a read-only root filesystem cannot grow them later.
        for directory in ("dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(directory)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if directory == "tmp" else 0o755
            tar.addfile(entry)
        for name, data in (("hello", program), *_FILES):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if name == "hello" else 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
