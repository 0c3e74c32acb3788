"""Tables of contents: from a stranger's JSON to entries that can be relied upon.

Memory is bounded before anything is decoded: by the length of the text, the number of objects in it
and the number of their members.  Every entry is looked at by itself, one after the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json

LONGEST = 64 << 20
"""Bytes of a table's JSON; containers/storage takes 150 MiB, and a table of Debian has 5."""
MOST_ENTRIES = 1 << 19
LARGEST_CHUNK = 256 << 20
"""Plain bytes that one chunk may have to be read by itself, since it is verified in memory."""
_LARGEST = 1 << 62
_LONGEST_NAME = 1 << 16

REGULAR, DIRECTORY, SYMLINK, HARD_LINK = "reg", "dir", "symlink", "hardlink"
_KINDS = frozenset((REGULAR, DIRECTORY, SYMLINK, HARD_LINK, "char", "block", "fifo"))


class TableError(StorageError):
    """The table of contents breaks the rules of its format: the layer is fetched whole then."""


def wrong(why: str) -> TableError:
    """Return the error for a table that cannot be used."""
    return TableError(
        f"the layer's table of contents is invalid: {why}",
        hint="the image can be pulled whole; push it again to repair it",
    )


class Chunk:
    """A part of a file: `offset` and `size` in it, bytes `start` to `end` of the blob that hold it
    compressed, and `digest` (`sha256:…`) of the plain bytes.  `zeros`: it is a hole."""

    __slots__ = ("digest", "end", "offset", "size", "start", "zeros")

    def __init__(
        self, offset: int, size: int, start: int, end: int, digest: str, zeros: bool = False
    ) -> None:
        self.offset = offset
        self.size = size
        self.start = start
        self.end = end
        self.digest = digest
        self.zeros = zeros


class Entry:
    """One member of the layer; `path` is clean and relative, "" for the root, `time` nanoseconds.

    `header` is a digest of everything that the member's tar header says.
    """

    __slots__ = ("attributes", "chunks", "device", "digest", "gid", "header", "kind", "link",
                 "mode", "path", "size", "time", "uid")  # fmt: skip

    def __init__(self, kind: str, path: str) -> None:
        self.kind = kind
        self.path = path
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.time = 0
        self.link = ""
        self.device = (0, 0)
        self.attributes: dict[str, bytes] = {}
        self.digest = ""
        self.chunks: list[Chunk] = []
        self.header = b""


class Table:
    """The entries in their order; `end`: where in the blob the files' bytes are over; `exact`: it
    names where each chunk ends."""

    __slots__ = ("end", "entries", "exact")

    def __init__(self, entries: list[Entry], end: int, exact: bool) -> None:
        self.entries = entries
        self.end = end
        self.exact = exact

    def pieces(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield consecutive (start, end, key) from 0 to `end`: chunks and what lies between them.

        Pieces of equal key and length in two blobs of one compressor are the same bytes.  The key
        of a chunk is the beginning of its digest, that of a gap a digest of the headers in it; an
        empty key is equal to none.
        """
        if not self.exact:
            yield from self._members()
            return
        at = 0
        gap = hashlib.sha256(b"gap")
        for entry in self.entries:
            gap.update(entry.header)
            for chunk in entry.chunks:
                if chunk.start > at:
                    yield at, chunk.start, gap.digest()[:16]
                yield chunk.start, chunk.end, bytes.fromhex(chunk.digest[7:39])
                at = chunk.end
                gap = hashlib.sha256(b"gap%d" % (entry.size % 512))
        if at < self.end:
            # the end of an archive is padded as its writer likes
            yield at, self.end, b""

    def _members(self) -> Iterator[tuple[int, int, bytes]]:
        """As `pieces` for eStargz, whose table names only where chunks begin: a gzip member has one
        of them, its padding, and the headers of all that follows up to the next."""
        at = 0
        member = hashlib.sha256(b"member")
        for entry in self.entries:
            member.update(entry.header)
            for chunk in entry.chunks:
                if chunk.start > at:
                    yield at, chunk.start, member.digest()[:16]
                at = chunk.start
                member = hashlib.sha256(b"member%d" % (entry.size % 512))
                member.update(bytes.fromhex(chunk.digest[7:]))
        if at < self.end:
            yield at, self.end, member.digest()[:16]


def parse(data: bytes, end: int, *, exact: bool = True, headers: bool = True) -> Table:
    """Return the table in `data`, whose chunks all end at `end` or before.

    `exact`: entries name where they end (zstd:chunked); otherwise where the next begins (eStargz).
    Without `headers` there are no digests of them, which `pieces` needs and reading does not.
    Raises TableError.
    """
    if len(data) > LONGEST:
        raise wrong(f"it has {len(data)} bytes")
    try:
        text = data.decode()
    except ValueError:
        raise wrong("it is not UTF-8") from None
    # what a few bytes of JSON become in memory is bounded here: an entry has two objects at most
    objects = text.count("{")
    if objects + text.count("[") > 2 * MOST_ENTRIES + 16 or text.count('":') > 32 * objects + 64:
        raise wrong("it has too many entries")
    entries: list[Entry] = []
    try:
        for value in _values(text):
            _take(entries, value, headers)
    except (ValueError, RecursionError, TypeError, OverflowError, AttributeError) as error:
        raise wrong(f"it cannot be read ({type(error).__name__})") from None
    _finish(entries, end, exact)
    return Table(entries, end, exact)


def _values(text: str) -> Iterator[dict[str, Json]]:
    """The objects of the list `entries`, decoded one by one.  Raises ValueError, TableError."""
    decode = json.JSONDecoder().raw_decode
    at = _blank(text, 0)
    if text[at : at + 1] != "{":
        raise wrong("it is not a JSON object")
    at = _blank(text, at + 1)
    seen = False
    while text[at : at + 1] != "}":
        key, at = decode(text, at)
        at = _blank(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise wrong("it is not a JSON object")
        at = _blank(text, at + 1)
        if key == "entries" and text[at : at + 1] == "[" and not seen:
            seen = True
            at = _blank(text, at + 1)
            while text[at : at + 1] != "]":
                value, at = decode(text, at)
                if not isinstance(value, dict):
                    raise wrong("an entry is not an object")
                yield value
                at = _comma(text, at, "]")
            at += 1
        else:
            value, at = decode(text, at)
            if key == "version" and value != 1:
                raise wrong(f"it has the version {value!r}")
        at = _comma(text, at, "}")
    if not seen:
        raise wrong("it has no list of entries")


def _blank(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def _comma(text: str, at: int, close: str) -> int:
    at = _blank(text, at)
    if text[at : at + 1] == ",":
        return _blank(text, at + 1)
    if text[at : at + 1] != close:
        raise wrong("it is cut short")
    return at


def _take(entries: list[Entry], value: dict[str, Json], headers: bool) -> None:
    kind = value.get("type")
    if kind == "chunk":
        if not entries or entries[-1].kind != REGULAR or not entries[-1].chunks:
            raise wrong("a chunk belongs to no file")
        _chunk(entries[-1], value)
        return
    if kind not in _KINDS:
        raise wrong(f"an entry is of the kind {str(kind)[:40]!r}")
    if len(entries) >= MOST_ENTRIES:
        raise wrong(f"it has more than {MOST_ENTRIES} entries")
    entry = Entry(str(kind), clean(value.get("name")))
    entry.mode = _count(value, "mode") & 0o7777
    entry.uid = _count(value, "uid")
    entry.gid = _count(value, "gid")
    entry.size = _count(value, "size") if kind == REGULAR else 0
    entry.device = (_count(value, "devMajor"), _count(value, "devMinor"))
    entry.time = _time(value.get("modtime"))
    link = value.get("linkName") or ""
    if not isinstance(link, str) or len(link) > _LONGEST_NAME or "\0" in link:
        raise wrong(f"the link {entry.path!r} leads nowhere")
    entry.link = clean(link) if kind == HARD_LINK else link
    if kind in (HARD_LINK, SYMLINK) and not entry.link:
        raise wrong(f"the link {entry.path!r} leads nowhere")
    for name, encoded in (value.get("xattrs") or {}).items():
        try:
            entry.attributes[name] = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise wrong(f"the attribute {name[:40]!r} of {entry.path!r} is not base64") from None
    if headers:
        told = {key: value[key] for key in value if key not in _PLACES}
        entry.header = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
    entry.digest = value.get("digest") or ""
    if entry.digest:
        _check_digest(entry.digest)
    entries.append(entry)
    if kind == REGULAR and entry.size:
        _chunk(entry, value)


_PLACES = frozenset(("offset", "endOffset", "digest", "chunkSize", "chunkOffset", "chunkDigest",
                     "chunkType"))  # fmt: skip


def _chunk(entry: Entry, value: dict[str, Json]) -> None:
    offset, size, start = (_count(value, key) for key in ("chunkOffset", "chunkSize", "offset"))
    before = entry.chunks[-1].offset + entry.chunks[-1].size if entry.chunks else 0
    if offset != before:
        raise wrong(f"the chunks of {entry.path!r} overlap or leave a gap")
    digest = value.get("chunkDigest") or ("" if entry.chunks else entry.digest)
    _check_digest(digest)
    zeros = value.get("chunkType") == "zeros"
    if not entry.chunks:
        # the end of the whole file, for now: of several chunks each but the last ends at the next
        end = _count(value, "endOffset")
    else:
        end, entry.chunks[-1].end = entry.chunks[-1].end, start
    entry.chunks.append(Chunk(offset, size or entry.size - offset, start, end, digest, zeros))


def _finish(entries: list[Entry], end: int, exact: bool) -> None:
    """Where chunks end, and whether they lie in their order in the blob and fill their files."""
    chunks = [chunk for entry in entries for chunk in entry.chunks]
    if not exact:
        for chunk, after in zip(chunks, chunks[1:], strict=False):
            chunk.end = after.start
        if chunks:
            chunks[-1].end = end
    at = 0
    for chunk in chunks:
        if not at <= chunk.start < chunk.end <= end:
            raise wrong(f"a chunk at {chunk.start} overlaps another or leaves the blob")
        if chunk.size < 1:
            raise wrong(f"a chunk has {chunk.size} bytes")
        at = chunk.end
    for entry in entries:
        if entry.chunks and entry.chunks[-1].offset + entry.chunks[-1].size != entry.size:
            raise wrong(f"the chunks of {entry.path!r} do not add up to its size")


def clean(name: Json) -> str:
    """Return a relative path without dots.  Raises TableError: nothing that is meant well has "..",
    and a name must never mean anything outside the layer's own directory."""
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or "\0" in name:
        raise wrong(f"the name {str(name)[:40]!r} cannot be a file's")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise wrong(f"the name {name[:200]!r} tries to escape")
    return "/".join(parts)


def _count(value: dict[str, Json], key: str) -> int:
    found = value.get(key, 0)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < _LARGEST:
        raise wrong(f"{key} is {str(found)[:40]!r}")
    return found


def _check_digest(text: Json) -> None:
    if (
        not isinstance(text, str)
        or len(text) != 71
        or not text.startswith("sha256:")
        or text[7:].strip("0123456789abcdef")
    ):
        raise wrong(f"{str(text)[:80]!r} is not a sha256 digest")


def _time(value: Json) -> int:
    """RFC 3339 -> nanoseconds; 0 if it is not given."""
    if not value:
        return 0
    import calendar
    import re

    found = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))",
        str(value),
    )
    if found is None:
        raise wrong(f"the time {str(value)[:40]!r} is not in the form of RFC 3339")
    fields = tuple(int(part) for part in found.groups()[:6])
    seconds = calendar.timegm(fields)
    if found[8]:
        offset = int(found[9]) * 3600 + int(found[10]) * 60
        seconds -= offset if found[8] == "+" else -offset
    return seconds * 1_000_000_000 + int((found[7] or "").ljust(9, "0"))
