"""TCP on the loopback: whoever connects must be a process of our own user.

A port of 127.0.0.1 is open to all users of a host, and whoever may ask here can do what we can.
The kernel says in /proc/net/tcp whose the other end of a local connection is (proc(5)), so nobody
needs a token.  What a browser sends for a web page is refused by the router (`Origin`).
"""

from __future__ import annotations

import os
import socket

from rootless.errors import HostError, UsageError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(text: str) -> socket.socket:
    """A listening socket at HOST:PORT.  Raises UsageError, HostError."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if host not in _LOOPBACK:
        raise UsageError(
            f'the service listens on no other address than the loopback, not "{host}"',
            hint="tcp://127.0.0.1:PORT, and ssh -L for other hosts",
        )
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(f'"{port}" is no port')
    six = host == "::1"
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::1" if six else "127.0.0.1", int(port)))
        made.listen(512)
    except OSError as error:
        made.close()
        raise HostError(f"cannot listen at {text}: {error.strerror}") from None
    return made


def own_user(connected: socket.socket) -> bool:
    """Whether the socket at the other end belongs to our user."""
    try:
        theirs, ours = connected.getpeername()[:2], connected.getsockname()[:2]
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        return False
    wanted = (_coded(theirs), _coded(ours))
    name = "/proc/net/tcp6" if connected.family == socket.AF_INET6 else "/proc/net/tcp"
    try:
        with open(name, encoding="ascii") as file:
            for line in file:
                words = line.split()
                # sl local_address rem_address st tx:rx tr:when retrnsmt uid
                if tuple(words[1:3]) == wanted:
                    return words[7] == str(os.getuid())
    except (OSError, IndexError):
        pass
    return False


def _coded(address: tuple[str, int]) -> str:
    """As /proc/net/tcp writes it: words of the address in the host's order."""
    host, port = address
    six = ":" in host
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, host)
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    order = "little" if os.sys.byteorder == "little" else "big"  # type: ignore[attr-defined]
    text = "".join(f"{int.from_bytes(one, order):08X}" for one in words)  # type: ignore[arg-type]
    return f"{text}:{port:04X}"
