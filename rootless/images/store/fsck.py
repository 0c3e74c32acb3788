"""Check that every blob is there and matches its digest, and fetch again those that do not.

Scope: blobs, records and names; unpacked layers are the storage room's.
"""

from __future__ import annotations

import hashlib
import os

from rootless import documents
from rootless.chunked import places
from rootless.errors import NewerDocument, RootlessError, StorageError
from rootless.images.formats import manifests
from rootless.images.names import reference, registries
from rootless.images.record import ImageRecord
from rootless.images.store import ingest
from rootless.images.store.store import ImageStore
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.images.registry.client import Registry


class Damage:
    """Something wrong.  `kind`: record, blob or layer; `images`: whose it is, as users name them;
    `remedy`: what was done, or what the user can do; `repaired`: whether it is right again."""

    __slots__ = ("id", "images", "kind", "problem", "remedy", "repaired")

    def __init__(self, kind: str, identity: str, problem: str, images: list[str]) -> None:
        self.kind = kind
        self.id = identity
        self.problem = problem
        self.images = images
        self.remedy = ""
        self.repaired = False

    def to_dict(self) -> documents.Json:
        """Return the form of `--format json`."""
        return {
            "Kind": self.kind,
            "Id": self.id,
            "Problem": self.problem,
            "Images": self.images,
            "Repaired": self.repaired,
            "Remedy": self.remedy,
        }


def shown(record: ImageRecord) -> str:
    """Return what a user calls an image."""
    return reference.parse(record.names[0]).familiar if record.names else record.id[:12]


def records(store: ImageStore, *, repair: bool) -> tuple[list[ImageRecord], list[Damage]]:
    """Return all images whose records can be read, and those that cannot.

    A record is rebuilt from the manifest and configuration among the blobs, which say everything
    but by which digests registries know the image.
    """
    found: list[ImageRecord] = []
    damaged: list[Damage] = []
    for entry in list(documents.names_in(store.records)):
        if not entry.endswith(".json"):
            continue
        identity = entry[:-5]
        try:
            record = store.get(identity)
        except StorageError as error:
            damage = Damage("record", identity, error.message, store.names_of(identity))
            damaged.append(damage)
            if isinstance(error, NewerDocument):
                damage.remedy = f"{error.hint}; rootless rmi {identity[:12]} removes the image"
            elif repair:
                record = _rebuilt(store, identity, damage)
                if record is not None:
                    found.append(record)
            else:
                damage.remedy = "system check --repair rebuilds it"
            continue
        if record is not None:
            record.names = store.names_of(identity)
            found.append(record)
    return found, damaged


def _rebuilt(store: ImageStore, identity: str, damage: Damage) -> ImageRecord | None:
    for digest, data in _small_blobs(store):
        try:
            manifest = manifests.read_manifest(manifests.parse(data))
            if manifest.config.digest != "sha256:" + identity:
                continue
            config = manifests.parse(store.read_blob(manifest.config.digest))
            layers = manifests.join_layers(manifest, config)
            record = manifests.record(digest, manifest.config.digest, layers, config)
            with store.guard():
                store.replace(record)
        except RootlessError:
            continue
        damage.repaired = True
        damage.remedy = "rebuilt from its manifest and configuration"
        return record
    damage.remedy = "pull or load the image again; it was forgotten"
    store.forget(identity)
    return None


def _small_blobs(store: ImageStore) -> Iterator[tuple[str, bytes]]:
    for name in documents.names_in(store.blobs):
        path = os.path.join(store.blobs, name)
        if os.path.getsize(path) > manifests.MAXIMUM:
            continue
        with open(path, "rb") as file:
            data = file.read()
        if data[:1] == b"{" and hashlib.sha256(data).hexdigest() == name:
            yield "sha256:" + name, data


def blobs(
    store: ImageStore, images: list[ImageRecord], *, quick: bool, progress: Progress
) -> list[Damage]:
    """Return what is missing or damaged; `quick` looks at sizes only.

    Layers that `pull --lazy` left where they are have not arrived, which is no damage.
    """
    owners: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for record in images:
        away = _away(store, record)
        for digest in dict.fromkeys(record.blobs()):
            if digest in away:
                continue
            owners.setdefault(digest, []).append(shown(record))
        sizes.update({layer.digest: layer.size for layer in record.layers})
    found = []
    for digest, names in owners.items():
        problem = _problem(store, digest, sizes.get(digest), quick, progress)
        if problem:
            found.append(Damage("blob", digest, problem, names))
    return found


def _away(store: ImageStore, record: ImageRecord) -> set[str]:
    """Blobs that are not here, and that would be fetched when they are read."""
    missing = {one.digest for one in record.layers if not store.has_blob(one.digest)}
    if not missing or not record.digests:
        return set()
    try:
        manifest = manifests.read_manifest(manifests.parse(store.read_blob(record.manifest_digest)))
    except RootlessError:
        return set()
    return {
        one.digest
        for one in manifest.layers
        if one.digest in missing and places.has_table(one.annotations)
    }


def _problem(
    store: ImageStore, digest: str, size: int | None, quick: bool, progress: Progress
) -> str:
    path = store.blob_path(digest)
    try:
        there = os.stat(path).st_size
        if size is not None and there != size:
            return f"it has {there} bytes instead of {size}"
        if quick and size is not None:
            return ""
        progress.start(digest, f"checking {digest[7:19]}", there)
        hasher = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(ingest.CHUNK):
                hasher.update(chunk)
                progress.advance(digest, len(chunk))
        progress.finish(digest)
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if hasher.hexdigest() != digest[7:]:
        return "its contents are not what its digest says"
    return ""


def fetch(store: ImageStore, images: list[ImageRecord], damage: Damage) -> None:
    """Bring a damaged or missing blob again, from where an image that has it came from."""
    refusals = []
    for record in images:
        if damage.id not in record.blobs():
            continue
        for known in record.digests:
            try:
                _fetch(store, record, known, damage.id)
            except RootlessError as error:
                refusals.append(error.message)
                continue
            damage.repaired = True
            damage.remedy = f"fetched again from {known.partition('@')[0]}"
            return
    name = damage.images[0]
    damage.remedy = (
        f"it could not be fetched: {refusals[0]}"
        if refusals
        else f"no registry is known that has it: load or pull {name} again, or rootless rmi {name}"
    )


def _fetch(store: ImageStore, record: ImageRecord, known: str, digest: str) -> None:
    from rootless.images.registry.client import Registry

    wanted = reference.parse(known)
    refusal: RootlessError | None = None
    for endpoint in registries.endpoints(wanted):
        registry = Registry(wanted, endpoint)
        try:
            with store.guard():
                store.rely(digest)
                _replace(store, record, registry, digest)
            return
        except RootlessError as error:
            refusal = error
        finally:
            registry.close()
    if refusal is not None:
        raise refusal


def _replace(store: ImageStore, record: ImageRecord, registry: Registry, digest: str) -> None:
    """The damaged blob is kept until the new one is there: something may still be read from it."""
    size = next((layer.size for layer in record.layers if layer.digest == digest), None)
    path = store.blob_path(digest)
    aside = os.path.join(store.ingest, f"damaged-{digest[7:]}")
    if size is None:
        data = _small(registry, record, digest)
        size = len(data)

        def read(offset: int) -> Iterator[bytes]:
            yield data[offset:]
    else:
        length = size

        def read(offset: int) -> Iterator[bytes]:
            return registry.blob(digest, length, offset)

    if os.path.lexists(path):
        os.rename(path, aside)
    try:
        ingest.ingest(store, digest, size, read)
    except BaseException:
        if os.path.lexists(aside) and not os.path.lexists(path):
            os.rename(aside, path)
        raise
    if os.path.lexists(aside):
        os.unlink(aside)


def _small(registry: Registry, record: ImageRecord, digest: str) -> bytes:
    """A manifest, or a configuration, whose size its manifest says."""
    if digest == record.manifest_digest:
        return registry.manifest(digest)[0]
    data, _, _ = registry.manifest(record.manifest_digest)
    config = manifests.read_manifest(manifests.parse(data)).config
    return b"".join(registry.blob(config.digest, config.size))
