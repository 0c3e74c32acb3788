"""Images in archives and directories: oci-archive, docker-archive, OCI layout.

Scope: reading them into the store.  An archive is read once, front to back, because it may be a
pipe; its blobs go through `content` while they pass.

What a hostile archive could try: names with `..`, absolute names, links to files of the host,
devices.  Nothing is ever extracted to a path: member names are only keys of a dictionary, blobs are
stored under the digest that was computed, links are looked up in the same dictionary.  Documents
kept in memory are bounded.
"""

from __future__ import annotations

import os
import posixpath
import sys
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from rootless import disks, documents
from rootless.errors import DigestMismatch, StorageError, UsageError
from rootless.images.formats import compression, manifests
from rootless.images.names import reference
from rootless.images.store import assemble, ingest
from rootless.images.store.store import ImageRecord, ImageStore
from rootless.images.transfer.import_tar import import_rootfs
from rootless.images.transports import layout_images
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.trust.verify import Trust

__all__ = ["import_rootfs", "load"]

_DOCUMENTS_MAX = 64 << 20


def load(
    store: ImageStore,
    source: str | BinaryIO,
    progress: Progress | None = None,
    *,
    select: str = "",
    platform: str | None = None,
    expect: str = "",
    trust: Trust | None = None,
) -> list[ImageRecord]:
    """Load the images in a file, a directory (OCI layout), a pipe, or "-" for standard input.

    `select` is the tag or reference of the one image wanted; `expect` is `oci`, `oci-archive` or
    `docker-archive` if the user said so.  Every digest is verified.  `trust` says what may be
    loaded, by default what the user's policy.json says.
    Raises StorageError, DigestMismatch, UsageError, RegistryError (manifests), ImageNotFound.
    """
    progress = progress or Progress()
    try:
        with store.guard():
            found, left_over = _load(store, source, progress, select, platform, expect, trust)
    except BaseException:
        # Blobs of an archive that turned out bad are nothing a later attempt would look for.
        store.collect_garbage()
        raise
    if left_over:
        store.collect_garbage()
    return found


def _load(
    store: ImageStore,
    source: str | BinaryIO,
    progress: Progress,
    select: str,
    platform: str | None,
    expect: str,
    trust: Trust | None,
) -> tuple[list[ImageRecord], bool]:
    if isinstance(source, str) and source != "-":
        label = os.path.basename(os.path.normpath(source))
        if os.path.isdir(source):
            directory = layout_images.Directory(store, source, progress)
            if expect and expect != "oci":
                raise UsageError(
                    f"{source} is a directory", hint="write oci:DIRECTORY[:TAG] for an OCI layout"
                )
            _check_trust(trust, "oci", source, select)
            return layout_images.load(store, directory, label, select, platform), False
        try:
            # The descriptor, not a path of our making: /dev/stdin and fifos work as well.
            with open(source, "rb") as file:
                return _load_stream(store, file, label, progress, select, platform, expect, trust)
        except OSError as error:
            if error.errno in disks.NO_ROOM:
                # not of the archive, which is only read
                raise disks.refused(str(error.filename or store.ingest), error) from None
            raise StorageError(
                f"cannot read {source}: {error.strerror or error}",
                hint="check the path of the archive",
            ) from None
    stream = sys.stdin.buffer if isinstance(source, str) else source
    return _load_stream(store, stream, "", progress, select, platform, expect, trust)


def _load_stream(
    store: ImageStore,
    stream: BinaryIO,
    label: str,
    progress: Progress,
    select: str,
    platform: str | None,
    expect: str,
    trust: Trust | None,
) -> tuple[list[ImageRecord], bool]:
    members = _Members(store, progress)
    try:
        members.read(compression.reader(stream))
        # The padding after the end mark, so that a writer at the other end of a pipe is not killed.
        compression.skip(stream, 1 << 20)
    except tarfile.TarError as error:
        raise StorageError(
            f"this is not an archive of images, or a damaged one: {error}",
            hint="`rootless load` reads what docker save, podman save and skopeo write; "
            "for a root filesystem use `rootless import`",
        ) from None
    oci = "index.json" in members.documents
    if "manifest.json" in members.documents and (expect == "docker-archive" or not oci):
        _check_trust(trust, "docker-archive", getattr(stream, "name", ""), select)
        found = _docker(store, members, select)
    elif oci and expect != "docker-archive":
        _check_trust(trust, "oci-archive", getattr(stream, "name", ""), select)
        stem = label.partition(".")[0]
        found = layout_images.load(store, members, stem, select, platform)
    elif "repositories" in members.documents:
        _check_trust(trust, "docker-archive", getattr(stream, "name", ""), select)
        found = _old_docker(store, members, select)
    else:
        raise StorageError(
            "the archive holds no image: it has neither index.json nor manifest.json",
            hint="for a tar of a root filesystem use `rootless import`",
        )
    used = {digest for record in found for digest in record.blobs()}
    return found, bool(members.brought - used)


def _check_trust(trust: Trust | None, transport: str, path: object, select: str) -> None:
    """What passed by so far is in the store, where nothing refers to it."""
    from rootless.images.trust.verify import Trust

    named = path if isinstance(path, str) and not path.startswith("<") else ""
    (trust or Trust()).local(transport, named, select)


class _Members(layout_images.Source):
    """What passed by in an archive: small documents in memory, everything large in the store."""

    def __init__(self, store: ImageStore, progress: Progress) -> None:
        self.store = store
        self.progress = progress
        self.documents: dict[str, bytes] = {}
        self.layers: dict[str, ingest.Arrived] = {}
        self.links: dict[str, str] = {}
        self.blobs: set[str] = set()
        self.brought: set[str] = set()
        self._kept = 0

    def read(self, stream: BinaryIO) -> None:
        """Read the archive.  Raises tarfile.TarError, StorageError, DigestMismatch."""
        with tarfile.open(fileobj=stream, mode="r|", bufsize=ingest.CHUNK) as archive:
            for member in archive:
                name = _normal(member.name)
                if member.issym():
                    target = posixpath.join(posixpath.dirname(name), member.linkname)
                    self.links[name] = _normal(target)
                elif member.islnk():
                    self.links[name] = _normal(member.linkname)
                elif member.isreg():
                    file = archive.extractfile(member)
                    if file is not None:
                        self._take(name, member.size, file)  # type: ignore[arg-type]

    def _take(self, name: str, size: int, file: BinaryIO) -> None:
        digest = "sha256:" + name[13:]
        if name.startswith("blobs/sha256/") and reference.is_digest(digest):
            if not self.store.has_blob(digest, size):
                self.brought.add(digest)
            self._blob(digest, size, file)
            return
        if name.endswith(".tar") or name.endswith("/layer") or size > manifests.MAXIMUM:
            key = "layer:" + name
            self.progress.start(key, posixpath.dirname(name)[:12] or name[:12], size)
            arrived = ingest.ingest_layer(
                self.store, file, on_bytes=lambda n: self.progress.advance(key, n)
            )
            self.progress.finish(key)
            self.layers[name] = arrived
            self.brought.add(arrived.digest)
            return
        self._kept += size
        if self._kept > _DOCUMENTS_MAX:
            raise StorageError(
                f"the archive has more than {_DOCUMENTS_MAX >> 20} MiB of documents",
                hint="this is not an archive that docker, podman or skopeo wrote",
            )
        self.documents[name] = compression.read_full(file, size)

    def _blob(self, digest: str, size: int, file: BinaryIO) -> None:
        def fetch(offset: int) -> Iterator[bytes]:
            compression.skip(file, offset)
            while chunk := file.read(ingest.CHUNK):
                yield chunk

        self.progress.start(digest, digest[7:19], size)
        fetched = ingest.ingest(
            self.store,
            digest,
            size,
            fetch,
            on_bytes=lambda n: self.progress.advance(digest, n),
            keep_partial=False,
        )
        self.progress.finish(digest, "" if fetched else "already exists")
        self.blobs.add(digest)

    # as a layouts.Source

    def document(self, name: str) -> bytes:
        found = self.documents.get(self._follow(name))
        if found is None:
            raise layout_images.incomplete(name)
        return found

    def bring(self, descriptor: manifests.Descriptor) -> None:
        if descriptor.digest not in self.blobs:
            raise layout_images.incomplete(descriptor.digest)
        if not self.store.has_blob(descriptor.digest, descriptor.size):
            raise DigestMismatch(
                f"the blob {descriptor.digest} does not have the {descriptor.size} bytes promised",
                hint="the archive is damaged; make it again",
            )

    # docker's form

    def small(self, name: str) -> bytes:
        """Return a configuration, which newer dockers keep among the blobs."""
        name = self._follow(name)
        digest = "sha256:" + name[13:]
        if name.startswith("blobs/sha256/") and digest in self.blobs:
            if os.stat(self.store.blob_path(digest)).st_size > manifests.MAXIMUM:
                raise manifests.invalid("its configuration is too large")
            return self.store.read_blob(digest)
        return self.document(name)

    def layer(self, name: str) -> ingest.Arrived:
        """Return a layer by its member name."""
        name = self._follow(name)
        if name in self.layers:
            return self.layers[name]
        digest = "sha256:" + name[13:]
        if name.startswith("blobs/sha256/") and digest in self.blobs:
            path = self.store.blob_path(digest)
            with open(path, "rb") as file:
                kind = compression.detect(file.read(16))
            plain = ingest.diff_id(path) if kind else digest
            return ingest.Arrived(digest, plain, os.stat(path).st_size, kind)
        if name in self.documents:
            # A layer smaller than any other without a name of one: none that docker wrote.
            raise StorageError(f"the member {name} is not a layer", hint="make the archive again")
        raise layout_images.incomplete(name)

    def _follow(self, name: str) -> str:
        name = _normal(name)
        for _ in range(8):
            if name not in self.links:
                break
            name = self.links[name]
        return name


def _normal(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


# docker-archive


def _docker(store: ImageStore, members: _Members, select: str) -> list[ImageRecord]:
    listed = layout_images.parse_list(members.documents["manifest.json"], "manifest.json")
    found = []
    for position, entry in enumerate(listed):
        tags = entry.get("RepoTags") or []
        paths = entry.get("Layers") or []
        config_name = entry.get("Config")
        if not isinstance(config_name, str) or not _strings(tags) or not _strings(paths):
            raise manifests.invalid("manifest.json does not say Config, RepoTags and Layers")
        names = [reference.parse(tag).canonical for tag in tags]
        if select:
            if select.startswith("@"):
                wanted = select == f"@{position}"
            else:
                wanted = reference.parse(select).canonical in names
            if not wanted:
                continue
            names = names if select.startswith("@") else [reference.parse(select).canonical]
        found.append(_keep_docker(store, members, members.small(config_name), paths, names))
    return layout_images.some(found, select)


def _keep_docker(
    store: ImageStore, members: _Members, config_data: bytes, paths: list[str], names: list[str]
) -> ImageRecord:
    config = manifests.parse(config_data)
    wanted = manifests.diff_ids(config)
    if len(wanted) != len(paths):
        raise manifests.invalid(f"it has {len(paths)} layers and {len(wanted)} diff ids")
    layers = []
    for path, diff_id in zip(paths, wanted, strict=True):
        arrived = members.layer(path)
        if arrived.diff_id != diff_id:
            raise DigestMismatch(
                f"the layer {path} has the diff id {arrived.diff_id} instead of {diff_id}",
                hint="the archive is damaged or was tampered with; make it again",
            )
        layers.append(assemble.layer_of(arrived))
    return assemble.keep(store, config_data, config, layers, names)


def _old_docker(store: ImageStore, members: _Members, select: str) -> list[ImageRecord]:
    """docker before 1.10: `repositories` has the tags, every layer a `json` with its parent."""
    repositories = manifests.parse(members.documents["repositories"])
    found = []
    for repository, tags in repositories.items():
        for tag, top in tags.items() if isinstance(tags, dict) else []:
            name = reference.parse(f"{repository}:{tag}").canonical
            if select and reference.parse(select).canonical != name:
                continue
            if not isinstance(top, str):
                raise manifests.invalid(f"`repositories` names no layer for {name}")
            found.append(_keep_old(store, members, top, name))
    return layout_images.some(found, select)


def _keep_old(store: ImageStore, members: _Members, top: str, name: str) -> ImageRecord:
    chain: list[tuple[str, dict[str, Json]]] = []
    layer: object = top
    while isinstance(layer, str) and layer:
        if len(chain) > 500:
            raise manifests.invalid("its layers are each other's parents")
        document = manifests.parse(members.document(f"{layer}/json"))
        chain.append((layer, document))
        layer = document.get("parent")
    arrived = [members.layer(f"{layer}/layer.tar") for layer, _ in reversed(chain)]
    head = chain[0][1]
    config = {
        "created": head.get("created", ""),
        "architecture": head.get("architecture", ""),
        "os": head.get("os", "linux"),
        "config": head.get("config") or {},
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in arrived]},
        "history": [
            {
                "created": document.get("created", ""),
                "created_by": " ".join((document.get("container_config") or {}).get("Cmd") or []),
            }
            for _, document in reversed(chain)
        ],
    }
    data = documents.dumps(config).encode()
    return assemble.keep(store, data, config, [assemble.layer_of(one) for one in arrived], [name])


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
