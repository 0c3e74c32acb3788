"""`image inspect`, in the shape that scripts written for docker expect."""

from __future__ import annotations

from rootless import documents
from rootless.engine.common import humanize
from rootless.engine.images import layer_sizes
from rootless.errors import RootlessError
from rootless.images.names import reference
from rootless.storage.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.images.local import LocalImages
    from rootless.images.store.store import ImageRecord

# what templates may ask of any image, as of docker's and podman's, whose fields are never missing
_EMPTY: Json = {
    "User": "", "Env": [], "Entrypoint": [], "Cmd": [], "WorkingDir": "", "Labels": {},
    "ExposedPorts": {}, "Volumes": {},
}  # fmt: skip


def attrs(record: ImageRecord, images: LocalImages) -> Json:
    """The shape of `docker image inspect`, and what podman adds."""
    manifest = _manifest(record, images)
    size = layer_sizes.of_image(images, record)
    last = record.history[-1] if record.history else {}
    return {
        "Id": f"sha256:{record.id}",
        "RepoTags": [reference.parse(name).familiar for name in record.names],
        "RepoDigests": list(record.digests),
        "Digest": record.manifest_digest,
        "Parent": "",
        "NamesHistory": list(record.names),
        "Comment": last.get("comment") or "",
        "Created": record.created,
        "DockerVersion": "",
        "Version": "",
        "HealthCheck": record.config.get("Healthcheck"),
        "Author": record.author,
        "Architecture": record.architecture,
        "Os": record.os,
        "Variant": record.variant,
        "Size": size,
        "VirtualSize": size,
        "User": record.config.get("User") or "",
        "Labels": record.config.get("Labels") or {},
        "Annotations": manifest.get("annotations") or {},
        "ManifestType": manifest.get("mediaType") or "application/vnd.oci.image.manifest.v1+json",
        "Config": {**_EMPTY, **{key: one for key, one in record.config.items() if one is not None}},
        "GraphDriver": _layer_directories(record, images),
        "RootFS": {"Type": "layers", "Layers": [layer.diff_id for layer in record.layers]},
        "Metadata": {"LastTagTime": _last_tag(record, images)},
        "Layers": [
            {
                "Digest": layer.digest,
                "DiffID": layer.diff_id,
                "Size": layer.size,
                "MediaType": layer.media_type,
            }
            for layer in record.layers
        ],
        "History": record.history,
    }


def _manifest(record: ImageRecord, images: LocalImages) -> Json:
    """The manifest as it came, empty where it cannot be had."""
    try:
        found = documents.loads(images.store.read_blob(record.manifest_digest).decode())
    except (RootlessError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _layer_directories(record: ImageRecord, images: LocalImages) -> Json:
    if not record.layers:
        return {"Name": "layers", "Data": {}}
    layers = LayerStore(images.ctx.data_dir, images.ctx.maps)
    paths = layers.stack([layer.diff_id for layer in record.layers])
    return {
        "Name": "layers",
        "Data": {"UpperDir": paths[0], "LowerDir": ":".join(paths[1:])},
    }


def _last_tag(record: ImageRecord, images: LocalImages) -> str:
    moments = [images.store.tagged_at(name) for name in record.names]
    return humanize.rfc3339(max(moments, default=0.0))
