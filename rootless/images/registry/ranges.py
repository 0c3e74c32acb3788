"""A large blob over several connections at once, delivered in order.

Scope: dividing a blob into segments and fetching a few of them ahead.  What has arrived out of
order waits in memory, at most WINDOW segments of it, so that the file on the disk is always a
beginning of the blob, which an interrupted pull continues.

A connection that stalls holds up nothing but its own segment, and that only until the transport
gives up on it: the rest of the segment is then asked for on another connection.
"""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Callable, Iterator

from rootless.images.registry.http import RANGE_TRIES, Reply, Settings, failed, stalled

SEGMENT = 8 << 20
CONNECTIONS = 3
WINDOW = CONNECTIONS + 1
# Below this a second connection costs more than it brings.
WORTH = 2 * SEGMENT
_CHUNK = 1 << 18

Open = Callable[[int, int], Reply]


class _Segment:
    """Bytes `begin` to `end` (exclusive), and what has arrived of them."""

    __slots__ = ("arrived", "begin", "end")

    def __init__(self, begin: int, end: int) -> None:
        self.begin = begin
        self.end = end
        self.arrived: queue.SimpleQueue[bytes | BaseException | None] = queue.SimpleQueue()


class Segments:
    """One transfer; iterate over it once.  `open` asks for the bytes from one offset to another."""

    def __init__(self, open: Open, settings: Settings, begin: int, end: int, first: Reply) -> None:
        """`first` is the answer to a request for the first segment."""
        self._open = open
        self._settings = settings
        self._segments = [_Segment(at, min(at + SEGMENT, end)) for at in range(begin, end, SEGMENT)]
        self._first: Reply | None = first
        self._next = 0
        self._head = 0
        self._stop = False
        self._turn = threading.Condition()
        self._replies: set[Reply] = set()

    def __iter__(self) -> Iterator[bytes]:
        """Raises RegistryError, ImageNotFound."""
        threads = [
            threading.Thread(target=self._work, daemon=True, name=f"range-{number}")
            for number in range(min(CONNECTIONS, len(self._segments)))
        ]
        for thread in threads:
            thread.start()
        try:
            for number, segment in enumerate(self._segments):
                while (chunk := segment.arrived.get()) is not None:
                    if isinstance(chunk, BaseException):
                        raise chunk
                    yield chunk
                with self._turn:
                    self._head = number + 1
                    self._turn.notify_all()
        finally:
            with self._turn:
                self._stop = True
                for reply in self._replies:
                    reply.abort()
                self._turn.notify_all()

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._stop and self._next - self._head >= WINDOW:
                    self._turn.wait()
                if self._stop or self._next >= len(self._segments):
                    return
                segment = self._segments[self._next]
                first, self._first = self._first, None
                self._next += 1
            try:
                self._fetch(segment, first)
            except BaseException as error:
                segment.arrived.put(error)
                return
            segment.arrived.put(None)

    def _fetch(self, segment: _Segment, reply: Reply | None) -> None:
        at, failures = segment.begin, 0
        while at < segment.end:
            before = at
            if reply is None:
                reply = self._open(at, segment.end)
            error: Exception | None = None
            with self._turn:
                self._replies.add(reply)
                if self._stop:
                    reply.abort()
            try:
                while at < segment.end and (chunk := reply.read_some(_CHUNK)):
                    # More than was asked for is not taken; the digest judges the rest.
                    chunk = chunk[: segment.end - at]
                    at += len(chunk)
                    segment.arrived.put(chunk)
            except (OSError, http.client.HTTPException) as caught:
                error = caught
            finally:
                with self._turn:
                    self._replies.discard(reply)
                url = reply.url
                reply.close()
                reply = None
            if at >= segment.end or self._stop:
                return
            failures = 0 if at - before >= self._settings.least else failures + 1
            if failures >= RANGE_TRIES:
                if isinstance(error, TimeoutError):
                    raise stalled(url, self._settings, error) from None
                raise failed(url, error or ConnectionResetError("connection closed"))
            if failures:
                self._settings.wait(failures)
