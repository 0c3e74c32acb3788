"""`system reset`: everything is removed, but settings."""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import StorageError
from rootless.storage.trees import remove as trees_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections


# what lies in a data directory; anything else there is not ours
OWN = ("content", "images", "layers", "containers", "volumes", "networks", "mounts", "events")


def reset(engine: Collections) -> Json:
    """Remove everything: containers (running ones too), images, volumes, caches, sockets.

    Settings stay.  {"Removed": [directories], "Kept": [what in the data directory is not ours]}.
    Raises StorageError for what could not be removed.
    """
    ctx = engine.context
    for container in engine.containers.list(all=True):
        container.remove(force=True, volumes=True, timeout=10)
    removed = []
    for name in OWN:
        path = os.path.join(ctx.data_dir, name)
        if not os.path.lexists(path):
            continue
        if not trees_remove.remove(path, ctx.maps):
            raise StorageError(
                f"cannot remove {path}", hint=f"rootless unshare rm -rf {path}, then try again"
            )
        removed.append(path)
    kept = list(documents.names_in(ctx.data_dir))
    if not kept:
        _rmdir(ctx.data_dir)
    for path in (paths.cache_dir(), paths.runtime_dir()):
        if os.path.isdir(path) and trees_remove.remove(path, ctx.maps):
            removed.append(path)
    return {"Removed": removed, "Kept": [os.path.join(ctx.data_dir, name) for name in kept]}


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass


def everything(engine: Collections) -> Json:
    """Return what `reset` would remove: counts, and directories."""
    return {
        "Containers": [one.name for one in engine.containers.list(all=True)],
        "Running": [one.name for one in engine.containers.list()],
        "Images": len(engine.images.summaries()),
        "Volumes": [str(one["Name"]) for one in engine.volumes.list()],
        "Directories": [
            path
            for path in (engine.context.data_dir, paths.cache_dir(), paths.runtime_dir())
            if os.path.isdir(path)
        ],
    }
