"""`dir:`: a manifest and its blobs as plain files in one directory, for looking and for transport.

Source: containers-transports(5); what skopeo writes: `version`, `manifest.json`, for an index
`HEX.manifest.json` for each image, blobs named by their digests' hexadecimal digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from rootless import documents
from rootless.errors import StorageError, UsageError
from rootless.images.formats import manifests
from rootless.images.formats.manifests import Descriptor
from rootless.images.transports.base import Fetch, OnBytes, Source, Target
from rootless.images.transports.layout import sweep, write
from rootless.images.transports.layout_files import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.trust.verify import Trust

_VERSION = b"Directory Transport Version: 1.1\n"


class DirectorySource(Source):
    """The image in a directory."""

    def __init__(self, path: str) -> None:
        self.files = Tree(path)
        self.name = path
        if self.files.size("manifest.json") < 0:
            raise StorageError(
                f"{path} holds no image: it has no manifest.json",
                hint="for an OCI layout write oci:DIRECTORY",
            )

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        data = self.files.document("manifest.json")
        return data, manifests.media_type_of(manifests.parse(data))

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        return self.files.document(f"{descriptor.digest[7:]}.manifest.json")

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        return self.files.read(descriptor.digest[7:], offset)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source."""
        trust.local("dir", self.files.path)


class DirectoryTarget(Target):
    """A directory, new or with an image that is replaced."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path
        self._made: list[str] = []
        self._new = not os.path.isdir(path)
        try:
            os.makedirs(path, exist_ok=True)
            there = os.listdir(path)
        except OSError as error:
            raise StorageError(
                f"cannot make the directory {path}: {error.strerror}",
                hint="check its permissions",
            ) from None
        if there and "version" not in there and "manifest.json" not in there:
            raise UsageError(
                f"the directory {path} is not empty and holds no image",
                hint="give a new directory",
            )

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        try:
            size = os.stat(os.path.join(self.path, descriptor.digest[7:])).st_size
        except FileNotFoundError:
            return ""
        return "already exists" if size == descriptor.size else ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""
        final = os.path.join(self.path, descriptor.digest[7:])
        write(final, fetch, on_bytes)
        self._made.append(final)

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target."""
        name = "manifest.json" if top else f"{digest[7:]}.manifest.json"
        path = os.path.join(self.path, name)
        if not top and not os.path.exists(path):
            self._made.append(path)
        documents.write_bytes(os.path.join(self.path, "version"), _VERSION)
        documents.write_bytes(path, data)

    def finish(self) -> None:
        """See Target."""
        self._made, self._new = [], False

    def close(self) -> None:
        """See Target."""
        for path in self._made:
            os.unlink(path)
        sweep(self.path)
        if self._new:
            for name in ("version", "manifest.json"):
                if os.path.exists(os.path.join(self.path, name)):
                    os.unlink(os.path.join(self.path, name))
            os.rmdir(self.path)
