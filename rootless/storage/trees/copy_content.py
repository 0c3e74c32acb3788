"""Copy what is in a file: by sharing its blocks where that can be, with holes that stay holes."""

from __future__ import annotations

import errno
import fcntl
import os

_FICLONE = 0x40049409
"""ioctl_ficlone(2): share the blocks of a file, where the file system can."""


def copy_file(source: str, target: str) -> None:
    """The content of a file into a new one: by sharing its blocks where that can be."""
    with open(source, "rb", buffering=0) as old, open(target, "xb", buffering=0) as new:
        copy_content(old.fileno(), new.fileno())


def copy_content(old: int, new: int) -> None:
    """All of an open file into an empty one; shares blocks where it can, holes stay holes."""
    size = os.fstat(old).st_size
    if not size:
        return
    try:
        fcntl.ioctl(new, _FICLONE, old)
        return
    except OSError:
        pass
    at = 0
    copy = _in_kernel
    while at < size:
        try:
            at = os.lseek(old, at, os.SEEK_DATA)
            end = os.lseek(old, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # nothing but a hole is left
            raise
        while at < end:
            # in pieces, because it may copy less than it was asked for
            try:
                done = copy(old, new, at, min(end - at, 1 << 26))
            except OSError as error:
                if copy is _in_kernel and error.errno in _NO_COPY:
                    copy = _through_page_cache
                    continue
                raise
            if not done:
                end = size
                break
            at += done
    os.ftruncate(new, size)


_NO_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF)


def _in_kernel(old: int, new: int, at: int, count: int) -> int:
    """copy_file_range(2): servers of network file systems copy by themselves."""
    return os.copy_file_range(old, new, count, at, at)


def _through_page_cache(old: int, new: int, at: int, count: int) -> int:
    os.lseek(new, at, os.SEEK_SET)
    return os.sendfile(new, old, at, count)
