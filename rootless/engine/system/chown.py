"""`chown`: files given to ids as containers have them."""

from __future__ import annotations

import os

from rootless.engine.common import arguments
from rootless.errors import HostError, UsageError
from rootless.userns import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json
    from rootless.engine.collections import Collections


def chown(
    engine: Collections, owner: str, paths: list[str] | str, *, recursive: bool = False
) -> int:
    """Give files to `UID[:GID]`, ids as a container has them; how many were changed.

    An empty owner stands for root of a container, which is the user.  Raises UsageError,
    HostError, NotFound, StorageError.
    """
    maps = engine.context.maps
    uid, gid = _ids(owner)
    for number, host in ((uid, maps.to_host_uid(uid)), (gid, maps.to_host_gid(gid))):
        if number != -1 and host is None:
            raise HostError(f"you have no id that is {number} in a container", hint=maps.why)
    request: Json = {
        "paths": _rooted(engine, arguments.words("the paths", paths)),
        "uid": uid,
        "gid": gid,
        "recursive": recursive,
    }
    return int(calls.call("rootless.storage.trees.chown:chown_worker", request, maps=maps))


def _rooted(engine: Collections, paths: list[str]) -> list[tuple[str, str]]:
    """Each path, absolute, after the directory from which on a container may have made the links:
    a volume, what is bound into a container, or the store; "" outside of all."""
    roots = {os.path.realpath(engine.context.data_dir)}
    for container in engine.containers.list(all=True):
        for mount in container.record.get("mounts", ()):
            if mount.get("Source"):
                roots.add(os.path.realpath(mount["Source"]))
    for volume in engine.volumes.list():
        # with options it may be another place's
        roots.add(os.path.realpath(volume["Mountpoint"]))
    made = []
    for one in paths:
        path = os.path.normpath(os.path.join(os.getcwd(), one))
        # the user's own links may lead to the root, none may lead on from there
        found = ""
        for parent in _parents(path):
            if os.path.realpath(parent) in roots:
                found = parent
        if not found:
            # or to somewhere below it
            real = os.path.realpath(os.path.dirname(path))
            found = next((one for one in _parents(real) if one in roots), "")
            path = os.path.join(real, os.path.basename(path)) if found else path
        made.append((found, path))
    return made


def _parents(path: str) -> Iterator[str]:
    """The path itself and everything above it, the longest first."""
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _ids(owner: str) -> tuple[int, int]:
    if not owner:
        return 0, 0
    user, colon, group = owner.partition(":")
    for word in (user, group):
        if word and not (word.isascii() and word.isdigit()):
            raise UsageError(
                f'the owner "{owner}" is not UID[:GID]',
                hint="numbers, because names differ from image to image; or --to-me",
            )
    if not user and not group:
        raise UsageError(f'the owner "{owner}" is not UID[:GID]')
    # as chown(1): a colon without a group means the user's own, which here has the same number
    return int(user or -1), int(group) if group else (int(user) if colon else -1)
