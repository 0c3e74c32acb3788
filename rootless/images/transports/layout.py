"""OCI image layouts: `index.json` and blobs by digest.

Source: OCI image layout specification 1.1; the names that skopeo, podman and containerd give.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from rootless import disks, documents
from rootless.errors import ImageNotFound, StorageError, UsageError
from rootless.images.formats import manifests
from rootless.images.formats.manifests import Descriptor
from rootless.images.transports.base import Fetch, OnBytes, Source, Target
from rootless.images.transports.layout_files import Archive, Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.trust.verify import Trust

REF = "org.opencontainers.image.ref.name"
_FULL = "io.containerd.image.name"
MARK = b'{"imageLayoutVersion":"1.0.0"}'


def tags(entry: dict[str, Json]) -> list[str]:
    """Return what an entry of index.json is called."""
    notes = entry.get("annotations")
    found = [notes.get(REF), notes.get(_FULL)] if isinstance(notes, dict) else []
    return [one for one in found if isinstance(one, str) and one]


def blob_name(digest: str) -> str:
    """Return where a blob is in a layout; `digest` has been looked at."""
    return "blobs/sha256/" + digest[7:]


class LayoutSource(Source):
    """One image of a layout, chosen by its tag, its digest, or by being the only one."""

    def __init__(self, files: Files, select: str) -> None:
        self.files = files
        self._select = select
        self.name = f"{files.path}:{select}" if select else files.path
        if files.size("index.json") < 0:
            raise StorageError(
                f"{files.path} is not an OCI layout: it has no index.json",
                hint="for what docker save writes, docker-archive:FILE",
            )
        index = manifests.parse(files.document("index.json"))
        self._entry = Descriptor.read(self._choose(index, select))

    def _choose(self, index: dict[str, Json], select: str) -> dict[str, Json]:
        listed = manifests.entries(index, manifests.OCI_INDEX) or []
        if not select and len(listed) == 1:
            return listed[0]
        found = [one for one in listed if select in (*tags(one), one.get("digest"))]
        if select and len(found) == 1:
            return found[0]
        names = ", ".join(sorted({name for one in listed for name in tags(one)})[:10])
        if not listed or (select and not found):
            raise ImageNotFound(
                f"{self.files.path} has no image {select}".rstrip(),
                hint=f"it has {names}" if names else "it has none with a name",
            )
        raise UsageError(
            f"{self.files.path} has {len(found) or len(listed)} images "
            + (f"called {select}" if select else "and none was chosen"),
            hint=f"add one of {names} after a colon" if names else "add a digest after a colon",
        )

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        return self.manifest(self._entry), self._entry.media_type

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        return self.files.document(blob_name(descriptor.digest))

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        return self.files.read(blob_name(descriptor.digest), offset)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source."""
        kind = "oci-archive" if isinstance(self.files, Archive) else "oci"
        trust.local(kind, self.files.path, self._select)

    def close(self) -> None:
        """See Source."""
        self.files.close()


class LayoutTarget(Target):
    """A layout in a directory, made where there is none; other images in it stay."""

    family = "oci"

    def __init__(self, path: str, tag: str) -> None:
        self.path = path
        self.tag = tag
        self.name = f"{path}:{tag}" if tag else path
        if os.path.exists(os.path.join(path, "index.json")):
            pass
        elif os.path.isdir(path) and os.listdir(path):
            raise UsageError(
                f"the directory {path} is neither empty nor an OCI layout",
                hint="give a new directory",
            )
        self._made: list[str] = []
        self._entry: dict[str, Json] | None = None
        self._lock = threading.Lock()
        _ensure(os.path.join(path, "blobs/sha256"))

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        path = os.path.join(self.path, blob_name(descriptor.digest))
        try:
            return "already exists" if os.stat(path).st_size == descriptor.size else ""
        except FileNotFoundError:
            return ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""
        final = os.path.join(self.path, blob_name(descriptor.digest))
        write(final, fetch, on_bytes)
        with self._lock:
            self._made.append(final)

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target."""
        path = os.path.join(self.path, blob_name(digest))
        if not os.path.exists(path):
            documents.write_bytes(path, data)
            self._made.append(path)
        if top:
            self._entry = {"mediaType": media_type, "digest": digest, "size": len(data)}
            if self.tag:
                self._entry["annotations"] = {REF: self.tag}

    def finish(self) -> None:
        """See Target.  Two writers at once lose nothing: the index is changed under a lock."""
        with documents.DirectoryLock(self.path, blocking=True):
            path = os.path.join(self.path, "index.json")
            index: Json = {"schemaVersion": 2, "manifests": []}
            if os.path.exists(path):
                index = documents.read(path)
            assert self._entry is not None
            index["manifests"] = [*others(index, self._entry, self.tag), self._entry]
            documents.write_bytes(os.path.join(self.path, "oci-layout"), MARK)
            documents.write(path, index)
        self._made = []

    def close(self) -> None:
        """See Target.  Blobs without an image go; a directory that was made for them goes too."""
        for path in self._made:
            os.unlink(path)
        sweep(os.path.join(self.path, "blobs/sha256"))
        for name in ("blobs/sha256", "blobs", ""):
            try:
                os.rmdir(os.path.join(self.path, name))
            except OSError:
                break


def others(index: Json, entry: dict[str, Json], tag: str) -> list[Json]:
    """Return entries of an index that stay when `entry` comes under the name `tag`."""
    listed = index.get("manifests") if isinstance(index, dict) else None
    return [
        one
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
        and not (tag and tag in tags(one))
        and not (not tags(one) and one.get("digest") == entry["digest"])
    ]


def _ensure(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the directory {path}: {error.strerror}", hint="check its permissions"
        ) from None


def write(final: str, fetch: Fetch, on_bytes: OnBytes) -> None:
    """Write a file and give it its name when it is whole.  Raises StorageError."""
    temporary = f"{final}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        with open(temporary, "wb") as file:
            for piece in fetch(0):
                file.write(piece)
                on_bytes(len(piece))
        os.rename(temporary, final)
    except OSError as error:
        _unlink(temporary)
        raise disks.refused(final, error, elsewhere=disks.ELSEWHERE) from None
    except BaseException:
        _unlink(temporary)
        raise


def sweep(directory: str) -> None:
    """Remove what threads of ours have begun to write and will not finish."""
    for name in documents.names_in(directory):
        if name.endswith(".tmp") and f".{os.getpid()}." in name:
            _unlink(os.path.join(directory, name))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
