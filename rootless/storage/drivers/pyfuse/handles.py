"""Open files.

A file that was opened for reading in a lower layer is led to its copy when somebody writes to it:
the reader sees what was written, as on any file system.
"""

from __future__ import annotations

import os

from rootless.storage.drivers.pyfuse.tree import Directory

# appending is the kernel's business: it knows the size, and one descriptor may write back the pages
# of a file that others have mapped
_PASSED = os.O_ACCMODE | os.O_TRUNC | os.O_NOATIME


class File:
    """One open file; the names are those that fuse-python looks for."""

    __slots__ = ("direct_io", "fd", "keep_cache", "path")

    def __init__(self, fd: int, path: str, *, keep: bool) -> None:
        self.fd = fd
        self.path = path
        self.keep_cache = keep
        self.direct_io = False


class Handles:
    """All open files, and those in lower layers by their path."""

    def __init__(self) -> None:
        self._lower: dict[str, list[File]] = {}
        self._all: set[File] = set()

    def add(self, fd: int, path: str, *, keep: bool) -> File:
        """Take over the descriptor of a file that was just made."""
        file = File(fd, path, keep=keep)
        self._all.add(file)
        return file

    def is_open(self, found: os.stat_result) -> bool:
        """Whether somebody has this file open."""
        return any(os.path.samestat(os.fstat(file.fd), found) for file in self._all)

    def open(self, directory: int, name: str, flags: int, path: str, *, lower: bool) -> File:
        """Open what is there.  Raises OSError."""
        wanted = flags & _PASSED | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            fd = os.open(name, wanted, dir_fd=directory)
        except PermissionError:
            # O_NOATIME is for owners; the server may not be the owner beneath
            fd = os.open(name, wanted & ~os.O_NOATIME, dir_fd=directory)
        # two names of one file are two files to the kernel, so what it keeps may be old
        file = self.add(fd, path, keep=os.fstat(fd).st_nlink < 2)
        if lower:
            self._lower.setdefault(path, []).append(file)
        return file

    def close(self, file: File) -> None:
        """Let go of one."""
        self._all.discard(file)
        os.close(file.fd)
        found = self._lower.get(file.path)
        if found is not None and file in found:
            found.remove(file)
            if not found:
                del self._lower[file.path]

    def raised(self, directory: Directory, name: str) -> None:
        """`name` has just been copied up: readers go on with the copy."""
        readers = self._lower.pop(f"{directory.path}/{name}", None)
        if readers is None:
            return
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.upper)
        for file in readers:
            os.dup2(fd, file.fd, inheritable=False)
        os.close(fd)
