"""Places where images are: registries, layouts, archives, directories, and the local store.

Scope: the names of places and which class serves each.  Names are containers/image's:
`docker://NAME`, `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`,
`dir:DIRECTORY`; a name without any of these is a registry's.  Source: containers-transports(5).
"""

from __future__ import annotations

import os

from rootless.errors import UsageError
from rootless.images.names import reference
from rootless.images.transports.base import Source, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.registry.http import Settings

__all__ = ["PREFIXES", "Place", "Source", "Target", "parse"]

PREFIXES = ("docker", "oci", "oci-archive", "docker-archive", "dir", "store")


class Place:
    """A place as a user writes it: `kind`, a path (or a name), and what is chosen in it."""

    __slots__ = ("kind", "path", "select", "text")

    def __init__(self, kind: str, path: str, select: str, text: str) -> None:
        self.kind = kind
        self.path = path
        self.select = select
        self.text = text

    def source(
        self,
        *,
        data_dir: str = "",
        tls_verify: bool | None = None,
        settings: Settings | None = None,
    ) -> Source:
        """Open the place for reading.  Raises UsageError, ImageNotFound, StorageError,
        RegistryError."""
        if self.kind == "docker":
            from rootless.images.transports import registry as transport_registry

            return transport_registry.RegistrySource(self.path, tls_verify, settings)
        if self.kind == "store":
            from rootless.images.transports import local as transport_local

            return transport_local.StoreSource(data_dir, self.path)
        if self.kind == "dir":
            from rootless.images.transports import directory as transport_directory

            return transport_directory.DirectorySource(self.path)
        from rootless.images.transports import layout, layout_files

        if self.kind == "oci":
            return layout.LayoutSource(layout_files.Tree(self.path), self.select)
        opened = layout_files.Archive(self.path)
        try:
            if self.kind == "oci-archive":
                return layout.LayoutSource(opened, self.select)
            from rootless.images.transports import docker_archive

            return docker_archive.DockerArchiveSource(opened, self.select)
        except BaseException:
            opened.close()
            raise

    def target(self, *, tls_verify: bool | None = None, settings: Settings | None = None) -> Target:
        """Open the place for writing.  Raises UsageError, StorageError, RegistryError."""
        if self.kind == "docker":
            from rootless.images.transports import registry as transport_registry

            return transport_registry.RegistryTarget(self.path, tls_verify, settings)
        if self.kind == "dir":
            from rootless.images.transports import directory as transport_directory

            return transport_directory.DirectoryTarget(self.path)
        if self.kind == "oci":
            from rootless.images.transports import layout

            return layout.LayoutTarget(self.path, self.select)
        if self.kind == "oci-archive":
            from rootless.images.transports import oci_archive

            return oci_archive.ArchiveTarget(self.path, self.select)
        if self.kind == "docker-archive":
            from rootless.images.transports import docker_archive

            return docker_archive.DockerArchiveTarget(self.path, self.select)
        raise UsageError(
            f"{self.text} is not a place to copy to",
            hint=f"`rootless pull {self.path}` brings an image into the local store",
        )


def parse(text: str) -> Place:
    """Read the name of a place.  Raises UsageError."""
    kind, colon, rest = text.partition(":")
    if text.startswith("docker://"):
        return Place("docker", text[9:], "", text)
    if not colon or kind not in PREFIXES or kind == "docker":
        reference.parse(text)
        return Place("docker", text, "", text)
    if kind in ("dir", "store"):
        path, select = rest, ""
    else:
        path, select = split_path(rest)
    if not path:
        raise UsageError(
            f"{text} names no {'image' if kind == 'store' else 'path'}",
            hint="write oci-archive:FILE[:TAG] and the like",
        )
    return Place(kind, path, select, text)


def split_path(text: str) -> tuple[str, str]:
    """Split `PATH[:TAG]`; a path that exists with its colon is a path."""
    if os.path.exists(text):
        return text, ""
    path, _, select = text.partition(":")
    return path, select
