"""A writer of tar archives: the same input gives the same bytes, whatever wrote them before.

Scope: ustar headers, with pax records where ustar has no room (long or non-ASCII names, large
numbers, fractions of a second, extended attributes).  Names of owners are left empty, nothing is
taken from the clock or the host.  Holes of files are written as zeros, because the OCI image
specification (layer.md) advises against sparse members; `storage/layers/tar.py` is the reader.
Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BLOCK = 512
REGULAR, LINK, SYMLINK, DIRECTORY, FIFO = b"0", b"1", b"2", b"5", b"6"
_ZEROS = bytes(1 << 16)


class Writer:
    """Gives the archive to `write`, member by member; `close` ends it."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.members = 0
        self.size = 0

    def _out(self, data: bytes) -> None:
        self._write(data)
        self.size += len(data)

    def add(
        self,
        name: str,
        kind: bytes,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        time: int = 0,
        size: int = 0,
        link: str = "",
        attributes: dict[str, bytes] | None = None,
        data: Iterable[bytes] = (),
    ) -> None:
        """One member; `time` in nanoseconds since the epoch, `data` exactly `size` bytes.

        Directories get their slash here.  Raises ValueError when the data has another length.
        """
        if kind == DIRECTORY and not name.endswith("/"):
            name += "/"
        records = {f"SCHILY.xattr.{key}": value for key, value in (attributes or {}).items()}
        raw, target = _encoded(name), _encoded(link)
        prefix, short = _split(raw)
        if not short:
            records["path"] = raw
            short = raw.decode("ascii", "replace").replace("\ufffd", "_").encode()[:100]
        if len(target) > 100 or not target.isascii():
            records["linkpath"] = target
            target = target.decode("ascii", "replace").replace("\ufffd", "_").encode()[:100]
        seconds, rest = divmod(time, 1_000_000_000)
        if rest or not 0 <= seconds < 8**11:
            records["mtime"] = _decimal(seconds, rest)
        for key, value, limit in (("uid", uid, 8**7), ("gid", gid, 8**7), ("size", size, 8**11)):
            if value >= limit:
                records[key] = str(value).encode()
        if records:
            body = b"".join(_record(key, records[key]) for key in sorted(records))
            self._out(_header(b"PaxHeaders/entry", b"", b"x", 0o644, 0, 0, len(body), 0, b""))
            self._body([body], len(body))
        seconds = seconds if 0 <= seconds < 8**11 else 0
        self._out(
            _header(short, prefix, kind, mode, uid % 8**7, gid % 8**7, size % 8**11, seconds,
                    target)
        )  # fmt: skip
        self._body(data, size)
        self.members += 1

    def _body(self, data: Iterable[bytes], size: int) -> None:
        written = 0
        for piece in data:
            written += len(piece)
            self._out(piece)
        if written != size:
            raise ValueError(f"a member has {written} bytes instead of {size}")
        if size % BLOCK:
            self._out(_ZEROS[: BLOCK - size % BLOCK])

    def close(self) -> None:
        """The end mark: two empty blocks, and no padding beyond them."""
        self._out(_ZEROS[: 2 * BLOCK])


def zeros(count: int) -> Iterable[bytes]:
    """So many zero bytes, in pieces."""
    while count > 0:
        piece = _ZEROS[: min(count, len(_ZEROS))]
        count -= len(piece)
        yield piece


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decimal(seconds: int, nanoseconds: int) -> bytes:
    """A time before the epoch is a negative number with a fraction that counts the other way."""
    total = seconds * 1_000_000_000 + nanoseconds
    sign, total = ("-", -total) if total < 0 else ("", total)
    text = f"{sign}{total // 1_000_000_000}.{total % 1_000_000_000:09d}".rstrip("0").rstrip(".")
    return text.encode()


def _record(key: str, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = b" " + _encoded(key) + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _split(name: bytes) -> tuple[bytes, bytes]:
    """(prefix, name) as ustar divides a path; an empty name where it does not fit."""
    if not name.isascii():
        return b"", b""
    if len(name) <= 100:
        return b"", name
    cut = name.rfind(b"/", 0, 156) if len(name) <= 256 else -1
    # the last slash of a directory belongs to its name
    if cut > 0 and 0 < len(name) - cut - 1 <= 100:
        return name[:cut], name[cut + 1 :]
    return b"", b""


def _header(
    name: bytes,
    prefix: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    link: bytes,
) -> bytes:
    head = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0" % (mode & 0o7777, uid, gid),
            b"%011o\0%011o\0" % (size, seconds),
            b" " * 8,
            kind,
            link.ljust(100, b"\0"),
            b"ustar\00000",
            bytes(64),
            b"0000000\0" * 2,
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]
