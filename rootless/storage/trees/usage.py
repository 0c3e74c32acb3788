"""How much room directories take.  Runs in the user namespace, because files of mapped ids may be
closed to their owner's owner.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def usage_worker(request: Json) -> Json:
    """{"paths"} -> [[bytes of content, bytes on the disk, files], ...]; zeros for what is missing.

    Content is what docker shows as an image's or container's size: the lengths of regular files,
    each once however many names it has.
    """
    return [_usage(path) for path in request["paths"]]


def _usage(path: str) -> list[int]:
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return [0, 0, 0]
    total = [0, os.fstat(fd).st_blocks * 512, 0]
    seen: set[tuple[int, int]] = set()
    _walk(fd, total, seen)
    return total


def _walk(fd: int, total: list[int], seen: set[tuple[int, int]]) -> None:
    """Adds what is below the directory, and closes it."""
    try:
        for name in os.listdir(fd):
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total[1] += found.st_blocks * 512
            if stat.S_ISREG(found.st_mode):
                total[0] += found.st_size
                total[2] += 1
            elif stat.S_ISDIR(found.st_mode):
                try:
                    inner = os.open(name, _OPEN, dir_fd=fd)
                except OSError:
                    continue
                _walk(inner, total, seen)
    finally:
        os.close(fd)
