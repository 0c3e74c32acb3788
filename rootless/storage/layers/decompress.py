"""The bytes of a layer on their way from the store: decompressed and hashed in threads.

Decompression and hashing let go of the interpreter's lock, so that they and the writing of files go
on side by side.  Sources: RFC 1952 (gzip), RFC 8878 (zstd).
"""

from __future__ import annotations

import hashlib
import queue
import threading

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_CHUNK = 256 << 10  # bytes; small enough for the cache of a processor
_AHEAD = 12
"""Chunks that may wait to be unpacked: what bounds the memory."""


class Hashed:
    """A reader whose bytes are fetched and hashed ahead, by a thread.

    `read` gives one chunk after the other, none at the end; after that `digest` is what
    sha256 makes of all of them and `count` their number.  Raises StorageError for damaged data.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.count = 0
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._ended = False
        self._stop = False
        self._thread = threading.Thread(target=self._fetch, daemon=True)
        self._thread.start()

    def _fetch(self) -> None:
        try:
            while not self._stop:
                data = self._source.read(_CHUNK)
                self._hash.update(data)
                self.count += len(data)
                self._queue.put(data)
                if not data:
                    return
        except BaseException as error:
            self._queue.put(error)

    def read(self, size: int = -1) -> bytes:
        """The next chunk, of any length."""
        if self._ended:
            return b""
        found = self._queue.get()
        if isinstance(found, BaseException):
            self._ended = True
            # the decompressors have errors of their own kinds: zlib's, isal's, zstd's, EOFError
            if isinstance(found, OSError) and found.errno:
                raise found
            raise StorageError(
                f"the compressed data is damaged: {found}", hint="remove the image and pull again"
            ) from None
        self._ended = not found
        return found

    def drain(self) -> None:
        """Read to the end."""
        while self.read():
            pass

    def close(self) -> None:
        """End the thread, also in the middle."""
        self._stop = True
        while not self._ended and self._thread.is_alive():
            try:
                found = self._queue.get(timeout=0.05)
                self._ended = not found or isinstance(found, BaseException)
            except queue.Empty:
                continue
        self._thread.join()

    def digest(self) -> str:
        """Hexadecimal sha256 of all that was read."""
        return self._hash.hexdigest()


def decompressed(blob: BinaryIO) -> BinaryIO:
    """A reader of the tar within, chosen by the first bytes.  Raises StorageError."""
    magic = blob.read(6)
    blob.seek(0)
    if magic[:2] == b"\x1f\x8b":
        try:
            from isal import igzip_threaded

            return igzip_threaded.open(  # type: ignore[no-any-return,no-untyped-call]
                blob, "rb", threads=1
            )
        except ImportError:
            import gzip

            return gzip.GzipFile(fileobj=blob)  # type: ignore[return-value]
    # or one of the 16 kinds of frames that are skipped, which some writers put first
    skippable = magic[:1] and magic[0] & 0xF0 == 0x50 and magic[1:4] == b"\x2a\x4d\x18"
    if magic[:4] == b"\x28\xb5\x2f\xfd" or skippable:
        from rootless.chunked import zstd

        return zstd.module().ZstdFile(blob)  # type: ignore[no-any-return]
    if magic[:3] == b"BZh":
        import bz2

        return bz2.BZ2File(blob)  # type: ignore[return-value]
    if magic[:6] == b"\xfd7zXZ\0":
        import lzma

        return lzma.LZMAFile(blob)  # type: ignore[return-value]
    return blob
