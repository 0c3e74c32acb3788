"""The whole of a user's store: how much room it takes, pruning and resetting it."""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.containers.container import Container
    from rootless.engine.engine import Engine
    from rootless.images.store.record import ImageRecord

    Filters = Mapping[str, str | list[str]]

# what lies in a data directory; anything else there is not ours
OWN = ("content", "images", "layers", "containers", "volumes", "networks", "mounts", "events")


def measured(engine: Engine, directories: list[str]) -> dict[str, int]:
    """Return bytes that directories take on the disk, also of files that are closed to us."""
    from rootless.userns import calls

    there = [one for one in dict.fromkeys(directories) if os.path.isdir(one)]
    if not there:
        return {}
    request = {"paths": there}
    told = calls.call("rootless.storage.trees.usage:usage_worker", request, maps=engine.maps)
    return {path: row[1] for path, row in zip(there, told, strict=True)}


class _Weights:
    """What layers weigh: unpacked and as blobs."""

    def __init__(self, engine: Engine, records: list[ImageRecord]) -> None:
        from rootless.storage.layers.store import LayerStore

        layers = LayerStore(engine.data_dir, engine.maps)
        every = {layer.diff_id: layer for one in records for layer in one.layers}
        where = {diff: os.path.dirname(layers.path(diff)) for diff in every}
        sizes = measured(engine, list(where.values()))
        self.of = {
            diff: sizes.get(where[diff], 0) + (layer.size if _here(engine, layer.digest) else 0)
            for diff, layer in every.items()
        }

    def image(self, record: ImageRecord) -> int:
        """Return all of an image, each layer once."""
        return sum(self.of[one] for one in {layer.diff_id for layer in record.layers})


def _here(engine: Engine, digest: str) -> bool:
    return engine.images.store.has_blob(digest)


def df(engine: Engine) -> Json:
    """Return how much room everything takes, in the shape of docker's API; bytes on the disk.

    An image's `Size` is that of its layers, unpacked and as blobs; `SharedSize` what other images
    have as well.  `LayersSize` counts every layer once, `Waste` what only a prune would find.
    """
    from rootless.images.names import reference
    from rootless.images.store import gc as store_gc
    from rootless.images.store import index

    records = list(engine.images.store.list())
    containers = engine.containers.list(all=True)
    weights = _Weights(engine, records)
    holders: dict[str, int] = {}
    for one in records:
        for diff in {layer.diff_id for layer in one.layers}:
            holders[diff] = holders.get(diff, 0) + 1
    used: dict[str, int] = {}
    for container in containers:
        used[container.image_id] = used.get(container.image_id, 0) + 1
    images = [
        {
            "Id": f"sha256:{one.id}",
            "RepoTags": [reference.parse(name).familiar for name in one.names],
            "RepoDigests": list(one.digests),
            "Created": int(index.moment(one.created)),
            "Size": weights.image(one),
            "SharedSize": sum(
                weights.of[diff]
                for diff in {layer.diff_id for layer in one.layers}
                if holders[diff] > 1
            ),
            "Containers": used.get(one.id, 0),
            "Labels": one.config.get("Labels") or {},
        }
        for one in records
    ]
    needed = {layer.diff_id for one in records if used.get(one.id) for layer in one.layers}
    return {
        "LayersSize": sum(weights.of.values()),
        "LayersReclaimable": sum(size for diff, size in weights.of.items() if diff not in needed),
        "Images": images,
        "Containers": _containers(engine, containers),
        "Volumes": _volumes(engine),
        "BuildCache": [],
        "Waste": store_gc.waste(engine.images.store),
    }


def _containers(engine: Engine, containers: list[Container]) -> list[Json]:
    sizes = measured(engine, [one.directory for one in containers])
    return [
        {
            "Id": one.id,
            "Names": ["/" + one.name],
            "Image": one.image,
            "ImageID": f"sha256:{one.image_id}" if one.image_id else "",
            "Command": one.command_text(),
            "Created": int(one.created),
            "State": one.status,
            "Status": one.status_text(),
            "SizeRw": sizes.get(one.directory, 0),
            "Mounts": [
                {"Type": mount["Type"], "Name": mount.get("Name", "")}
                for mount in one.record["mounts"]
            ],
        }
        for one in containers
    ]


def _volumes(engine: Engine) -> list[Json]:
    users = engine.volumes.users()
    found = engine.volumes.list()
    sizes = measured(engine, [str(one["Mountpoint"]) for one in found])
    return [
        {
            **one,
            "UsageData": {
                "Size": sizes.get(one["Mountpoint"], 0),
                "RefCount": len(users.get(one["Name"], ())),
            },
        }
        for one in found
    ]


def totals(found: Json) -> list[Json]:
    """Return what `system df` shows: Type, TotalCount, Active, Size and Reclaimable in bytes."""
    images, containers, volumes = found["Images"], found["Containers"], found["Volumes"]
    running = [one for one in containers if one["State"] in ("running", "paused", "restarting")]
    active = [one for one in volumes if one["UsageData"]["RefCount"]]
    rows = (
        (
            "Images", len(images), sum(bool(one["Containers"]) for one in images),
            found["LayersSize"] + found["Waste"], found["LayersReclaimable"] + found["Waste"],
        ),
        (
            "Containers", len(containers), len(running),
            sum(one["SizeRw"] for one in containers),
            sum(one["SizeRw"] for one in containers if one not in running),
        ),
        (
            "Local Volumes", len(volumes), len(active),
            sum(one["UsageData"]["Size"] for one in volumes),
            sum(one["UsageData"]["Size"] for one in volumes if one not in active),
        ),
        ("Build Cache", 0, 0, 0, 0),
    )  # fmt: skip
    names = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
    return [dict(zip(names, row, strict=True)) for row in rows]


def prune(
    engine: Engine, *, all: bool = False, volumes: bool = False, filters: Filters | None = None
) -> Json:
    """Remove stopped containers, unused images (nameless ones, or `all`) and volumes, and waste.

    {"ContainersDeleted", "ImagesDeleted", "VolumesDeleted", "SpaceReclaimed"}.  Filters are
    `until`, `label` and `label!`, for containers and images; raises UsageError for others.
    """
    from rootless.engine.common import arguments, list_filters

    rules = arguments.filters(filters)
    list_filters.check_prune(rules)
    candidates = engine.containers.list(all=True, filters=rules)
    sizes = measured(engine, [one.directory for one in candidates])
    by_id = {one.id: one.directory for one in candidates}
    gone = engine.containers.prune(filters=rules)
    freed = sum(sizes.get(by_id.get(one, ""), 0) for one in gone)
    removed: list[str] = []
    if volumes:
        places = {str(one["Name"]): str(one["Mountpoint"]) for one in engine.volumes.list()}
        sizes = measured(engine, list(places.values()))
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


def _empty_mount_points(engine: Engine) -> None:
    """Directories that `image mount` left, whose namespace is gone."""
    base = os.path.join(engine.data_dir, "mounts")
    for name in documents.names_in(base):
        try:
            os.rmdir(os.path.join(base, name))
        except OSError:
            continue


def reset(engine: Engine) -> Json:
    """Remove everything: containers (running ones too), images, volumes, caches, sockets.

    Settings stay.  {"Removed": [directories], "Kept": [what in the data directory is not ours]}.
    Raises StorageError for what could not be removed.
    """
    from rootless.storage.trees import remove as trees_remove

    for container in engine.containers.list(all=True):
        container.remove(force=True, volumes=True, timeout=10)
    removed = []
    for name in OWN:
        path = os.path.join(engine.data_dir, name)
        if not os.path.lexists(path):
            continue
        if not trees_remove.remove(path, engine.maps):
            raise StorageError(
                f"cannot remove {path}", hint=f"rootless unshare rm -rf {path}, then try again"
            )
        removed.append(path)
    kept = list(documents.names_in(engine.data_dir))
    if not kept:
        _rmdir(engine.data_dir)
    for path in (paths.cache_dir(), paths.runtime_dir()):
        if os.path.isdir(path) and trees_remove.remove(path, engine.maps):
            removed.append(path)
    return {"Removed": removed, "Kept": [os.path.join(engine.data_dir, name) for name in kept]}


def _rmdir(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        pass


def everything(engine: Engine) -> Json:
    """Return what `reset` would remove: counts, and directories."""
    return {
        "Containers": [one.name for one in engine.containers.list(all=True)],
        "Running": [one.name for one in engine.containers.list()],
        "Images": len(engine.images.summaries()),
        "Volumes": [str(one["Name"]) for one in engine.volumes.list()],
        "Directories": [
            path
            for path in (engine.data_dir, paths.cache_dir(), paths.runtime_dir())
            if os.path.isdir(path)
        ],
    }
