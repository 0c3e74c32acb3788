"""A plain tar made into a zstd:chunked blob: every file a frame of its own, or one each MiB.

The same tar, level and library give the same bytes.  Source: containers/storage,
containers-storage-zstd-chunked.md.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import tarfile

from rootless import documents
from rootless.chunked import places, tarsplit, zstd
from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from rootless.documents import Json

CHUNK = 1 << 20
LEVEL = 3
_PLAIN = b"0", b"\0", b"7"
_NAMES = {b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}


class Written:
    """A blob: its `digest`, `size`, the `diff_id` of the tar in it, and the layer's `annotations`,
    without which no reader looks for the table."""

    __slots__ = ("annotations", "diff_id", "digest", "size")

    def __init__(self, digest: str, size: int, diff_id: str, annotations: dict[str, str]) -> None:
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.annotations = annotations


def write(tar: IO[bytes], out: IO[bytes], *, level: int = LEVEL) -> Written:
    """Write `tar`, plain and seekable, to `out`; at the current position of both.

    Raises StorageError for what is no tar, or holds sparse files, for which the table has no form.
    """
    writer = _Writer(tar, out.write, level)
    try:
        with tarfile.open(fileobj=tar, mode="r:") as archive:
            for member in archive:
                writer.member(member)
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep every one
    except tarfile.TarError as error:
        raise StorageError(f"this is not a tar archive: {error}", hint="make it again") from None
    return writer.finish()


def frame(data: bytes, level: int) -> bytes:
    """Return a frame, a piece of a blob: the same data, level and library give the same bytes."""
    compressor = zstd.module().ZstdCompressor(level=level)
    return bytes(compressor.compress(data, mode=compressor.FLUSH_FRAME))


class _Writer:
    """One blob on its way."""

    def __init__(self, tar: IO[bytes], write: Callable[[bytes], object], level: int) -> None:
        self._tar = tar
        self._write = write
        self._level = level
        self._read_to = tar.tell()
        self._size = 0
        self._digest = hashlib.sha256()
        self._diff_id = hashlib.sha256()
        self._split = tarsplit.Writer()
        self._headers = b""
        self._entries: list[Json] = []

    def member(self, member: tarfile.TarInfo) -> None:
        """Write everything up to the end of this member's content."""
        if member.sparse is not None:
            raise StorageError(
                f"{member.name} is a sparse file, which zstd:chunked cannot hold",
                hint="use --compression-format zstd",
            )
        after = self._tar.tell()
        plain = member.type in _PLAIN and not member.isdir()
        name = member.name + "/" if member.isdir() else member.name
        self._between(self._plain(member.offset_data - self._read_to))
        entry = _described(member, name)
        if plain and member.size:
            self._split.member(name, member.size, self._content(entry, member.size))
        else:
            self._entries.append(entry)
            self._split.member(name, 0, 0)
        self._tar.seek(after)

    def finish(self) -> Written:
        """Write the end of the archive, the table, the tar-split data and the footer."""
        self._tar.seek(self._read_to)
        while rest := self._plain(CHUNK, least=0):
            self._between(rest)
        self._flush()
        split = self._compress(self._split.data())
        table = documents.dumps(
            {
                "version": 1,
                "entries": self._entries,
                "tarSplitDigest": "sha256:" + hashlib.sha256(split).hexdigest(),
            }
        ).encode()
        packed = self._compress(table)
        start = self._size + places.SKIPPABLE_HEADER
        split_start = start + len(packed) + places.SKIPPABLE_HEADER
        split_plain = len(self._split.data())
        self._frame(packed)
        self._frame(split)
        numbers = (start, len(packed), len(table), 1, split_start, len(split), split_plain)
        self._frame(struct.pack("<7Q", *numbers) + places.FOOTER_MAGIC)
        return Written(
            "sha256:" + self._digest.hexdigest(),
            self._size,
            "sha256:" + self._diff_id.hexdigest(),
            {
                places.CHECKSUM: "sha256:" + hashlib.sha256(packed).hexdigest(),
                places.POSITION: ":".join(str(one) for one in numbers[:4]),
                places.TAR_SPLIT_POSITION: ":".join(str(one) for one in numbers[4:]),
            },
        )

    def _plain(self, count: int, least: int = -1) -> bytes:
        self._tar.seek(self._read_to)
        data = self._tar.read(count)
        if len(data) < count and least < 0:
            raise StorageError("the tar archive is cut short", hint="make or fetch it again")
        self._read_to += len(data)
        self._diff_id.update(data)
        return data

    def _between(self, data: bytes) -> None:
        self._split.segment(data)
        self._headers += data

    def _flush(self) -> None:
        if self._headers:
            self._emit(self._compress(self._headers))
            self._headers = b""

    def _content(self, entry: Json, size: int) -> int:
        """The frames of a file; its entry, or entries, are appended.  Returns the CRC."""
        self._flush()
        whole = hashlib.sha256()
        crc, offset = 0, 0
        chunks: list[tuple[int, int, int, str]] = []
        while offset < size:
            data = self._plain(min(CHUNK, size - offset))
            whole.update(data)
            crc = tarsplit.crc64(data, crc)
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            chunks.append((offset, len(data), self._size, digest))
            self._emit(self._compress(data))
            offset += len(data)
        entry["digest"] = "sha256:" + whole.hexdigest()
        entry["offset"], entry["endOffset"] = chunks[0][2], self._size
        self._entries.append(entry)
        if len(chunks) > 1:
            entry["chunkSize"], entry["chunkDigest"] = chunks[0][1], chunks[0][3]
            for at, count, start, digest in chunks[1:]:
                self._entries.append(
                    {"type": "chunk", "name": entry["name"], "offset": start, "chunkSize": count,
                     "chunkOffset": at, "chunkDigest": digest}
                )  # fmt: skip
        return crc

    def _compress(self, data: bytes) -> bytes:
        return frame(data, self._level)

    def _frame(self, data: bytes) -> None:
        self._emit(places.SKIPPABLE + struct.pack("<I", len(data)) + data)

    def _emit(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        self._write(data)


def _described(member: tarfile.TarInfo, name: str) -> Json:
    """The entry of a member, without where its content lies."""
    kind = "dir" if member.isdir() else _NAMES.get(member.type, "reg")
    entry: Json = {"type": kind, "name": name}
    if member.linkname and kind in ("hardlink", "symlink"):
        entry["linkName"] = member.linkname
    if member.mode:
        entry["mode"] = member.mode
    if kind == "reg" and member.size:
        entry["size"] = member.size
    if member.uid:
        entry["uid"] = member.uid
    if member.gid:
        entry["gid"] = member.gid
    for key, value in (
        ("modtime", member.pax_headers.get("mtime") or str(int(member.mtime))),
        ("accesstime", member.pax_headers.get("atime", "")),
        ("changetime", member.pax_headers.get("ctime", "")),
    ):
        if value:
            entry[key] = _moment(value)
    if kind in ("char", "block"):
        entry["devMajor"], entry["devMinor"] = member.devmajor, member.devminor
    attributes = {
        key[13:]: base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
        for key, value in member.pax_headers.items()
        if key.startswith("SCHILY.xattr.")
    }
    if attributes:
        entry["xattrs"] = attributes
    return entry


def _moment(seconds: str) -> str:
    """Seconds with a fraction -> RFC 3339 in UTC, without the loss that a float would bring."""
    import time

    whole, _, fraction = seconds.partition(".")
    number, part = int(whole), int(fraction[:9].ljust(9, "0") or 0)
    if whole.startswith("-") and part:
        number, part = number - 1, 1_000_000_000 - part
    at = time.gmtime(number)
    text = f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T"
    text += f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return text + (f".{part:09}".rstrip("0") if part else "") + "Z"
