"""`image diff`: what the last layer of an image changed, or what differs from another."""

from __future__ import annotations

from rootless.storage.layers.store import LayerStore
from rootless.userns import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.images.local import LocalImages


def diff(images: LocalImages, name: str, other: str = "") -> list[tuple[str, str]]:
    """(kind, path) pairs: what the topmost layer changed, or what differs from another image.

    Raises ImageNotFound.
    """
    maps = images.ctx.maps
    record = images.store.resolve(name)
    new = images.unpack(record, maps)
    if other:
        old = images.unpack(images.store.resolve(other), maps)
    else:
        layers = LayerStore(images.ctx.data_dir, maps)
        old = layers.stack([layer.diff_id for layer in record.layers[:-1]])
    told = calls.call(
        "rootless.storage.layers.compare:images_worker", {"new": new, "old": old}, maps=maps
    )
    return [(kind, path) for kind, path in told]
