"""Volumes of a container that lacks its owner's own id (`--userns auto`, `nomap`).

The user owns volumes, so root of such a container may neither write to them nor give them away.
What is asked for by `:U`, and what an empty volume needs to receive the image's files, is done
here before the start, by a process that has both ids.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.spec.mounts import Binds
    from rootless.userns.idmap import IdMaps


def needed(maps: IdMaps) -> bool:
    """Return whether the container's map lacks the user's id."""
    return not maps.single and maps.from_host_uid(os.getuid()) is None


def lend(binds: Binds, *, base: IdMaps, maps: IdMaps) -> None:
    """Give directories to ids of the container.  Raises StorageError."""
    from rootless.storage.volumes import store as volume_store
    from rootless.userns import calls

    wanted: list[tuple[list[str], tuple[int, int], bool]] = []
    for path, record in binds.filled:
        # with the record, in which the launcher notes that the volume was used
        given = [record, path] if volume_store.is_empty(path) else [record]
        wanted.append((given, (0, 0), False))
    wanted += [([path], binds.owner, True) for path in binds.given]
    for given, (uid, gid), recursive in wanted:
        host_uid, host_gid = maps.to_host_uid(uid), maps.to_host_gid(gid)
        if host_uid is None or host_gid is None:
            continue  # the launcher's own attempt has the sentence
        request: Json = {
            "paths": [(path, path) for path in given],
            "uid": base.from_host_uid(host_uid),
            "gid": base.from_host_gid(host_gid),
            "recursive": recursive,
        }
        calls.call("rootless.storage.trees.chown:chown_worker", request, maps=base)
