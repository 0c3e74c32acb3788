"""Layers made here: a plain tar comes in, a compressed blob is kept.

Scope: compression on the way into the store.  zlib at a fixed level and without a time in the
header, so that one input gives one digest wherever zlib is the same.  Source: RFC 1952.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from rootless.images.store import ingest as store_ingest
from rootless.images.store.store import ImageStore

LEVEL = 6
_GZIP = 31  # window bits of zlib that ask for a gzip header


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as one gzip member."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        out = packer.compress(chunk)
        if out:
            yield out
    yield packer.flush()


def ingest(
    store: ImageStore,
    source: BinaryIO,
    *,
    compress: bool = True,
    check: Callable[[], object] = lambda: None,
) -> store_ingest.Arrived:
    """Bring the plain tar of `source` and keep it, with gzip unless not `compress`.

    `check` is called when the source has ended and may raise: then nothing is kept.  The caller
    holds `guard`.  Raises StorageError.
    """
    plain = hashlib.sha256()
    blob = hashlib.sha256()
    size = 0

    def read() -> Iterator[bytes]:
        while chunk := source.read(store_ingest.CHUNK):
            plain.update(chunk)
            yield chunk

    path = os.path.join(store.ingest, f"new-{os.getpid()}-{time.monotonic_ns()}")
    store.rely(os.path.basename(path))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        for piece in gzipped(read()) if compress else read():
            store_ingest.write(fd, path, piece)
            blob.update(piece)
            size += len(piece)
        check()
        store.rely("sha256:" + blob.hexdigest())
        os.rename(path, store.blob_path("sha256:" + blob.hexdigest()))
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)
    kind = "gzip" if compress else ""
    digest, diff_id = "sha256:" + blob.hexdigest(), "sha256:" + plain.hexdigest()
    return store_ingest.Arrived(digest, diff_id, size, kind)
