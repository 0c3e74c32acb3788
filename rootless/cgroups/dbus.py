"""D-Bus, as much of it as one method call needs, without importing anything.

Scope: connect to the user's bus as ourselves, call methods, hear signals.  `run` makes one such
call, and every library for it takes as long to import as half a `run`; the tests hold what is
written and read here against jeepney.  Not here: serving methods, descriptors in messages.

Source: D-Bus Specification 0.41, "Marshaling", "Message Format", "Authentication Protocol".
"""

from __future__ import annotations

import os

from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

_ALIGN = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "s": 4, "o": 4, "a": 4,
          "x": 8, "t": 8, "d": 8, "(": 8, "{": 8}  # fmt: skip
_SIGNED = "nix"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
_MOST = 1 << 27  # the longest message the specification allows


class DBusError(Exception):
    """The other side answered with an error: its name and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def split(signature: str) -> list[str]:
    """Split a signature into complete types: `sa(sv)u` -> ["s", "a(sv)", "u"]."""
    found, at = [], 0
    while at < len(signature):
        end = _complete(signature, at)
        found.append(signature[at:end])
        at = end
    return found


def _complete(signature: str, at: int) -> int:
    if signature[at] == "a":
        return _complete(signature, at + 1)
    if signature[at] not in "({":
        return at + 1
    depth = 0
    while True:
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[at], 0)
        at += 1
        if not depth:
            return at


def write(out: bytearray, kind: str, value: Any) -> None:
    """Append a value of one complete type.  A variant is a pair (signature, value)."""
    first = kind[0]
    out.extend(bytes(-len(out) % _ALIGN[first]))
    if first in "so":
        text = value.encode()
        out += len(text).to_bytes(4, "little") + text + b"\0"
    elif first == "g":
        out += bytes([len(value)]) + value.encode() + b"\0"
    elif first == "v":
        write(out, "g", value[0])
        write(out, value[0], value[1])
    elif first == "a":
        place = len(out)
        out += bytes(4)
        out.extend(bytes(-len(out) % _ALIGN[kind[1]]))
        began = len(out)
        for one in value:
            write(out, kind[1:], one)
        out[place : place + 4] = (len(out) - began).to_bytes(4, "little")
    elif first in "({":
        for one, of in zip(value, split(kind[1:-1]), strict=True):
            write(out, of, one)
    else:
        out += int(value).to_bytes(_ALIGN[first], "little", signed=first in _SIGNED)


class Reader:
    """Takes values out of a message.  Whatever it holds, reading ends: ValueError or IndexError."""

    def __init__(self, data: bytes, *, order: str = "little") -> None:
        self.data = data
        self.at = 0
        self.order = order

    def read(self, kind: str, depth: int = 0) -> Any:
        """Read a value of one complete type; a variant becomes its value."""
        if depth > 32:
            raise ValueError("a message is nested too deeply")
        first = kind[0]
        self.at += -self.at % _ALIGN[first]
        if first in "so":
            return self._text(self._number(4))
        if first == "g":
            return self._text(self._number(1))
        if first == "v":
            return self.read(self.read("g"), depth + 1)
        if first == "a":
            length = self._number(4)
            self.at += -self.at % _ALIGN[kind[1]]
            end = self.at + length
            if end > len(self.data):
                raise ValueError("an array is longer than its message")
            found = []
            while self.at < end:
                found.append(self.read(kind[1:], depth + 1))
            return dict(found) if kind[1] == "{" else found
        if first in "({":
            return tuple(self.read(one, depth + 1) for one in split(kind[1:-1]))
        if first == "d":
            import struct

            self.at += 8
            sign = "<" if self.order == "little" else ">"
            return struct.unpack_from(sign + "d", self.data, self.at - 8)[0]
        value = self._number(_ALIGN[first], signed=first in _SIGNED)
        return bool(value) if first == "b" else value

    def _number(self, size: int, *, signed: bool = False) -> int:
        part = self.data[self.at : self.at + size]
        if len(part) < size:
            raise ValueError("a message is shorter than it says")
        self.at += size
        return int.from_bytes(part, self.order, signed=signed)  # type: ignore[arg-type]

    def _text(self, length: int) -> str:
        part = self.data[self.at : self.at + length]
        self.at += length + 1
        if self.at > len(self.data):
            raise ValueError("a text is longer than its message")
        return part.decode("utf-8", "replace")


_FIELDS = {"path": (1, "o"), "interface": (2, "s"), "member": (3, "s"), "error": (4, "s"),
           "reply_to": (5, "u"), "destination": (6, "s"), "sender": (7, "s"),
           "signature": (8, "g")}  # fmt: skip
_NAMES = {number: name for name, (number, _) in _FIELDS.items()}


def method_call(
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str,
    *args: Any,
) -> bytes:
    """Return a method call as it goes over the wire."""
    body = bytearray()
    for kind, value in zip(split(signature), args, strict=True):
        write(body, kind, value)
    fields = [
        (_FIELDS[name][0], (_FIELDS[name][1], value))
        for name, value in (
            ("path", path), ("interface", interface), ("member", member),
            ("destination", destination), ("signature", signature),
        )
        if value
    ]  # fmt: skip
    out = bytearray(b"l\x01\0\x01")
    write(out, "u", len(body))
    write(out, "u", serial)
    write(out, "a(yv)", fields)
    out.extend(bytes(-len(out) % 8))
    return bytes(out + body)


class Message:
    """One message that came in: its kind, its header's fields by name, its values."""

    def __init__(self, data: bytes) -> None:
        reader = Reader(data, order="little" if data[:1] == b"l" else "big")
        self.kind = data[1]
        reader.at = 8
        self.serial = reader.read("u")
        self.fields = {_NAMES.get(number): value for number, value in reader.read("a(yv)")}
        reader.at += -reader.at % 8
        signature = self.fields.get("signature") or ""
        self.values = [reader.read(one) for one in split(signature)]


def length(head: bytes) -> int:
    """Return the length of a message, from its first 16 bytes."""
    order: Any = "little" if head[:1] == b"l" else "big"
    body, fields = (int.from_bytes(head[at : at + 4], order) for at in (4, 12))
    whole = 16 + int(fields) + -int(fields) % 8 + int(body)
    if whole > _MOST:
        raise ValueError("a message is too long")
    return whole


class Bus:
    """A connection to a message bus.  A context manager.

    Everything is written without waiting, the authentication too, and read afterwards: each
    exchange with the bus costs two changes between processes.
    """

    def __init__(self, address: str) -> None:
        """Raises OSError if nothing listens there, ValueError for an address that is not a
        socket's."""
        import _socket

        self._serial = 0
        self._heard: list[Message] = []
        self._buffer = b""
        self._hello = True
        self.socket: _socket.socket = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
        )
        try:
            self.socket.settimeout(30)
            self.socket.connect(_unix(address))
        except BaseException:
            self.socket.close()
            raise
        # no name is given: the bus takes the uid that the kernel reports, which is right in a user
        # namespace as well, where we do not know it
        self._out = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"
        self.post("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> Bus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *args: Any
    ) -> int:
        """Queue a call for the next write; return the serial that its answer will name."""
        self._serial += 1
        self._out += method_call(self._serial, to, path, interface, member, signature, *args)
        return self._serial

    def match(self, rule: str) -> None:
        """Ask for signals."""
        name = "org.freedesktop.DBus"
        self.post(name, "/org/freedesktop/DBus", name, "AddMatch", "s", rule)

    def answer(self, serial: int) -> list[Any]:
        """Return the values of the answer to this call.  Raises DBusError, HostError."""
        found = self.wait(lambda one: one.fields.get("reply_to") == serial)
        if found.kind == ERROR:
            text = found.values[0] if found.values and isinstance(found.values[0], str) else ""
            raise DBusError(str(found.fields.get("error")), text)
        return found.values

    def call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", *args: Any
    ) -> list[Any]:
        """Call and wait.  Raises DBusError, HostError."""
        return self.answer(self.post(to, path, interface, member, signature, *args))

    def wait(self, wanted: Any) -> Message:
        """Return the first message for which `wanted` is true, among those kept and those to
        come."""
        for one in self._heard:
            if wanted(one):
                self._heard.remove(one)
                return one
        try:
            self.flush()
            if self._hello:
                self._authenticate()
            while True:
                one = self._next()
                if wanted(one):
                    return one
                self._heard.append(one)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise HostError(
                f"the user's message bus does not answer: {error}",
                hint="systemctl --user status; or choose --cgroup-manager disabled",
            ) from None

    def flush(self) -> None:
        """Write what is queued; the bus works on it while this process does something else."""
        if self._out:
            self.socket.sendall(self._out)
            self._out = b""

    def _authenticate(self) -> None:
        line = b"DATA"
        while line == b"DATA":
            while b"\r\n" not in self._buffer:
                self._more()
            line, _, self._buffer = self._buffer.partition(b"\r\n")
        if not line.startswith(b"OK "):
            raise ValueError("it refuses this user")
        self._hello = False

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ValueError("it hung up")
        self._buffer += data

    def _next(self) -> Message:
        while len(self._buffer) < 16:
            self._more()
        whole = length(self._buffer)
        while len(self._buffer) < whole:
            self._more()
        data, self._buffer = self._buffer[:whole], self._buffer[whole:]
        return Message(data)


def _unix(address: str) -> str | bytes:
    """`unix:path=/run/user/1000/bus,guid=…` -> a path; an abstract name begins with NUL."""
    for one in address.split(";"):
        kind, _, rest = one.partition(":")
        if kind != "unix":
            continue
        table = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
        for name, prefix in (("path", ""), ("abstract", "\0")):
            if name in table:
                return prefix + _unescape(table[name])
    raise ValueError(f"{address!r} is not the address of a socket")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def user_address() -> str:
    """Return where the user's bus is, whether it answers or not."""
    given = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
    if given:
        return given
    directory = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return f"unix:path={directory}/bus"
