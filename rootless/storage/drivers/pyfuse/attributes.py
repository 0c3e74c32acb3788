"""Everything that changes what a name has: mode, owner, times, size, extended attributes."""

from __future__ import annotations

import errno
import os
import stat

from rootless.storage.drivers.pyfuse import markers
from rootless.storage.drivers.pyfuse.changes import Changes
from rootless.storage.drivers.pyfuse.tree import failure

_PATH = 0o10000000  # O_PATH


class Attributes:
    """The operations on what names have.  Times are in nanoseconds, ids those beneath."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.tree = changes.tree
        self.raiser = changes.raiser

    def place(self, path: str) -> tuple[int, str, int, int]:
        """Where to look at something: directory, name, kind, inode number (0: its own)."""
        if path == "/":
            root = self.tree.root
            return (root.upper if root.upper >= 0 else root.lowers[0]), ".", stat.S_IFDIR, 0
        found = self.changes.hidden.get(path)
        if found is not None:
            return (*found, stat.S_IFREG, 0)
        parent, name, entry = self.tree.find(path)
        return parent.layer(entry[0]), name, entry[1], entry[2]

    def writable(self, path: str, *, data: bool = True) -> tuple[int, str, int]:
        """Where to change something, copied up if need be: directory, name, kind."""
        if path == "/":
            return self.raiser.directory(self.tree.root), ".", stat.S_IFDIR
        found = self.changes.hidden.get(path)
        if found is not None:
            if found[0] != self.raiser.work:
                raise failure(errno.EROFS, path)
            return (*found, stat.S_IFREG)
        parent, name, entry = self.tree.find(path)
        entry = self.raiser.entry(parent, name, entry, data=data)
        return parent.upper, name, entry[1]

    def chmod(self, path: str, mode: int) -> None:
        """chmod(2)."""
        directory, name, kind = self.writable(path)
        if kind == stat.S_IFLNK:
            raise failure(errno.EOPNOTSUPP, path)
        with _Grip(directory, name) as grip:
            os.chmod(grip, stat.S_IMODE(mode))

    def chown(self, path: str, uid: int, gid: int) -> None:
        """lchown(2)."""
        directory, name, _ = self.writable(path)
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)

    def utime(self, path: str, atime: int, mtime: int) -> None:
        """utimensat(2)."""
        directory, name, _ = self.writable(path)
        os.utime(name, ns=(atime, mtime), dir_fd=directory, follow_symlinks=False)

    def truncate(self, path: str, size: int) -> None:
        """truncate(2); nothing is copied up when nothing is to be left."""
        directory, name, _ = self.writable(path, data=size > 0)
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(name, flags, dir_fd=directory)
        try:
            os.ftruncate(fd, size)
        finally:
            os.close(fd)

    def get(self, path: str, attribute: str) -> bytes:
        """getxattr(2)."""
        if markers.is_ours(attribute) or attribute.startswith("system.posix_acl"):
            raise failure(errno.ENODATA, path)
        directory, name, _, _ = self.place(path)
        with _Grip(directory, name) as grip:
            return os.getxattr(grip, attribute)

    def list(self, path: str) -> list[str]:
        """listxattr(2)."""
        directory, name, _, _ = self.place(path)
        with _Grip(directory, name) as grip:
            found = os.listxattr(grip)
        return [one for one in found if not markers.is_ours(one)]

    def set(self, path: str, attribute: str, value: bytes, flags: int) -> None:
        """setxattr(2).  Access control lists are refused: nobody here would obey them."""
        if attribute.startswith("system.posix_acl"):
            raise failure(errno.EOPNOTSUPP, path)
        if markers.is_ours(attribute):
            raise failure(errno.EPERM, path)
        directory, name, _ = self.writable(path)
        with _Grip(directory, name) as grip:
            os.setxattr(grip, attribute, value, flags)

    def remove(self, path: str, attribute: str) -> None:
        """removexattr(2)."""
        if markers.is_ours(attribute):
            raise failure(errno.EPERM, path)
        directory, name, _ = self.writable(path)
        with _Grip(directory, name) as grip:
            os.removexattr(grip, attribute)


class _Grip:
    """A path that leads to one very object, a symbolic link included, whatever its name does."""

    def __init__(self, directory: int, name: str) -> None:
        self.fd = os.open(name, _PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
