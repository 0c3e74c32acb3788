"""Read one file of a tree that may be a stranger's."""

from __future__ import annotations

import os
import stat


def read_below(root: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """The beginning of a regular file below `root`; None for anything else.  Raises OSError.

    The tree may be a stranger's: a link may lead to a file of the person's own, or to a pipe or a
    device that never ends (CVE-2024-9676).
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = _open_without_links(top, path)
        if fd < 0:
            from rootless import kernel

            fd = kernel.calls.openat2(
                top,
                path,
                os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
                resolve=kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS,
            )
    finally:
        os.close(top)
    try:
        return os.read(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _open_without_links(top: int, path: str) -> int:
    """A file to which no link leads, by names alone; -1 where openat2 must look.

    Loading what calls openat2 costs more than the rest of reading /etc/passwd, which has no link on
    its way in nearly every image.  Nothing is followed here, so nothing can lead out.
    """
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts or "." in parts:
        return -1
    directory = top
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        for part in parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=directory)
            if directory != top:
                os.close(directory)
            directory = below
        return os.open(parts[-1], flags, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError:
        return -1
    finally:
        if directory != top:
            os.close(directory)
