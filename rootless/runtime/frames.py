"""Frames: what the engine, the monitor and the helper of `rootless-runtime` say to each other.

A frame is a letter, three zeros, the length of the payload, the payload (docs/dev/formats.md, "The
monitor's channel"; helpers/lib/channel.c).  Every program in Python that reads or writes one does
it here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

# to the monitor
STDIN = b"I"
END_OF_STDIN = b"E"
WINDOW = b"W"  # u16 rows, u16 columns
SIGNAL = b"S"  # u32
WAIT = b"K"  # nothing but the exit is wanted
GO = b"G"  # the cgroup's path, and what belongs to it
# from the monitor and the helper
MADE = b"M"  # u32 pid: waits to be put into its cgroup
HOOKS = b"H"  # u32 pid: the hooks of the runtime's namespaces are due
LISTENER = b"L"  # a descriptor comes with it
RUNNING = b"R"  # u32 pid
FAILED = b"F"  # see Failure
STDOUT = b"O"
STDERR = b"P"
EXIT = b"X"  # u32 exit code, u32: 1 when memory ran out, 2 when the files were lost

_HEAD = 8
_PIECE = 1 << 20


def pack(kind: bytes, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return kind + b"\0\0\0" + len(payload).to_bytes(4, "little") + payload


def read(channel: _socket.socket) -> tuple[bytes, bytes]:
    """Letter and payload of the next frame; two empty ones where the other side has gone."""
    head = _exactly(channel, _HEAD)
    if not head:
        return b"", b""
    length = int.from_bytes(head[4:], "little")
    payload = _exactly(channel, length) if length else b""
    return (head[:1], payload) if len(payload) == length else (b"", b"")


def _exactly(channel: _socket.socket, count: int) -> bytes:
    data = channel.recv(min(count, _PIECE))
    if len(data) == count or not data:
        return data
    parts = [data]
    count -= len(data)
    while count:
        data = channel.recv(min(count, _PIECE))
        if not data:
            return b""
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def read_with_descriptor(channel: _socket.socket) -> tuple[bytes, bytes, int]:
    """As `read`, and the descriptor that came along or -1."""
    data = b""
    fd = -1
    wanted = _HEAD
    while len(data) < wanted:
        part, ancillary, _, _ = channel.recvmsg(wanted - len(data), 32)
        if not part:
            return b"", b"", -1
        if ancillary:
            fd = descriptor(ancillary)
        data += part
        if len(data) == _HEAD:
            wanted = _HEAD + int.from_bytes(data[4:], "little")
    return data[:1], data[_HEAD:], fd


def descriptor(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The descriptor that came with a message, or -1."""
    for _, kind, data in ancillary:
        if kind == 1:  # SCM_RIGHTS
            return int.from_bytes(data[:4], "little", signed=True)
    return -1


def number(payload: bytes, at: int = 0) -> int:
    """A u32 of a payload."""
    return int.from_bytes(payload[at : at + 4], "little")


class Failure:
    """The payload of a FAILED frame: which operation or order failed, with which errno, at what.

    `index`: the operation's place in the launch plan.
    """

    __slots__ = ("code", "index", "op", "text")

    def __init__(self, payload: bytes) -> None:
        self.index = number(payload)
        self.code = number(payload, 4)
        self.op = number(payload, 8)
        self.text = payload[12:].decode("utf-8", "replace")
