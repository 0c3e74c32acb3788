"""Remove trees that may hold any owner, any mode and any depth: inside the user namespace."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def remove_worker(request: Json) -> Json:
    """Runs in the namespace: remove the tree {"path"}, which may hold any owner and mode.

    A container may have nested thousands of directories: each costs a frame and a descriptor.
    """
    import resource
    import sys

    sys.setrecursionlimit(200000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parent = os.open(os.path.dirname(request["path"]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.path.basename(request["path"]))
    finally:
        os.close(parent)
    return not os.path.lexists(request["path"])


def remove_tree(parent: int, name: str) -> None:
    """Remove `name` in the directory `parent`.  By descriptors: a container that still runs could
    put a link where a directory was a moment ago.  What cannot be removed stays."""
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except OSError:
        pass
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            fd = os.open(name, flags, dir_fd=parent)
        except PermissionError:
            # the overlay's work directory has mode 000
            os.chmod(name, 0o700, dir_fd=parent)
            fd = os.open(name, flags, dir_fd=parent)
        try:
            if not os.fstat(fd).st_mode & stat.S_IWUSR:
                os.fchmod(fd, 0o700)
            for inner in os.listdir(fd):
                remove_tree(fd, inner)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return
