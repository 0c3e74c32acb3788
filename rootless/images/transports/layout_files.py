"""Files of a layout by name, in a directory or in a tar archive.

What a hostile archive could try: names with `..`, links out of it, a million members.  Nothing is
extracted: names are keys of a table, links are looked up in the same table, and the table is
bounded.  Blobs in a directory may be symbolic links, because build tools make such layouts; their
content counts for nothing unless it has the digest that was promised.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator

from rootless.errors import StorageError
from rootless.images.formats import compression, manifests, media_types
from rootless.images.transports.base import CHUNK, open_file, pieces

_MEMBERS_MAX = 1 << 16
_LINKS = 8


class Files(ABC):
    """Named files to read."""

    path: str = ""

    @abstractmethod
    def size(self, name: str) -> int:
        """Return bytes of a file, -1 if there is none."""

    @abstractmethod
    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a file.  Raises StorageError."""

    def document(self, name: str) -> bytes:
        """Return a file of bounded size.  Raises StorageError."""
        if self.size(name) > manifests.MAXIMUM:
            raise StorageError(
                f"{name} in {self.path} has more than {manifests.MAXIMUM} bytes",
                hint="no tool writes that much; it is damaged or hostile",
            )
        return b"".join(self.read(name))

    def close(self) -> None:
        """Let go of files."""
        return None

    def missing(self, name: str) -> StorageError:
        """Return the error for a file that is not there."""
        return StorageError(
            f"{self.path} is incomplete: {name} is missing", hint="make or fetch it again"
        )


class Tree(Files):
    """A directory."""

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.path.isdir(path):
            raise StorageError(
                f"there is no directory {path}",
                hint="for an archive write oci-archive:FILE or docker-archive:FILE",
            )

    def size(self, name: str) -> int:
        """See Files."""
        try:
            return os.stat(os.path.join(self.path, name)).st_size
        except OSError:
            return -1

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """See Files."""
        path = os.path.join(self.path, name)
        if not os.path.exists(path):
            raise self.missing(name)
        fd = open_file(path)
        try:
            yield from pieces(fd, offset, os.fstat(fd).st_size - offset)
        finally:
            os.close(fd)


class Archive(Files):
    """A tar archive, plain or compressed; a compressed one is decompressed into a nameless file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._fd = open_file(path)
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    def _index(self) -> None:
        try:
            if compression.detect(os.pread(self._fd, 512, 0)):
                self._inflate()
            os.lseek(self._fd, 0, os.SEEK_SET)
            with (
                open(os.dup(self._fd), "rb") as file,
                tarfile.open(fileobj=file, mode="r:") as archive,
            ):
                for member in archive:
                    name = _normal(member.name)
                    if member.issym():
                        self._links[name] = _normal(
                            posixpath.join(posixpath.dirname(name), member.linkname)
                        )
                    elif member.islnk():
                        self._links[name] = _normal(member.linkname)
                    elif member.isreg() and not member.issparse():
                        self._members[name] = (member.offset_data, member.size)
                    if len(self._members) + len(self._links) > _MEMBERS_MAX:
                        raise StorageError(
                            f"{self.path} has more than {_MEMBERS_MAX} members",
                            hint="this is not an archive of images",
                        )
        except (tarfile.TarError, OSError) as error:
            raise StorageError(
                f"{self.path} is not an archive of images, or a damaged one: {error}",
                hint="`rootless copy` reads what docker save, podman save and skopeo write",
            ) from None

    def _inflate(self) -> None:
        with open(self._fd, "rb", closefd=False) as source:
            source.seek(0)
            first = source.read(CHUNK)
            kind = compression.detect(first)
            with tempfile.TemporaryFile(dir=media_types.spool_directory()) as spool:

                def chunks() -> Iterator[bytes]:
                    yield first
                    while piece := source.read(CHUNK):
                        yield piece

                for piece in compression.plain_chunks(chunks(), kind):
                    spool.write(piece)
                spool.flush()
                os.dup2(spool.fileno(), self._fd, inheritable=False)

    def _find(self, name: str) -> tuple[int, int] | None:
        for _ in range(_LINKS):
            if name in self._members:
                return self._members[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def size(self, name: str) -> int:
        """See Files."""
        found = self._find(name)
        return found[1] if found else -1

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """See Files."""
        found = self._find(name)
        if found is None:
            raise self.missing(name)
        yield from pieces(self._fd, found[0] + offset, found[1] - offset)

    def close(self) -> None:
        """See Files."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _normal(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")
