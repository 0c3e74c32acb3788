"""The loop: idle connections in one epoll, a thread for each request under way.

A thousand clients that keep their connections open cost a descriptor each and no thread.  The
service keeps nothing: it may be killed at any moment, and containers, logs and health checks go on.
"""

from __future__ import annotations

import errno
import os
import queue
import select
import socket
import threading
import time

from rootless.api import head as http
from rootless.api.exchange import ClientGone, Connection, Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[Exchange], None]

MOST_THREADS = 512
_STACK = 1 << 20  # bytes of address space; pages that are not used cost nothing
_SPARE = 8
_HEAD_SECONDS = 60  # for the rest of a head whose beginning has come
_READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT


class Server:
    """Answers on these listening sockets until nothing was asked for `idle` seconds (0: for ever).

    `admit` says whether whoever has connected may ask at all.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        handler: Handler,
        *,
        idle: float = 0,
        admit: Callable[[socket.socket], bool] = lambda _: True,
    ) -> None:
        self._listeners = {one.fileno(): one for one in listeners}
        self._handler = handler
        self._idle_seconds = idle
        self._admit = admit
        self._epoll = select.epoll()
        self._waiting: dict[int, Connection] = {}
        self._queue: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        self._busy = 0
        self._last = time.monotonic()
        self._count = 0
        self._ended = False
        self._wakened, self.waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def end(self) -> None:
        """Have `serve` return; a handler of signals may call it."""
        self._ended = True
        try:
            os.write(self.waker, b"e")
        except OSError:
            pass  # it is full: the loop wakes anyway

    def serve(self) -> None:
        """Until idle for long enough, or `end`."""
        threading.stack_size(_STACK)
        self._epoll.register(self._wakened, select.EPOLLIN)
        for fd, one in self._listeners.items():
            one.setblocking(False)
            self._epoll.register(fd, select.EPOLLIN)
        resume = 0.0
        while not self._ended:
            now = time.monotonic()
            if resume and now >= resume:
                resume = 0.0
                self._listen(True)
            wait = self._until_idle(now)
            if wait is not None and wait <= 0:
                return
            pauses = [one for one in (wait, resume - now if resume else None) if one is not None]
            for fd, _ in self._epoll.poll(min(pauses) if pauses else -1):
                if fd in self._listeners:
                    if not self._accept(self._listeners[fd]):
                        # no descriptors: others have to end first, and looking would only spin
                        self._listen(False)
                        resume = time.monotonic() + 0.1
                    continue
                if fd == self._wakened:
                    os.read(fd, 64)
                    continue
                connection = self._waiting.pop(fd, None)
                if connection is not None:
                    self._hand_over(connection)

    def _until_idle(self, now: float) -> float | None:
        """Seconds until there is nothing to wait for any more; None: not to be said now."""
        if not self._idle_seconds:
            return None
        with self._lock:
            if self._busy:
                return self._idle_seconds
            return self._last + self._idle_seconds - now

    def _listen(self, on: bool) -> None:
        for fd in self._listeners:
            self._epoll.modify(fd, select.EPOLLIN if on else 0)

    def _accept(self, listener: socket.socket) -> bool:
        """Take those who wait; False when there are no descriptors left."""
        for _ in range(64):
            try:
                connected, _address = listener.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    return False
                continue  # whoever asked has gone
            if not self._admit(connected):
                connected.close()
                continue
            connected.setblocking(True)
            fd = connected.fileno()
            self._last = time.monotonic()
            self._waiting[fd] = Connection(connected)
            self._epoll.register(fd, _READ)
        return True

    def _hand_over(self, connection: Connection) -> None:
        with self._lock:
            self._busy += 1
            fresh = not self._free
            if fresh and self._threads >= MOST_THREADS:
                self._busy -= 1
            else:
                if fresh:
                    self._threads += 1
                else:
                    self._free -= 1
                self._queue.put(connection)
                if not fresh:
                    return
                threading.Thread(target=self._work, daemon=True).start()
                return
        _refuse(connection, 503, "too many requests are under way")
        connection.socket.close()

    def _work(self) -> None:
        while True:
            connection = self._queue.get()
            back = False
            try:
                back = self._converse(connection)
            except Exception:
                # the handler answers for its own errors: this one is the connection's
                back = False
            finally:
                if not back:
                    _close(connection.socket)
            with self._lock:
                self._busy -= 1
                self._last = time.monotonic()
                leave = self._free >= _SPARE
                if leave:
                    self._threads -= 1
                else:
                    self._free += 1
            if back:
                fd = connection.socket.fileno()
                self._waiting[fd] = connection
                self._epoll.modify(fd, _READ)
            if leave:
                return

    def _converse(self, connection: Connection) -> bool:
        """Answer what has come; whether the connection waits for more."""
        while True:
            head = _read_head(connection)
            if head is None:
                return False
            with self._lock:
                self._count += 1
                number = self._count
            exchange = Exchange(connection, head, number)
            try:
                self._handler(exchange)
                if exchange.taken or not exchange.keeps:
                    return False
                if not exchange.body.skip():
                    return False
            except ClientGone:
                return False
            except http.BadHead as error:
                if not exchange.answered:
                    _refuse(connection, error.status, str(error))
                return False
            if not connection.buffer:
                return True


def _read_head(connection: Connection) -> http.Head | None:
    """The next head; None if there is none, or none that can be read."""
    buffer = connection.buffer
    connected = connection.socket
    looked = 0
    try:
        while True:
            # an empty line before a request is to be passed over (RFC 9112, 2.2)
            while buffer.startswith(b"\r\n"):
                del buffer[:2]
            at = http.end(buffer, looked)
            if at >= 0:
                made = http.parse(bytes(buffer[:at]))
                del buffer[:at]
                return made
            looked = len(buffer)
            connected.settimeout(_HEAD_SECONDS)
            data = connected.recv(1 << 16)
            if not data:
                return None
            buffer += data
    except http.BadHead as error:
        _refuse(connection, error.status, str(error))
        return None
    except OSError:
        return None
    finally:
        try:
            connected.settimeout(None)
        except OSError:
            pass


def _refuse(connection: Connection, status: int, text: str) -> None:
    from rootless import documents
    from rootless.api.exchange import REASONS

    data = documents.dumps({"message": text}).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    try:
        connection.socket.settimeout(5)
        connection.send(head.encode(), data)
    except (ClientGone, OSError):
        pass


def _close(connected: socket.socket) -> None:
    """Close, so that what was sent still arrives although something was not read."""
    try:
        connected.shutdown(socket.SHUT_WR)
        connected.settimeout(0.2)
        for _ in range(16):
            if not connected.recv(1 << 16):
                break
    except OSError:
        pass
    connected.close()


def own_user(connected: socket.socket) -> bool:
    """Whether a process of our own user is at the other end (unix(7), SO_PEERCRED).

    Root inside a container is our own user as well; the other ids of a container are not.
    """
    data = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(data[4:8], "little") == os.getuid()
