"""One frame or member at a time: what a chunk swells to is known before, and never exceeded."""

from __future__ import annotations

import hashlib

from rootless.chunked import zstd
from rootless.chunked.table import LARGEST_CHUNK, Chunk, wrong
from rootless.errors import DigestMismatch

_PARTS = 64  # frames or members that one piece of data may consist of


def frame(data: bytes, size: int) -> bytes:
    """Return the `size` plain bytes of one zstd frame, or more of them one after the other.

    Raises TableError when it has more or fewer: a frame may be a bomb.
    """
    found, parts = b"", 0
    try:
        while data and len(found) <= size:
            parts = _few(parts)
            decoder = zstd.module().ZstdDecompressor()
            found += decoder.decompress(data, size - len(found) + 1)
            if not decoder.eof and len(found) <= size:
                raise wrong("a frame of it is cut short")
            data = decoder.unused_data if decoder.eof else b""
    except zstd.module().ZstdError as error:
        raise wrong(f"a frame of it is damaged: {error}") from None
    if len(found) != size:
        raise wrong(f"a frame of it has not the {size} bytes that were promised")
    return found


def _few(parts: int) -> int:
    """One part more.  Millions of empty ones would cost hours and bring nothing."""
    if parts >= _PARTS:
        raise wrong(f"a frame of it is divided into more than {_PARTS}")
    return parts + 1


def member(data: bytes, size: int) -> bytes:
    """Return the first `size` plain bytes of a gzip member; what follows is not looked at."""
    import zlib

    found, parts = b"", 0
    try:
        while data and len(found) < size:
            parts = _few(parts)
            decoder = zlib.decompressobj(31)
            found += decoder.decompress(data, size - len(found))
            data = decoder.unused_data if decoder.eof else b""
    except zlib.error as error:
        raise wrong(f"a member of it is damaged: {error}") from None
    if len(found) != size:
        raise wrong(f"a member of it has not the {size} bytes that were promised")
    return found


def plain(chunk: Chunk, data: bytes, kind: str) -> bytes:
    """Return the plain bytes of a chunk from its compressed ones; `kind` is "zstd" or "gzip".

    Raises TableError, DigestMismatch.
    """
    if chunk.size > LARGEST_CHUNK:
        raise wrong(f"a chunk has {chunk.size} bytes")
    found = frame(data, chunk.size) if kind == "zstd" else member(data, chunk.size)
    digest = "sha256:" + hashlib.sha256(found).hexdigest()
    if digest != chunk.digest:
        raise DigestMismatch(
            f"a chunk of the layer has the digest {digest} instead of {chunk.digest}",
            hint="the registry is damaged or was tampered with; try another source",
        )
    return found
