"""Blobs on their way into the store, hashed and checked while they stream.

Scope: `content/ingest` and the rename into `content/blobs`.  Callers hold `ImageStore.guard`,
and name there what they rely on before they look for it.
A blob whose digest is known arrives in `sha256-HEX`, which is locked while it is fetched; what is
there after an interruption is hashed again and continued.  Two processes, or two threads, that want
one blob fetch it once: the second waits for the lock and finds it done.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from rootless import disks
from rootless.errors import DigestMismatch, Interrupted, StorageError
from rootless.images.formats import compression
from rootless.images.store.store import ImageStore

CHUNK = 1 << 18
_POLL = 0.05

Fetch = Callable[[int], Iterable[bytes]]


def _never() -> bool:
    return False


def _ignore(_: int) -> None:
    pass


def ingest(
    store: ImageStore,
    digest: str,
    size: int,
    fetch: Fetch,
    *,
    on_bytes: Callable[[int], None] = _ignore,
    cancelled: Callable[[], bool] = _never,
    keep_partial: bool = True,
) -> bool:
    """Bring the blob `digest` of `size` bytes; `fetch(offset)` yields its bytes from there on.

    `on_bytes` hears of every count of bytes that are safe, those found here included.  Returns
    False if the blob was here already.  What arrived stays for a later attempt when `fetch`
    raises, unless `keep_partial` is false, and is removed when it turned out wrong.
    Raises DigestMismatch, StorageError (disk), Interrupted (`cancelled`), and what `fetch` raises.
    """
    path = arriving_path(store, digest)
    fd = _claim(store, digest, size, path, cancelled)
    if fd < 0:
        return False
    try:
        hasher = hashlib.sha256()
        have = _hash_prefix(fd, size, hasher)
        on_bytes(have)
        resumed = have > 0
        while True:
            have = _append(fd, path, have, size, digest, fetch, hasher, on_bytes, cancelled)
            if hasher.hexdigest() == digest[7:]:
                break
            os.ftruncate(fd, 0)
            if not resumed:
                os.unlink(path)
                raise DigestMismatch(
                    f"a blob has the digest sha256:{hasher.hexdigest()} instead of {digest}",
                    hint="the registry or the archive is damaged or was tampered with; "
                    "try another source",
                )
            # The beginning left by an interrupted pull may be the wrong part (a power failure
            # leaves zeros): fetch everything once more before blaming the source.
            on_bytes(-have)
            hasher, have, resumed = hashlib.sha256(), 0, False
        os.rename(path, store.blob_path(digest))
    except BaseException:
        if not keep_partial and os.path.exists(path):
            os.unlink(path)
        raise
    finally:
        os.close(fd)
    return True


def arriving_path(store: ImageStore, digest: str) -> str:
    """Return where the beginning of a blob is while it arrives."""
    return os.path.join(store.ingest, "sha256-" + os.path.basename(store.blob_path(digest)))


def ingest_bytes(store: ImageStore, data: bytes) -> str:
    """Keep a small blob made here or checked already.  Returns its digest."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    ingest(store, digest, len(data), lambda offset: [data[offset:]])
    return digest


class Arrived:
    """A blob of unknown digest that came in: its names, size, and how it is compressed."""

    __slots__ = ("compression", "diff_id", "digest", "size")

    def __init__(self, digest: str, diff_id: str, size: int, kind: str) -> None:
        self.digest = digest
        self.diff_id = diff_id
        self.size = size
        self.compression = kind


def ingest_layer(
    store: ImageStore, source: BinaryIO, *, on_bytes: Callable[[int], None] = _ignore
) -> Arrived:
    """Bring a tar of unknown digest, plain or compressed, and learn its digest and diff id.

    gzip and zstd stay as they are; xz and bzip2, which layers may not use, become plain.
    Raises StorageError if it is no tar or ends early.
    """
    path = os.path.join(store.ingest, f"new-{os.getpid()}-{time.monotonic_ns()}")
    store.rely(os.path.basename(path))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        first = compression.read_full(source, CHUNK)
        kind = compression.detect(first)
        if kind in ("xz", "bzip2"):
            stream = compression.plain_chunks(_chain(first, source, on_bytes), kind)
            blob = plain = _write_hashed(fd, path, stream, check=True)
            kind = ""
        elif kind:
            hasher = hashlib.sha256()
            written = [0]

            def tee() -> Iterator[bytes]:
                for chunk in _chain(first, source, on_bytes):
                    write(fd, path, chunk)
                    hasher.update(chunk)
                    written[0] += len(chunk)
                    yield chunk

            plain = _write_hashed(-1, path, compression.plain_chunks(tee(), kind), check=True)
            blob = hasher.hexdigest(), written[0]
        else:
            blob = plain = _write_hashed(fd, path, _chain(first, source, on_bytes), check=True)
        store.rely("sha256:" + blob[0])
        os.rename(path, store.blob_path("sha256:" + blob[0]))
        return Arrived("sha256:" + blob[0], "sha256:" + plain[0], blob[1], kind)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


def diff_id(path: str) -> str:
    """Return the digest of the plain tar in a blob.  Raises StorageError."""
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        first = file.read(CHUNK)
        for chunk in compression.plain_chunks(
            _chain(first, file, _ignore), compression.detect(first)
        ):
            hasher.update(chunk)
    return "sha256:" + hasher.hexdigest()


# helpers


def _claim(
    store: ImageStore, digest: str, size: int, path: str, cancelled: Callable[[], bool]
) -> int:
    """A locked descriptor of the ingest file, or -1 when the blob is here."""
    store.rely(digest)
    while True:
        if store.has_blob(digest, size):
            return -1
        if cancelled():
            raise Interrupted("the transfer was interrupted")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            # Polling, because a thread that sleeps in flock(2) cannot be stopped.
            time.sleep(_POLL)
            continue
        try:
            # The earlier holder of the lock may have renamed or removed the file that was opened.
            now = os.stat(path)
            mine = os.fstat(fd)
            if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)


def _hash_prefix(fd: int, size: int, hasher: hashlib._Hash) -> int:
    have = os.fstat(fd).st_size
    if have > size:
        os.ftruncate(fd, 0)
        return 0
    while chunk := os.read(fd, CHUNK):
        hasher.update(chunk)
    return have


def _append(
    fd: int,
    path: str,
    have: int,
    size: int,
    digest: str,
    fetch: Fetch,
    hasher: hashlib._Hash,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> int:
    os.lseek(fd, have, os.SEEK_SET)
    if have == size:
        return have
    chunks = fetch(have)
    try:
        for chunk in chunks:
            if cancelled():
                raise Interrupted("the transfer was interrupted")
            have += len(chunk)
            if have > size:
                os.unlink(path)
                raise DigestMismatch(
                    f"the blob {digest} is longer than the {size} bytes that were promised",
                    hint="the registry or the archive is damaged or was tampered with",
                )
            write(fd, path, chunk, size - have + len(chunk))
            hasher.update(chunk)
            on_bytes(len(chunk))
    finally:
        # A generator holds a connection, which is not to wait for the garbage collector.
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    if have < size:
        os.unlink(path)
        raise DigestMismatch(
            f"the blob {digest} ended after {have} of {size} bytes",
            hint="the registry or the archive is truncated; try another source",
        )
    return have


def write(fd: int, path: str, chunk: bytes, needed: int = 0) -> None:
    """Write all of a chunk; `needed` bytes come with it and after it.  Raises StorageError."""
    view = memoryview(chunk)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError as error:
        raise disks.refused(path, error, needed=needed) from None


def _chain(first: bytes, rest: BinaryIO, on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    chunk = first
    while chunk:
        on_bytes(len(chunk))
        yield chunk
        chunk = rest.read(CHUNK)


def _write_hashed(fd: int, path: str, chunks: Iterable[bytes], *, check: bool) -> tuple[str, int]:
    hasher = hashlib.sha256()
    size = 0
    head = b""
    for chunk in chunks:
        if check and len(head) < 512:
            head += chunk[: 512 - len(head)]
            if len(head) == 512 and not looks_like_tar(head):
                raise _no_tar()
        if fd >= 0:
            write(fd, path, chunk)
        hasher.update(chunk)
        size += len(chunk)
    if check and len(head) < 512:
        raise _no_tar()
    if check and size % 512:
        raise StorageError(
            f"the tar archive is truncated: it has {size} bytes, which is not a multiple of 512",
            hint="make or fetch it again",
        )
    return hasher.hexdigest(), size


def looks_like_tar(block: bytes) -> bool:
    """Return whether a block of 512 bytes is a tar header with a right sum, or the end of an
    archive."""
    if not block.strip(b"\0"):
        return True
    try:
        wanted = int(block[148:156].strip(b"\0 "), 8)
    except ValueError:
        return False
    return sum(block[:148]) + 8 * 32 + sum(block[156:512]) == wanted


def _no_tar() -> StorageError:
    return StorageError(
        "this is not a tar archive, plain or compressed with gzip, zstd, xz or bzip2",
        hint="make one with `tar -C rootfs -cf rootfs.tar .`",
    )
