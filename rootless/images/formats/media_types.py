"""The two families of media types, OCI's and docker's, and the compression of layers.

Scope: media types in manifests, and layers that are compressed or decompressed on their way.
Configurations are not touched: both families read each other's, and the image keeps its id.
Source: OCI image specification 1.1, "Compatibility Matrix"; docker's image manifest V2, schema 2.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

from rootless import disks
from rootless.chunked import places as tables
from rootless.chunked import writing, zstd
from rootless.errors import UsageError
from rootless.images.formats import compression, manifests
from rootless.images.formats.manifests import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_DOCKER = "application/vnd.docker.image.rootfs."
_OCI = "application/vnd.oci.image.layer."
_PAIRS = (
    (manifests.OCI_MANIFEST, manifests.DOCKER_MANIFEST),
    (manifests.OCI_INDEX, manifests.DOCKER_INDEX),
    (manifests.OCI_CONFIG, manifests.DOCKER_CONFIG),
    (_OCI + "v1.tar", _DOCKER + "diff.tar"),
    (_OCI + "v1.tar+gzip", _DOCKER + "diff.tar.gzip"),
    (_OCI + "v1.tar+zstd", _DOCKER + "diff.tar.zstd"),
    (_OCI + "nondistributable.v1.tar", _DOCKER + "foreign.diff.tar"),
    (_OCI + "nondistributable.v1.tar+gzip", _DOCKER + "foreign.diff.tar.gzip"),
)
_TO_DOCKER = dict(_PAIRS)
_TO_OCI = {docker: oci for oci, docker in _PAIRS}
_CHUNK = 1 << 18
FAMILIES = {"oci": "oci", "v2s2": "docker", "docker": "docker", "": ""}


def family(text: str) -> str:
    """Return the family that `--format` names.  Raises UsageError."""
    if text not in FAMILIES:
        raise UsageError(f'there is no manifest format "{text}"', hint="oci or v2s2 (docker's)")
    return FAMILIES[text]


def converted(media_type: str, wanted: str) -> str:
    """Return a media type in the spelling of a family; what only one of them has stays as it is."""
    if wanted == "docker":
        if media_type == _OCI + "v1.tar+zstd":
            raise UsageError(
                "docker's manifests have no layers compressed by zstd",
                hint="add --compression-format gzip, or leave --format v2s2 out",
            )
        return _TO_DOCKER.get(media_type, media_type)
    return _TO_OCI.get(media_type, media_type) if wanted == "oci" else media_type


def compression_of(media_type: str) -> str | None:
    """Return "", "gzip" or "zstd" for a layer, None for what is no layer of a file system."""
    oci = _TO_OCI.get(media_type, media_type)
    if not oci.startswith(_OCI):
        return None
    return oci.partition(".tar")[2].lstrip("+")


def is_foreign(descriptor: dict[str, Json]) -> bool:
    """Return whether a layer is not to be copied but fetched by everybody from its own address."""
    media_type = descriptor.get("mediaType")
    return isinstance(media_type, str) and ("nondistributable" in media_type
                                            or ".foreign." in media_type)  # fmt: skip


CHUNKED = "zstd:chunked"
_LEVELS = {"gzip": (1, 9), "zstd": (1, 22), CHUNKED: (1, 22)}


def check(kind: str, level: int | None) -> None:
    """Check that there is this compression and this level of it.  Raises UsageError."""
    if kind not in ("", "none", *_LEVELS):
        raise UsageError(
            f'there is no compression "{kind}"', hint="gzip, zstd, zstd:chunked or none"
        )
    if level is None:
        return
    least, most = _LEVELS.get(kind, (1, 0))
    if not least <= level <= most:
        raise UsageError(
            f"--compression-level {level} does not go with "
            f"{kind or 'layers that stay as they are'}",
            hint="1 to 9 with --compression-format gzip, 1 to 22 with zstd and zstd:chunked",
        )


def is_in_form(layer: dict[str, Json], now: str, wanted: str) -> bool:
    """Return whether a layer, whose media type says `now`, has the form already."""
    notes = layer.get("annotations")
    chunked = isinstance(notes, dict) and tables.CHECKSUM in notes
    return now == "zstd" and chunked if wanted == CHUNKED else now == wanted


def with_compression(media_type: str, kind: str) -> str:
    """Return the media type of the same layer in another form, in the same family."""
    kind = "zstd" if kind == CHUNKED else kind
    oci = _TO_OCI.get(media_type, media_type)
    made = oci.partition(".tar")[0] + ".tar" + (f"+{kind}" if kind else "")
    return made if media_type == oci else _TO_DOCKER.get(made, made)


class Spool:
    """A layer in another form, in a file without a name; `annotations` belong to its descriptor."""

    def __init__(
        self, chunks: Iterable[bytes], now: str, wanted: str, level: int | None = None
    ) -> None:
        """Raises StorageError for damaged data, UsageError for an unknown form."""
        self.file: IO[bytes] = _temporary()
        self.annotations: dict[str, str] = {}
        try:
            if wanted == CHUNKED:
                self._chunked(compression.plain_chunks(chunks, now), level)
                return
            hasher = hashlib.sha256()
            self.size = 0
            for piece in _compressed(compression.plain_chunks(chunks, now), wanted, level):
                self.file.write(piece)
                hasher.update(piece)
                self.size += len(piece)
            self.file.flush()
            self.digest = "sha256:" + hasher.hexdigest()
        except OSError as error:
            self.file.close()
            raise disks.refused(
                spool_directory(), error, elsewhere="set TMPDIR to a directory with more room"
            ) from None
        except BaseException:
            self.file.close()
            raise

    def _chunked(self, chunks: Iterable[bytes], level: int | None) -> None:
        with _temporary() as tar:
            for chunk in chunks:
                tar.write(chunk)
            tar.seek(0)
            made = writing.write(tar, self.file, level=level or writing.LEVEL)
        self.file.flush()
        self.digest, self.size, self.annotations = made.digest, made.size, made.annotations

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on."""
        while piece := os.pread(self.file.fileno(), _CHUNK, offset):
            offset += len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _temporary() -> IO[bytes]:
    return tempfile.TemporaryFile(dir=spool_directory())


def spool_directory() -> str:
    """Where large files are for a moment: on a disk if it can be, which /tmp often is not, and
    small images that jobs of a CI run in have no /var/tmp."""
    given = os.environ.get("TMPDIR")
    return given or ("/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir())


def _compressed(chunks: Iterable[bytes], kind: str, level: int | None = None) -> Iterator[bytes]:
    if not kind:
        yield from chunks
    elif kind == "gzip":
        # zlib and not isal, whose output depends on the processor: equal layers, equal digests.
        packer = zlib.compressobj(level or 6, zlib.DEFLATED, 31)
        for chunk in chunks:
            if piece := packer.compress(chunk):
                yield piece
        yield packer.flush()
    elif kind == "zstd":
        squeezer = zstd.module().ZstdCompressor(level=level)
        for chunk in chunks:
            if piece := squeezer.compress(chunk):
                yield piece
        yield squeezer.flush()
    else:
        check(kind, None)


def strip_annotations(descriptor: dict[str, Json]) -> dict[str, Json]:
    """Return a descriptor without what describes the old bytes of a layer: tables of contents."""
    notes = descriptor.get("annotations")
    if not isinstance(notes, dict):
        return descriptor
    kept = {
        key: value
        for key, value in notes.items()
        if not key.startswith(("io.github.containers.zstd-chunked.", "containerd.io/snapshot/"))
    }
    rest = {key: value for key, value in descriptor.items() if key != "annotations"}
    return {**rest, "annotations": kept} if kept else rest


def check_descriptor(value: Json) -> dict[str, Json]:
    """Return an object that is a descriptor.  Raises RegistryError."""
    manifests.Descriptor.read(value)
    if not isinstance(value, dict):
        raise invalid("a descriptor is not an object")
    return value
