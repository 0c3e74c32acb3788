"""OCI image layouts: `index.json` and blobs by digest, in a directory or an archive.

Scope: which images a layout holds and what they are called.
Source: OCI image layout specification 1.1; containerd's and podman's annotations for names.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator

from rootless import documents
from rootless.errors import ImageNotFound, StorageError, UsageError
from rootless.images.formats import manifests, platforms
from rootless.images.names import reference
from rootless.images.store import ingest
from rootless.images.store.store import ImageRecord, ImageStore
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_REF = "org.opencontainers.image.ref.name"
_FULL = "io.containerd.image.name"


class Source(ABC):
    """Where documents and blobs of a layout come from."""

    @abstractmethod
    def document(self, name: str) -> bytes:
        """Return a file of the layout that is no blob.  Raises StorageError."""

    @abstractmethod
    def bring(self, descriptor: manifests.Descriptor) -> None:
        """Make sure the blob is in the store.  Raises StorageError, DigestMismatch."""


class Directory(Source):
    """A layout in a directory."""

    def __init__(self, store: ImageStore, path: str, progress: Progress) -> None:
        self.store = store
        self.path = path
        self.progress = progress

    def document(self, name: str) -> bytes:
        """See Source."""
        try:
            with open(os.path.join(self.path, name), "rb") as file:
                return file.read(manifests.MAXIMUM + 1)
        except FileNotFoundError:
            raise StorageError(
                f"{self.path} is not an OCI layout: it has no {name}",
                hint="for a directory with a root filesystem use --rootfs, or tar and import it",
            ) from None
        except OSError as error:
            raise StorageError(
                f"cannot read {self.path}/{name}: {error.strerror}", hint="check its permissions"
            ) from None

    def bring(self, descriptor: manifests.Descriptor) -> None:
        """See Source.  The digest was checked to be one, so it is safe as a name."""
        path = os.path.join(self.path, "blobs/sha256", descriptor.digest[7:])
        key = descriptor.digest

        def fetch(offset: int) -> Iterator[bytes]:
            try:
                with open(path, "rb") as file:
                    file.seek(offset)
                    while chunk := file.read(ingest.CHUNK):
                        yield chunk
            except FileNotFoundError:
                raise incomplete(key) from None

        self.progress.start(key, key[7:19], descriptor.size)
        fetched = ingest.ingest(
            self.store,
            key,
            descriptor.size,
            fetch,
            on_bytes=lambda n: self.progress.advance(key, n),
            keep_partial=False,
        )
        self.progress.finish(key, "" if fetched else "already exists")


def load(
    store: ImageStore, source: Source, stem: str, select: str, platform: str | None
) -> list[ImageRecord]:
    """Keep the images of a layout; `stem` names those that have nothing but a tag.

    The caller holds `guard`.  Raises StorageError, RegistryError, ImageNotFound, UsageError.
    """
    index = manifests.parse(source.document("index.json"))
    listed = manifests.entries(index, manifests.OCI_INDEX)
    if not listed:
        raise StorageError("the layout holds no image: its index is empty", hint="make it again")
    groups: dict[str, list[dict[str, Json]]] = {}
    for entry in listed:
        groups.setdefault(_name(entry), []).append(entry)
    found = []
    for given, group in groups.items():
        name = _canonical(given, stem)
        if select and select not in (given, name) and _canonical(select, stem) != name:
            continue
        found.append(_keep(store, source, group, name, platform, given or stem or "the layout"))
    return some(found, select)


def _keep(
    store: ImageStore,
    source: Source,
    group: list[dict[str, Json]],
    name: str,
    platform: str | None,
    what: str,
) -> ImageRecord:
    wanted = platforms.parse(platform) if platform else platforms.host()
    entry = group[0] if len(group) == 1 else platforms.choose(group, wanted, what)
    for _ in range(4):
        descriptor = manifests.Descriptor.read(entry)
        if descriptor.size > manifests.MAXIMUM:
            raise manifests.invalid(f"it has {descriptor.size} bytes")
        source.bring(descriptor)
        document = manifests.parse(store.read_blob(descriptor.digest))
        listed = manifests.entries(document, descriptor.media_type)
        if listed is None:
            break
        entry = platforms.choose(listed, wanted, what)
    else:
        raise manifests.invalid("indexes within indexes within indexes")
    manifest = manifests.read_manifest(document)
    source.bring(manifest.config)
    config = manifests.parse(store.read_blob(manifest.config.digest))
    layers = manifests.join_layers(manifest, config)
    for layer in manifest.layers:
        source.bring(layer)
    record = manifests.record(descriptor.digest, manifest.config.digest, layers, config)
    return store.put(record, [name] if name else [])


def _name(entry: dict[str, Json]) -> str:
    notes = entry.get("annotations")
    if not isinstance(notes, dict):
        return ""
    found = notes.get(_FULL) or notes.get(_REF) or ""
    return found if isinstance(found, str) else ""


def _canonical(given: str, stem: str) -> str:
    """The canonical name for an annotation, "" where nothing fit for a name is known.

    A bare tag (`oci:dir:latest` as skopeo writes it) needs a name: that of the file or directory,
    below localhost because no registry vouches for it.
    """
    candidates = [given] if "/" in given or ":" in given else []
    if stem:
        candidates.append(f"localhost/{stem.lower()}:{given or 'latest'}")
    for candidate in candidates:
        try:
            parsed = reference.parse(candidate)
        except UsageError:
            continue
        return "" if parsed.digest else parsed.canonical
    return ""


def some(found: list[ImageRecord], select: str) -> list[ImageRecord]:
    """Return what was found, which must be something.  Raises ImageNotFound."""
    if not found:
        what = f"no image {select}" if select else "no image"
        raise ImageNotFound(
            f"the archive holds {what}", hint="`skopeo inspect` or `tar -tf` shows what it holds"
        )
    return found


def parse_list(data: bytes, what: str) -> list[dict[str, Json]]:
    """Return a JSON list of objects.  Raises RegistryError."""
    try:
        value = documents.loads(data.decode())
    except (ValueError, RecursionError):
        raise manifests.invalid(f"{what} is not JSON") from None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise manifests.invalid(f"{what} is not a list of objects")
    return value


def incomplete(name: str) -> StorageError:
    """Return the error for a part that is mentioned and not there."""
    return StorageError(
        f"the archive is incomplete: {name} is missing", hint="make or fetch the archive again"
    )
