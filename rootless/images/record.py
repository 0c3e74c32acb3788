"""One image as this host knows it.

Scope: the document `images/records/HEX.json`, and the shapes of others about images.  Hot: no
imports.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def _hex(value: Json) -> bool:
    return type(value) is str and len(value) == 64 and not value.strip("0123456789abcdef")


def digest(value: Json) -> bool:
    """Return whether this is a sha256 digest."""
    return type(value) is str and value[:7] == "sha256:" and _hex(value[7:])


def _anything(_: Json) -> bool:
    return True


def _count(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


_WORDS = [str]
# of the configuration in an image, which is a stranger's: what is read of it here
CONFIG: Json = {
    "Env?": _WORDS,
    "Cmd?": _WORDS,
    "Entrypoint?": _WORDS,
    "OnBuild?": _WORDS,
    "Shell?": _WORDS,
    "Labels?": {"*": str},
    "ExposedPorts?": {"*": _anything},
    "Volumes?": {"*": _anything},
    "User?": str,
    "WorkingDir?": str,
    "StopSignal?": str,
    "Hostname?": str,
    "Domainname?": str,
    "Healthcheck?": {
        "Test?": (None, _WORDS),
        "Interval?": (None, _count),
        "Timeout?": (None, _count),
        "StartPeriod?": (None, _count),
        "StartInterval?": (None, _count),
        "Retries?": (None, _count),
    },
}
SHAPE: Json = {
    "id": _hex,
    "names": _WORDS,
    "digests": _WORDS,
    "manifest_digest": digest,
    "created": str,
    "architecture": str,
    "os": str,
    "variant": str,
    "layers": [{"digest": digest, "diff_id": digest, "media_type": str, "size": _count}],
    "config": CONFIG,
    "history": [dict],
    "author": str,
}


# a manifest list put together here, `images/lists/QUOTED`
LIST: Json = {
    "name": str,
    "manifests": [
        {
            "digest": digest,
            "size": _count,
            "mediaType?": str,
            "source": str,
            "blobs?": [digest],
            "platform?": (None, {"os?": str, "architecture?": str, "variant?": str}),
            "annotations?": (None, {"*": str}),
        }
    ],
    "annotations?": (None, {"*": str}),
}


class Layer:
    """One layer: `digest` and `size` (bytes) of the blob, `diff_id` of the plain tar in it."""

    __slots__ = ("diff_id", "digest", "media_type", "size")

    def __init__(self, digest: str, diff_id: str, media_type: str, size: int) -> None:
        self.digest = digest
        self.diff_id = diff_id
        self.media_type = media_type
        self.size = size

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, value: dict[str, Json]) -> Layer:
        """Return the inverse of `to_dict`.  Raises KeyError."""
        return cls(value["digest"], value["diff_id"], value["media_type"], value["size"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Layer({self.digest!r}, {self.diff_id!r}, {self.media_type!r}, {self.size})"


class ImageRecord:
    """One image.

    id              64 hex digits, the digest of the configuration
    names           canonical references with a tag
    digests         `repository@sha256:…` by which registries know it
    manifest_digest, config_digest
    created         RFC 3339, or "" where the image does not say
    architecture, os, variant
    size            sum of the layers' blobs, bytes
    layers          lowest first
    config          the `config` object of the OCI image configuration: Env, Cmd, User, …
    history, author
    """

    __slots__ = (
        "architecture",
        "author",
        "config",
        "config_digest",
        "created",
        "digests",
        "history",
        "id",
        "layers",
        "manifest_digest",
        "names",
        "os",
        "size",
        "variant",
    )

    def __init__(
        self,
        *,
        id: str,
        manifest_digest: str,
        layers: list[Layer],
        names: list[str] | None = None,
        digests: list[str] | None = None,
        created: str = "",
        architecture: str = "",
        os: str = "linux",
        variant: str = "",
        config: dict[str, Json] | None = None,
        history: list[dict[str, Json]] | None = None,
        author: str = "",
    ) -> None:
        self.id = id
        self.names = names or []
        self.digests = digests or []
        self.manifest_digest = manifest_digest
        self.config_digest = "sha256:" + id
        self.created = created
        self.architecture = architecture
        self.os = os
        self.variant = variant
        self.layers = layers
        self.size = sum([layer.size for layer in layers])
        self.config = config or {}
        self.history = history or []
        self.author = author

    @property
    def platform(self) -> str:
        """`linux/arm64/v8`."""
        return "/".join([part for part in (self.os, self.architecture, self.variant) if part])

    def blobs(self) -> list[str]:
        """Return digests of everything the image is made of."""
        found = [layer.digest for layer in self.layers]
        return [self.manifest_digest, self.config_digest, *found]

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        value: dict[str, Json] = {name: getattr(self, name) for name in ImageRecord.__slots__}
        value["layers"] = [layer.to_dict() for layer in self.layers]
        return value

    @classmethod
    def from_dict(cls, value: dict[str, Json]) -> ImageRecord:
        """Return the inverse of `to_dict`.  Raises KeyError."""
        return cls(
            id=value["id"],
            names=value["names"],
            digests=value["digests"],
            manifest_digest=value["manifest_digest"],
            created=value["created"],
            architecture=value["architecture"],
            os=value["os"],
            variant=value["variant"],
            layers=[Layer.from_dict(layer) for layer in value["layers"]],
            config=value["config"],
            history=value["history"],
            author=value["author"],
        )

    def __repr__(self) -> str:
        return f"ImageRecord({self.id[:12]!r}, {self.names!r})"
