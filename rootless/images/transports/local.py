"""Images of the local store, as something to copy from."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rootless.errors import StorageError
from rootless.images.formats import manifests
from rootless.images.formats.manifests import Descriptor
from rootless.images.names import reference, registries
from rootless.images.store import ingest
from rootless.images.store.store import ImageRecord, ImageStore
from rootless.images.transports.base import Fetch, OnBytes, Source, Target, open_file, pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.trust.verify import Trust


class StoreSource(Source):
    """One image of a data directory.  Garbage collection is kept away until `close`."""

    def __init__(self, data_dir: str, name: str) -> None:
        self.store = ImageStore(data_dir)
        self.record = self.store.resolve(name)
        self.name = name
        self._lock = self.store.guard()
        # a lease keeps what it names, and nothing else
        self.store.rely(*self.record.blobs())
        self._known: dict[str, list[str]] | None = None
        self._host = ""

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        data = self.store.read_blob(self.record.manifest_digest)
        return data, str(manifests.parse(data).get("mediaType") or manifests.OCI_MANIFEST)

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        return self.store.read_blob(descriptor.digest)

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        return self.stored(self.store, descriptor, offset, self.name)

    @staticmethod
    def stored(
        store: ImageStore, descriptor: Descriptor, offset: int, name: str
    ) -> Iterator[bytes]:
        """Yield the bytes of a blob of the store.  Raises StorageError."""
        if not store.has_blob(descriptor.digest):
            raise StorageError(
                f"the blob {descriptor.digest} of {name} is missing",
                hint=f"pull it again: rootless pull {name}",
            )
        fd = open_file(store.blob_path(descriptor.digest))
        try:
            yield from pieces(fd, offset, descriptor.size - offset)
        finally:
            os.close(fd)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source.  The policy was asked when the image came."""
        return None

    def repositories(self, digest: str, host: str) -> list[str]:
        """See Source: where the images that have this blob came from."""
        if self._known is None or self._host != host:
            self._known, self._host = known_repositories(self.store, host), host
        return self._known.get(digest, [])

    def close(self) -> None:
        """See Source."""
        self._lock.close()


class StoreTarget(Target):
    """The local store; one image comes under this name, its layers as they are.

    The caller holds `guard`.  `record` is what came of it.
    """

    def __init__(self, store: ImageStore, name: str) -> None:
        self.store = store
        self.name = name
        self.record: ImageRecord | None = None

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        self.store.rely(descriptor.digest)
        here = self.store.has_blob(descriptor.digest, descriptor.size)
        return "already exists" if here else ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""
        ingest.ingest(
            self.store, descriptor.digest, descriptor.size, lambda at: iter(fetch(at)),
            on_bytes=on_bytes, keep_partial=False,
        )  # fmt: skip

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target."""
        ingest.ingest_bytes(self.store, data)
        if not top:
            return
        manifest = manifests.read_manifest(manifests.parse(data))
        config = manifests.parse(self.store.read_blob(manifest.config.digest))
        layers = manifests.join_layers(manifest, config)
        made = manifests.record(digest, manifest.config.digest, layers, config)
        self.record = self.store.put(made, [self.name])


def known_repositories(store: ImageStore, host: str) -> dict[str, list[str]]:
    """Return, by digest of a layer, the repositories on a server from which images with it came."""
    found: dict[str, list[str]] = {}
    for record in store.list():
        there = _repositories(record.digests, host)
        for layer in record.layers if there else ():
            found.setdefault(layer.digest, []).extend(there)
    return found


def _repositories(digests: list[str], host: str) -> list[str]:
    found = []
    for text in digests:
        endpoint = registries.endpoints(reference.parse(text))[-1]
        if endpoint.host == host:
            found.append(endpoint.repository)
    return found
