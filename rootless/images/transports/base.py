"""Sources and targets: what every transport can do.

Scope: the interface.  Blobs are foreign until `transfer.copy` has compared their digests.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator

from rootless.errors import StorageError
from rootless.images.formats.manifests import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.trust.verify import Trust

Fetch = Callable[[int], Iterable[bytes]]
OnBytes = Callable[[int], None]
CHUNK = 1 << 18


class Source(ABC):
    """One image, or one index, to read."""

    # As a user calls it.
    name: str = ""
    # Whether the tar archives in it are compressed is the choice of who writes, not of the image.
    synthetic = False

    @abstractmethod
    def top(self) -> tuple[bytes, str]:
        """Return the manifest or index and its media type.  Raises ImageNotFound, StorageError,
        …"""

    @abstractmethod
    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest that an index names; not verified."""

    @abstractmethod
    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a blob from `offset` on; not verified."""

    @abstractmethod
    def ask(self, trust: Trust, digests: list[str]) -> None:
        """Check whether an image of this place may be used; `digests` are those of its manifest and
        of the indexes that led to it, any of which may be signed.  Raises RegistryError,
        HostError."""

    def repositories(self, digest: str, host: str) -> list[str]:
        """Return repositories on the server `host` that are known to have this blob."""
        return []

    def referrers(self, digest: str) -> list[Descriptor]:
        """Return manifests whose subject is `digest`."""
        return []

    def close(self) -> None:
        """Close connections and files."""
        return None


class Target(ABC):
    """Where one image, or one index with its images, is written."""

    name: str = ""
    # Several blobs at a time.
    parallel = True
    # Which form layers must have: "" for any, "plain" for no compression, "compressed".
    layers = ""
    # The one family of media types it can hold: "", "oci" or "docker".
    family = ""

    @abstractmethod
    def has(self, descriptor: Descriptor) -> str:
        """Return a note for the user when the blob is there already ("already exists"), else ""."""

    @abstractmethod
    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """Write a blob."""

    @abstractmethod
    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """Write a manifest, after everything it names; `top` is what the image's name means."""

    def sources(self, find: Callable[[str, str], list[str]]) -> None:
        """Take a function that knows repositories with a blob: `find(digest, host)`."""
        return None

    def finish(self) -> None:
        """Make everything visible."""
        return None

    def close(self) -> None:
        """Let go; what was not finished is removed."""
        return None


def open_file(path: str) -> int:
    """Return a descriptor to read from.  Raises StorageError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None


def pieces(fd: int, offset: int, length: int) -> Iterator[bytes]:
    """Yield the bytes of an open file."""
    while length > 0:
        piece = os.pread(fd, min(CHUNK, length), offset)
        if not piece:
            return
        offset += len(piece)
        length -= len(piece)
        yield piece
