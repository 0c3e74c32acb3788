"""Images into archives and directories: docker-archive, oci-archive, OCI layout, `dir:`.

Scope: writing; `archives` and `layouts` are the readers.  The same images give the same bytes: no
times, no owners, members in a fixed order, each blob once.
Sources: OCI image layout specification 1.1; the docker image specification 1.2 for `manifest.json`;
containers-transports(5) for `dir:`.

Blobs go out as they are kept, so that digests survive; docker-archive alone wants plain layers, and
those are checked against the diff id before the first byte of them is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from rootless import disks, documents
from rootless.errors import Conflict, DigestMismatch, StorageError, UsageError
from rootless.images.formats import compression, manifests
from rootless.images.names import filenames, reference
from rootless.images.record import ImageRecord, Layer
from rootless.images.store import assemble, ingest, layer_ingest
from rootless.images.store.store import ImageStore
from rootless.images.transfer import sinks
from rootless.images.transfer.sinks import Sink, Tar, Tree
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

FORMATS = ("docker-archive", "oci-archive", "oci-dir", "docker-dir")
_LAYOUT = '{"imageLayoutVersion":"1.0.0"}'
_VERSION = "Directory Transport Version: 1.1\n"
_REF = "org.opencontainers.image.ref.name"
_FULL = "io.containerd.image.name"


class Chosen:
    """An image to be saved and the names (canonical) it gets there."""

    __slots__ = ("names", "record")

    def __init__(self, record: ImageRecord) -> None:
        self.record = record
        self.names: list[str] = []


def choose(store: ImageStore, words: list[str]) -> list[Chosen]:
    """Return the images that the arguments name, each once; one named by its id goes without a
    name.

    Raises ImageNotFound, UsageError.
    """
    if not words:
        raise UsageError("no image is named", hint="name those to be saved")
    found: dict[str, Chosen] = {}
    for word in words:
        record = store.resolve(word)
        chosen = found.setdefault(record.id, Chosen(record))
        name = _name_of(record, word)
        if name and name not in chosen.names:
            chosen.names.append(name)
    return list(found.values())


def _name_of(record: ImageRecord, word: str) -> str:
    if record.id.startswith(word.removeprefix("sha256:")):
        return ""
    for name in filenames.candidates(reference.parse(word)):
        if name in record.names:
            return name
    return ""


def save(
    store: ImageStore,
    words: list[str],
    target: str | BinaryIO,
    *,
    format: str = "docker-archive",
    compress: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the images that `words` name to `target`: a path, or an open stream for archives.

    `compress`: plain layers are compressed with gzip, which only the directories and oci-archive
    can hold.  A path is there whole or, after an error, as it was before.
    Raises UsageError, ImageNotFound, StorageError, DigestMismatch, Conflict.
    """
    if format not in FORMATS:
        raise UsageError(f'unknown format "{format}"', hint=", ".join(FORMATS))
    if compress and format == "docker-archive":
        raise UsageError(
            "layers in a docker-archive are plain", hint="--compress goes with the other formats"
        )
    chosen = choose(store, words)
    if format == "docker-dir" and len(chosen) > 1:
        raise UsageError(f"docker-dir holds one image, not {len(chosen)}", hint="use oci-dir")
    # garbage collection stays away from the blobs of an image that is removed meanwhile
    with store.guard():
        store.rely(*[digest for one in chosen for digest in one.record.blobs()])
        job = _Job(store, chosen, compress, progress or Progress())
        if format.endswith("-dir"):
            if not isinstance(target, str):
                raise UsageError(f"{format} is a directory", hint="name it with --output")
            _directory(job, target, format)
        elif isinstance(target, str):
            sinks.whole(target, lambda file: _archive(job, file, format))
        else:
            try:
                _archive(job, target, format)
            except OSError as error:
                raise StorageError(
                    f"cannot write the archive: {error.strerror}", hint=sinks.HINT
                ) from None


def _archive(job: _Job, file: BinaryIO, format: str) -> None:
    try:
        sink = Tar(file)
        if format == "docker-archive":
            job.docker_archive(sink)
        else:
            job.layout(sink)
        sink.close()
    except BrokenPipeError:
        raise StorageError(
            "the reader of the archive stopped in the middle", hint="look at the other command"
        ) from None


def _directory(job: _Job, path: str, format: str) -> None:
    if os.path.isdir(path) and not os.listdir(path):
        os.rmdir(path)
    if os.path.lexists(path):
        raise Conflict(f"{path} exists and is not an empty directory", hint="name another place")
    temporary = f"{os.path.normpath(path)}.{os.getpid()}.tmp"
    try:
        os.mkdir(temporary)
        try:
            sink = Tree(temporary)
            if format == "docker-dir":
                job.docker_directory(sink)
            else:
                job.layout(sink)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise disks.refused(path, error, elsewhere=sinks.HINT) from None


class _Job:
    """The images on their way."""

    def __init__(
        self, store: ImageStore, chosen: list[Chosen], compress: bool, progress: Progress
    ) -> None:
        self.store = store
        self.chosen = chosen
        self.compress = compress
        self.progress = progress
        self._packed: dict[str, Layer] = {}

    def layout(self, sink: Sink) -> None:
        """Write an OCI layout: one entry of the index for each name."""
        entries: list[dict[str, Json]] = []
        for one in self.chosen:
            manifest = self._manifest(one.record)
            digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
            self._blob(sink, one.record.config_digest, _blob_name)
            for layer in one.record.layers:
                self._layer(sink, layer, _blob_name)
            sink.small(_blob_name(digest), manifest)
            entry: dict[str, Json] = {
                "mediaType": manifests.parse(manifest).get("mediaType") or manifests.OCI_MANIFEST,
                "digest": digest,
                "size": len(manifest),
            }
            for name in one.names:
                entries.append({**entry, "annotations": {_FULL: name, _REF: name}})
            if not one.names:
                entries.append(entry)
        sink.small("oci-layout", _LAYOUT.encode())
        index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": entries}
        sink.small("index.json", documents.dumps(index).encode())

    def docker_archive(self, sink: Sink) -> None:
        """Write what `docker save` has written since 1.10, and `docker load` reads."""
        listed: list[dict[str, Json]] = []
        repositories: dict[str, dict[str, str]] = {}
        for one in self.chosen:
            record = one.record
            paths = []
            for layer in record.layers:
                paths.append(f"{layer.diff_id[7:]}.tar")
                self._plain_layer(sink, layer, paths[-1])
            config = f"{record.id}.json"
            sink.small(config, self._read(record.config_digest))
            names = [reference.parse(name) for name in one.names]
            listed.append(
                {
                    "Config": config,
                    "RepoTags": [name.canonical for name in names] or None,
                    "Layers": paths,
                }
            )
            for name in names:
                top = record.layers[-1].diff_id[7:] if record.layers else record.id
                repositories.setdefault(name.name, {})[name.tag] = top
        sink.small("manifest.json", documents.dumps(listed).encode())
        if repositories:
            sink.small("repositories", documents.dumps(repositories).encode())

    def docker_directory(self, sink: Sink) -> None:
        """Write the `dir:` transport with a manifest in docker's form."""
        record = self.chosen[0].record
        data = self._read(record.config_digest)
        layers = [assemble.docker_layer(self._compressed(layer)) for layer in record.layers]
        for layer in record.layers:
            self._layer(sink, layer, lambda digest: digest[7:])
        sink.small(record.id, data)
        manifest = assemble.docker_manifest(record.config_digest, len(data), layers)
        sink.small("manifest.json", manifest)
        sink.small("version", _VERSION.encode())

    # parts

    def _manifest(self, record: ImageRecord) -> bytes:
        """The manifest as it came; made anew where layers go out compressed."""
        layers = [self._compressed(layer) for layer in record.layers]
        if layers == record.layers:
            return self._read(record.manifest_digest)
        size = len(self._read(record.config_digest))
        config = manifests.Descriptor(record.config_digest, size, manifests.OCI_CONFIG)
        return manifests.manifest_bytes(config, [assemble.oci_layer(one) for one in layers])

    def _compressed(self, layer: Layer) -> Layer:
        """The layer as it goes out."""
        path = self.store.blob_path(layer.digest)
        if not self.compress or _kind(path, layer.digest):
            return layer
        if layer.digest not in self._packed:
            hasher, size = hashlib.sha256(), 0
            for chunk in layer_ingest.gzipped(_chunks(path)):
                hasher.update(chunk)
                size += len(chunk)
            self._packed[layer.digest] = Layer(
                "sha256:" + hasher.hexdigest(), layer.diff_id, manifests.OCI_LAYER + "+gzip", size
            )
        return self._packed[layer.digest]

    def _layer(self, sink: Sink, layer: Layer, name: Callable[[str], str]) -> None:
        out = self._compressed(layer)
        if out is layer:
            self._blob(sink, layer.digest, name)
        elif sink.new(name(out.digest)):
            chunks = layer_ingest.gzipped(_chunks(self.store.blob_path(layer.digest)))
            self._watch(sink, name(out.digest), out.digest, out.size, chunks)

    def _blob(self, sink: Sink, digest: str, name: Callable[[str], str]) -> None:
        if not sink.new(name(digest)):
            return
        path = self.store.blob_path(digest)
        size = _size(path, digest)
        self._watch(sink, name(digest), digest, size, _verified(path, digest))

    def _plain_layer(self, sink: Sink, layer: Layer, name: str) -> None:
        if not sink.new(name):
            return
        path = self.store.blob_path(layer.digest)
        hasher, size = hashlib.sha256(), 0
        for chunk in self._plain(path, layer):
            hasher.update(chunk)
            size += len(chunk)
        if "sha256:" + hasher.hexdigest() != layer.diff_id:
            raise _damaged(layer.digest)
        self._watch(sink, name, layer.digest, size, self._plain(path, layer))

    def _plain(self, path: str, layer: Layer) -> Iterator[bytes]:
        return compression.plain_chunks(_chunks(path), _kind(path, layer.digest))

    def _watch(self, sink: Sink, name: str, key: str, size: int, chunks: Iterable[bytes]) -> None:
        self.progress.start(key, key[7:19], size)

        def counted() -> Iterator[bytes]:
            for chunk in chunks:
                self.progress.advance(key, len(chunk))
                yield chunk

        sink.put(name, size, counted())
        self.progress.finish(key)

    def _read(self, digest: str) -> bytes:
        data = self.store.read_blob(digest)
        if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
            raise _damaged(digest)
        return data


def _blob_name(digest: str) -> str:
    return "blobs/sha256/" + digest[7:]


def _missing(digest: str, error: OSError) -> StorageError:
    return StorageError(
        f"cannot read the blob {digest}: {error.strerror}",
        hint="rootless system check --repair fetches it again",
    )


def _damaged(digest: str) -> DigestMismatch:
    return DigestMismatch(
        f"the blob {digest} in the store is damaged",
        hint="rootless system check --repair fetches it again",
    )


def _size(path: str, digest: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise _missing(digest, error) from None


def _kind(path: str, digest: str) -> str:
    try:
        with open(path, "rb") as file:
            return compression.detect(file.read(16))
    except OSError as error:
        raise _missing(digest, error) from None


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(ingest.CHUNK):
            yield chunk


def _verified(path: str, digest: str) -> Iterator[bytes]:
    """The bytes of a blob; an error at the end when they are not what the digest says."""
    hasher = hashlib.sha256()
    for chunk in _chunks(path):
        hasher.update(chunk)
        yield chunk
    if "sha256:" + hasher.hexdigest() != digest:
        raise _damaged(digest)
