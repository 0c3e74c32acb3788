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
    from rootless.images.record import ImageRecord, Layer

    Filters = Mapping[str, str | list[str]]


class _Weights:
    """What layers and blobs weigh."""

    def __init__(self, engine: Collections, records: list[ImageRecord]) -> None:
        from rootless.engine.images import layer_sizes
        from rootless.storage.layers.store import LayerStore

        layers = LayerStore(engine.context.data_dir, engine.context.maps)
        diff_ids = list(dict.fromkeys(layer.diff_id for one in records for layer in one.layers))
        where = {diff: os.path.dirname(layers.path(diff)) for diff in diff_ids}
        taken = disk_usage.measured(engine.context.maps, list(where.values()))
        # what an unpacked layer takes on the disk
        self.unpacked = {diff: taken.get(where[diff], 0) for diff in diff_ids}
        # the files in a layer, as `images` counts them
        self._content = layer_sizes.of_layers(engine.images, diff_ids)
        store = engine.images.store
        digests = dict.fromkeys(digest for one in records for digest in one.blobs())
        self.blobs = {digest: _length(store.blob_path(digest)) for digest in digests}

    def content(self, layer: Layer) -> int:
        """The files of a layer; of one that is not unpacked its blob, as `images`."""
        return self._content.get(layer.diff_id, layer.size)


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def df(engine: Collections) -> Json:
    """Return how much room everything takes, in the shape of docker's API.

    Of an image: `Size` is that of the files in its layers, as in `images`; `SharedSize` what of it
    other images have as well; `BlobSize` what its blobs take beside that, compressed.  The rest is
    bytes on the disk: `LayersSize` of all unpacked layers and blobs, `LayersReclaimable` what of it
    `image prune -a` frees, `Waste` what a plain one does.
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
            "Size": sum(weights.content(layer) for layer in one.layers),
            "SharedSize": sum(
                weights.content(layer)
                for layer in {layer.diff_id: layer for layer in one.layers}.values()
                if holders[layer.diff_id] > 1
            ),
            "BlobSize": sum(weights.blobs[digest] for digest in dict.fromkeys(one.blobs())),
            "Containers": used.get(one.id, 0),
            "Labels": one.config.get("Labels") or {},
        }
        for one in records
    ]
    return {
        "LayersSize": sum(weights.unpacked.values()) + sum(weights.blobs.values()),
        "LayersReclaimable": _reclaimable(engine, records, used, weights),
        "Images": images,
        "Containers": _containers(engine, containers),
        "Volumes": _volumes(engine),
        "BuildCache": [],
        "Waste": store_gc.waste(engine.images.store),
    }


def _reclaimable(
    engine: Collections, records: list[ImageRecord], used: dict[str, int], weights: _Weights
) -> int:
    """What `image prune -a` frees: what is of no image that is used, and that nobody else needs."""
    from rootless.images.store import gc as store_gc
    from rootless.storage.layers import gc as layer_gc

    kept = [one for one in records if used.get(one.id)]
    layers = {layer_gc.short(layer.diff_id) for one in kept for layer in one.layers}
    # of containers whose image has gone, and of the build cache
    layers |= engine.images.users.layers() or set()
    blobs = {digest for one in kept for digest in one.blobs()}
    blobs |= {f"sha256:{name}" for name in store_gc.of_lists(engine.images.store)}
    return sum(
        size for diff, size in weights.unpacked.items() if layer_gc.short(diff) not in layers
    ) + sum(size for digest, size in weights.blobs.items() if digest not in blobs)


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
