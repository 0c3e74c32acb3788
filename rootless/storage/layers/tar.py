"""A streaming reader of tar archives: ustar, pax, GNU's long names, all forms of sparse files.

The archive is hostile: every length is checked before anything is read or kept because of it, and
what is kept of one member is bounded, so that no archive can exhaust memory.
Non-goals: writing, seeking, other archives.
Sources: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual,
appendix "Tar Internals" (basic format, sparse formats).
"""

from __future__ import annotations

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Buffer = bytes | memoryview

BLOCK = 512
CHUNK = 256 << 10
"""Bytes that are asked of the source at once, and the most that `Reader.data` gives at once."""

LONGEST_NAME = 1 << 16
DEEPEST = 256
"""Directories within each other: whoever walks a tree holds a descriptor and a frame for each."""
LONGEST_HEADER = 1 << 20
"""Bytes of one pax header: names and values, a file's extended attributes among them."""
MOST_PIECES = 1 << 20
"""Pieces of one sparse file."""
_LARGEST = 1 << 62
_OCTAL = b"01234567"

REGULAR, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"

# GNU tar and pax know these for regular files as well: old, contiguous, sparse
_REGULAR = frozenset((0, REGULAR, ord("7"), ord("S")))


class TarError(StorageError):
    """The archive breaks the rules of its format."""


def _damaged(why: str) -> TarError:
    return TarError(f"the archive is damaged: {why}", hint="fetch or make it again")


class Member:
    """One member: `kind` is the byte of its type (REGULAR and so on), `size` the bytes of the file.

    `name` and `link` are text with odd bytes as surrogates, `time` nanoseconds since the epoch,
    `attributes` extended attributes by name.  `pieces`: of a sparse file, (offset, length) of what
    is not a hole.
    """

    __slots__ = ("attributes", "gid", "kind", "link", "mode", "name", "pieces", "size", "stored",
                 "time", "uid")  # fmt: skip

    def __init__(self) -> None:
        self.name = ""
        self.kind = REGULAR
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.stored = 0
        self.time = 0
        self.link = ""
        self.attributes: dict[str, bytes] = {}
        self.pieces: list[tuple[int, int]] | None = None


class Reader:
    """Iterates over the members of the archive that `read(count)` gives.

    `read` gives up to so many bytes, none at the end.  The data of a member is read with `data`
    before the next member is asked for; what is not read is skipped.  Raises TarError.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._buffer = memoryview(b"")
        self._at = 0
        self._left = 0
        self._padding = 0
        self._global: dict[str, bytes] = {}

    # bytes

    def _more(self, wanted: int) -> None:
        """Have at least `wanted` bytes in the buffer, or as many as there are."""
        rest = self._buffer[self._at :]
        parts = [rest]
        have = len(rest)
        while have < wanted:
            data = self._read(max(CHUNK, wanted - have))
            if not data:
                break
            parts.append(memoryview(data))
            have += len(data)
        self._buffer = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        self._at = 0

    def _take(self, count: int) -> memoryview:
        """Exactly `count` bytes, valid until the next call."""
        if len(self._buffer) - self._at < count:
            self._more(count)
            if len(self._buffer) < count:
                raise _damaged("it ends in the middle of a member")
        found = self._buffer[self._at : self._at + count]
        self._at += count
        return found

    def _skip(self, count: int) -> None:
        while count:
            have = len(self._buffer) - self._at
            if not have:
                self._more(1)
                have = len(self._buffer)
                if not have:
                    raise _damaged("it ends in the middle of a member")
            step = min(have, count)
            self._at += step
            count -= step

    # members

    def __iter__(self) -> Iterator[Member]:
        while True:
            self._skip(self._left + self._padding)
            self._left = self._padding = 0
            member = self._next()
            if member is None:
                return
            yield member

    def _next(self) -> Member | None:
        """The next member, with what the extended headers before it say."""
        name = link = b""
        pax: dict[str, bytes] = {}
        pieces: list[tuple[int, int]] = []
        while True:
            header = self._header()
            if header is None:
                if name or link or pax:
                    raise _damaged("a header belongs to no member")
                return None
            kind = header[156]
            if kind in b"LKxgX":
                size = _number(header[124:136], "size")
                limit = LONGEST_NAME if kind in b"LK" else LONGEST_HEADER
                if size > limit:
                    raise _damaged(f"a header of {size} bytes, where {limit} are the most")
                data = bytes(self._take(size))
                self._skip(-size % BLOCK)
                if kind == ord("L"):
                    name = data.split(b"\0", 1)[0]
                elif kind == ord("K"):
                    link = data.split(b"\0", 1)[0]
                elif kind == ord("g"):
                    self._global.update(_records(data)[0])
                else:
                    pax, pieces = _records(data)
                continue
            return self._member(header, name, link, pax, pieces)

    def _header(self) -> bytes | None:
        if len(self._buffer) - self._at < BLOCK:
            self._more(BLOCK)
            if not len(self._buffer):
                return None  # some writers leave out the two blocks of zeros
        header = bytes(self._take(BLOCK))
        if not header.strip(b"\0"):
            return None
        told = _number(header[148:156], "checksum")
        # the field itself counts as eight blanks
        plain = sum(header) - sum(header[148:156]) + 256
        if told != plain:
            high = sum(1 for byte in header[:148] + header[156:] if byte > 127)
            if told != plain - 256 * high:  # some old writers added signed bytes
                raise _damaged("a header's checksum is wrong")
        return header

    def _member(
        self,
        header: bytes,
        name: bytes,
        link: bytes,
        pax: dict[str, bytes],
        pieces: list[tuple[int, int]],
    ) -> Member:
        one = Member()
        kind = header[156]
        raw = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and header[345]:
            raw = header[345:500].split(b"\0", 1)[0] + b"/" + raw
        raw = name or raw
        one.mode = _number(header[100:108], "mode") & 0o7777
        one.uid = _number(header[108:116], "uid")
        one.gid = _number(header[116:124], "gid")
        size = _number(header[124:136], "size")
        one.time = _number(header[136:148], "time", signed=True) * 1_000_000_000
        raw_link = link or header[157:257].split(b"\0", 1)[0]
        if self._global or pax:
            for key, value in {**self._global, **pax}.items() if self._global else pax.items():
                if key == "path":
                    raw = value
                elif key == "linkpath":
                    raw_link = value
                elif key == "size":
                    size = _decimal(value, key)
                elif key == "uid":
                    one.uid = _decimal(value, key)
                elif key == "gid":
                    one.gid = _decimal(value, key)
                elif key == "mtime":
                    one.time = _moment(value)
                elif key.startswith("SCHILY.xattr."):
                    one.attributes[key[13:]] = value
        directory = kind in _REGULAR and raw.endswith(b"/") and kind != ord("S")
        one.kind = DIRECTORY if directory else REGULAR if kind in _REGULAR else kind
        if one.kind != REGULAR and kind in b"123456":
            size = 0  # what a header says of the size of these means nothing
        one.stored = one.size = self._left = size
        self._padding = -size % BLOCK
        if kind == ord("S"):
            self._old_sparse(one, header)
        elif pieces or "GNU.sparse.major" in pax or "GNU.sparse.map" in pax:
            raw = self._pax_sparse(one, pax, pieces) or raw
        one.name = raw.decode("utf-8", "surrogateescape")
        one.link = raw_link.decode("utf-8", "surrogateescape")
        if "\0" in one.name or "\0" in one.link:
            raise _damaged("a name has a zero byte in it")
        if one.name.count("/") > DEEPEST and len([_ for _ in one.name.split("/") if _]) > DEEPEST:
            raise TarError(
                f"the archive has more than {DEEPEST} directories within each other: "
                f"{one.name[:40]}...",
                hint="no system needs that; the archive is damaged, or made to do damage",
            )
        return one

    # sparse files

    def _old_sparse(self, one: Member, header: bytes) -> None:
        """GNU's own type S: four pieces in the header, more in blocks after it."""
        pieces: list[tuple[int, int]] = []
        fields, count, more = header[386:482], 4, header[482]
        one.size = _number(header[483:495], "real size")
        while True:
            for number in range(count):
                offset, length = fields[24 * number : 24 * number + 12], fields[24 * number + 12 :]
                if not offset.strip(b"\0 "):
                    break
                pieces.append((_number(offset, "offset"), _number(length[:12], "length")))
            if not more:
                break
            if len(pieces) > MOST_PIECES:
                raise _damaged("a sparse file has too many pieces")
            block = bytes(self._take(BLOCK))
            fields, count, more = block[:504], 21, block[504]
        self._pieces(one, pieces)

    def _pax_sparse(
        self, one: Member, pax: dict[str, bytes], pieces: list[tuple[int, int]]
    ) -> bytes:
        """GNU's formats 0.0, 0.1 and 1.0; gives the real name, if it is told."""
        real = pax.get("GNU.sparse.realsize") or pax.get("GNU.sparse.size") or b"%d" % one.size
        one.size = _decimal(real, "GNU.sparse.realsize")
        if pax.get("GNU.sparse.major") == b"1":
            pieces = self._map_in_data()
        elif "GNU.sparse.map" in pax:
            numbers = [_decimal(word, "map") for word in pax["GNU.sparse.map"].split(b",")]
            pieces = list(zip(numbers[::2], numbers[1::2], strict=False))
        self._pieces(one, pieces)
        return pax.get("GNU.sparse.name", b"")

    def _map_in_data(self) -> list[tuple[int, int]]:
        """Format 1.0: decimal lines before the data, padded to whole blocks."""
        text = b""

        def line() -> int:
            nonlocal text
            while b"\n" not in text:
                if self._left < BLOCK:
                    raise _damaged("the map of a sparse file is cut short")
                text += bytes(self._take(BLOCK))
                self._left -= BLOCK
            word, text = text.split(b"\n", 1)
            return _decimal(word, "map")

        count = line()
        if count > MOST_PIECES:
            raise _damaged("a sparse file has too many pieces")
        return [(line(), line()) for _ in range(count)]

    def _pieces(self, one: Member, pieces: list[tuple[int, int]]) -> None:
        end = 0
        for offset, length in pieces:
            if offset < end or offset + length > one.size:
                raise _damaged("the pieces of a sparse file do not fit it")
            end = offset + length
        if sum(length for _, length in pieces) > self._left:
            raise _damaged("a sparse file has less data than its map says")
        one.pieces = pieces
        one.stored = self._left

    # data

    def whole(self, most: int) -> memoryview | None:
        """All stored bytes of the current member at once, if they are at most `most`, else None.

        They are valid until something else is asked for.
        """
        if self._left > most:
            return None
        count, self._left = self._left, 0
        return self._take(count)

    def data(self, limit: int = -1) -> Iterator[memoryview]:
        """The stored bytes of the current member (at most `limit`), in pieces of at most CHUNK.

        A piece is valid until the next is asked for.
        """
        count = self._left if limit < 0 else min(limit, self._left)
        while count:
            if len(self._buffer) == self._at:
                self._more(1)
            step = min(len(self._buffer) - self._at, count, CHUNK)
            if not step:
                raise _damaged("it ends in the middle of a member")
            found = self._buffer[self._at : self._at + step]
            self._at += step
            self._left -= step
            count -= step
            yield found


def _number(field: bytes, what: str, *, signed: bool = False) -> int:
    """An octal field, or one in base 256 (GNU), which may be negative where `signed`."""
    text = field.rstrip(b"\0 ")
    if not text.strip(_OCTAL):
        return int(text, 8) if text else 0  # nearly all of them
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = len(field) * 8
        # the top bit marks the encoding, the one below it the sign
        value = value - (1 << bits) if field[0] & 0x40 else value & ((1 << (bits - 1)) - 1)
    else:
        text = field.strip(b"\0 ").split(b"\0", 1)[0].strip(b" ")
        # int() would also take "1_0", "0o7" and "+7", where other readers see something else
        if text.strip(_OCTAL):
            raise _damaged(f"its {what} is {text!r}, not a number")
        value = int(text, 8) if text else 0
    if (value < 0 and not signed) or abs(value) > _LARGEST:
        raise _damaged(f"its {what} is {value}")
    return value


def _decimal(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _damaged(f"its {what} is {text[:20]!r}, not a number")
    value = int(text)
    if value > _LARGEST:
        raise _damaged(f"its {what} is {value}")
    return value


def _moment(text: bytes) -> int:
    """Seconds with a fraction -> nanoseconds, exactly."""
    whole, _, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    value = _decimal(whole.lstrip(b"-") or b"0", "time") * 1_000_000_000
    value += _decimal((fraction[:9] + b"0" * 9)[:9], "time")
    return -value if negative else value


def _records(data: bytes) -> tuple[dict[str, bytes], list[tuple[int, int]]]:
    """`LENGTH KEY=VALUE\\n` records, and the pieces of GNU's sparse format 0.0 among them."""
    found: dict[str, bytes] = {}
    pieces: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        if space < 0:
            raise _damaged("a pax record has no length")
        end = at + _decimal(data[at:space], "length of a pax record")
        record = data[space + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if end > len(data) or not equals or data[end - 1 : end] != b"\n":
            raise _damaged("a pax record is malformed")
        at = end
        if key == b"GNU.sparse.offset":
            pieces.append((_decimal(value, "offset"), 0))
        elif key == b"GNU.sparse.numbytes" and pieces:
            pieces[-1] = (pieces[-1][0], _decimal(value, "length"))
        else:
            found[key.decode("utf-8", "surrogateescape")] = value
    return found, pieces
