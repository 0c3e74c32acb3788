"""Why something cannot be written: one sentence with the path, the file system and its room.

Scope: errors of the kernel about a file system; used from everywhere.
"""

from __future__ import annotations

import errno
import os

from rootless.errors import StorageError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ELSEWHERE = "make room there, or name another place"
HINT = "`rootless system prune` frees room, or set ROOTLESS_DATA_DIR to another file system"


def refused(
    path: str,
    error: OSError,
    *,
    what: str = "cannot write",
    needed: int = 0,
    elsewhere: str = "",
) -> StorageError:
    """The error for what the kernel did not let us do at `path`.

    `needed`: how many bytes were still to come, where that is known.  `elsewhere`: the hint for a
    path that is not in the data directory, where pruning does not help.
    """
    said = f"{what} {path}: {error.strerror or error}"
    where = mount_point(path)
    if error.errno == errno.EROFS:
        return StorageError(
            f"{said}: the file system at {where} is mounted read-only",
            hint=elsewhere or "mount it writable, or set ROOTLESS_DATA_DIR to another one",
        )
    if error.errno not in NO_ROOM:
        return StorageError(said, hint=elsewhere or "check the file system of this path")
    begin = "your quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
    return StorageError(f"{begin}: {said}: {_room(where, needed)}", hint=elsewhere or HINT)


def _room(where: str, needed: int) -> str:
    try:
        found = os.statvfs(where)
    except OSError:
        return f"the file system at {where} has no room"
    whole = human_size(found.f_blocks * found.f_frsize)
    if found.f_files and not found.f_favail:
        return f"no file more fits into the file system at {where} ({found.f_files} are its most)"
    free = human_size(found.f_bavail * found.f_frsize)
    wanted = f", and {human_size(needed)} are needed" if needed > 0 else ""
    return f"of the file system at {where} {free} of {whole} are free{wanted}"


def mount_point(path: str) -> str:
    """The root of the file system that `path` is on, or would be."""
    here = os.path.abspath(path)
    while here != "/" and not os.path.exists(here):
        here = os.path.dirname(here)
    try:
        device = os.stat(here).st_dev
        while here != "/" and os.stat(os.path.dirname(here)).st_dev == device:
            here = os.path.dirname(here)
    except OSError:
        pass
    return here


def human_size(count: float) -> str:
    """Decimal units as docker prints them: `97.3MB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f}{unit}" if unit == "B" else f"{float(f'{count:.3g}'):g}{unit}"
        count /= 1000
    return ""
