"""The monitor's channel as Python programs use it (see docs/dev/formats.md)."""

from __future__ import annotations

import _socket

from rootless.errors import Conflict, RuntimeFailure
from rootless.runtime import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Channel:
    """One conversation; one thread may read while others send.  A context manager."""

    def __init__(self, place: int | str) -> None:
        """`place`: a connected descriptor, which is taken over, or the path of the socket.

        Raises Conflict when nobody answers there any more.
        """
        if isinstance(place, int):
            self._socket = _socket.socket(fileno=place)
            return
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
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

    def shut(self) -> None:
        """Leave, and wake a thread that reads; `close` follows."""
        try:
            self._socket.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        self._socket.sendall(frames.pack(kind, payload))

    def send_stdin(self, data: bytes) -> None:
        """Bytes for the container's standard input.  Raises OSError when it has ended."""
        self._send(frames.STDIN, data)

    def close_stdin(self) -> None:
        """End of the standard input; output goes on."""
        self._send(frames.END_OF_STDIN)

    def resize(self, rows: int, cols: int) -> None:
        """Set the size of the container's terminal, in characters."""
        self._send(frames.WINDOW, rows.to_bytes(2, "little") + cols.to_bytes(2, "little"))

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process."""
        self._send(frames.SIGNAL, number.to_bytes(4, "little"))

    def frames(self) -> Iterator[tuple[str, bytes]]:
        """(letter, payload) until the exit frame, which is the last."""
        for kind, payload in self.received():
            yield kind.decode("latin-1"), payload

    def received(self) -> Iterator[tuple[bytes, bytes]]:
        """As `frames`, with the kinds of runtime.frames."""
        kind = b""
        while kind != frames.EXIT:
            kind, payload = frames.read(self._socket)
            if not kind:
                return
            yield kind, payload

    def output(self) -> Iterator[tuple[str, bytes]]:
        """("stdout" | "stderr", bytes) pairs until the container ends."""
        for kind, payload in self.received():
            if kind in (frames.STDOUT, frames.STDERR):
                yield ("stdout" if kind == frames.STDOUT else "stderr"), payload

    def wait(self) -> int:
        """The exit code.  Raises RuntimeFailure when the monitor was killed."""
        self._send(frames.WAIT)
        for kind, payload in self.received():
            if kind == frames.EXIT:
                return frames.number(payload)
        raise RuntimeFailure(
            "the container's monitor was killed, so how it ended is not known",
            hint="rootless ps -a shows what is left of it",
        )
