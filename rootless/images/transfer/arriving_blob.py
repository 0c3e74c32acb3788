"""A layer's blob while it arrives: any part of it on request, the rest in the background.

Scope: compressed bytes.  What is asked for is fetched by Range at once and kept in a file without a
name; the background goes through `content.ingest`, as a pull does, takes what is there already, and
ends with a blob whose digest was checked.  Several containers, and a pull beside them, fetch what
they read by themselves; in the background the blob is fetched once.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from rootless.images.registry.client import Registry
from rootless.images.store import ingest
from rootless.images.store.store import ImageStore, Layer

_STRIDE = 4 << 20
"""Bytes of one request in the background; so often what was read meanwhile is left out."""


class Arriving:
    """One layer.  `kind` is its compression, "zstd" or "gzip"; used from several threads."""

    def __init__(
        self, store: ImageStore, layer: Layer, kind: str, connect: Callable[[], Registry]
    ) -> None:
        self.kind = kind
        self.layer = layer
        self._store = store
        self._connect = connect
        self._lock = threading.Lock()
        self._taken: dict[int, tuple[int, int]] = {}
        self._kept = tempfile.TemporaryFile(dir=store.ingest)  # noqa: SIM115  lives as long as we
        self._kept_size = 0
        self._have = 0
        self._blob = -1
        self.waiting = 0

    def piece(self, start: int, end: int) -> bytes:
        """Return bytes of the blob, not verified.  Raises RegistryError and the like, OSError."""
        here = self._here(start, end)
        if here is not None:
            return here
        with self._lock:
            self.waiting += 1
        try:
            data = b"".join(
                self._connect().open_range(self.layer.digest, start, end - start, strict=True)
            )
        finally:
            with self._lock:
                self.waiting -= 1
        with self._lock:
            if start not in self._taken:
                os.pwrite(self._kept.fileno(), data, self._kept_size)
                self._taken[start] = (end, self._kept_size)
                self._kept_size += len(data)
        return data

    def _here(self, start: int, end: int) -> bytes | None:
        with self._lock:
            if self._blob < 0 and self._store.has_blob(self.layer.digest, self.layer.size):
                path = self._store.blob_path(self.layer.digest)
                self._blob = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            found = self._taken.get(start)
        if self._blob >= 0:
            return os.pread(self._blob, end - start, start)
        if found is not None and found[0] == end:
            return os.pread(self._kept.fileno(), end - start, found[1])
        if end <= self._have:
            try:
                with open(ingest.arriving_path(self._store, self.layer.digest), "rb") as file:
                    data = os.pread(file.fileno(), end - start, start)
                return data if len(data) == end - start else None
            except OSError:
                return None  # it has become the blob this very moment
        return None

    def finish(self, stopped: Callable[[], bool]) -> None:
        """Bring the whole blob into the store.  Raises as content.ingest; may be repeated."""
        self._have = 0

        def arrived(count: int) -> None:
            self._have += count

        ingest.ingest(
            self._store, self.layer.digest, self.layer.size, self._rest, on_bytes=arrived,
            cancelled=stopped,
        )  # fmt: skip

    def _rest(self, offset: int) -> Iterator[bytes]:
        registry = self._connect()
        size = self.layer.size
        while offset < size:
            with self._lock:
                found = self._taken.get(offset)
                after = min((at for at in self._taken if at > offset), default=size)
            if found is not None:
                yield os.pread(self._kept.fileno(), found[0] - offset, found[1])
                offset = found[0]
                continue
            end = min(after, offset + _STRIDE)
            for chunk in registry.open_range(self.layer.digest, offset, end - offset):
                yield chunk
                # readers come first
                for _ in range(20):
                    if not self.waiting:
                        break
                    time.sleep(0.05)
            offset = end


def fetch_tail(registry: Registry, digest: str, count: int, size: int) -> bytes:
    """Return the last `count` bytes of a blob, where its table of contents is.  Raises
    RegistryError."""
    return b"".join(registry.open_range(digest, size - count, count, strict=True))
