"""One image as this host knows it.

Scope: the document `images/records/HEX.json`, and the shapes of others about images.  Hot: no
imports.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    from rootless.documents import Json

    class LayerDocument(TypedDict):
        """A layer as the record of an image keeps it."""

        digest: str
        diff_id: str
        media_type: str
        size: int

    class ImageDocument(TypedDict):
        """The record of an image as this version writes it."""

        version: int
        id: str
        names: list[str]
        digests: list[str]
        manifest_digest: str
        config_digest: NotRequired[str]  # made anew when read, as is the size
        size: NotRequired[int]
        created: str
        architecture: str
        os: str
        variant: str
        layers: list[LayerDocument]
        config: dict[str, Json]
        history: list[dict[str, Json]]
        author: str

    class MemberDocument(TypedDict):
        """An image of a manifest list: its descriptor, and where it is."""

        digest: str
        size: int
        mediaType: NotRequired[str]
        source: str
        blobs: NotRequired[list[str]]
        platform: NotRequired[dict[str, Json] | None]
        annotations: NotRequired[dict[str, str] | None]

    class ListDocument(TypedDict):
        """A manifest list as this version writes it."""

        version: int
        name: str
        manifests: list[MemberDocument]
        annotations: NotRequired[dict[str, str] | None]


VERSION = 1
LIST_VERSION = 1


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
    "version?": int,
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
    "version?": int,
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

    def to_dict(self) -> LayerDocument:
        """Return the JSON form."""
        return {
            "diff_id": self.diff_id,
            "digest": self.digest,
            "media_type": self.media_type,
            "size": self.size,
        }

    @classmethod
    def from_dict(cls, value: LayerDocument) -> Layer:
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

    def to_dict(self) -> ImageDocument:
        """Return the JSON form."""
        return {
            "version": VERSION,
            "id": self.id,
            "names": self.names,
            "digests": self.digests,
            "manifest_digest": self.manifest_digest,
            "config_digest": self.config_digest,
            "size": self.size,
            "created": self.created,
            "architecture": self.architecture,
            "os": self.os,
            "variant": self.variant,
            "layers": [layer.to_dict() for layer in self.layers],
            "config": self.config,
            "history": self.history,
            "author": self.author,
        }

    @classmethod
    def from_dict(cls, value: ImageDocument) -> ImageRecord:
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
