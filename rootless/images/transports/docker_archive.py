"""`docker-archive:`: what `docker save` writes and `docker load` reads, one image of it.

Source: docker's image specification 1.2, "Combined Image JSON + Filesystem Changeset Format".
There is no manifest in it and layers are plain tars, so a manifest is made from the configuration,
whose diff ids are these layers' digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from rootless import documents
from rootless.errors import ImageNotFound, StorageError, UsageError
from rootless.images.formats import manifests
from rootless.images.formats.manifests import Descriptor
from rootless.images.names import reference
from rootless.images.transports import layout_images
from rootless.images.transports.base import Fetch, OnBytes, Source, Target
from rootless.images.transports.layout_files import Archive
from rootless.images.transports.oci_archive import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.trust.verify import Trust


class DockerArchiveSource(Source):
    """One image of an archive, chosen by its name, or by `@N` (counted from 0)."""

    synthetic = True

    def __init__(self, files: Archive, select: str) -> None:
        self.files = files
        self._select = select
        self.name = f"{files.path}:{select}" if select else files.path
        if files.size("manifest.json") < 0:
            raise StorageError(
                f"{files.path} is not an archive of `docker save`: it has no manifest.json",
                hint="for an OCI layout in an archive write oci-archive:FILE",
            )
        listed = layout_images.parse_list(files.document("manifest.json"), "manifest.json")
        entry = self._choose(listed, select)
        self._config_name = _text(entry.get("Config"))
        layers = entry.get("Layers")
        self._layer_names = [_text(one) for one in layers] if isinstance(layers, list) else []
        self._config = files.document(self._config_name)
        self._data = self._manifest()

    def _choose(self, listed: list[dict[str, Json]], select: str) -> dict[str, Json]:
        if select.startswith("@") and select[1:].isdigit() and int(select[1:]) < len(listed):
            return listed[int(select[1:])]
        if not select and len(listed) == 1:
            return listed[0]
        wanted = reference.parse(select).canonical if select and select[0] != "@" else ""
        names = []
        for entry in listed:
            for tag in entry.get("RepoTags") or []:
                names.append(str(tag))
                if wanted and reference.parse(str(tag)).canonical == wanted:
                    return entry
        what = f"no image {select}" if select else f"{len(listed)} images and none was chosen"
        raise ImageNotFound(
            f"{self.files.path} has {what}",
            hint=f"add one of {', '.join(names[:10])} after a colon",
        )

    def _manifest(self) -> bytes:
        diff_ids = manifests.diff_ids(manifests.parse(self._config))
        if len(diff_ids) != len(self._layer_names):
            raise manifests.invalid(
                f"it has {len(self._layer_names)} layers and {len(diff_ids)} diff ids"
            )
        self._by_digest = dict(zip(diff_ids, self._layer_names, strict=True))
        self._by_digest[_digest(self._config)] = self._config_name
        layers: list[Json] = []
        for digest, name in zip(diff_ids, self._layer_names, strict=True):
            size = self.files.size(name)
            if size < 0:
                raise self.files.missing(name)
            layers.append({"mediaType": manifests.DOCKER_PLAIN, "size": size, "digest": digest})
        config = {
            "mediaType": manifests.DOCKER_CONFIG,
            "size": len(self._config),
            "digest": _digest(self._config),
        }
        document = {"schemaVersion": 2, "mediaType": manifests.DOCKER_MANIFEST,
                    "config": config, "layers": layers}  # fmt: skip
        return documents.dumps(document).encode()

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        return self._data, manifests.DOCKER_MANIFEST

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        return self._data

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        return self.files.read(self._by_digest[descriptor.digest], offset)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source."""
        trust.local("docker-archive", self.files.path, self._select)

    def close(self) -> None:
        """See Source."""
        self.files.close()


class DockerArchiveTarget(Target):
    """A new archive with one image."""

    parallel = False
    layers = "plain"
    family = "docker"

    def __init__(self, path: str, name: str) -> None:
        self.name = f"{path}:{name}" if name else path
        tag = reference.parse(name) if name else None
        if tag is not None and tag.digest:
            raise UsageError(
                f"an image in {path} cannot be called {name}", hint="give a name with a tag"
            )
        # docker's own archives spell the names of its registry the short way
        self._tag = tag.familiar if tag else ""
        self._writer = Writer(path)
        self._manifest: Json = None

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        return "already exists" if _member(descriptor) in self._writer.names else ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""

        def counted() -> Iterator[bytes]:
            for piece in fetch(0):
                on_bytes(len(piece))
                yield piece

        self._writer.add(_member(descriptor), descriptor.size, counted())

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target."""
        manifest = manifests.read_manifest(manifests.parse(data))
        self._manifest = [
            {
                "Config": _member(manifest.config),
                "RepoTags": [self._tag] if self._tag else [],
                "Layers": [_member(layer) for layer in manifest.layers],
            }
        ]

    def finish(self) -> None:
        """See Target."""
        data = documents.dumps(self._manifest).encode()
        self._writer.add_bytes("manifest.json", data)
        self._writer.finish()

    def close(self) -> None:
        """See Target."""
        self._writer.close()


def _member(descriptor: Descriptor) -> str:
    config = descriptor.media_type in (manifests.DOCKER_CONFIG, manifests.OCI_CONFIG)
    return descriptor.digest[7:] + (".json" if config else ".tar")


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _text(value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise manifests.invalid("manifest.json names no configuration or layer")
    import posixpath

    return posixpath.normpath(value).lstrip("/")
