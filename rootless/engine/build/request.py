"""What a build is asked for: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from rootless.build.options import BuildOptions
from rootless.engine.spec.options import ContainerOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.registry.http import Settings


@dataclass(frozen=True)
class Output:
    """--output: `kind` is image, local, tar, oci or docker; `target` a path, or - for a stream."""

    kind: str
    target: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def pushes(self) -> bool:
        """Whether the image goes to its registry."""
        return self.kind == "image" and self.values.get("push") == "true"


@dataclass(frozen=True)
class RegistryAccess:
    """How registries are talked to: None and None as always."""

    tls_verify: bool | None = None
    settings: Settings | None = None


@dataclass(frozen=True)
class CachePlace:
    """Where a cache is: `kind` is registry, local or inline; `where` a name or a directory.

    `mode`: min has what is in the result, max all that was built.
    """

    kind: str
    where: str = ""
    tag: str = "latest"
    digest: str = ""
    mode: str = "min"
    ignore_errors: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


ANNOTATED = ("manifest", "manifest-descriptor", "index", "index-descriptor")


@dataclass(frozen=True)
class Annotation:
    """--annotation: `kind` is of `ANNOTATED`; of one `platform`, or of each."""

    kind: str
    platform: str
    key: str
    value: str


@dataclass
class Request:
    """What a build is asked for.

    `context`: a directory, an archive, an address, a repository, or - for `stdin`; `file`: the
    Dockerfile (None: the usual names); `options`: of the build room; `contexts`: --build-context,
    by name; `step`: what holds for every RUN; `cache_ttl`: seconds after which a step is done
    again.
    """

    context: str
    file: str | None = None
    tags: Sequence[str] = ()
    options: BuildOptions = field(default_factory=BuildOptions)
    contexts: Mapping[str, str] = field(default_factory=dict)
    stdin: BinaryIO | None = None
    stdout: BinaryIO | None = None
    ignore_file: str | None = None
    as_docker: bool = False
    outputs: Sequence[Output] = (Output("image"),)
    form: str = "oci"
    rewrite: bool = False
    squash: str = ""
    step: ContainerOptions = field(default_factory=lambda: ContainerOptions(""))
    dockerfile: bytes | None = None
    registry: RegistryAccess = RegistryAccess()
    # a job of a CI, whose network steps may have where they can have none of their own
    in_ci: bool = False
    cache_from: Sequence[CachePlace] = ()
    cache_to: Sequence[CachePlace] = ()
    cache_ttl: float | None = None
    # several: an index of an image for each; `manifest`: the list that gets what is built
    platforms: Sequence[str] = ()
    manifest: str = ""
    provenance: str = ""  # min or max
    keep_failed: bool = False
    from_image: str = ""
    annotations: Sequence[Annotation] = ()
    created_annotation: bool = False
    no_history: bool = False
    os_version: str = ""
    os_features: Sequence[str] = ()
