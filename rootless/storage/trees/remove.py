"""Remove trees that may hold any owner, any mode and any depth: inside the user namespace."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps


def remove(directory: str, maps: IdMaps) -> bool:
    """Remove a tree, first as ourselves, then with the ids of the map; whether it is gone."""
    if _plainly(directory):
        return True
    from rootless.userns import calls

    calls.call("rootless.storage.trees.remove:remove_worker", {"path": directory}, maps=maps)
    return not os.path.lexists(directory)


_DEEP = 300  # directories within each other; each costs a descriptor and a frame of Python's stack


def _plainly(name: str, at: int | None = None, depth: int = 0) -> bool:
    """Remove what needs no other id; whether it is gone.  What lies very deep is left to a worker.

    By descriptors: a container that still runs, with which this tree was shared, could put a link
    to the person's home where a directory was a moment ago.
    """
    try:
        os.unlink(name, dir_fd=at)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    try:
        os.rmdir(name, dir_fd=at)
        return True
    except OSError:
        pass
    if depth > _DEEP:
        return False
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=at)
    except OSError:
        return False
    done = True
    try:
        for inner in os.listdir(fd):
            done = _plainly(inner, fd, depth + 1) and done
    except OSError:
        done = False
    finally:
        os.close(fd)
    try:
        os.rmdir(name, dir_fd=at)
    except OSError:
        return False
    return done


def remove_worker(request: Json) -> Json:
    """Runs in the namespace: remove the tree {"path"}, which may hold any owner and mode.

    A container may have nested thousands of directories: each costs a frame and a descriptor.
    """
    import resource
    import sys

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    parent = os.open(os.path.dirname(request["path"]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.path.basename(request["path"]))
    finally:
        os.close(parent)
        # a worker goes on, and a document nested that deep would overflow the stack of the parser
        sys.setrecursionlimit(before)
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


def discard(path: str) -> None:
    """Remove whatever is there, if anything is.  Raises OSError."""
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
