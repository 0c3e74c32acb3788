"""A host with a neighbour, for tests that need clients from elsewhere.

The host is a network namespace in which the command runs; the neighbour is another one at the other
end of a cable (veth).  Both belong to a user namespace with all ids of the user, as
`rootless unshare` makes it.  Sockets are made there by a small program and handed over, so a test
uses them as its own.

    host ── h0  198.51.100.1  2001:db8:1::1      c0  198.51.100.9  2001:db8:1::9 ── neighbour
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Command, Place

HOST4, HOST6 = "198.51.100.1", "2001:db8:1::1"
SECOND4 = "198.51.100.2"  # another one of the host's
NEIGHBOUR4, NEIGHBOUR6 = "198.51.100.9", "2001:db8:1::9"
STRANGER4 = "198.51.100.10"  # another one of the neighbour's


class Neighbours:
    """`rootless` is the command on the host; `socket` makes sockets of either machine."""

    def __init__(self, rootless: Command, links: dict[str, socket.socket]) -> None:
        self.rootless = rootless
        self._links = links

    def socket(self, where: str, family: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket of the host ("host") or of its neighbour ("neighbour"), with a timeout."""
        link = self._links[where]
        link.sendall(struct.pack("=2i", family, kind))
        _, fds, _, _ = socket.recv_fds(link, 1, 1)
        one = socket.socket(fileno=fds[0])
        one.settimeout(60)
        return one


@contextlib.contextmanager
def neighbours(rootless: Command, place: Place) -> Iterator[Neighbours]:
    """Both, for as long as the block runs."""
    pairs = {name: socket.socketpair() for name in ("host", "neighbour")}
    theirs = [pair[1].fileno() for pair in pairs.values()]
    process = subprocess.Popen(
        [*rootless.words, "unshare", "unshare", "--net", sys.executable, "-IS", __file__,
         *map(str, theirs)],
        env=place.env, cwd=place.work, pass_fds=theirs, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    links = {}
    for name, (ours, other) in pairs.items():
        other.close()
        ours.settimeout(60)
        links[name] = ours
    try:
        pid = struct.unpack("=i", links["host"].recv(4))[0]
        words = ["nsenter", "--preserve-credentials", "-U", "-n", "-t", str(pid), "--"]
        inner = type(rootless)([*words, *rootless.words], place)
        yield Neighbours(inner, links)
        inner.close()
        left = inner("ps", "-aq", "--no-trunc").stdout.split()
        if left:
            inner("rm", "-f", *left)
    finally:
        for link in links.values():
            link.close()
        process.wait(60)


def _ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def _serve(link: socket.socket) -> None:
    """Make sockets until nobody asks."""
    while request := link.recv(8):
        family, kind = struct.unpack("=2i", request)
        with socket.socket(family, kind) as one:
            socket.send_fds(link, [b"s"], [one.fileno()])


def _host(link: int, other: int) -> None:
    """The host, which starts its neighbour, waits for the cable, and says who it is."""
    with subprocess.Popen(
        ["unshare", "--net", sys.executable, "-IS", __file__, str(other), "of", str(os.getpid())],
        pass_fds=[other], stdout=subprocess.PIPE,
    ) as neighbour:  # fmt: skip
        socket.socket(fileno=other).close()
        assert neighbour.stdout is not None and neighbour.stdout.readline()
        _ip("link set lo up", f"addr add {HOST4}/24 dev h0",
            f"addr add {SECOND4}/24 dev h0", f"addr add {HOST6}/64 dev h0 nodad",
            "link set h0 up", f"route add default via {NEIGHBOUR4}")  # fmt: skip
        ours = socket.socket(fileno=link)
        ours.sendall(struct.pack("=i", os.getpid()))
        _serve(ours)


def _neighbour(link: int, host: str) -> None:
    _ip("link set lo up", f"link add c0 type veth peer name h0 netns {host}",
        f"addr add {NEIGHBOUR4}/24 dev c0", f"addr add {STRANGER4}/24 dev c0",
        f"addr add {NEIGHBOUR6}/64 dev c0 nodad", "link set c0 up")  # fmt: skip
    print("connected", flush=True)
    _serve(socket.socket(fileno=link))


if __name__ == "__main__":
    if sys.argv[2] == "of":
        _neighbour(int(sys.argv[1]), sys.argv[3])
    else:
        _host(int(sys.argv[1]), int(sys.argv[2]))
