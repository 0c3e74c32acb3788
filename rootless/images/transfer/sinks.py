"""Targets of saved images: a tar archive or a directory, and files that are whole or not there.

Scope: writing members; which ones is `save`'s business.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeVar

from rootless import disks
from rootless.errors import StorageError

HINT = "check the path, its permissions and the space there"
Made = TypeVar("Made")


def whole(path: str, write: Callable[[BinaryIO], Made]) -> Made:
    """Return a file that is there whole or not at all; what is no regular file is written to as it
    is.

    Returns what `write` returns.  Raises StorageError.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:
                return write(file)
        temporary = f"{path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "xb") as file:
                made = write(file)
            os.rename(temporary, path)
        except BaseException:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise
        return made
    except OSError as error:
        raise disks.refused(path, error, elsewhere=HINT) from None


class Sink(ABC):
    """Takes members; a name is written once."""

    def __init__(self) -> None:
        self._have: set[str] = set()

    def new(self, name: str) -> bool:
        """Return whether the member is still missing; from now on it is not."""
        fresh = name not in self._have
        self._have.add(name)
        return fresh

    def small(self, name: str, data: bytes) -> None:
        """Write a small member."""
        if self.new(name):
            self.put(name, len(data), [data])

    @abstractmethod
    def put(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write a member of exactly `size` bytes."""


class Tar(Sink):
    """A tar archive, the same members the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        import tarfile

        self._kind = tarfile.TarInfo
        self._directory = tarfile.DIRTYPE
        self._file = file

    def put(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """See Sink."""
        # ustar by the standard library: nothing here has a time, an owner or a long name
        self._parents(name)
        entry = self._kind(name)
        entry.size = size
        self._file.write(entry.tobuf())
        written = 0
        for chunk in chunks:
            self._file.write(chunk)
            written += len(chunk)
        if written != size:
            raise StorageError(
                f"{name} has {written} bytes instead of {size}",
                hint="rootless system check --repair repairs the store",
            )
        self._file.write(bytes(-size % 512))

    def _parents(self, name: str) -> None:
        """Directories have members too: containers/storage gives those without one to root."""
        parent = name.rpartition("/")[0]
        if parent and self.new(parent + "/"):
            self._parents(parent)
            entry = self._kind(parent + "/")
            entry.type = self._directory
            entry.mode = 0o755
            self._file.write(entry.tobuf())

    def close(self) -> None:
        """Write the end mark."""
        self._file.write(bytes(1024))
        self._file.flush()


class Tree(Sink):
    """A directory, which the caller has made."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def put(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """See Sink."""
        path = os.path.join(self._path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
