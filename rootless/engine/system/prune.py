"""`system prune`: what nothing uses is removed."""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.common import arguments, disk_usage
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.collections import Collections

    Filters = Mapping[str, str | list[str]]


def check(filters: dict[str, list[str]]) -> None:
    """Raise UsageError for what `system prune` does not filter by."""
    for key in filters:
        if key not in ("until", "label", "label!"):
            raise UsageError(f'unknown filter "{key}"', hint="until, label, label!")


def prune(
    engine: Collections, *, all: bool = False, volumes: bool = False, filters: Filters | None = None
) -> Json:
    """Remove stopped containers, unused images (nameless ones, or `all`) and volumes, and waste.

    {"ContainersDeleted", "ImagesDeleted", "VolumesDeleted", "SpaceReclaimed"}.  Filters are
    `until`, `label` and `label!`, for containers and images; raises UsageError for others.
    """
    rules = arguments.filters(filters)
    check(rules)
    candidates = engine.containers.list(all=True, filters=rules)
    sizes = disk_usage.measured(engine.context.maps, [one.directory for one in candidates])
    by_id = {one.id: one.directory for one in candidates}
    gone = engine.containers.prune(filters=rules)
    freed = sum(sizes.get(by_id.get(one, ""), 0) for one in gone)
    removed: list[str] = []
    if volumes:
        places = {str(one["Name"]): str(one["Mountpoint"]) for one in engine.volumes.list()}
        sizes = disk_usage.measured(engine.context.maps, list(places.values()))
        removed = engine.volumes.prune()
        freed += sum(sizes.get(places.get(one, ""), 0) for one in removed)
    done = engine.images.prune(all, rules)
    _empty_mount_points(engine)
    return {
        "ContainersDeleted": gone,
        "ImagesDeleted": done["ImagesDeleted"],
        "VolumesDeleted": removed,
        "SpaceReclaimed": freed + done["SpaceReclaimed"],
    }


def _empty_mount_points(engine: Collections) -> None:
    """Directories that `image mount` left, whose namespace is gone."""
    base = os.path.join(engine.context.data_dir, "mounts")
    for name in documents.names_in(base):
        try:
            os.rmdir(os.path.join(base, name))
        except OSError:
            continue
