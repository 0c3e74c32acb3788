"""Images put together here, from parts that came without a manifest."""

from __future__ import annotations

from rootless.images import content, manifests
from rootless.images.store import ImageRecord, ImageStore, Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def layer_of(arrived: content.Arrived) -> Layer:
    """The layer that a tar became."""
    kinds = {"": "", "gzip": "+gzip", "zstd": "+zstd"}
    media_type = manifests.OCI_LAYER + kinds[arrived.compression]
    return Layer(arrived.digest, arrived.diff_id, media_type, arrived.size)


def keep(
    store: ImageStore,
    config_data: bytes,
    config: dict[str, Json],
    layers: list[Layer],
    names: list[str],
) -> ImageRecord:
    """Store configuration, a manifest made for it, and the record.  The caller holds `guard`."""
    config_digest = content.ingest_bytes(store, config_data)
    descriptor = manifests.Descriptor(config_digest, len(config_data), manifests.OCI_CONFIG)
    manifest_digest = content.ingest_bytes(store, manifests.manifest_bytes(descriptor, layers))
    record = manifests.record(manifest_digest, config_digest, layers, config)
    return store.put(record, names)
