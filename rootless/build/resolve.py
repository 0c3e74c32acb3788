"""Paths inside a tree that is a stranger's, under an open directory.

Scope: from a path as a Dockerfile has it to one without links, `.` and `..`, and to descriptors.
What lies in the tree may be hostile: an absolute link, or one with `..`, means something inside the
tree, as it would for a process whose root it is, and never leads out.  Whatever `canonical` found
is opened with RESOLVE_NO_SYMLINKS and RESOLVE_BENEATH, so a link that takes a component's place in
between is an error and not a way out.
"""

from __future__ import annotations

import errno
import os
import stat

from rootless import kernel

_STRICT = kernel.RESOLVE_NO_SYMLINKS | kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_MAGICLINKS
_MOST_LINKS = 40  # as the kernel

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def parts_of(path: str) -> list[str]:
    """The components, with `.` and `..` taken out as text; `..` at the top stays there."""
    made: list[str] = []
    for one in path.split("/"):
        if one == "..":
            if made:
                made.pop()
        elif one not in ("", "."):
            made.append(one)
    return made


def open_root(path: str) -> int:
    """A descriptor of the tree's top.  The caller closes it.  Raises OSError."""
    return os.open(path, DIRECTORY)


def lookup(root: int, path: str) -> os.stat_result | None:
    """What is at a path without links; None where there is nothing."""
    try:
        fd = kernel.calls.openat2(root, path or ".", os.O_PATH | os.O_NOFOLLOW, resolve=_STRICT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None  # one of its parents has become a link
        raise
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def canonical(root: int, path: str, *, last: bool = True) -> str:
    """The path without links, relative to the root; the top is "".

    Components that do not exist stay as they are.  `last`: whether a link at the end is followed.
    Raises OSError (ELOOP).
    """
    waiting = [one for one in path.split("/") if one not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while waiting:
        one = waiting.pop()
        if one == ".":
            continue
        if one == "..":
            if done:
                done.pop()
            continue
        here = "/".join([*done, one])
        found = lookup(root, here)
        if found is None or not stat.S_ISLNK(found.st_mode) or (not waiting and not last):
            done.append(one)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/" + path.lstrip("/"))
        target = _link(root, here)
        if target.startswith("/"):
            done = []
        waiting += [part for part in target.split("/") if part not in ("", ".")][::-1]
    return "/".join(done)


def _link(root: int, path: str) -> str:
    fd = kernel.calls.openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_STRICT)
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def open_at(root: int, path: str, flags: int) -> int:
    """Open a path without links.  Raises OSError."""
    return kernel.calls.openat2(
        root, path or ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, resolve=_STRICT
    )


def read_file(root: int, path: str, most: int = 1 << 20) -> bytes | None:
    """A small regular file, links followed inside the tree; None where there is none."""
    try:
        fd = open_at(root, canonical(root, path), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.pread(fd, most, 0)
    except OSError:
        return None
    finally:
        os.close(fd)
