"""Streams between a client and a container's monitor, in docker's framing.

Without a terminal each piece has a head of eight bytes: 1 for standard output or 2 for standard
error, three zeros, the length (big-endian); with one the bytes are as they are.  A client that
shuts its writing side has ended the standard input, and goes on reading.
"""

from __future__ import annotations

import os
import select
import socket
import threading

from rootless.api.exchange import ClientGone
from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Connection, Exchange
    from rootless.engine.containers.channel import Channel

RAW = "application/vnd.docker.raw-stream"
FRAMED = "application/vnd.docker.multiplexed-stream"
_PIECE = 1 << 16
_OUT, _ERR = b"\1\0\0\0", b"\2\0\0\0"


def kind(exchange: Exchange, tty: bool) -> str:
    """What the answer calls its stream."""
    return FRAMED if not tty and exchange.version >= (1, 42) else RAW


def frame(stderr: bool, data: bytes) -> bytes:
    """The head of a piece."""
    return (_ERR if stderr else _OUT) + len(data).to_bytes(4, "big")


class Wanted:
    """What a client wants of a container's streams."""

    __slots__ = ("detach_keys", "stderr", "stdin", "stdout", "tty")

    def __init__(
        self, *, stdin: bool, stdout: bool, stderr: bool, tty: bool, detach_keys: bytes = b""
    ) -> None:
        self.stdin, self.stdout, self.stderr, self.tty = stdin, stdout, stderr, tty
        self.detach_keys = detach_keys


class Pending:
    """A client that attached before the container starts, as `docker run` does.

    Whoever starts the container hands the channel over; None: it was not started after all.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.channel: Channel | None = None
        self.refused = False
        self._lock = threading.Lock()
        self._open = True

    def give(self, channel: Channel | None) -> bool:
        """Hand it over; False where nobody waits any more."""
        with self._lock:
            if not self._open:
                return False
            self.channel, self.refused = channel, channel is None
            os.write(self._write, b"x")
            return True

    def wake(self) -> None:
        """Have it look whether the container runs."""
        with self._lock:
            if self._open:
                os.write(self._write, b"w")

    def wait(self, connection: Connection, seconds: float) -> bool:
        """Whether something was handed over; returns after a while.  Raises ClientGone."""
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        poller.register(connection.socket, 0)  # a hang-up is always told
        for fd, _ in poller.poll(seconds * 1000):
            if fd == self._read:
                os.read(self._read, 16)
                return self.channel is not None or self.refused
            raise ClientGone
        if connection.gone():
            raise ClientGone
        return False

    def close(self) -> None:
        """Nobody waits any more; a channel that came too late is left."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._read)
                os.close(self._write)


def relay(connection: Connection, channel: Channel, wanted: Wanted) -> None:
    """Pass bytes both ways until the container ends or the client leaves."""
    feeder = threading.Thread(target=_feed, args=(connection, channel, wanted), daemon=True)
    feeder.start()
    try:
        _pass_output(connection, channel, wanted)
    except (ClientGone, OSError):
        pass
    finally:
        # this wakes the feeder, and is the end of the stream for the client
        _shut(connection.socket)
        channel.shut()
        feeder.join(10)
        channel.close()


def _pass_output(connection: Connection, channel: Channel, wanted: Wanted) -> None:
    # the kinds are b"O" and b"P", as in the monitor's channel
    for letter, payload in channel.received():
        stderr = letter == b"P"
        if (letter != b"O" and not stderr) or not (wanted.stderr if stderr else wanted.stdout):
            continue
        if wanted.tty:
            connection.send(payload)
        else:
            connection.send(frame(stderr, payload), payload)


def _feed(connection: Connection, channel: Channel, wanted: Wanted) -> None:
    """Standard input until its end; then wait for the client or the container to go."""
    keys = Keys(wanted.detach_keys) if wanted.tty and wanted.detach_keys else None
    try:
        while data := connection.receive(_PIECE):
            if not wanted.stdin:
                continue
            left = False
            if keys is not None:
                data, left = keys.take(data)
            if data:
                channel.send_stdin(data)
            if left:
                channel.shut()
                return
        if wanted.stdin:
            channel.close_stdin()
        poller = select.poll()
        # over TCP one who has gone looks as one who has ended its input: the next output tells
        poller.register(connection.socket, 0)
        poller.poll()
        channel.shut()
    except (ClientGone, OSError, RootlessError):
        channel.shut()


class Keys:
    """Looks for the keys that detach; what begins like them is held back until it is no more."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """What goes on to the container, and whether the keys were pressed."""
        data = self._held + data
        at = data.find(self._keys)
        if at >= 0:
            return data[:at], True
        for length in range(min(len(self._keys) - 1, len(data)), 0, -1):
            if self._keys.startswith(data[-length:]):
                self._held = data[-length:]
                return data[:-length], False
        self._held = b""
        return data, False


def _shut(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    # the other half as well, after what is on its way: a reader of ours may wait in it
    try:
        connected.shutdown(socket.SHUT_RD)
    except OSError:
        pass
