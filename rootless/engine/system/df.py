"""`system df`: how much room everything takes."""

from __future__ import annotations

import os

from rootless.engine.common import disk_usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.engine.containers.container import Container
    from rootless.images.record import ImageRecord

    Filters = Mapping[str, str | list[str]]


class _Weights:
    """What layers weigh: unpacked and as blobs."""

    def __init__(self, engine: Collections, records: list[ImageRecord]) -> None:
        from rootless.storage.layers.store import LayerStore

        layers = LayerStore(engine.context.data_dir, engine.context.maps)
        every = {layer.diff_id: layer for one in records for layer in one.layers}
        where = {diff: os.path.dirname(layers.path(diff)) for diff in every}
        sizes = disk_usage.measured(engine.context.maps, list(where.values()))
        self.of = {
            diff: sizes.get(where[diff], 0) + (layer.size if _here(engine, layer.digest) else 0)
            for diff, layer in every.items()
        }

    def image(self, record: ImageRecord) -> int:
        """Return all of an image, each layer once."""
        return sum(self.of[one] for one in {layer.diff_id for layer in record.layers})


def _here(engine: Collections, digest: str) -> bool:
    return engine.images.store.has_blob(digest)


def df(engine: Collections) -> Json:
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


def _containers(engine: Collections, containers: list[Container]) -> list[Json]:
    sizes = disk_usage.measured(engine.context.maps, [one.directory for one in containers])
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


def _volumes(engine: Collections) -> list[Json]:
    users = engine.volumes.users()
    found = engine.volumes.list()
    sizes = disk_usage.measured(engine.context.maps, [str(one["Mountpoint"]) for one in found])
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
