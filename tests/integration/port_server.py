"""What listens inside the containers of test_ports.py; executed there, with the host's python.

    port_server.py tcp|tcp4|tcp6|udp PORT...

TCP: each connection begins with a line that says what is wanted.

who           the client's address and port, as the server sees them
sum           read to the end; then the SHA-256 of it
give N        N bytes, and the end
keep          nothing until the client ends; then `ended` counts it
ended         how many clients of `keep` are gone
UDP           answers with the client's address and port and what it sent; `to IP PORT` sends there
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

ended = 0


def block(number: int) -> bytes:
    """The numbered 64 KiB of what `give` sends."""
    return hashlib.sha256(str(number).encode()).digest() * 2048


def answer(one: socket.socket, peer: tuple[str, int]) -> None:
    """One connection."""
    global ended
    with one:
        file = one.makefile("rb")
        words = file.readline().decode().split() or ["nothing"]
        if words[0] == "who":
            one.sendall(f"{peer[0].removeprefix('::ffff:')} {peer[1]}\n".encode())
        elif words[0] == "sum":
            found = hashlib.sha256()
            while data := file.read(1 << 16):
                found.update(data)
            one.sendall(found.hexdigest().encode())
        elif words[0] == "give":
            left, number = int(words[1]), 0
            while left:
                data = block(number)[:left]
                one.sendall(data)
                left -= len(data)
                number += 1
        elif words[0] == "keep":
            try:
                one.sendall(b"kept\n")
                while file.read(1):
                    pass
            except OSError:
                pass
            ended += 1
        elif words[0] == "ended":
            one.sendall(f"{ended}\n".encode())
        else:
            one.sendall(" ".join(words).encode() + b"\n" + file.read())


def stream(family: socket.AddressFamily, port: int) -> None:
    """Listen on TCP."""
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and kind == "tcp6":
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(("", port))
        server.listen(256)
        print("listening", flush=True)
        while True:
            one, peer = server.accept()
            threading.Thread(target=answer, args=(one, peer), daemon=True).start()


def datagrams(port: int) -> None:
    """Answer on UDP."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("", port))
        print("listening", flush=True)
        while True:
            data, peer = server.recvfrom(65536)
            words = data.decode(errors="replace").split()
            if words[:1] == ["to"]:
                server.sendto(b"from the server", (words[1], int(words[2])))
                continue
            name = peer[0].removeprefix("::ffff:")
            server.sendto(f"{name} {peer[1]} ".encode() + data, peer)


kind = sys.argv[1]
for word in sys.argv[2:]:
    how = (datagrams, (int(word),)) if kind == "udp" else (
        stream, (socket.AF_INET if kind == "tcp4" else socket.AF_INET6, int(word)))  # fmt: skip
    threading.Thread(target=how[0], args=how[1]).start()
