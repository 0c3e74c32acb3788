"""Images put together here, from parts that came without a manifest."""

from __future__ import annotations

from rootless import documents
from rootless.images.formats import manifests
from rootless.images.store import ingest
from rootless.images.store.store import ImageRecord, ImageStore, Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_OCI_KINDS = {"": "", "gzip": "+gzip", "zstd": "+zstd"}
_DOCKER_KINDS = {"": "", "gzip": ".gzip", "zstd": ".zstd"}


def layer_of(arrived: ingest.Arrived) -> Layer:
    """Return the layer that a tar became."""
    media_type = manifests.OCI_LAYER + _OCI_KINDS[arrived.compression]
    return Layer(arrived.digest, arrived.diff_id, media_type, arrived.size)


def kind_of(media_type: str) -> str:
    """Return how a layer of this media type is compressed: "", "gzip" or "zstd".

    docker says `.tar.gzip` where OCI says `.tar+gzip`; both call plain layers `.tar`.
    """
    for kind in ("gzip", "zstd"):
        if media_type.endswith(kind):
            return kind
    return ""


def docker_layer(layer: Layer) -> Layer:
    """Return the same blob under docker's media type."""
    media_type = DOCKER_LAYER + _DOCKER_KINDS[kind_of(layer.media_type)]
    return Layer(layer.digest, layer.diff_id, media_type, layer.size)


def oci_layer(layer: Layer) -> Layer:
    """Return the same blob under OCI's media type."""
    if layer.media_type.startswith(manifests.OCI_LAYER):
        return layer
    media_type = manifests.OCI_LAYER + _OCI_KINDS[kind_of(layer.media_type)]
    return Layer(layer.digest, layer.diff_id, media_type, layer.size)


def docker_manifest(config_digest: str, config_size: int, layers: list[Layer]) -> bytes:
    """Make docker's image manifest V2, schema 2."""
    config = {
        "mediaType": manifests.DOCKER_CONFIG,
        "size": config_size,
        "digest": config_digest,
    }
    listed = [
        {"mediaType": one.media_type, "size": one.size, "digest": one.digest} for one in layers
    ]
    return documents.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifests.DOCKER_MANIFEST,
            "config": config,
            "layers": listed,
        }
    ).encode()


def keep(
    store: ImageStore,
    config_data: bytes,
    config: dict[str, Json],
    layers: list[Layer],
    names: list[str],
    *,
    form: str = "oci",
    annotations: Mapping[str, str] | None = None,
) -> ImageRecord:
    """Store configuration, a manifest made for it, and the record.  The caller holds `guard`.

    `form` is oci or docker: which media types the manifest speaks of; docker's has no annotations.
    """
    config_digest = ingest.ingest_bytes(store, config_data)
    if form == "docker":
        layers = [docker_layer(layer) for layer in layers]
        data = docker_manifest(config_digest, len(config_data), layers)
    else:
        descriptor = manifests.Descriptor(config_digest, len(config_data), manifests.OCI_CONFIG)
        data = manifests.manifest_bytes(
            descriptor, [oci_layer(layer) for layer in layers], annotations
        )
    manifest_digest = ingest.ingest_bytes(store, data)
    record = manifests.record(manifest_digest, config_digest, layers, config)
    return store.put(record, names)
