"""Layers that have not arrived, as a file system: served from their tables of contents (FUSE).

Scope: names, attributes and reads, by fuse-python; where compressed bytes come from is the matter
of the `Source` that is given.  Every chunk is verified by its digest before a byte of it is read.
Read-only, and the lower directories of an overlay: whiteouts and opaque directories look as they do
in an unpacked layer.  `/0`, `/1` and so on are the layers.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections import OrderedDict

from rootless.chunked import codecs, table
from rootless.chunked.table import Chunk, Entry, Table
from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol

    class Source(Protocol):
        """The compressed bytes of one layer's blob."""

        kind: str

        def piece(self, start: int, end: int) -> bytes:
            """Bytes of the blob.  Raises RootlessError, OSError."""
            ...


_CACHE = 64 << 20
"""Plain bytes of chunks that are kept; the kernel's page cache keeps what was read."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_TYPES = {
    table.DIRECTORY: stat.S_IFDIR,
    table.REGULAR: stat.S_IFREG,
    table.SYMLINK: stat.S_IFLNK,
    "fifo": stat.S_IFIFO,
}


class Node:
    """A file, directory or link as the kernel sees it."""

    __slots__ = ("attributes", "children", "chunks", "link", "source", "st_atime", "st_blksize",
                 "st_blocks", "st_ctime", "st_dev", "st_gid", "st_ino", "st_mode", "st_mtime",
                 "st_nlink", "st_rdev", "st_size", "st_uid")  # fmt: skip

    def __init__(self, mode: int, number: int) -> None:
        self.st_mode = mode
        self.st_ino = number
        self.st_nlink = 2 if stat.S_ISDIR(mode) else 1
        self.st_uid = self.st_gid = self.st_size = self.st_rdev = self.st_dev = 0
        self.st_blocks = 0
        self.st_blksize = 4096
        self.st_atime = self.st_mtime = self.st_ctime = 0.0
        self.link = ""
        self.attributes: dict[str, bytes] = {}
        self.children: dict[str, Node] = {}
        self.chunks: list[Chunk] = []
        self.source: Source | None = None


class Tree:
    """The nodes of all layers by path.  Raises TableError for a table that cannot be a tree."""

    def __init__(self, layers: Sequence[tuple[Table, Source | None]], *, single: bool) -> None:
        """`single`: only one id is mapped, so everything is root's."""
        self._count = 1
        self._single = single
        self.root = Node(stat.S_IFDIR | 0o755, 1)
        for number, (found, source) in enumerate(layers):
            top = self._new(stat.S_IFDIR | 0o755)
            self.root.children[str(number)] = top
            for entry in found.entries:
                self._add(top, entry, source)

    def find(self, path: str) -> Node:
        """Raises FileNotFoundError."""
        node = self.root
        for part in path.split("/"):
            if part:
                found = node.children.get(part)
                if found is None:
                    raise FileNotFoundError(errno.ENOENT, "no such file", path)
                node = found
        return node

    def _new(self, mode: int) -> Node:
        self._count += 1
        return Node(mode, self._count)

    def _parent(self, top: Node, path: str) -> Node:
        node = top
        for part in path.split("/")[:-1]:
            found = node.children.get(part)
            if found is None or not stat.S_ISDIR(found.st_mode):
                # below a link or a file: an unpacked layer would follow the link, inside itself;
                # such a layer is for unpacking, not for this
                if found is not None:
                    raise table.wrong(f"{path[:200]!r} lies below what is no directory")
                found = node.children[part] = self._new(stat.S_IFDIR | 0o755)
            node = found
        return node

    def _add(self, top: Node, entry: Entry, source: Source | None) -> None:
        if not entry.path:
            if entry.kind == table.DIRECTORY:
                self._describe(top, entry, stat.S_IFDIR)
            return
        parent = self._parent(top, entry.path)
        name = entry.path.rpartition("/")[2]
        if name == _OPAQUE:
            parent.attributes["user.overlay.opaque"] = b"y"
            return
        if name.startswith(_WHITEOUT):
            hidden = name[len(_WHITEOUT) :]
            if hidden in ("", ".", ".."):
                raise table.wrong(f"it has the invalid whiteout {entry.path[:200]!r}")
            parent.children[hidden] = self._new(stat.S_IFCHR)
            return
        if entry.kind == table.HARD_LINK:
            parent.children[name] = self._linked(top, entry)
            return
        if entry.kind not in _TYPES:
            return  # device nodes cannot be had here, as in an unpacked layer
        old = parent.children.get(name)
        keep = old is not None and entry.kind == table.DIRECTORY and stat.S_ISDIR(old.st_mode)
        node = old if keep and old is not None else self._new(0)
        self._describe(node, entry, _TYPES[entry.kind])
        node.source, node.chunks, node.link = source, entry.chunks, entry.link
        parent.children[name] = node

    def _linked(self, top: Node, entry: Entry) -> Node:
        node: Node | None = top
        for part in entry.link.split("/"):
            node = node.children.get(part) if node is not None else None
        if node is None or stat.S_ISDIR(node.st_mode):
            raise table.wrong(f"the hard link {entry.path[:200]!r} leads to nothing in it")
        node.st_nlink += 1
        return node

    def _describe(self, node: Node, entry: Entry, kind: int) -> None:
        node.st_mode = kind | (0o777 if kind == stat.S_IFLNK else entry.mode)
        if not self._single:
            node.st_uid, node.st_gid = entry.uid, entry.gid
        node.st_nlink = 2 if kind == stat.S_IFDIR else 1
        node.st_size = len(os.fsencode(entry.link)) if kind == stat.S_IFLNK else entry.size
        node.st_blocks = -(-entry.size // 512)
        node.st_atime = node.st_mtime = node.st_ctime = entry.time / 1e9
        for key, value in entry.attributes.items():
            # as the unpacker: an image must not speak to the overlay file system
            if key == "security.capability" or (
                key.startswith("user.") and not key.startswith("user.overlay.")
            ):
                try:
                    value.decode()
                except ValueError:
                    # fuse-python gives the kernel text alone
                    raise table.wrong(f"{key} of {entry.path!r} has odd bytes") from None
                node.attributes[key] = value


class Reader:
    """Plain bytes of files, verified; what was decompressed lately is kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()
        self._busy: dict[tuple[int, int], threading.Lock] = {}

    def read(self, node: Node, offset: int, size: int) -> bytes:
        """Up to `size` bytes.  Raises RootlessError, OSError."""
        end = min(offset + size, node.st_size)
        parts = []
        for chunk in _covering(node.chunks, offset, end):
            data = self._chunk(node, chunk)
            parts.append(data[max(0, offset - chunk.offset) : end - chunk.offset])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunk(self, node: Node, chunk: Chunk) -> bytes:
        if node.source is None:
            raise OSError(errno.EIO, "there is no content")
        if chunk.zeros:
            return bytes(chunk.size)
        key = (id(node.source), chunk.start)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            busy = self._busy.setdefault(key, threading.Lock())
        # whoever wants the same chunk waits here, and finds it kept
        with busy:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            data = node.source.piece(chunk.start, chunk.end)
            plain = codecs.plain(chunk, data, node.source.kind)
            with self._lock:
                self._busy.pop(key, None)
                self._kept[key] = plain
                self._size += len(plain)
                while self._size > _CACHE and len(self._kept) > 1:
                    self._size -= len(self._kept.popitem(last=False)[1])
        return plain


def _covering(chunks: list[Chunk], offset: int, end: int) -> Iterator[Chunk]:
    import bisect

    at = bisect.bisect_right(chunks, offset, key=lambda chunk: chunk.offset) - 1
    for chunk in chunks[max(at, 0) :]:
        if chunk.offset >= end:
            return
        if chunk.offset + chunk.size > offset:
            yield chunk


def complain(text: str) -> None:
    """A line for the helpers' log."""
    sys.stderr.write(text.rstrip() + "\n")
    sys.stderr.flush()


class _Complaints:
    """Says the same thing once, until something else happens."""

    def __init__(self) -> None:
        self._last = ""

    def about(self, path: str, error: BaseException) -> None:
        text = str(error)
        if text != self._last:
            self._last = text
            name = "/" + path.strip("/").partition("/")[2]
            complain(f"error: {name} cannot be read: {text}")


def serve(tree: Tree, mount_point: str) -> None:
    """Mount the tree and answer until it is unmounted or SIGTERM comes.

    Raises StorageError where fuse-python is missing, or the mount is refused.
    """
    fuse = load()
    reader, complaints = Reader(), _Complaints()

    class Files(fuse.Fuse):  # type: ignore[misc,name-defined]
        """fuse-python asks this object."""

        def getattr(self, path: str) -> Node:
            return tree.find(path)

        def readlink(self, path: str) -> str:
            return tree.find(path).link

        def readdir(self, path: str, _: int) -> Iterator[object]:
            node = tree.find(path)
            for name in (".", ".."):
                yield fuse.Direntry(name)
            for name, child in node.children.items():
                yield fuse.Direntry(name, type=stat.S_IFMT(child.st_mode), ino=child.st_ino)

        def open(self, path: str, flags: int) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                return -errno.EROFS
            tree.find(path)
            return 0

        def read(self, path: str, size: int, offset: int) -> bytes | int:
            node = tree.find(path)
            try:
                return reader.read(node, offset, size)
            except (RootlessError, OSError, MemoryError) as error:
                complaints.about(path, error)
                return -errno.EIO

        def getxattr(self, path: str, name: str, size: int) -> str | int:
            value = tree.find(path).attributes.get(name)
            if value is None:
                return -errno.ENODATA
            return value.decode() if size else len(value)

        def listxattr(self, path: str, size: int) -> list[str] | int:
            names = list(tree.find(path).attributes)
            return names if size else sum(len(name) + 1 for name in names)

        def statfs(self) -> object:
            return fuse.StatVfs()

    files = Files()
    options = (
        "ro,allow_other,default_permissions,use_ino,kernel_cache,attr_timeout=86400,"
        "entry_timeout=86400,negative_timeout=86400,fsname=rootless-lazy,subtype=lazy"
    )
    files.main(["rootless-lazy", "-f", "-o", options, mount_point])


def load() -> Any:
    """fuse-python.  Raises StorageError."""
    try:
        # by name, because type checkers of our users know nothing of it
        fuse: Any = __import__("fuse")
    except ImportError:
        from rootless.errors import StorageError

        raise StorageError(
            "layers cannot be served before they have arrived: fuse-python is not installed",
            hint="pip install fuse-python",
        ) from None
    fuse.fuse_python_api = (0, 2)
    return fuse


def differences(table: Table, root: str) -> Iterator[str]:
    """Where an unpacked layer is not what its table of contents said, at most five lines.

    A table is made by whoever made the tar, but nothing forces the two to agree: a container that
    was started early saw the table's files, and people should know when those were others.
    """
    count = 0
    for entry in table.entries:
        name = entry.path.rpartition("/")[2]
        if entry.kind != "reg" or name.startswith(".wh.") or name in _NOT_OF_THE_IMAGE:
            continue
        try:
            found = os.lstat(os.path.join(root, entry.path))
        except OSError:
            found = None
        if found is None or found.st_size != entry.size or found.st_mode & 0o7777 != entry.mode:
            yield f"the layer's table of contents lied about {entry.path!r}"
            count += 1
            if count == 5:
                return


_NOT_OF_THE_IMAGE = ("stargz.index.json", ".prefetch.landmark", ".no.prefetch.landmark")
