"""Layers are unpacked while others still arrive.

Scope: between `images.pull`, which tells of each layer that is whole and verified, and
`storage.layers`, which unpacks it.  A layer whose image turns out not to be had is an ordinary
unused layer, which pruning removes.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from rootless.engine.context import Context
    from rootless.engine.images.local import LocalImages
    from rootless.images.store.store import ImageStore, Layer


class Making:
    """The store for who makes an image here or loads one; a context manager.

    Layers are unpacked before the image can be seen, and what was brought for one that failed does
    not stay: on a disk that is full it would be in the way.
    """

    def __init__(self, images: LocalImages) -> None:
        self.store = images.store
        self.store.settle = lambda record: images.unpack(record, images.ctx.maps)

    def __enter__(self) -> ImageStore:
        return self.store

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.store.collect_garbage()


# Unpacking waits for the disk at times, so one more than the processors of a small host.
_THREADS = 3


class Arrivals:
    """A context manager around a pull; leaving it ends the threads."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._pool: ThreadPoolExecutor | None = None
        self._work: list[Future[None]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Arrivals:
        from rootless.storage.layers.store import LayerStore

        self.layers = LayerStore(self.ctx.data_dir, self.ctx.maps)
        return self

    def take(self, layer: Layer) -> None:
        """Unpack a layer if it is not there, in a thread of our own."""
        if not self.layers.missing([layer.diff_id]):
            return
        with self._lock:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="unpack")
            self._work.append(self._pool.submit(self._unpack, layer))

    def _unpack(self, layer: Layer) -> None:
        from rootless.images.store.store import ImageStore

        blob = ImageStore(self.ctx.data_dir).blob_path(layer.digest)
        self.layers.ensure([(layer.diff_id, blob)], progress=self.ctx.progress)

    def settle(self) -> None:
        """Wait until everything is unpacked.  Raises what went wrong with a layer."""
        for one in self._work:
            one.result()
        self._work = []

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._pool is not None:
            # After ^C or a failure what has not begun is left out.
            self._pool.shutdown(wait=True, cancel_futures=error is not None)
