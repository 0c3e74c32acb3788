"""`system prune`: what nothing uses is removed."""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.common import arguments
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
    parts: list[Json] = [engine.containers.prune(filters=rules)]
    parts.append(engine.volumes.prune() if volumes else {"VolumesDeleted": [], "SpaceReclaimed": 0})
    parts.append(engine.images.prune(all, rules))
    _empty_mount_points(engine)
    done: Json = {}
    for part in parts:
        done |= part
    return {**done, "SpaceReclaimed": sum(part["SpaceReclaimed"] for part in parts)}


def _empty_mount_points(engine: Collections) -> None:
    """Directories that `image mount` left, whose namespace is gone."""
    base = os.path.join(engine.context.data_dir, "mounts")
    for name in documents.names_in(base):
        try:
            os.rmdir(os.path.join(base, name))
        except OSError:
            continue
