"""Whose files are whose: ids of containers beside ids of the host."""

from __future__ import annotations

import errno
import os
import stat

from rootless import kernel
from rootless.errors import NotFound, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps


def explained(path: str, maps: IdMaps) -> Json:
    """For `volume inspect`: who on the host is who in a container, and how to reach the files."""
    try:
        found = os.stat(path)
        owner = f"{found.st_uid}:{found.st_gid}"
        inside = (maps.from_host_uid(found.st_uid), maps.from_host_gid(found.st_gid))
    except OSError:
        owner, inside = "", (None, None)
    shown = ":".join("nobody" if one is None else str(one) for one in inside)
    if maps.single:
        text = (
            f"uid 0 in a container is you ({maps.caller[0]}), and no other id exists there: "
            "all files are yours"
        )
    else:
        others = ", ".join(
            f"{first}-{first + count - 1} are {outside}-{outside + count - 1}"
            for first, outside, count in maps.uids
            if first > 0
        )
        text = (
            f"uid 0 in a container is {maps.to_host_uid(0)} on the host; {others}. Files of those: "
            f"rootless unshare ls -l {path}; to make them yours: rootless chown -R --to-me {path}"
        )
    return {
        "RootIs": f"{maps.to_host_uid(0)}:{maps.to_host_gid(0)}",
        "HostOwner": owner,
        "ContainerOwner": shown,
        "Explanation": text,
    }


def give(paths: list[str], uid: int, gid: int, maps: IdMaps) -> None:
    """Change the owner of our own directories to ids of the map `maps`."""
    from rootless.userns import calls

    calls.call(
        "rootless.storage.trees.chown:give_worker",
        {"paths": paths, "uid": uid, "gid": gid},
        maps=maps,
    )


def give_worker(request: Json) -> Json:
    """{"paths", "uid", "gid"}: change owners."""
    for path in request["paths"]:
        os.chown(path, request["uid"], request["gid"], follow_symlinks=False)
    return True


def chown_worker(request: Json) -> Json:
    """{"paths", "uid", "gid" (-1: leave), "recursive"}: change owners, as root of the namespace.

    `paths` are (root, path): what lies below `root` may be a container's, which may put links
    where directories were, also while we walk: every step there is relative to an open directory,
    and no link is followed.  Returns how many were changed.
    """
    count = 0
    for root, path in request["paths"]:
        parent, name = _parent(root, path)
        try:
            count += _change(
                parent, name, request["uid"], request["gid"], request["recursive"], path
            )
        finally:
            os.close(parent)
    return count


def _parent(root: str, path: str) -> tuple[int, str]:
    """(descriptor, name in it) of `path`, by no link below `root`.  Raises NotFound, StorageError.

    Without `root` nobody but the person is known to have made the way, as for chown(1).
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    start = root if root and path != root else os.path.dirname(path) or "/"
    inside, _, name = path[len(start) :].strip("/").rpartition("/")
    top = -1
    try:
        top = os.open(start, flags)
        if not inside:
            top, found = -1, top
            return found, name or "."
        resolve = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
        return kernel.calls.openat2(top, inside, flags, resolve=resolve), name
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StorageError(
                f"{path} is not where it seems to be: a symbolic link is on the way below {root}",
                hint="a container may have put it there; name the directory that is meant",
            ) from None
        raise NotFound(f"cannot reach {path}: {error.strerror}") from None
    finally:
        if top >= 0:
            os.close(top)


def _change(directory: int, name: str, uid: int, gid: int, recursive: bool, shown: str) -> int:
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        inner = -1
        if recursive and stat.S_ISDIR(found.st_mode):
            # opened while it may still be read
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(name, flags, dir_fd=directory)
        count = 0
        try:
            if inner >= 0:
                for entry in os.listdir(inner):
                    count += _change(inner, entry, uid, gid, True, f"{shown}/{entry}")
        finally:
            if inner >= 0:
                os.close(inner)
        if (uid in (-1, found.st_uid)) and (gid in (-1, found.st_gid)):
            return count
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        return count + 1
    except FileNotFoundError:
        raise NotFound(f"there is no {shown}") from None
    except OSError as error:
        hint = ""
        if error.errno in (errno.EPERM, errno.EACCES):
            hint = "it belongs to an id that is neither yours nor one of your subordinate ids"
        raise StorageError(
            f"cannot change the owner of {shown}: {(error.strerror or '').lower()}", hint=hint
        ) from None
