"""An unpacked layer held against its blob: names, kinds, owners, modes, sizes, times, contents.

Scope: reading.  Runs in the user namespace.  `unpack` makes what is expected here; source: OCI
image specification, layer.md.
"""

from __future__ import annotations

import hashlib
import os
import stat

from rootless.errors import StorageError
from rootless.storage.layers import layer_view, tar
from rootless.storage.layers.decompress import Hashed, decompressed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_MOST = 20
_KINDS = {
    tar.REGULAR: (stat.S_IFREG, "a file"),
    tar.DIRECTORY: (stat.S_IFDIR, "a directory"),
    tar.SYMLINK: (stat.S_IFLNK, "a link"),
    tar.FIFO: (stat.S_IFIFO, "a pipe"),
}
_WHITEOUT = 0
_IMPLIED = -1
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Expected:
    """What a path must be.  `kind` is the tar's, _WHITEOUT, or _IMPLIED for a directory without a
    member of its own; `inode` is shared by hard links."""

    __slots__ = ("content", "gid", "kind", "link", "mode", "size", "time", "uid")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.mode = self.uid = self.gid = self.size = self.time = 0
        self.link = ""
        self.content = b""


def verify_worker(request: Json) -> Json:
    """{"target", "blob", "diff_id", "single", "contents"} -> sentences of what is wrong, a few.

    Raises StorageError when the blob cannot be read or is another layer's.
    """
    expected = Tree(contents=request["contents"])
    try:
        with open(request["blob"], "rb") as blob:
            hashed = Hashed(decompressed(blob))
            try:
                archive = tar.Reader(hashed.read)
                for member in archive:
                    expected.add(archive, member)
                hashed.drain()
            finally:
                hashed.close()
    except OSError as error:
        raise StorageError(f"cannot read {request['blob']}: {error.strerror}") from None
    if f"sha256:{hashed.digest()}" != request["diff_id"]:
        raise StorageError("the blob holds another layer")
    looker = _Looker(expected, single=request["single"], contents=request["contents"])
    try:
        fd = os.open(request["target"], _OPEN | os.O_DIRECTORY)
    except OSError as error:
        return [f"cannot be opened: {error.strerror}"]
    looker.whole(fd)
    return looker.found


class Tree:
    """What the members of the archive make, one after the other."""

    def __init__(self, *, contents: bool) -> None:
        self._contents = contents
        self.paths: dict[str, Expected] = {}
        self.children: dict[str, set[str]] = {"": set()}

    def add(self, archive: tar.Reader, entry: tar.Member) -> None:
        """Apply one member."""
        path = "/".join(part for part in entry.name.split("/") if part not in ("", "."))
        if not path:
            return
        parent, _, name = path.rpartition("/")
        parent = self._resolve(parent)
        if name in layer_view.MARKS:
            return
        if name.startswith(layer_view.PREFIX):
            self._put(parent, name[len(layer_view.PREFIX) :], Expected(_WHITEOUT))
            return
        if entry.kind == tar.LINK:
            source, _, last = _clean(entry.link).rpartition("/")
            known = self.paths.get(_join(self._resolve(source), last))
            if known is not None:
                self._put(parent, name, known)
            return
        if entry.kind not in _KINDS:
            return  # devices cannot be made in a user namespace
        made = Expected(entry.kind)
        made.mode, made.uid, made.gid = entry.mode, entry.uid, entry.gid
        made.size, made.time, made.link = entry.size, entry.time, entry.link
        if entry.kind == tar.REGULAR and self._contents:
            made.content = _digest(archive, entry)
        self._put(parent, name, made)

    def _put(self, parent: str, name: str, made: Expected) -> None:
        path = _join(parent, name)
        old = self.paths.get(path)
        was_directory = old is not None and old.kind in (tar.DIRECTORY, _IMPLIED)
        if was_directory and made.kind != tar.DIRECTORY:
            self._forget(path)
        self.paths[path] = made
        self.children[parent].add(name)
        if made.kind in (tar.DIRECTORY, _IMPLIED):
            self.children.setdefault(path, set())

    def _forget(self, path: str) -> None:
        for name in self.children.pop(path, set()):
            self._forget(_join(path, name))
            self.paths.pop(_join(path, name), None)

    def _resolve(self, path: str) -> str:
        """The directory that a path leads to, through links as the kernel would below the root."""
        at = ""
        parts = [part for part in path.split("/") if part][::-1]
        for _ in range(len(parts) + 400):
            if not parts:
                return at
            name = parts.pop()
            if name in ("", "."):
                continue
            if name == "..":
                at = at.rpartition("/")[0]
                continue
            here = _join(at, name)
            known = self.paths.get(here)
            if known is not None and known.kind == tar.SYMLINK:
                if known.link.startswith("/"):
                    at = ""
                parts += known.link.split("/")[::-1]
                continue
            if known is None or known.kind == _WHITEOUT:
                self._put(at, name, Expected(_IMPLIED))
            at = here
        raise StorageError(f"links lead in a circle at {path}")


class _Looker:
    """Goes through the directory and notes what differs."""

    def __init__(self, expected: Tree, *, single: bool, contents: bool) -> None:
        self._expected = expected
        self._single = single
        self._contents = contents
        self.found: list[str] = []
        self._noted = False

    def whole(self, fd: int) -> None:
        """The layer's directory; closes it."""
        self._noted = layer_view.noted(fd) is not None
        self.directory(fd, "")

    def _note(self, path: str, what: str) -> None:
        if len(self.found) < _MOST:
            self.found.append(f"/{path} {what}")

    def directory(self, fd: int, path: str) -> None:
        """What is in a directory; closes it."""
        try:
            wanted = self._expected.children.get(path, set())
            there = set(os.listdir(fd))
            for name in sorted(there | wanted):
                inner = _join(path, name)
                if name in layer_view.MARKS:
                    continue
                if name not in wanted:
                    hidden = name.removeprefix(layer_view.PREFIX)
                    plain = self._expected.paths.get(_join(path, hidden))
                    if hidden == name or plain is None or plain.kind != _WHITEOUT:
                        self._note(inner, "is not of the layer")
                    continue
                expected = self._expected.paths[inner]
                if name not in there:
                    if expected.kind != _WHITEOUT or layer_view.PREFIX + name not in there:
                        self._note(inner, "is missing")
                    continue
                self._one(fd, name, inner, expected)
        finally:
            os.close(fd)

    def _one(self, parent: int, name: str, path: str, expected: Expected) -> None:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if expected.kind == _WHITEOUT:
            if not layer_view.is_whiteout(status):
                self._note(path, "hides nothing, and should")
            return
        wanted, word = _KINDS[tar.DIRECTORY if expected.kind == _IMPLIED else expected.kind]
        if stat.S_IFMT(status.st_mode) != wanted:
            self._note(path, f"is not {word}")
            return
        if expected.kind != _IMPLIED:
            self._metadata(parent, name, path, expected, status)
        if wanted == stat.S_IFDIR:
            self.directory(os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=parent), path)
        elif wanted == stat.S_IFREG and self._contents:
            self._content(parent, name, path, expected)

    def _metadata(
        self, parent: int, name: str, path: str, expected: Expected, status: os.stat_result
    ) -> None:
        mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        told = self._told(parent, name, status)
        if told is not None:
            mode, owner = told[2], told[:2]
        if expected.kind == tar.SYMLINK:
            if os.readlink(name, dir_fd=parent) != expected.link:
                self._note(path, "leads elsewhere")
        elif mode != expected.mode & 0o7777:
            self._note(path, f"has the mode {mode:o}, "
                             f"not {expected.mode & 0o7777:o}")  # fmt: skip
        # where owners are in attributes, what has no attributes belongs to nobody else
        bare = self._noted and stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
        if not self._single and not bare and owner != (expected.uid, expected.gid):
            self._note(path, f"belongs to {owner[0]}:{owner[1]}, "
                             f"not {expected.uid}:{expected.gid}")  # fmt: skip
        if expected.kind == tar.REGULAR and status.st_size != expected.size:
            self._note(path, f"has {status.st_size} bytes, not {expected.size}")
        # file systems with coarse times round down
        if abs(status.st_mtime_ns - expected.time) >= 1_000_000_000:
            self._note(path, "was changed at another time")

    def _told(self, parent: int, name: str, status: os.stat_result) -> tuple[int, int, int] | None:
        """What an attribute tells of owner and mode, where the file system refused the owner."""
        if not self._noted or stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            return None
        fd = os.open(name, _OPEN, dir_fd=parent)
        try:
            return layer_view.noted(fd)
        finally:
            os.close(fd)

    def _content(self, parent: int, name: str, path: str, expected: Expected) -> None:
        fd = os.open(name, _OPEN, dir_fd=parent)
        with open(fd, "rb", buffering=0) as file:
            found = hashlib.file_digest(file, "sha256").digest()
        if found != expected.content:
            self._note(path, "has other contents")


def _join(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _digest(archive: tar.Reader, entry: tar.Member) -> bytes:
    hasher = hashlib.sha256()
    if entry.pieces is None:
        for piece in archive.data():
            hasher.update(piece)
        return hasher.digest()
    at = 0
    for offset, length in entry.pieces:
        _zeros(hasher, offset - at)
        for piece in archive.data(length):
            hasher.update(piece)
        at = offset + length
    _zeros(hasher, entry.size - at)
    return hasher.digest()


def _zeros(hasher: hashlib._Hash, count: int) -> None:
    block = bytes(1 << 20)
    while count > 0:
        hasher.update(block[: min(count, len(block))])
        count -= len(block)
