"""Whiteouts and opaque directories.

Read in every form: a character device 0:0 and `user.overlay.opaque` (the kernel's, `userxattr`),
`.wh.NAME` and `.wh..wh..opq` (the image specification's, which fuse-overlayfs writes where devices
or attributes are refused), `user.fuseoverlayfs.opaque`.  Written: the kernel's where they can be.
"""

from __future__ import annotations

import errno
import os
import stat

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"
_ATTRIBUTES = ("user.overlay.opaque", "user.fuseoverlayfs.opaque", "trusted.overlay.opaque")
_HIDDEN = ("user.overlay.", "user.fuseoverlayfs.", "trusted.overlay.", "user.containers.")
_REFUSED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def is_whiteout(found: os.stat_result) -> bool:
    """Whether this is the device that says that a name is gone."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(directory: int) -> bool:
    """Whether nothing below this open directory shines through."""
    for name in _ATTRIBUTES:
        try:
            if os.getxattr(directory, name) == b"y":
                return True
        except OSError:
            continue
    try:
        os.stat(OPAQUE, dir_fd=directory, follow_symlinks=False)
        return True
    except OSError:
        return False


def make_opaque(directory: int) -> None:
    """Let nothing shine through from now on."""
    try:
        os.setxattr(directory, _ATTRIBUTES[0], b"y")
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        os.close(os.open(OPAQUE, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=directory))


def is_ours(attribute: str) -> bool:
    """Attributes of an overlay's own, which a container neither sees nor sets."""
    return attribute.startswith(_HIDDEN)


def make_device(directory: int, name: str) -> bool:
    """The device form of a whiteout; False where this host refuses it (before Linux 5.8)."""
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory)
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True
