"""Layers looked at as one tree, without mounting anything.

Scope: reading.  Works for every driver, beside a running container, and for an image without one.
Sources: the kernel's overlayfs.rst (whiteouts, opaque directories), fuse-overlayfs(1) and the OCI
image specification's layer.md for the forms that are plain files.

The upper directory may belong to a running, hostile container: everything goes through descriptors
of directories, and no link is ever followed.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".wh."
MARKS = (".wh..wh..opq", ".wh..opq")
"""Plain files that make a directory opaque: the specification's, and fuse-overlayfs' own."""
HIDDEN = ("user.overlay.", "user.fuseoverlayfs.", "user.containers.override_stat")
"""Attributes that are a driver's notes and no property of the file."""
OWNERS = ("user.containers.override_stat", "user.fuseoverlayfs.override_stat")
"""Where fuse-overlayfs keeps `uid:gid:mode` (octal) under xattr_permissions, by its version."""
_OPAQUE = ("user.overlay.opaque", "user.fuseoverlayfs.opaque")
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def noted(fd: int, names: tuple[str, ...] = OWNERS) -> tuple[int, int, int] | None:
    """(uid, gid, mode) that an open file's attribute tells; None without one that can be read."""
    for name in names:
        try:
            told = os.getxattr(fd, name).decode("ascii").split(":")
            return int(told[0]), int(told[1]), int(told[2], 8) & 0o7777
        except (OSError, ValueError, IndexError):
            continue
    return None


class Entry:
    """A name in a merged directory: where it is (`parent`, a descriptor) and its lstat(2)."""

    __slots__ = ("found", "name", "parent")

    def __init__(self, name: str, parent: int, found: os.stat_result) -> None:
        self.name = name
        self.parent = parent
        self.found = found


class Directory:
    """A directory as the union shows it: those it is made of, topmost first.  Owns them."""

    def __init__(self, fds: list[int]) -> None:
        self.fds = fds

    @classmethod
    def open(cls, paths: list[str]) -> Directory:
        """The roots of layers, topmost first.  Raises OSError."""
        fds: list[int] = []
        try:
            for path in paths:
                fds.append(os.open(path, DIRECTORY))
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return cls(fds)

    def close(self) -> None:
        """Let go."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def entries(self) -> list[Entry]:
        """What is in it, sorted by name."""
        found: dict[str, Entry] = {}
        hidden: set[str] = set()
        for fd in self.fds:
            gone: set[str] = set()
            for name in os.listdir(fd):
                if name in found or name in hidden:
                    continue
                if name.startswith(PREFIX):
                    gone.add(name[len(PREFIX) :])
                    continue
                try:
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed meanwhile
                if is_whiteout(status):
                    gone.add(name)
                else:
                    found[name] = Entry(name, fd, status)
            hidden |= gone
        return [found[name] for name in sorted(found)]

    def lookup(self, name: str) -> Entry | None:
        """The entry of this name."""
        for fd in self.fds:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                if _exists(fd, PREFIX + name):
                    return None
                continue
            return None if is_whiteout(status) else Entry(name, fd, status)
        return None

    def enter(self, name: str) -> Directory:
        """The directory below; empty for what is none, or not there."""
        fds: list[int] = []
        for fd in self.fds:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if not stat.S_ISDIR(status.st_mode):
                    break
                fds.append(os.open(name, DIRECTORY, dir_fd=fd))
            except FileNotFoundError:
                if _exists(fd, PREFIX + name):
                    break
                continue
            except (NotADirectoryError, OSError):
                break
            if is_opaque(fds[-1]):
                break
        return Directory(fds)

    def walk(self, path: str = "") -> Iterator[tuple[str, Entry]]:
        """(path, entry) of everything below, parents first, sorted."""
        for entry in self.entries():
            inner = f"{path}/{entry.name}"
            yield inner, entry
            if stat.S_ISDIR(entry.found.st_mode):
                with self.enter(entry.name) as below:
                    yield from below.walk(inner)


def is_whiteout(status: os.stat_result) -> bool:
    """The kernel's mark of a deleted name."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether a directory hides those below it."""
    for name in _OPAQUE:
        try:
            if os.getxattr(fd, name) == b"y":
                return True
        except OSError:
            continue
    return any(_exists(fd, mark) for mark in MARKS)


def _exists(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except OSError:
        return False
    return True
