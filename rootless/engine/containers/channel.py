"""The monitor's channel as Python programs use it (see docs/architecture.md)."""

from __future__ import annotations

import socket
import struct

from rootless.errors import Conflict, RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = struct.Struct("=B3xI")


class Channel:
    """One conversation; one thread may read while others send.  A context manager."""

    def __init__(self, place: int | str) -> None:
        """`place`: a connected descriptor, which is taken over, or the path of the socket.

        Raises Conflict when nobody answers there any more.
        """
        if isinstance(place, int):
            self._socket = socket.socket(fileno=place)
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(place)
        except OSError as error:
            self._socket.close()
            raise Conflict(
                f"the container's monitor does not answer: {error.strerror}",
                hint="the container may just have ended; see rootless ps -a",
            ) from None

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the container goes on."""
        self._socket.close()

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        self._socket.sendall(_HEAD.pack(kind[0], len(payload)) + payload)

    def send_stdin(self, data: bytes) -> None:
        """Bytes for the container's standard input.  Raises OSError when it has ended."""
        self._send(b"I", data)

    def close_stdin(self) -> None:
        """End of the standard input; output goes on."""
        self._send(b"E")

    def resize(self, rows: int, cols: int) -> None:
        """Set the size of the container's terminal, in characters."""
        self._send(b"W", struct.pack("=HH", rows, cols))

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process."""
        self._send(b"S", struct.pack("=I", number))

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            data = self._socket.recv(min(count, 1 << 20))
            if not data:
                return b""
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def frames(self) -> Iterator[tuple[str, bytes]]:
        """(letter, payload) until the exit frame, which is the last."""
        while True:
            head = self._exactly(_HEAD.size)
            if not head:
                return
            kind, length = _HEAD.unpack(head)
            payload = self._exactly(length) if length else b""
            yield chr(kind), payload
            if kind == ord("X"):
                return

    def output(self) -> Iterator[tuple[str, bytes]]:
        """("stdout" | "stderr", bytes) pairs until the container ends."""
        for kind, payload in self.frames():
            if kind in "OP":
                yield ("stdout" if kind == "O" else "stderr"), payload

    def wait(self) -> int:
        """The exit code.  Raises RuntimeFailure when the monitor was killed."""
        self._send(b"K")
        for kind, payload in self.frames():
            if kind == "X":
                return int.from_bytes(payload[:4], "little")
        raise RuntimeFailure(
            "the container's monitor was killed, so how it ended is not known",
            hint="rootless ps -a shows what is left of it",
        )
