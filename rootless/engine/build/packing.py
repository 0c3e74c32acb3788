"""Packs the layers of a result while later steps still run.

Scope: a thread that has `images.Storing` pack one layer after the other.  Nothing depends on it:
what it did not come to, or could not do, is packed when the image is stored, and then it is said.
A layer has the same bytes whenever it is packed.
"""

from __future__ import annotations

import threading
from collections import deque

from rootless.build.protocols import Chain
from rootless.engine.build.images import Storing


class Packing:
    """A context manager around the steps; leaving it waits for the layer that is being packed."""

    def __init__(self, storing: Storing) -> None:
        self._storing = storing
        self._waiting: deque[tuple[str, Chain]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def __enter__(self) -> Packing:
        return self

    def settled(self, layer: str, below: Chain) -> None:
        """See `rootless.build.protocols.Settled`."""
        if "digest" in self._storing.layers.facts(layer):
            return  # it was packed for an earlier image
        with self._condition:
            self._waiting.append((layer, below))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pack ahead")
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        with self._storing.engine.images.store.guard():
            while True:
                with self._condition:
                    while not self._waiting and not self._ended:
                        self._condition.wait()
                    if self._ended:
                        return
                    layer, below = self._waiting.popleft()
                try:
                    self._storing.ahead(layer, below)
                except Exception:
                    return  # a full disk, say: who stores the image meets it again

    def __exit__(self, kind: object, *_: object) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
