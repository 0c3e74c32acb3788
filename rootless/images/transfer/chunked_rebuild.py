"""Pieces of a zstd:chunked blob made again out of files that came in layers without a table.

Scope: files of unpacked layers are compressed once more, and the headers between them come from the
blob's own tar-split data, which is fetched with its table.  That gives the blob's bytes only if the
same compressor at the same level made it, which a few files show; what was made must have the
length that the table says, and the digest of the whole has the last word as ever.

What a hostile registry could try: a table that names files of the host (files are opened below
their layer and through no link, so that no registry learns by what is fetched whether a file of the
host has some content), tar-split data without end (bounded, as the table is).
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import IO

from rootless import documents
from rootless.chunked import codecs, index, places, writing
from rootless.chunked.table import Chunk, Entry, Table, TableError
from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json

    # (start, end) of a piece -> where it lies in the spool
    Made = dict[tuple[int, int], int]

_LEVELS = (3, 1, 2, 4, 5, 6, 7, 8, 9, 11, 13, 15, 17, 19, 22)
_TELLING = 2000  # plain bytes: of fewer many levels make the same
_TRIED = 3


class Rebuilder:
    """The pieces of one blob with this table; `roots` are those of layers without one."""

    def __init__(self, table: Table, roots: list[str]) -> None:
        self._table = table
        self._roots = roots
        self._level = 0
        self._tried = 0

    def make(
        self,
        missing: set[tuple[int, int]],
        spool: IO[bytes],
        tail: bytes,
        start: int,
        notes: dict[str, Json],
    ) -> Made:
        """Return those of the `missing` pieces, (start, end) each, that can be made are put into
        `spool`.

        `tail` is the blob from `start` on, `notes` are the layer's annotations.  Raises OSError.
        """
        self._spool = spool
        made: Made = {}
        sizes = {
            entry.path: entry.size
            for entry in self._table.entries
            if any((one.start, one.end) in missing for one in entry.chunks)
        }
        found: dict[str, str] = {}
        for root in self._roots:
            for name in index.resembling(root, sizes):
                found[name] = root
                del sizes[name]
        for entry in self._table.entries:
            if entry.path in found:
                self._file(entry, found[entry.path], missing, made)
            if self._tried >= _TRIED and not self._level:
                return {}  # another compressor's
        if made:
            self._headers(missing, made, tail, start, notes)
        return made

    def _file(self, entry: Entry, root: str, missing: set[tuple[int, int]], made: Made) -> None:
        try:
            directory, _, fd = index.open_file(root, entry.path)
        except OSError:
            return  # of another id, or not there any more
        try:
            for chunk in entry.chunks:
                if (chunk.start, chunk.end) not in missing or chunk.size > writing.CHUNK:
                    continue
                data = os.pread(fd, chunk.size, chunk.offset)
                if "sha256:" + hashlib.sha256(data).hexdigest() == chunk.digest:
                    self._keep(data, chunk, made)
        finally:
            os.close(fd)
            os.close(directory)

    def _keep(self, data: bytes, chunk: Chunk, made: Made) -> None:
        length = chunk.end - chunk.start
        if not self._level:
            if self._tried >= _TRIED or len(data) < _TELLING:
                return
            self._tried += 1
            fitting = (one for one in _LEVELS if len(writing.frame(data, one)) == length)
            self._level = next(fitting, 0)
            if not self._level:
                return
        self._write(writing.frame(data, self._level), chunk.start, chunk.end, made)

    def _write(self, frame: bytes, start: int, end: int, made: Made) -> None:
        if len(frame) == end - start:
            made[start, end] = self._spool.seek(0, os.SEEK_END)
            self._spool.write(frame)

    def _headers(
        self,
        missing: set[tuple[int, int]],
        made: Made,
        tail: bytes,
        start: int,
        notes: dict[str, Json],
    ) -> None:
        """What lies between the contents of files."""
        try:
            between = list(_between(_split(tail, start, notes)))
        except (TableError, StorageError, ValueError, KeyError, TypeError):
            return
        at, number = 0, 0
        for entry in self._table.entries:
            for first, chunk in enumerate(entry.chunks):
                if not first:
                    if (at, chunk.start) in missing and number < len(between):
                        frame = writing.frame(between[number], self._level)
                        self._write(frame, at, chunk.start, made)
                    number += 1
                at = chunk.end
        if (at, self._table.end) in missing and number < len(between):
            self._write(writing.frame(between[number], self._level), at, self._table.end, made)


def _split(tail: bytes, start: int, notes: dict[str, Json]) -> bytes:
    """The tar-split data in the tail.  Raises TableError, ValueError, KeyError."""
    offset, length, plain, kind = (
        int(one) for one in str(notes[places.TAR_SPLIT_POSITION]).split(":")
    )
    if kind != 1 or not 0 <= plain <= _LONGEST or not start <= offset <= offset + length:
        raise ValueError("no such place")
    return codecs.frame(tail[offset - start : offset - start + length], plain)


_LONGEST = 64 << 20


def _between(split: bytes) -> Iterator[bytes]:
    """Headers and padding before each file that has content, and after the last of them."""
    parts: list[bytes] = []
    for line in split.splitlines():
        value = documents.loads(line.decode())
        if value["type"] == 2:
            parts.append(base64.b64decode(value["payload"], validate=True))
        elif value.get("size"):
            yield b"".join(parts)
            parts = []
    yield b"".join(parts)
