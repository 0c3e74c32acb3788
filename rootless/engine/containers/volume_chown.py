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
    from rootless.engine.containers.draft import Draft


def needed(draft: Draft) -> bool:
    """Return whether the container's map lacks the user's id."""
    maps = draft.maps
    return not maps.single and maps.from_host_uid(os.getuid()) is None


def lend(draft: Draft) -> None:
    """Give directories to ids of the container.  Raises StorageError."""
    from rootless.storage.volumes import store as volume_store
    from rootless.userns import calls

    base, maps = draft.ctx.maps, draft.maps
    for kind, words in draft.binds.preparations:
        if kind == "chown":
            given, uid, gid = [str(words[0])], int(words[1]), int(words[2])
        elif kind == "copy-up":
            # with the record, in which the launcher notes that the volume was used
            given, uid, gid = [str(words[2])], 0, 0
            if volume_store.is_empty(str(words[1])):
                given.append(str(words[1]))
        else:
            continue
        host_uid, host_gid = maps.to_host_uid(uid), maps.to_host_gid(gid)
        if host_uid is None or host_gid is None:
            continue  # the launcher's own attempt has the sentence
        request: Json = {
            "paths": [(path, path) for path in given],
            "uid": base.from_host_uid(host_uid),
            "gid": base.from_host_gid(host_gid),
            "recursive": kind == "chown",
        }
        calls.call("rootless.storage.trees.chown:chown_worker", request, maps=base)
