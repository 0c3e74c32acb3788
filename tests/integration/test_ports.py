"""Published ports: who reaches them, what the server sees of clients, what becomes of the bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from integration.neighbours import (
    HOST4,
    HOST6,
    NEIGHBOUR4,
    NEIGHBOUR6,
    SECOND4,
    STRANGER4,
    Neighbours,
    neighbours,
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("everyone")

HERE = Path(__file__).parent
GATEWAY4, GATEWAY6 = "10.0.2.2", "fd00::2"
SERVER = ("/usr/bin/python3", "-ISu", "/server.py")
FILES = ("-v", f"{HERE}/port_server.py:/server.py:ro", "-v", "/usr:/usr:ro",
         "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro")  # fmt: skip


def free_ports(count: int = 1, host: str = "127.0.0.1") -> list[int]:
    """Ports that were free a moment ago, one after another."""
    while True:
        sockets = []
        try:
            sockets.append(socket.socket())
            sockets[0].bind((host, 0))
            first = int(sockets[0].getsockname()[1])
            for number in range(first + 1, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind((host, number))
            return list(range(first, first + count))
        except (OSError, OverflowError):
            continue
        finally:
            for one in sockets:
                one.close()


def serve(rootless: Command, image: str, *options: str, listens: tuple[str, ...]) -> str:
    """Start a container with the server of port_server.py and wait until it listens."""
    name = rootless("run", "-d", *FILES, *options, image, *SERVER, *listens).stdout.strip()
    for line in follow(rootless, name):
        if line == b"listening\n":
            break
    return name


def follow(rootless: Command, name: str) -> Iterator[bytes]:
    """Lines of its log as they come."""
    process = rootless.start("logs", "-f", name, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    yield from iter(process.stdout.readline, b"")


def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A connection from this machine."""
    return socket.create_connection((host, port), timeout=60)


def ask(one: socket.socket, words: str) -> bytes:
    """All that the server says to that."""
    with one:
        one.sendall(words.encode() + b"\n")
        return everything(one)


def everything(one: socket.socket) -> bytes:
    """What comes until the end."""
    with one:
        found = b""
        while data := one.recv(1 << 16):
            found += data
        return found


@pytest.fixture
def hosts(rootless: Command, place: Place) -> Iterator[Neighbours]:
    """A host that the command runs on, and its neighbour."""
    with neighbours(rootless, place) as found:
        yield found


@pytest.fixture
def image(hosts: Neighbours, busybox_tar: Path) -> str:
    """An image on that host."""
    hosts.rootless("import", busybox_tar, "busybox:test")
    return "busybox:test"


def test_the_clients_true_address_arrives(hosts: Neighbours, image: str) -> None:
    serve(hosts.rootless, image, "--name", "s", "-p", "8080:80", listens=("tcp", "80"))

    def seen(where: str, family: int, target: str) -> tuple[str, int, int]:
        with hosts.socket(where, family) as one:
            one.connect((target, 8080))
            port = one.getsockname()[1]
            name, number = ask(one, "who").decode().split()
            return name, int(number), port

    for family, target, source in (
        (socket.AF_INET, HOST4, NEIGHBOUR4), (socket.AF_INET6, HOST6, NEIGHBOUR6)
    ):  # fmt: skip
        name, number, port = seen("neighbour", family, target)
        assert (name, number) == (source, port)
    # on the loopback it would be the container's own
    assert seen("host", socket.AF_INET, "127.0.0.1")[0] == GATEWAY4
    assert seen("host", socket.AF_INET6, "::1")[0] == GATEWAY6
    assert seen("host", socket.AF_INET, HOST4)[0] == HOST4
    # who says that it is the container is not believed
    with hosts.socket("neighbour", socket.AF_INET) as one:
        one.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
        one.bind(("10.0.2.100", 0))
        one.settimeout(0.1)
        with pytest.raises(OSError):
            one.connect((HOST4, 8080))  # the host knows no way back


def test_a_container_on_a_network_with_a_name(hosts: Neighbours, image: str) -> None:
    hosts.rootless("network", "create", "--subnet", "10.77.0.0/24", "net")
    serve(hosts.rootless, image, "--network", "net", "-p", "8080:80", listens=("tcp", "80"))
    for where, family, target, source in (
        ("neighbour", socket.AF_INET, HOST4, NEIGHBOUR4),
        ("neighbour", socket.AF_INET6, HOST6, NEIGHBOUR6),
        ("host", socket.AF_INET, "127.0.0.1", "10.77.0.1"),
    ):
        with hosts.socket(where, family) as one:
            one.connect((target, 8080))
            assert ask(one, "who").split()[0].decode() == source


def test_a_server_without_ipv6_is_reached_by_it(hosts: Neighbours, image: str) -> None:
    serve(hosts.rootless, image, "-p", "8080:80", listens=("tcp4", "80"))
    with hosts.socket("neighbour", socket.AF_INET6) as one:
        one.connect((HOST6, 8080))
        assert ask(one, "who").split()[0].decode() == GATEWAY4


def test_the_true_address_of_udp(hosts: Neighbours, image: str) -> None:
    serve(hosts.rootless, image, "-p", "5353:53/udp", listens=("udp", "53"))
    for where, family, target, source in (
        ("neighbour", socket.AF_INET, HOST4, NEIGHBOUR4),
        ("neighbour", socket.AF_INET6, HOST6, NEIGHBOUR6),
        ("host", socket.AF_INET, "127.0.0.1", GATEWAY4),
        ("host", socket.AF_INET6, "::1", GATEWAY6),
    ):
        with hosts.socket(where, family, socket.SOCK_DGRAM) as one:
            one.connect((target, 5353))
            for text in (b"one", b"x" * 1200):
                one.send(text)
                name, _, rest = one.recv(2000).split(b" ", 2)
                assert (name.decode(), rest) == (source, text)
    # what the server sends from the same port to somebody who has not asked leaves as before
    with hosts.socket("neighbour", socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((STRANGER4, 9999))
        with hosts.socket("host", socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("127.0.0.1", 5353))
            one.send(f"to ::ffff:{STRANGER4} 9999".encode())
            assert other.recv(100) == b"from the server"


def test_the_way_out_stays_open(hosts: Neighbours, image: str) -> None:
    """Connections of the container's own, also to the address of a client."""
    serve(hosts.rootless, image, "--name", "s", "-p", "8080:80", listens=("tcp", "80"))
    with hosts.socket("neighbour", socket.AF_INET) as server:
        server.bind((NEIGHBOUR4, 7000))
        server.listen()
        with hosts.socket("neighbour", socket.AF_INET) as one:
            one.connect((HOST4, 8080))
            one.sendall(b"keep\n")
            assert one.recv(5) == b"kept\n"
            code = (f"import socket; s = socket.create_connection(('{NEIGHBOUR4}', 7000));"
                    "print(s.recv(9))")  # fmt: skip
            going = hosts.rootless.start("exec", "s", "/usr/bin/python3", "-ISc", code,
                                         stdout=subprocess.PIPE)  # fmt: skip
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"welcome")
            assert going.communicate(timeout=60)[0] == b"b'welcome'\n"


@pytest.mark.parametrize(
    ("option", "family", "target", "seen"),
    [
        (f"outbound_addr={SECOND4}", socket.AF_INET, NEIGHBOUR4, SECOND4),
        ("enable_ipv6=true", socket.AF_INET6, NEIGHBOUR6, HOST6),
    ],
)
def test_options_of_the_way_out(
    hosts: Neighbours, image: str, option: str, family: int, target: str, seen: str
) -> None:
    code = f"""import socket
while True:
    # an address of IPv6 comes a moment after the start
    try:
        print(socket.create_connection(("{target}", 7000), 5).recv(9))
        break
    except OSError:
        pass
"""
    with hosts.socket("neighbour", family) as server:
        server.bind((target, 7000))
        server.listen()
        going = hosts.rootless.start(
            "run", "--rm", *FILES, "--network", f"slirp4netns:{option}", image, SERVER[0], "-ISc",
            code, stdout=subprocess.PIPE,
        )  # fmt: skip
        accepted, peer = server.accept()
        with accepted:
            accepted.sendall(b"welcome")
        assert going.communicate(timeout=60)[0] == b"b'welcome'\n"
        assert peer[0] == seen


def test_bytes_arrive_whole_in_both_directions(rootless: Command, busybox_image: str) -> None:
    (port,) = free_ports()
    serve(rootless, busybox_image, "-p", f"127.0.0.1:{port}:80", listens=("tcp", "80"))
    size = 20 << 20
    wanted = hashlib.sha256()
    giving = connect(port)
    giving.sendall(f"give {size}\n".encode())
    with connect(port) as one:
        one.sendall(b"sum\n")
        for number in range(size >> 16):
            data = hashlib.sha256(str(number).encode()).digest() * 2048
            wanted.update(data)
            one.sendall(data)
        # the server answers after our end only
        one.shutdown(socket.SHUT_WR)
        assert everything(one).decode() == wanted.hexdigest()
    # nobody has read that one until now: it was held back, and nothing is lost
    assert hashlib.sha256(everything(giving)).hexdigest() == wanted.hexdigest()


def test_a_client_that_vanishes(rootless: Command, busybox_image: str) -> None:
    (port,) = free_ports()
    serve(rootless, busybox_image, "-p", f"127.0.0.1:{port}:80", listens=("tcp", "80"))
    for reset in (False, True):
        with connect(port) as one:
            one.sendall(b"keep\n")
            assert one.recv(5) == b"kept\n"
            if reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with connect(port) as one:
        one.sendall(b"give 100000000\n")
        one.recv(10)
    end = time.monotonic() + 60
    while ask(connect(port), "ended") != b"2\n":
        assert time.monotonic() < end


def test_a_hundred_at_once(rootless: Command, busybox_image: str) -> None:
    (port,) = free_ports()
    serve(rootless, busybox_image, "-p", f"127.0.0.1:{port}:80", listens=("tcp", "80"))
    short_connections(port, 300, at_once=100)


@pytest.mark.long
def test_ten_thousand_requests_over_a_hundred_connections(
    rootless: Command, busybox_image: str
) -> None:
    (port,) = free_ports()
    serve(rootless, busybox_image, "-p", f"127.0.0.1:{port}:80", listens=("tcp", "80"))
    short_connections(port, 10000, at_once=100)


def short_connections(port: int, count: int, *, at_once: int) -> None:
    """So many, each with an answer."""
    import concurrent.futures

    def one(_: int) -> bool:
        return ask(connect(port), "who").startswith(GATEWAY4.encode())

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        assert all(pool.map(one, range(count)))


def test_a_server_that_does_not_listen_yet(rootless: Command, busybox_image: str) -> None:
    """A client that speaks first loses nothing."""
    (port,) = free_ports()
    rootless("run", "-d", "--name", "s", *FILES, "-p", f"127.0.0.1:{port}:80", busybox_image,
             "sh", "-c", "until test -e /go; do sleep 0.1; done; exec \"$@\"", "sh", *SERVER,
             "tcp", "80")  # fmt: skip
    with connect(port) as early, connect(port) as ended:
        early.sendall(b"early words\n")
        ended.sendall(b"other words\n")
        ended.shutdown(socket.SHUT_WR)
        rootless("exec", "s", "touch", "/go")
        assert everything(ended) == b"other words\n"
        early.shutdown(socket.SHUT_WR)
        assert everything(early) == b"early words\n"


def test_nobody_listens(rootless: Command, busybox_image: str) -> None:
    """Also where the server listens on its own loopback only: that is not published."""
    (port,) = free_ports()
    rootless("run", "-d", "--name", "s", "--network", "slirp4netns:retry=0",
             "-p", f"127.0.0.1:{port}:80", busybox_image, "httpd", "-f", "-p",
             "127.0.0.1:80")  # fmt: skip
    with pytest.raises(ConnectionResetError), connect(port) as one:
        one.recv(1)
    wrong = rootless("run", "--rm", "--network", "slirp4netns:retry=soon", busybox_image, "true",
                     code=125)  # fmt: skip
    assert '"soon"' in wrong.stderr


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_proxy_protocol(rootless: Command, busybox_image: str, version: str) -> None:
    (port,) = free_ports()
    network = f"slirp4netns:proxy_protocol={version}"
    serve(rootless, busybox_image, "--network", network, "-p", f"127.0.0.1:{port}:80",
          listens=("tcp", "80"))  # fmt: skip
    with connect(port) as one:
        own = one.getsockname()[1]
        one.sendall(b"rest")
        one.shutdown(socket.SHUT_WR)
        found = everything(one)
    if version == "1":
        assert found == f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\nrest".encode()
    else:
        # its first line is empty
        ports = own.to_bytes(2, "big") + port.to_bytes(2, "big")
        head = b"\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1" + ports
        assert found == b"nothing\n\r\n" + head + b"rest"


def test_ranges_and_several_ports(rootless: Command, busybox_image: str) -> None:
    first, second, third = free_ports(3)
    (udp,) = free_ports()
    options = ["-p", f"127.0.0.1:{first}-{third}:8000-8002", "-p", f"[::1]:{first}:8000",
               "-p", f"127.0.0.1:{udp}:53/udp"]  # fmt: skip
    serve(rootless, busybox_image, "--name", "s", *options, listens=("tcp", "8000", "8001", "8002"))
    for port in (first, second, third):
        assert ask(connect(port), "who").startswith(GATEWAY4.encode())
    assert ask(connect(first, "::1"), "who").startswith(GATEWAY6.encode())
    assert rootless("port", "s", "8000").stdout == f"127.0.0.1:{first}\n[::1]:{first}\n"
    assert rootless("port", "s", "53/udp").stdout == f"127.0.0.1:{udp}\n"
    shown = rootless("ps", "--format", "{{.Ports}}").stdout
    assert f"127.0.0.1:{second}->8001/tcp" in shown and f"[::1]:{first}->8000/tcp" in shown
    for wrong in ("[::1:80:80", "[fe80::x]:80:80", "::1:80:80", "[127.0.0.1]:80:80"):
        refused = rootless("create", "-p", wrong, busybox_image, "true", code=125)
        assert wrong.strip("[")[:4] in refused.stderr


def test_exposed_ports_are_published_on_all_addresses(
    rootless: Command, busybox_image: str
) -> None:
    serve(rootless, busybox_image, "--name", "s", "-P", "--expose", "80", listens=("tcp", "80"))
    address = rootless("port", "s", "80").stdout.strip()
    assert address.startswith("0.0.0.0:")
    port = int(address.rpartition(":")[2])
    assert ask(connect(port), "who") and ask(connect(port, "::1"), "who")


@pytest.mark.parametrize(
    ("family", "kind", "word"),
    [
        (socket.AF_INET6, socket.SOCK_STREAM, "{}:80"),
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1:{}:53/udp"),
    ],
)
def test_a_port_that_somebody_has(
    rootless: Command, busybox_image: str, family: int, kind: int, word: str
) -> None:
    with socket.socket(family, kind) as taken:
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        refused = rootless("run", "-d", "-p", word.format(port), busybox_image, "true", code=125)
        assert str(port) in refused.stderr and "address already in use" in refused.stderr
        assert "hint: " in refused.stderr
        assert rootless("volume", "ls", "-q").stdout == ""


def proxies(rootless: Command, name: str) -> list[int]:
    """The pids of what serves a container's ports."""
    rows = rootless("explain", "--format", "json", name).json()["Processes"]
    return [row["Pid"] for row in rows if "rootless-ports" in row["Command"]]


def test_a_proxy_that_is_killed_is_started_again(rootless: Command, busybox_image: str) -> None:
    port, udp = free_ports(2)
    serve(rootless, busybox_image, "--name", "s", "-p", f"127.0.0.1:{port}:80",
          "-p", f"127.0.0.1:{udp}:53/udp", listens=("tcp", "80"))  # fmt: skip
    began = rootless("inspect", "-f", "{{.State.StartedAt}}", "s").stdout
    watching = rootless.start("events", "--filter", "type=container", "--format", "{{.Status}}",
                              "--since", "1h", stdout=subprocess.PIPE)  # fmt: skip
    assert watching.stdout is not None
    held = connect(port)
    held.sendall(b"keep\n")
    assert held.recv(5) == b"kept\n"
    (pid,) = proxies(rootless, "s")
    os.kill(pid, signal.SIGKILL)
    seen = iter(watching.stdout.readline, b"")
    assert any(line == b"network_lost\n" for line in seen)
    assert any(line == b"network_restored\n" for line in seen)
    with contextlib.suppress(ConnectionResetError):
        assert everything(held) == b""
    assert ask(connect(port), "who").startswith(GATEWAY4.encode())
    assert proxies(rootless, "s") != [pid]
    assert rootless("inspect", "-f", "{{.State.StartedAt}}", "s").stdout == began


def test_ports_over_the_lives_of_a_container(rootless: Command, busybox_image: str) -> None:
    (port,) = free_ports()
    name = serve(rootless, busybox_image, "--name", "s", "--restart", "always",
                 "-p", f"127.0.0.1:{port}:80", listens=("tcp", "80"))  # fmt: skip
    assert ask(connect(port), "who")
    rootless("restart", "-t", "0", name)
    assert ask(connect(port), "who")
    # its policy starts it again, and the ports with it
    pid = json.loads(rootless("inspect", "-f", "{{json .State.Pid}}", "s").stdout)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while True:
        try:
            # nothing is said by a server that ends
            if said := ask(connect(port), "who"):
                break
        except ConnectionError:
            pass
        assert time.monotonic() < end
    assert said.startswith(GATEWAY4.encode())
    rootless("stop", "-t", "0", name)
    # who has stopped it finds its port free
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
    assert proxies(rootless, "s") == [] if rootless("ps", "-q").stdout else True


def test_the_last_words_of_a_container_arrive(rootless: Command, busybox_image: str) -> None:
    """It says something and ends, and its network with it."""
    (port,) = free_ports()
    for _ in range(5):
        script = "dd if=/dev/zero bs=1000 count=100 2>/dev/null | nc -l -p 80"
        name = rootless("run", "-d", "-p", f"127.0.0.1:{port}:80", busybox_image, "sh", "-c",
                        script).stdout.strip()  # fmt: skip
        assert len(everything(connect(port))) == 100000
        rootless("rm", "-f", name)


def test_the_proxy_is_confined(rootless: Command, busybox_image: str) -> None:
    tcp, udp = free_ports(2)
    # CAP_NET_RAW and CAP_NET_BIND_SERVICE; with UDP CAP_NET_ADMIN, of the container's own network
    for word, wanted in ((f"127.0.0.1:{tcp}:80", 0x2400), (f"127.0.0.1:{udp}:53/udp", 0x3400)):
        rootless("run", "-d", "--name", "s", "-p", word, busybox_image, "sleep", "1000")
        (pid,) = proxies(rootless, "s")
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        assert (int(status["CapEff"], 16), int(status["CapPrm"], 16)) == (wanted, wanted)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        # whoever is its like, as root of the container is, cannot trace it
        with pytest.raises(PermissionError):
            os.readlink(f"/proc/{pid}/ns/user")
        rootless("rm", "-f", "s")


def test_link_local_addresses_are_out_of_reach(rootless: Command, busybox_image: str) -> None:
    words = ("ip", "route", "get", "169.254.169.254")
    closed = rootless("run", "--rm", busybox_image, *words, code=None)
    assert closed.code and "via" not in closed.stdout
    opened = rootless("run", "--rm", "--network", "slirp4netns:allow_link_local=true",
                      busybox_image, *words)  # fmt: skip
    assert "via 10.0.2.2" in opened.stdout
    # nobody takes that away without CAP_NET_ADMIN
    kept = rootless("run", "--rm", busybox_image, "ip", "route", "del", "prohibit",
                    "169.254.0.0/16", code=None)  # fmt: skip
    assert kept.code


def test_an_internal_network_lets_nobody_in(rootless: Command, busybox_image: str) -> None:
    (port,) = free_ports()
    rootless("network", "create", "--internal", "net")
    told = rootless("run", "-d", "--name", "s", "--network", "net", "-p", f"127.0.0.1:{port}:80",
                    busybox_image, "sleep", "1000")  # fmt: skip
    assert "published ports are discarded" in told.stderr
    assert rootless("port", "s").stdout == ""
    with pytest.raises(ConnectionRefusedError):
        connect(port)
