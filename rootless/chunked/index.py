"""`layers/MAPKEY/DIFF32/digests`: what an unpacked layer has, by digest.

Written when a layer with a table of contents is unpacked, removed with it.  Two readers: a pull,
which copies pieces that it would otherwise fetch out of the blobs here, and the unpacking of a
further layer, which shares equal files.  Both check what they get, so a table that lied costs
time and nothing else.
Format, numbers little-endian: `RLDX1` in 8 bytes, the blob's digest (32 bytes), how many records
(u32); records of a key (16 bytes: the beginning of a sha256), offset and length in the blob (u64
each), position of the path among the paths (u32, the largest number for none); the paths, each
ended by a zero byte.
"""

from __future__ import annotations

import os
import stat
import struct

from rootless import documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from rootless.chunked.table import Table

NAME = "digests"
_MAGIC = b"RLDX1\0\0\0"
_HEAD = struct.Struct("<8s32sI")
_RECORD = struct.Struct("<16sQQI")
_NO_PATH = 0xFFFFFFFF
_MOST_PLAIN = 64  # layers without a table that are looked into, the newest
_SAMPLE = 64
_MOST = 512
"""Layers that are searched: the newest, because an image resembles what it replaces."""


def write(path: str, digest: str, table: Table) -> None:
    """Write the index of a layer whose blob is `digest`.  Raises OSError."""
    records: list[bytes] = []
    names: list[bytes] = []
    at = 0
    paths = {}
    for entry in table.entries:
        if entry.digest and entry.kind == "reg":
            paths[bytes.fromhex(entry.digest[7:39])] = entry.path
    pieces: dict[bytes, tuple[int, int]] = {}
    for start, end, key in table.pieces():
        if key:
            pieces.setdefault(key, (start, end - start))
    for key in {**pieces, **dict.fromkeys(paths)}:
        start, length = pieces.get(key, (0, 0))
        where = _NO_PATH
        if key in paths:
            name = os.fsencode(paths[key]) + b"\0"
            where, at = at, at + len(name)
            names.append(name)
        records.append(_RECORD.pack(key, start, length, where))
    head = _HEAD.pack(_MAGIC, bytes.fromhex(digest[7:]), len(records))
    documents.write_bytes(path, head + b"".join(records) + b"".join(names))


class Piece:
    """Bytes of a blob: `length` from `offset` on, and `path`, the file in the unpacked layer that
    has this content ("" for a part of one)."""

    __slots__ = ("blob", "length", "offset", "path")

    def __init__(self, blob: str, offset: int, length: int, path: str) -> None:
        self.blob = blob
        self.offset = offset
        self.length = length
        self.path = path


def find(path: str, wanted: Container[bytes]) -> Iterator[tuple[bytes, Piece]]:
    """Yield those of the keys `wanted` that the index at `path` has; `path` of a piece is relative
    to the layer's root.  An index that cannot be read has none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        magic, digest, count = _HEAD.unpack_from(data)
        end = _HEAD.size + count * _RECORD.size
        if magic != _MAGIC or end > len(data):
            return
    except (OSError, struct.error):
        return
    blob = "sha256:" + digest.hex()
    for key, offset, length, where in _RECORD.iter_unpack(memoryview(data)[_HEAD.size : end]):
        if key in wanted:
            name = b"" if where == _NO_PATH else data[end + where :].split(b"\0", 1)[0]
            yield key, Piece(blob, offset, length, os.fsdecode(name))


def indexes(directories: Iterable[str]) -> list[str]:
    """Return paths of the indexes in directories of layers (`layers/MAPKEY`), the newest first."""
    found: list[tuple[float, str]] = []
    for directory in filter(os.path.isdir, directories):
        for name in documents.names_in(directory):
            path = os.path.join(directory, name, NAME)
            try:
                found.append((os.stat(path).st_mtime, path))
            except OSError:
                continue
    return [path for _, path in sorted(found, reverse=True)[:_MOST]]


# layers that came without a table


def without_table(directories: Iterable[str]) -> list[str]:
    """Return roots of unpacked layers that came without a table, in directories of layers
    (`layers/MAPKEY`), the newest first."""
    found: list[tuple[float, str]] = []
    for directory in filter(os.path.isdir, directories):
        for name in documents.names_in(directory):
            layer = os.path.join(directory, name)
            if len(name) == 32 and not os.path.exists(os.path.join(layer, NAME)):
                try:
                    found.append((os.stat(layer).st_mtime, os.path.join(layer, "fs")))
                except OSError:
                    continue
    return [root for _, root in sorted(found, reverse=True)[:_MOST_PLAIN]]


def resembling(root: str, sizes: dict[str, int]) -> list[str]:
    """Return those of the paths (with their sizes) that are files of the same size there.

    A few are looked for first: most layers of other images have none of them.
    """
    names = list(sizes)
    step = max(1, len(names) // _SAMPLE)
    if not any(_is_there(root, name, sizes[name]) for name in names[::step]):
        return []
    return [name for name in names if _is_there(root, name, sizes[name])]


def _is_there(root: str, name: str, size: int) -> bool:
    try:
        found = os.lstat(os.path.join(root, name))
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def open_file(root: str, path: str) -> tuple[int, str, int]:
    """Return a file below the root of an unpacked layer: (descriptor of its directory, name in
    that, descriptor of the file).  Raises OSError.

    Through no link: a layer could have one that leads to files of the host.
    """
    from rootless import kernel

    head, _, last = path.rpartition("/")
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        within = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS
        directory = kernel.calls.openat2(top, head or ".", flags, resolve=within)
    finally:
        os.close(top)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return directory, last, os.open(last, flags, dir_fd=directory)
    except BaseException:
        os.close(directory)
        raise
