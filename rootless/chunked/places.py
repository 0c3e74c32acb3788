"""Where a blob keeps its table of contents: annotations, footers, and the tail that holds both.

Every reader takes `tail`, the last bytes of the blob from `Place.start` on, fetched in one request.
"""

from __future__ import annotations

import hashlib
import struct

from rootless.chunked import codecs, table
from rootless.chunked.table import Table, wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json

_PREFIX = "io.github.containers.zstd-chunked."
CHECKSUM = _PREFIX + "manifest-checksum"
POSITION = _PREFIX + "manifest-position"
TAR_SPLIT_POSITION = _PREFIX + "tarsplit-position"
STARGZ_DIGEST = "containerd.io/snapshot/stargz/toc.digest"

FOOTER_SIZE = 64
FOOTER_MAGIC = b"GNUlInUx"
STARGZ_FOOTER_SIZE = 51
SKIPPABLE = b"\x50\x2a\x4d\x18"
SKIPPABLE_HEADER = 8


class Place:
    """The table of one blob: compression `kind` ("zstd" or "gzip"), the `start` of the tail to
    fetch, `digest` that the manifest promises of the table ("" where it does not)."""

    __slots__ = ("digest", "kind", "length", "plain", "size", "start")

    def __init__(
        self, kind: str, size: int, start: int, length: int, plain: int, digest: str
    ) -> None:
        """`size` of the blob; `length` and `plain` size of the table (zstd:chunked)."""
        self.kind = kind
        self.size = size
        self.start = start
        self.length = length
        self.plain = plain
        self.digest = digest
        if not 0 <= start < size or size - start > table.LONGEST or plain > table.LONGEST:
            raise wrong(f"it is said to begin at {start} of {size} bytes")

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form, for `from_dict`."""
        names = {"kind": self.kind, "start": self.start, "length": self.length}
        return {**names, "blob_size": self.size, "plain": self.plain, "promised": self.digest}

    @classmethod
    def from_dict(cls, value: dict[str, Json]) -> Place:
        """Make a place from what `to_dict` returned.  Raises TableError, KeyError."""
        return cls(
            value["kind"], value["blob_size"], value["start"], value["length"], value["plain"],
            value["promised"],
        )  # fmt: skip

    def read(self, tail: bytes, *, headers: bool = True) -> Table:
        """Return the table in the blob's tail; `headers` as in table.parse.  Raises TableError."""
        if len(tail) != self.size - self.start:
            raise wrong("it is cut short")
        if self.kind == "zstd":
            packed = tail[SKIPPABLE_HEADER : SKIPPABLE_HEADER + self.length]
            self._check(packed)
            return table.parse(codecs.frame(packed, self.plain), self.start, headers=headers)
        data = _stargz_table(tail[:-STARGZ_FOOTER_SIZE])
        self._check(data)
        return table.parse(data, self.start, exact=False, headers=headers)

    def _check(self, data: bytes) -> None:
        found = "sha256:" + hashlib.sha256(data).hexdigest()
        if self.digest and found != self.digest:
            raise wrong(f"its digest is {found}, and the manifest promises {self.digest}")


def has_table(annotations: dict[str, Json]) -> bool:
    """Return whether a layer of the manifest is said to have a table of contents that can be
    verified."""
    return isinstance(annotations.get(CHECKSUM), str) or bool(stargz(annotations))


def annotated(annotations: dict[str, Json], size: int) -> Place | None:
    """Return where the manifest's annotations of a layer of `size` bytes say that its zstd:chunked
    table is; None if they say nothing.  Raises TableError."""
    position, digest = annotations.get(POSITION), annotations.get(CHECKSUM)
    if not isinstance(position, str) or not isinstance(digest, str):
        return None
    numbers = position.split(":")
    if len(numbers) != 4 or not all(_number(one) for one in numbers) or numbers[3] != "1":
        raise wrong(f"its position is {position[:80]!r}")
    offset, length, plain = (int(one) for one in numbers[:3])
    if offset + length > size:
        raise wrong(f"its position is {position[:80]!r} in a blob of {size} bytes")
    return Place("zstd", size, offset - SKIPPABLE_HEADER, length, plain, digest)


def stargz(annotations: dict[str, Json]) -> str:
    """Return the digest that the manifest promises of an eStargz table, "" if the layer is none."""
    found = annotations.get(STARGZ_DIGEST)
    return found if isinstance(found, str) else ""


def of_footer(footer: bytes, size: int, digest: str = "") -> Place | None:
    """Return the place that the last 64 bytes of a blob name; None if they are no footer.

    Raises TableError for a footer that lies.
    """
    if len(footer) >= FOOTER_SIZE and footer[-8:] == FOOTER_MAGIC:
        offset, length, plain, kind = struct.unpack("<4Q", footer[-FOOTER_SIZE:][:32])
        if kind != 1 or offset + length > size:
            raise wrong(f"its footer leads to {offset} of {size} bytes")
        return Place("zstd", size, offset - SKIPPABLE_HEADER, length, plain, digest)
    found = footer[-STARGZ_FOOTER_SIZE:]
    if found[:4] == b"\x1f\x8b\x08\x04" and found[12:16] == b"SG\x16\x00" and (
        found[32:38] == b"STARGZ"
    ):  # fmt: skip
        try:
            offset = int(found[16:32], 16)
        except ValueError:
            raise wrong(f"its footer says {found[16:32]!r}") from None
        return Place("gzip", size, offset, 0, 0, digest)
    return None


def of_blob(read: Callable[[int, int], bytes], size: int) -> tuple[Place, Table] | None:
    """Return the table of a blob that is here; `read(offset, count)`.  None where there is none."""
    if size <= FOOTER_SIZE:
        return None
    place = of_footer(read(size - FOOTER_SIZE, FOOTER_SIZE), size)
    if place is None:
        return None
    return place, place.read(read(place.start, size - place.start))


def _stargz_table(packed: bytes) -> bytes:
    """The file stargz.index.json of the tar that the last gzip member holds."""
    import zlib

    decoder = zlib.decompressobj(31)
    try:
        data = decoder.decompress(packed, table.LONGEST + 4096)
    except zlib.error as error:
        raise wrong(f"it is damaged: {error}") from None
    name = data[:100].split(b"\0", 1)[0]
    try:
        size = int(data[124:136].strip(b"\0 "), 8)
    except ValueError:
        raise wrong("it has no size") from None
    if name != b"stargz.index.json" or size > len(data) - 512:
        raise wrong("it is not the file stargz.index.json")
    return data[512 : 512 + size]


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
