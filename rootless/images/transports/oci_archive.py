"""`oci-archive:` as a target, and the writer of tar archives that it shares with others.

The same image gives the same bytes: members have no times and no owners, and the order is that of
the manifest.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator

from rootless import disks, documents
from rootless.errors import DigestMismatch, StorageError
from rootless.images.formats.manifests import Descriptor
from rootless.images.transports.base import Fetch, OnBytes, Target
from rootless.images.transports.layout import MARK, REF, blob_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class Writer:
    """A tar archive that gets its name when it is whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        directory = os.path.dirname(os.path.abspath(path))
        name = f".{os.path.basename(path)}.{os.getpid()}.tmp"
        self._temporary = os.path.join(directory, name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            fd = os.open(self._temporary, flags, 0o666)
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error.strerror}", hint="check the directory"
            ) from None
        self._file = os.fdopen(fd, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115 (closed by finish)
        self.names: set[str] = set()

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write one member.  Raises StorageError, DigestMismatch when there are not `size`
        bytes."""
        member = tarfile.TarInfo(name)
        member.size = size
        member.mode = 0o644
        reader = _Reader(chunks)
        try:
            self._tar.addfile(member, reader)
        except OSError as error:
            if reader.short:
                raise DigestMismatch(
                    f"{name} ended before its {size} bytes",
                    hint="the source is damaged; try another one",
                ) from None
            raise disks.refused(self.path, error, elsewhere=disks.ELSEWHERE) from None
        self.names.add(name)

    def add_directory(self, name: str) -> None:
        """Write a directory: skopeo makes those that it misses as root's, which others may not."""
        member = tarfile.TarInfo(name)
        member.type = tarfile.DIRTYPE
        member.mode = 0o755
        self._tar.addfile(member)

    def add_bytes(self, name: str, data: bytes) -> None:
        """Write one small member."""
        self.add(name, len(data), [data])

    def finish(self) -> None:
        """Write the end and take the name."""
        self._tar.close()
        self._file.close()
        os.rename(self._temporary, self.path)
        self._temporary = ""

    def close(self) -> None:
        """Remove what was not finished."""
        self._file.close()
        if self._temporary:
            os.unlink(self._temporary)
            self._temporary = ""


class _Reader(io.RawIOBase):
    """Chunks as a file that tarfile can copy."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""
        self.short = False

    def read(self, size: int = -1) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            piece = next(self._chunks, b"")
            if not piece:
                self.short = True
                break
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


class ArchiveTarget(Target):
    """An OCI layout in a tar archive, which replaces what has its name."""

    parallel = False
    family = "oci"

    def __init__(self, path: str, tag: str) -> None:
        self.name = f"{path}:{tag}" if tag else path
        self.tag = tag
        self._writer = Writer(path)
        for name in ("blobs", "blobs/sha256"):
            self._writer.add_directory(name)
        self._writer.add_bytes("oci-layout", MARK)
        self._entry: dict[str, Json] | None = None

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        return "already exists" if blob_name(descriptor.digest) in self._writer.names else ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""

        def counted() -> Iterator[bytes]:
            for piece in fetch(0):
                on_bytes(len(piece))
                yield piece

        self._writer.add(blob_name(descriptor.digest), descriptor.size, counted())

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target."""
        if blob_name(digest) not in self._writer.names:
            self._writer.add_bytes(blob_name(digest), data)
        if top:
            self._entry = {"mediaType": media_type, "digest": digest, "size": len(data)}
            if self.tag:
                self._entry["annotations"] = {REF: self.tag}

    def finish(self) -> None:
        """See Target."""
        index = {"schemaVersion": 2, "manifests": [self._entry]}
        self._writer.add_bytes("index.json", documents.dumps(index).encode())
        self._writer.finish()

    def close(self) -> None:
        """See Target."""
        self._writer.close()
