"""Plain bytes out of gzip, zstd, xz and bzip2 streams.

Scope: archives that are loaded and imported; unpacking of layers is the storage room's.
What a compressed stream swells to never sits in memory: every step is bounded by CHUNK.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol, cast

from rootless.chunked import zstd
from rootless.errors import StorageError

CHUNK = 1 << 18
_MAGIC = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)


class _Decoder(Protocol):
    """What zstd, lzma and bz2 decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def detect(head: bytes) -> str:
    """Return "gzip", "zstd", "xz", "bzip2", or "" for anything else, from the first bytes."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    # zstd:chunked and pzstd begin with a skippable frame
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"
    return ""


def plain_chunks(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    """Decompress; several members or frames one after the other are one stream.

    Raises StorageError for damaged or truncated data.
    """
    if not kind:
        yield from chunks
        return
    try:
        yield from _gzip(chunks) if kind == "gzip" else _others(chunks, kind)
    except StorageError:
        raise
    except Exception as error:
        # Every library has an exception of its own here (zlib.error, ZstdError, LZMAError, …).
        # Those of the source are to pass as they are.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if type(error).__module__.startswith("rootless"):
            raise
        raise StorageError(
            f"the {kind} data is damaged: {error}", hint="make or fetch the archive again"
        ) from None


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        from isal import isal_zlib as zlib  # three times as fast
    except ImportError:
        import zlib  # type: ignore[no-redef]

    decoder = zlib.decompressobj(31)
    begun = False
    for chunk in chunks:
        data = chunk
        while data:
            if decoder.eof:
                # GNU tools pad archives on tapes with zeros after the last member.
                data = data.lstrip(b"\0")
                if not data:
                    break
                decoder = zlib.decompressobj(31)
            begun = True
            out = decoder.decompress(data, CHUNK)
            while out:
                yield out
                out = decoder.decompress(decoder.unconsumed_tail, CHUNK) if not decoder.eof else b""
            data = decoder.unused_data if decoder.eof else b""
    if begun and not decoder.eof:
        raise _truncated("gzip")


def _others(chunks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    decoder = _decoder(kind)
    begun = False
    for chunk in chunks:
        data = chunk
        while data:
            if decoder.eof:
                data = data.lstrip(b"\0") if kind == "xz" else data
                if not data:
                    break
                decoder = _decoder(kind)
            begun = True
            out = decoder.decompress(data, CHUNK)
            if out:
                yield out
            while not decoder.eof and not decoder.needs_input:
                out = decoder.decompress(b"", CHUNK)
                if out:
                    yield out
            data = decoder.unused_data if decoder.eof else b""
    if begun and not decoder.eof:
        raise _truncated(kind)


def _decoder(kind: str) -> _Decoder:
    if kind == "xz":
        import lzma

        return lzma.LZMADecompressor()
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    return cast("_Decoder", zstd.module().ZstdDecompressor())


def _truncated(kind: str) -> StorageError:
    return StorageError(
        f"the {kind} data is truncated: it ends before its end mark",
        hint="make or fetch the archive again",
    )


class _Reader(io.RawIOBase):
    """A file over an iterator of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def reader(source: BinaryIO) -> BinaryIO:
    """Return a file of the plain bytes in `source`, whatever it is compressed with."""
    first = read_full(source, CHUNK)

    def raw() -> Iterator[bytes]:
        chunk = first
        while chunk:
            yield chunk
            chunk = source.read(CHUNK)

    return io.BufferedReader(_Reader(plain_chunks(raw(), detect(first))), CHUNK)


def read_full(source: BinaryIO, count: int) -> bytes:
    """Read up to `count` bytes, fewer only at the end; pipes give what they have, so ask again."""
    parts = []
    while count > 0:
        part = source.read(count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def skip(source: BinaryIO, count: int) -> None:
    """Read past `count` bytes of something that cannot seek."""
    while count > 0:
        part = source.read(min(count, CHUNK))
        if not part:
            return
        count -= len(part)
