"""Sizes of images and layers as docker counts them: bytes of the files, not of the blobs."""

from __future__ import annotations

import os

from rootless.storage.layers.store import LayerStore
from rootless.userns import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.images.local import LocalImages
    from rootless.images.record import ImageRecord
    from rootless.images.store.index import Summary


def of_layers(images: LocalImages, diff_ids: list[str]) -> dict[str, int]:
    """Bytes of content of every layer: what docker calls its size.

    A layer that is not unpacked counts as its blob does.
    """
    maps = images.ctx.maps
    layers = LayerStore(images.ctx.data_dir, maps)
    found: dict[str, int] = {}
    wanted = []
    for one in dict.fromkeys(diff_ids):
        size = layers.size(one)
        if size >= 0:
            found[one] = size
        elif os.path.isdir(layers.path(one)):
            wanted.append(one)
    if wanted:
        request = {"paths": [layers.path(one) for one in wanted]}
        told = calls.call("rootless.storage.trees.usage:usage_worker", request, maps=maps)
        for one, row in zip(wanted, told, strict=True):
            found[one] = row[0]
            layers.keep_size(one, row[0])
    return found


def of_image(images: LocalImages, record: ImageRecord) -> int:
    """Bytes of the files of an image's layers, as docker and podman count its size."""
    known = of_layers(images, [layer.diff_id for layer in record.layers])
    return sum(known.get(layer.diff_id, layer.size) for layer in record.layers)


def measure(images: LocalImages, found: list[Summary]) -> None:
    """Give summaries their sizes, and keep those that are known for good.

    A layer that is not unpacked counts as its blob does, until it is.
    """
    store = images.store
    records = {one.id: store.get(one.id) for one in found}
    known = of_layers(
        images, [layer.diff_id for one in records.values() if one for layer in one.layers]
    )
    kept = {}
    for one in found:
        record = records[one.id]
        layers = record.layers if record else []
        one.size = sum(known.get(layer.diff_id, layer.size) for layer in layers)
        if record and all(layer.diff_id in known for layer in layers):
            kept[one.id] = one.size
    store.keep_sizes(kept)
