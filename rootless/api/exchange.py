"""One request and its answer on a connection.

Scope: bodies in both directions, chunked or counted, and the hand-over of the raw connection
(hijack).  What is asked for is the router's business.
"""

from __future__ import annotations

import re
import select
import socket

from rootless import documents
from rootless.api.head import BadHead
from rootless.errors import RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.head import Head
    from rootless.documents import Json

MOST_JSON = 16 << 20
_CHUNK_LINE = 256
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_PIECE = 1 << 16
_SIOCOUTQ = 0x5411

REASONS = {
    101: "UPGRADED", 200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict",
    413: "Content Too Large", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}  # fmt: skip


class ClientGone(Exception):
    """The other side ended the connection: nobody waits for the answer."""


class ApiError(RootlessError):
    """An answer with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """A socket and what was read from it beyond the last request."""

    __slots__ = ("buffer", "fresh", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.buffer = bytearray()
        self.fresh = False  # the head of a stream was sent, and nothing after it

    def receive(self, limit: int = _PIECE) -> bytes:
        """Some bytes, first those that were read ahead; b"" at the end.  Raises ClientGone."""
        if self.buffer:
            data = bytes(self.buffer[:limit])
            del self.buffer[:limit]
            return data
        try:
            return self.socket.recv(limit)
        except OSError as error:
            raise ClientGone from error

    def send(self, *parts: bytes | bytearray | memoryview) -> None:
        """Send everything.  Raises ClientGone."""
        if self.fresh:
            self.fresh = False
            self._let_read()
        try:
            if len(parts) == 1 or sum(map(len, parts)) > _PIECE:
                for one in parts:
                    self.socket.sendall(one)
            else:
                self.socket.sendall(b"".join(parts))
        except OSError as error:
            raise ClientGone from error

    def _let_read(self) -> None:
        """Wait until the client has read what was sent, at most some seconds (ioctl SIOCOUTQ).

        Docker's Python library reads the head of a stream through a buffer and the stream past it:
        what would come in the same read was lost.
        """
        if self.socket.family != socket.AF_UNIX:
            return
        import fcntl
        import time

        for _ in range(2000):
            try:
                if fcntl.ioctl(self.socket, _SIOCOUTQ, b"\0\0\0\0") == b"\0\0\0\0":
                    return
            except OSError:
                return
            time.sleep(0.001)

    def gone(self) -> bool:
        """Whether the other side has closed the connection; a half that was shut is not enough.

        Over TCP an end of what it sends is all that is seen of a client that has gone.
        """
        poller = select.poll()
        poller.register(self.socket, select.POLLRDHUP)
        found = poller.poll(0)
        if not found:
            return False
        if found[0][1] & (select.POLLHUP | select.POLLERR):
            return True
        return self.socket.family != socket.AF_UNIX


class Body:
    """The body of a request, read once, piece by piece."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._chunked = head.length < 0
        self._left = max(0, head.length)
        self._continue = head.has("expect", "100-continue") and not head.old
        self.done = not self._chunked and not self._left

    def read(self, limit: int = _PIECE) -> bytes:
        """At most so many bytes; b"" at the end.  Raises BadHead, ClientGone."""
        if self.done:
            return b""
        if self._continue:
            self._continue = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._chunked and not self._left:
            self._left = self._next_chunk()
            if not self._left:
                self.done = True
                return b""
        data = self._connection.receive(min(limit, self._left))
        if not data:
            raise ClientGone
        self._left -= len(data)
        if self._chunked:
            if not self._left and self._line():
                raise BadHead("a chunk of the body has another length than it says")
        else:
            self.done = not self._left
        return data

    def _next_chunk(self) -> int:
        found = _CHUNK.fullmatch(self._line())
        if found is None:
            raise BadHead("a chunk of the body has no length")
        size = int(found[1], 16)
        if not size:
            # trailers mean nothing to us
            for _ in range(100):
                if not self._line():
                    return 0
            raise BadHead("the body has too many trailers")
        return size

    def _line(self) -> bytes:
        """Up to CR LF, without it."""
        connection = self._connection
        buffer = connection.buffer
        while True:
            at = buffer.find(b"\n")
            if at >= 0:
                line = bytes(buffer[: at + 1])
                if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                    raise BadHead("a line of the body's chunks does not end with CR LF")
                del buffer[: at + 1]
                return line[:-2]
            if len(buffer) > _CHUNK_LINE:
                raise BadHead("a line between the body's chunks is too long")
            try:
                data = connection.socket.recv(_PIECE)
            except OSError as error:
                raise ClientGone from error
            if not data:
                raise ClientGone
            buffer += data

    def whole(self, limit: int = MOST_JSON) -> bytes:
        """All of it.  Raises ApiError beyond the limit."""
        parts: list[bytes] = []
        size = 0
        while data := self.read():
            size += len(data)
            if size > limit:
                raise ApiError(413, "the body of the request is too large")
            parts.append(data)
        return b"".join(parts)

    def json(self) -> Json:
        """The table that it holds, {} for an empty body.  Raises UsageError."""
        data = self.whole()
        if not data.strip():
            return {}
        try:
            found = documents.loads(data.decode())
        except ValueError:
            raise UsageError("invalid JSON: the body of the request cannot be read") from None
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise UsageError("invalid JSON: the body of the request is no object")
        return found

    def skip(self) -> bool:
        """Read what was not asked for, if it is short; whether another request may follow."""
        for _ in range(16):
            if self.done or not self.read():
                return self.done
        return False


class Exchange:
    """A request, and the ways to answer it.

    `path`: without the version; `version`: (1, 41), the newest where none was asked for;
    `query`: the last value of each name.
    """

    def __init__(self, connection: Connection, head: Head, number: int) -> None:
        self.connection = connection
        self.head = head
        self.number = number
        self.body = Body(connection, head)
        self.path = ""
        self.version = (1, 0)
        self.query: dict[str, str] = {}
        self.queries: dict[str, list[str]] = {}
        self.answered = False
        self.keeps = head.keeps
        self._chunked = False
        self.taken = False

    # what was asked

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth of the query as Go's servers read it: 1, true, True, and anything but 0."""
        value = self.query.get(name)
        if value is None:
            return default
        return value.strip().lower() not in ("", "0", "no", "false", "none")

    def integer(self, name: str) -> int | None:
        """A number of the query.  Raises UsageError."""
        value = self.query.get(name, "")
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise UsageError(f'strconv.Atoi: parsing "{value}": invalid syntax') from None

    def filters(self) -> dict[str, list[str]]:
        """Both forms of `filters`: {"label": ["a=b"]} and {"label": {"a=b": true}}."""
        text = self.query.get("filters", "")
        if not text:
            return {}
        try:
            found = documents.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UsageError("invalid filter")
        made: dict[str, list[str]] = {}
        for key, value in found.items():
            if isinstance(value, dict):
                made[str(key)] = [str(one) for one, there in value.items() if there]
            elif isinstance(value, list):
                made[str(key)] = [_word(one) for one in value]
            elif value is not None:
                made[str(key)] = [_word(value)]
        return {key: values for key, values in made.items() if values}

    def upgrades(self) -> bool:
        """Whether the client wants to go on without HTTP."""
        return self.head.has("connection", "upgrade") and "upgrade" in self.head.headers

    def gone(self) -> bool:
        """Whether the client has gone."""
        return self.connection.gone()

    # answers

    def _start(self, status: int, headers: list[tuple[str, str]]) -> bytes:
        self.answered = True
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if status != 101:
            lines += [
                f"Api-Version: {NEWEST_TEXT}", "Docker-Experimental: false", "Ostype: linux",
                f"Server: {self.server}",
            ]  # fmt: skip
            if not self.keeps:
                lines.append("Connection: close")
            elif self.head.old:
                lines.append("Connection: keep-alive")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    server = "rootless"

    def send(
        self,
        status: int,
        data: bytes = b"",
        kind: str = "",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        """An answer as a whole."""
        told = list(headers or ())
        if kind:
            told.append(("Content-Type", kind))
        if status not in (204, 304):
            told.append(("Content-Length", str(len(data))))
        begin = self._start(status, told)
        self.connection.send(begin, b"" if self.head.method == "HEAD" else data)

    def json(self, value: Json, status: int = 200) -> None:
        """An answer in JSON."""
        self.send(status, documents.dumps(value).encode() + b"\n", "application/json")

    def stream(
        self, kind: str, status: int = 200, headers: list[tuple[str, str]] | None = None
    ) -> None:
        """The head of an answer without a length, sent at once; `write` and `finish` follow."""
        told = [*(headers or ()), ("Content-Type", kind)]
        if self.head.old:
            self.keeps = False
        else:
            self._chunked = True
            told.append(("Transfer-Encoding", "chunked"))
        self.connection.send(self._start(status, told))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """A part of a stream."""
        if not data:
            return
        if self._chunked:
            self.connection.send(b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self.connection.send(data)

    def line(self, value: Json) -> None:
        """An object of a stream of JSON."""
        self.write(documents.dumps(value).encode() + b"\r\n")

    def finish(self) -> None:
        """End the stream."""
        if self._chunked:
            self.connection.send(b"0\r\n\r\n")

    def hijack(self, kind: str) -> Connection:
        """Leave HTTP: what follows on the connection is the caller's, who must close it."""
        # a client may send an empty object along, as a body, before what it types
        self.body.whole(1 << 16)
        self.taken = True
        self.keeps = False
        if self.upgrades():
            upgrade = [("Connection", "Upgrade"), ("Upgrade", "tcp")]
            head = self._start(101, [("Content-Type", kind), *upgrade])
        else:
            # as docker: no length, to the end of the connection
            self.answered = True
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode()
        self.connection.send(head)
        self.connection.fresh = True
        return self.connection


NEWEST = (1, 51)
OLDEST = (1, 24)
NEWEST_TEXT = "1.51"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
