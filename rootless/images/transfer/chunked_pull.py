"""A zstd:chunked or eStargz blob of which the registry is asked only for what the store lacks.

Scope: the bytes of one blob in their order, for `content.ingest`, which hashes them and keeps them
only if they are the blob's.  So nothing here is trusted: neither the table of contents, nor the
pieces of other blobs that it leads to; if one is wrong, the pull fetches the blob whole.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from typing import IO

from rootless.chunked import index, places
from rootless.chunked.table import TableError
from rootless.errors import DigestMismatch, StorageError
from rootless.images.registry.client import NoRanges, Registry
from rootless.images.store import ingest
from rootless.images.store.store import ImageStore, Layer
from rootless.images.transfer.chunked_rebuild import Rebuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

    # (start, end) -> bytes of the blob, by one request
    FetchRange = Callable[[int, int], bytes]

_CHUNK = 1 << 18
_SMALL = 4 << 10
"""Bytes that are rather fetched once more than left out between two ranges."""
_MOST_RANGES = 2000
_LARGEST_RANGE = 4 << 20
_PARALLEL = 4
_AHEAD = 8
_WORTH = 16 << 10  # bytes; a smaller blob is fetched as fast as its table


class Run:
    """Bytes `start` to `end` of the blob: at `offset` of the file `path`, or in the registry where
    that is empty."""

    __slots__ = ("end", "offset", "path", "start")

    def __init__(self, start: int, end: int, path: str = "", offset: int = 0) -> None:
        self.start = start
        self.end = end
        self.path = path
        self.offset = offset


class Partial:
    """One blob: what of it is here.  `here` and `lacking` count bytes."""

    def __init__(
        self,
        runs: list[Run],
        tail: bytes,
        size: int,
        fetch: FetchRange,
        spool: IO[bytes] | None = None,
    ) -> None:
        self._runs = runs
        self._spool = spool
        self._tail = tail
        self._size = size
        self._fetch = fetch
        self.lacking = sum(run.end - run.start for run in runs if not run.path)
        self.here = sum(run.end - run.start for run in runs if run.path)

    def close(self) -> None:
        """Remove temporary files."""
        if self._spool is not None:
            self._spool.close()

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes from `offset` on.  Raises what the fetching raises, StorageError."""
        from concurrent.futures import Future, ThreadPoolExecutor

        waiting: deque[tuple[Run, Future[bytes] | None]] = deque()
        runs = iter(list(_after(self._runs, offset)))
        pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="range")
        try:
            while True:
                while len(waiting) < _AHEAD and (run := next(runs, None)) is not None:
                    future = None if run.path else pool.submit(self._fetch, run.start, run.end)
                    waiting.append((run, future))
                if not waiting:
                    break
                run, future = waiting.popleft()
                yield from _local(run) if future is None else [future.result()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        yield self._tail[max(0, offset - (self._size - len(self._tail))) :]


def plan(
    store: ImageStore,
    size: int,
    annotations: dict[str, Json],
    fetch: FetchRange,
    layers: list[str],
) -> Partial | None:
    """Return what of a layer's blob of `size` bytes must be fetched; None where it is best fetched
    whole.

    `layers` are directories with unpacked layers (`layers/MAPKEY`).  Raises what `fetch` raises.
    """
    try:
        if size < _WORTH:
            return None
        paths, plain = index.indexes(layers), index.without_table(layers)
        if not paths and not plain:
            return None
        place = places.annotated(annotations, size)
        promised = places.stargz(annotations)
        if place is None and promised:
            footer = fetch(size - places.STARGZ_FOOTER_SIZE, size)
            place = places.of_footer(footer, size, promised)
        if place is None:
            return None
        tail = fetch(place.start, size)
        table = place.read(tail)
        pieces = list(table.pieces())
    except TableError:
        return None
    wanted = {key: end - start for start, end, key in pieces if key}
    found: dict[bytes, index.Piece] = {}
    for path in paths:
        for key, piece in index.find(path, wanted):
            # of another length it is of another compressor or level
            if piece.length == wanted[key] and _here(store, piece.blob):
                found[key] = piece
                del wanted[key]
        if not wanted:
            break
    runs = [
        Run(start, end, store.blob_path(found[key].blob), found[key].offset)
        if key in found and found[key].length == end - start
        else Run(start, end)
        for start, end, key in pieces
    ]
    spool = None
    if plain and place.kind == "zstd":
        spool = _rebuilt(store, Rebuilder(table, plain), runs, tail, place.start, annotations)
    made = Partial(_ranges(runs), tail, size, fetch, spool)
    if made.here:
        return made
    made.close()
    return None


def _rebuilt(
    store: ImageStore,
    rebuilder: Rebuilder,
    runs: list[Run],
    tail: bytes,
    start: int,
    annotations: dict[str, Json],
) -> IO[bytes] | None:
    """A file without a name with what files of plain layers gave; `runs` lead to it then."""
    missing = {(run.start, run.end) for run in runs if not run.path}
    try:
        spool = tempfile.TemporaryFile(dir=store.ingest)  # noqa: SIM115 (Partial closes it)
    except OSError:
        return None
    try:
        made = rebuilder.make(missing, spool, tail, start, annotations)
        spool.flush()
    except OSError:
        made = {}  # no room for it: then it is fetched
    path = f"/proc/self/fd/{spool.fileno()}"
    for number, run in enumerate(runs):
        if not run.path and (run.start, run.end) in made:
            runs[number] = Run(run.start, run.end, path, made[run.start, run.end])
    return spool


def _ranges(runs: list[Run]) -> list[Run]:
    """Neighbours joined: few requests, but little that is here already."""
    small = _SMALL
    while True:
        made: list[Run] = []
        for run in _joined(runs):
            if made and not run.path and run.start - made[-1].start < _LARGEST_RANGE:
                if not made[-1].path:
                    made[-1] = Run(made[-1].start, run.end)
                    continue
                if (
                    len(made) > 1
                    and not made[-2].path
                    and made[-1].end - made[-1].start < small
                    and run.end - made[-2].start < _LARGEST_RANGE
                ):
                    made[-2:] = [Run(made[-2].start, run.end)]
                    continue
            made.append(run)
        if sum(1 for run in made if not run.path) <= _MOST_RANGES or small > _LARGEST_RANGE:
            break
        small *= 2
    return [part for run in made for part in _split(run)]


def _joined(runs: list[Run]) -> list[Run]:
    """Pieces that follow each other in the same file, here as there, made one."""
    made: list[Run] = []
    for run in runs:
        if made and run.path == made[-1].path and run.end - made[-1].start < _LARGEST_RANGE:
            last = made[-1]
            if not run.path or last.offset + last.end - last.start == run.offset:
                made[-1] = Run(last.start, run.end, last.path, last.offset)
                continue
        made.append(run)
    return made


def _split(run: Run) -> Iterator[Run]:
    if run.path:
        yield run
        return
    for start in range(run.start, run.end, _LARGEST_RANGE):
        yield Run(start, min(run.end, start + _LARGEST_RANGE))


def _after(runs: list[Run], offset: int) -> Iterator[Run]:
    for run in runs:
        if run.end <= offset:
            continue
        cut = max(0, offset - run.start)
        yield Run(run.start + cut, run.end, run.path, run.offset + cut)


class Lost(StorageError):
    """A blob that was to give a piece is gone or shorter than it was."""


def _here(store: ImageStore, digest: str) -> bool:
    # first the lease, then the look: what was seen after it is not collected meanwhile
    store.rely(digest)
    return store.has_blob(digest)


def _local(run: Run) -> Iterator[bytes]:
    try:
        fd = os.open(run.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Lost(f"cannot read {run.path}: {error.strerror}", hint="pull again") from None
    try:
        at, left = run.offset, run.end - run.start
        while left:
            data = os.pread(fd, min(left, _CHUNK), at)
            if not data:
                raise Lost(f"{run.path} is shorter than it was", hint="pull again")
            yield data
            at += len(data)
            left -= len(data)
    finally:
        os.close(fd)


def bring(
    store: ImageStore,
    layer: Layer,
    annotations: dict[str, Json],
    layers: Callable[[], list[str]],
    ranges: FetchRange,
    whole: ingest.Fetch,
    *,
    on_bytes: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> str:
    """Bring a layer's blob, only what the store lacks of it where its table allows it.

    Returns a short note for the progress display.  Raises as `content.ingest`.
    """
    if places.has_table(annotations) and not store.has_blob(layer.digest, layer.size):
        try:
            made = plan(store, layer.size, annotations, ranges, layers())
            if made is not None:
                try:
                    ingest.ingest(
                        store, layer.digest, layer.size, made.read, on_bytes=on_bytes,
                        cancelled=cancelled,
                    )  # fmt: skip
                finally:
                    made.close()
                return f"{100 * made.lacking // max(1, layer.size)} % fetched, the rest was here"
        except (DigestMismatch, NoRanges, Lost):
            # the table or a piece was not what it said, or went away: the blob's digest decides
            pass
    fetched = ingest.ingest(
        store, layer.digest, layer.size, whole, on_bytes=on_bytes, cancelled=cancelled
    )
    return "" if fetched else "already exists"


def ranges_of(registry: Registry, digest: str) -> FetchRange:
    """Return a function for parts of a blob.  It raises NoRanges, RegistryError, ImageNotFound."""

    def fetch(start: int, end: int) -> bytes:
        return b"".join(registry.open_range(digest, start, end - start, strict=True))

    return fetch
