"""Manifests, indexes and configurations: from foreign JSON to an ImageRecord.

Scope: pure functions over bytes.  Everything here was written by strangers, so every field is
looked at before it is used.  Source: OCI image specification 1.1; docker's image manifest V2,
schema 2.
"""

from __future__ import annotations

from rootless import documents
from rootless.errors import RegistryError
from rootless.images.formats.platforms import Platform
from rootless.images.names.reference import is_digest
from rootless.images.record import CONFIG, ImageRecord, Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_PLAIN = "application/vnd.docker.image.rootfs.diff.tar"
ACCEPT = ", ".join((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX))
# What registries are asked to allow at least (OCI distribution specification) is our limit.
MAXIMUM = 4 << 20
_LAYERS_MAX = 1000


class Descriptor:
    """A blob named in a manifest: digest, size in bytes, media type, annotations."""

    __slots__ = ("annotations", "digest", "media_type", "size")

    def __init__(
        self,
        digest: str,
        size: int,
        media_type: str,
        annotations: dict[str, Json] | None = None,
    ) -> None:
        self.digest = digest
        self.size = size
        self.media_type = media_type
        self.annotations = annotations or {}

    @classmethod
    def read(cls, value: Json) -> Descriptor:
        """Read a descriptor.  Raises RegistryError."""
        if not isinstance(value, dict):
            raise invalid("a descriptor is not an object")
        digest, size = value.get("digest"), value.get("size")
        media_type = value.get("mediaType", "")
        if not isinstance(digest, str) or not is_digest(digest):
            raise invalid(f"the digest {digest!r} is not sha256 and 64 hex digits")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise invalid(f"the size {size!r} of {digest} is not a count of bytes")
        notes = value.get("annotations")
        return cls(
            digest,
            size,
            media_type if isinstance(media_type, str) else "",
            notes if isinstance(notes, dict) else None,
        )


class Manifest:
    """The manifest of one image: its configuration and its layers, lowest first."""

    __slots__ = ("config", "layers")

    def __init__(self, config: Descriptor, layers: list[Descriptor]) -> None:
        self.config = config
        self.layers = layers


def invalid(why: str) -> RegistryError:
    """Return the error for a document that breaks the specification."""
    return RegistryError(
        f"the image's manifest is invalid: {why}",
        hint="the image is damaged; build or push it again",
    )


def parse(data: bytes) -> dict[str, Json]:
    """Return a JSON object.  Raises RegistryError."""
    try:
        value = documents.loads(data.decode())
    except (ValueError, RecursionError):
        raise invalid("it is not JSON") from None
    if not isinstance(value, dict):
        raise invalid("it is not a JSON object")
    return value


def entries(document: dict[str, Json], media_type: str = "") -> list[dict[str, Json]] | None:
    """Return the descriptors of an index, None for a manifest.  Raises RegistryError.

    A document that is both at once is refused: two programs could take two different images from
    one digest (CVE-2021-41190).
    """
    kind = document.get("mediaType") or media_type
    indexes, images = (OCI_INDEX, DOCKER_INDEX), (OCI_MANIFEST, DOCKER_MANIFEST)
    if (kind in indexes and media_type in images) or (kind in images and media_type in indexes):
        raise invalid(f"its media type {kind} does not fit {media_type}, as which it was given")
    is_index = "manifests" in document
    if is_index and ("layers" in document or "config" in document):
        raise invalid("it is a manifest and an index at once")
    if document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise RegistryError(
            "the image uses docker's manifest schema 1, which has been retired",
            hint="pull it with an old docker and push it again",
        )
    if is_index != (kind in indexes) and kind in (*indexes, *images):
        raise invalid(f"its media type {kind} does not fit what is in it")
    if not is_index:
        return None
    found = document["manifests"]
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise invalid("its list of manifests is not a list of objects")
    return found


def media_type_of(document: dict[str, Json]) -> str:
    """Return the media type of a document that came without one, from what is in it."""
    given = document.get("mediaType")
    if isinstance(given, str) and given:
        return given
    return OCI_INDEX if "manifests" in document else OCI_MANIFEST


def read_manifest(document: dict[str, Json]) -> Manifest:
    """Read a manifest.  Raises RegistryError, also for artifacts that are no images."""
    config = Descriptor.read(document.get("config"))
    if config.media_type not in (OCI_CONFIG, DOCKER_CONFIG, "", "application/octet-stream"):
        raise RegistryError(
            f"this is not a container image but an artifact of the type {config.media_type}",
            hint="tools such as helm or oras fetch artifacts",
        )
    layers = any_layers(document) if "layers" in document else None
    if layers is None:
        raise invalid("it has no layers")
    if config.size > MAXIMUM:
        raise invalid(f"its configuration has {config.size} bytes")
    return Manifest(config, [Descriptor.read(layer) for layer in layers])


def any_layers(document: dict[str, Json]) -> list[dict[str, Json]]:
    """Return the layers of a manifest as they are written, also of an artifact.  Raises
    RegistryError."""
    layers = document.get("layers", [])
    if not isinstance(layers, list):
        raise invalid("its layers are not a list")
    if len(layers) > _LAYERS_MAX:
        # each costs requests, threads and a mount, and no builder makes so many
        raise RegistryError(
            f"the image has {len(layers)} layers, and {_LAYERS_MAX} are the most that is accepted",
            hint="make it again with fewer: `commit --squash`, or `buildah build --squash`",
        )
    for layer in layers:
        Descriptor.read(layer)
    return layers


def diff_ids(config: dict[str, Json]) -> list[str]:
    """Return the diff ids in a configuration.  Raises RegistryError."""
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if found is None:
        found = []
    if not isinstance(found, list) or not all(
        isinstance(item, str) and is_digest(item) for item in found
    ):
        raise invalid("the diff ids in its configuration are not sha256 digests")
    return found


def platform(config: dict[str, Json]) -> Platform:
    """Return the platform a configuration is for."""
    return Platform(
        _text(config, "os") or "linux", _text(config, "architecture"), _text(config, "variant")
    )


def record(
    manifest_digest: str, config_digest: str, layers: list[Layer], config: dict[str, Json]
) -> ImageRecord:
    """Return the record of an image.  Raises RegistryError."""
    inner = config.get("config")
    history = config.get("history")
    suits = platform(config)
    return ImageRecord(
        id=config_digest[7:],
        manifest_digest=manifest_digest,
        layers=layers,
        created=_text(config, "created"),
        architecture=suits.architecture,
        os=suits.os,
        variant=suits.variant,
        config=_clean(inner) if isinstance(inner, dict) else {},
        history=[entry for entry in history if isinstance(entry, dict)]
        if isinstance(history, list)
        else [],
        author=_text(config, "author"),
    )


def join_layers(manifest: Manifest, config: dict[str, Json]) -> list[Layer]:
    """Return layers with their diff ids.  Raises RegistryError when the counts differ."""
    plain = diff_ids(config)
    if len(plain) != len(manifest.layers):
        raise invalid(f"it has {len(manifest.layers)} layers and {len(plain)} diff ids")
    return [
        Layer(layer.digest, diff, layer.media_type, layer.size)
        for layer, diff in zip(manifest.layers, plain, strict=True)
    ]


def _clean(config: dict[str, Json]) -> dict[str, Json]:
    """Leave out nulls and refuse wrong types, so that no later code has to look again."""
    kept = {key: value for key, value in config.items() if value is not None}
    if not documents.fits(kept, CONFIG):
        at = documents.fault(kept, CONFIG)
        raise RegistryError(
            f"the image's configuration is invalid: {at}",
            hint="the image is damaged; build or push it again",
        )
    return kept


def _text(value: dict[str, Json], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""


def manifest_bytes(
    config: Descriptor, layers: list[Layer], annotations: Mapping[str, str] | None = None
) -> bytes:
    """Return a manifest for an image made here."""
    notes = {"annotations": dict(sorted(annotations.items()))} if annotations else {}
    return documents.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": config.media_type,
                "digest": config.digest,
                "size": config.size,
            },
            "layers": [
                {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                for layer in layers
            ],
            **notes,
        }
    ).encode()
