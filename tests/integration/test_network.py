"""The container's network: reached from the host, reaching nothing it should not."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


def free_port() -> int:
    """A port on the loopback that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def fetch(port: int, path: str = "") -> bytes:
    """What a web server on the loopback says; tried until it listens."""
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


WEB = ("sh", "-c", "mkdir -p /srv; echo served >/srv/index.html; exec httpd -f -p 80 -h /srv")


def test_a_published_port_is_reached_from_the_host(rootless: Command, busybox_image: str) -> None:
    port = free_port()
    rootless("run", "-d", "--name", "web", "-p", f"127.0.0.1:{port}:80", busybox_image, *WEB)
    assert fetch(port) == b"served\n"
    assert rootless("port", "web").stdout == f"80/tcp -> 127.0.0.1:{port}\n"
    assert rootless("port", "web", "80").stdout == f"127.0.0.1:{port}\n"
    assert f"127.0.0.1:{port}->80/tcp" in rootless("ps").stdout
    rootless("restart", "-t", "0", "web")
    assert fetch(port) == b"served\n"
    rootless("rm", "-f", "web")
    # the port is free again
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))


def test_a_port_without_a_number_of_its_own_gets_a_free_one(
    rootless: Command, busybox_image: str
) -> None:
    rootless("run", "-d", "--name", "web", "-p", "80", busybox_image, *WEB)
    address = rootless("port", "web", "80").stdout.strip()
    assert fetch(int(address.rpartition(":")[2])) == b"served\n"


def test_a_port_in_use_is_an_error_that_names_it(rootless: Command, busybox_image: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = rootless("run", "--rm", "-p", f"127.0.0.1:{port}:80", busybox_image, "true",
                         code=125)  # fmt: skip
        assert str(port) in found.stderr
        assert "hint: " in found.stderr


def test_a_port_below_the_limit(rootless: Command, busybox_image: str) -> None:
    limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if limit <= 1:
        # every port is open to everybody on this host
        rootless("run", "--rm", "-p", "127.0.0.1:1:80", busybox_image, "true")
        return
    found = rootless("run", "--rm", "-p", f"{limit - 1}:80", busybox_image, "true", code=125)
    assert f"{limit - 1}" in found.stderr
    assert "ip_unprivileged_port_start" in found.stderr


def test_without_a_network_there_is_only_the_loopback(
    rootless: Command, busybox_image: str
) -> None:
    found = rootless("run", "--rm", "--network", "none", busybox_image, "ls", "/sys/class/net")
    assert found.stdout.split() == ["lo"]
    rootless("run", "--rm", "--network", "none", "-p", "80", busybox_image, "true", code=125)


def test_the_network_of_the_host(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--rm", "--network", "host", busybox_image, "readlink",
                     "/proc/self/ns/net")  # fmt: skip
    assert found.stdout.strip() == os.readlink("/proc/self/ns/net")


@contextlib.contextmanager
def listener() -> Iterator[int]:
    """A service on the host's loopback that greets whoever connects."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.1)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                try:
                    one, _ = server.accept()
                except TimeoutError:
                    continue
                with one:
                    one.sendall(b"greetings\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ending.set()
            thread.join()


def test_the_hosts_loopback_is_out_of_reach_unless_asked_for(
    rootless: Command, busybox_image: str
) -> None:
    with listener() as port:
        words = (busybox_image, "nc", "-w", "3", "10.0.2.2", str(port))
        closed = rootless("run", "--rm", *words, code=None)
        assert b"greetings" not in closed.out
        network = "slirp4netns:allow_host_loopback=true"
        opened = rootless("run", "--rm", "--network", network, *words, code=None)
        assert opened.out == b"greetings\n"


def test_options_of_the_network(rootless: Command, busybox_image: str) -> None:
    network = "slirp4netns:mtu=1400,cidr=10.7.0.0/24"
    found = rootless("run", "--rm", "--network", network, busybox_image, "ip", "addr", "show",
                     "tap0")  # fmt: skip
    assert "mtu 1400" in found.stdout
    assert "10.7.0.100/24" in found.stdout
    wrong = rootless("run", "--rm", "--network", "slirp4netns:colour=red", busybox_image, "true",
                     code=125)  # fmt: skip
    assert "colour=red" in wrong.stderr


def test_every_address_follows_the_network_that_was_chosen(
    rootless: Command, busybox_image: str
) -> None:
    """The tenth, and not the first, address tells whether they are counted from the network."""
    port = free_port()
    network = "slirp4netns:cidr=172.30.1.128/25"
    rootless("run", "-d", "--name", "c", "-h", "inner", "--network", network,
             "--add-host", "outer:host-gateway", "-p", f"127.0.0.1:{port}:80", busybox_image,
             *WEB)  # fmt: skip
    assert fetch(port) == b"served\n"

    def inside(name: str, *words: str) -> str:
        return rootless("exec", name, *words).stdout

    shown = inside("c", "ip", "addr", "show", "tap0") + inside("c", "ip", "route")
    assert "172.30.1.228/25" in shown
    assert "default via 172.30.1.130" in shown
    assert "nameserver 172.30.1.131\n" in inside("c", "cat", "/etc/resolv.conf")
    hosts = inside("c", "cat", "/etc/hosts")
    assert "172.30.1.228\tinner c\n" in hosts
    assert "172.30.1.130\touter\n" in hosts
    settings = rootless("inspect", "c").json()[0]["NetworkSettings"]
    for found in (settings, settings["Networks"]["slirp4netns"]):
        assert (found["IPAddress"], found["IPPrefixLen"], found["Gateway"]) == (
            "172.30.1.228", 25, "172.30.1.130",
        )  # fmt: skip
    plan = rootless("run", "--dry-run", "--network", network, "-p", "7:7/udp", busybox_image, "sh")
    assert "address=172.30.1.228" in plan.stdout
    # who joins that network asks the same name server
    rootless("run", "-d", "--name", "d", "--network", "container:c", busybox_image, "sleep", "99")
    assert "nameserver 172.30.1.131\n" in inside("d", "cat", "/etc/resolv.conf")
    assert "172.30.1.228\t" in inside("d", "cat", "/etc/hosts")
    for wrong in ("10.7.0.9/24", "10.7.0.0", "10.7.0.0/30", "ten/8"):
        refused = rootless("create", "--network", f"slirp4netns:cidr={wrong}", busybox_image,
                           "true", code=125)  # fmt: skip
        assert f'"{wrong}"' in refused.stderr
        assert "hint: " in refused.stderr


def test_ports_that_cannot_be_published_are_named(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "99")
    for network in ("host", "container:c"):
        told = rootless("run", "--rm", "--network", network, "-p", "8080:80", busybox_image,
                        "echo", "runs")  # fmt: skip
        assert told.stdout == "runs\n"
        assert "published ports are discarded" in told.stderr
    refused = rootless("run", "--rm", "--network", "none", "-p", "8080:80", busybox_image, "true",
                       code=125)  # fmt: skip
    assert "ports cannot be published: with --network none" in refused.stderr
    rootless("create", "--name", "h", "--network", "host", "-p", "8080:80", busybox_image, "true")
    assert rootless("port", "h").stdout == ""


def slirp(rootless: Command, name: str) -> int:
    """The pid of its slirp4netns, of which there is one again."""
    while True:
        rows = rootless("explain", "--format", "json", name).json()["Processes"]
        for row in rows:
            if "slirp4netns" in row["Command"]:
                return int(row["Pid"])


def test_a_network_that_is_lost_is_shown_and_comes_back(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    """A program in the place of slirp4netns starts it, and fails as long as there is a file."""
    broken = place.work / "broken"
    program = place.work / "bin" / "slirp4netns"
    program.parent.mkdir()
    real = shutil.which("slirp4netns", path=place.env["PATH"])
    program.write_text(f'#!/bin/sh\ntest ! -e {broken} || exit 1\nexec {real} "$@"\n')
    program.chmod(0o755)
    port = free_port()
    rootless("run", "-d", "--name", "n", "-p", f"127.0.0.1:{port}:80", busybox_image, *WEB,
             env={"PATH": f"{program.parent}:{place.env['PATH']}"})  # fmt: skip
    template = "{{.State.NetworkLost}} {{len .NetworkSettings.Ports}} {{.State.Error}}"
    assert rootless("inspect", "-f", template, "n").stdout == "false 1 \n"
    began = rootless("inspect", "-f", "{{.State.StartedAt}}", "n").stdout
    watching = rootless.start("events", "--filter", "type=container", "--format", "{{.Status}}",
                              "--since", "1h", stdout=subprocess.PIPE)  # fmt: skip
    assert watching.stdout is not None
    seen = iter(watching.stdout.readline, b"")
    broken.touch()
    os.kill(slirp(rootless, "n"), signal.SIGKILL)
    assert b"network_lost\n" in seen
    status, ports = rootless("ps", "--format", "{{.Status}}|{{.Ports}}").stdout.strip().split("|")
    assert status.startswith("Up ") and "network is lost" in status
    assert ports == rootless("port", "n").stdout == ""
    shown = rootless("inspect", "-f", template, "n").stdout
    assert shown.startswith("true 0 slirp4netns ended") and "started again" in shown
    broken.unlink()
    assert b"network_restored\n" in seen
    assert rootless("inspect", "-f", template, "n").stdout == "false 1 \n"
    assert "lost" not in rootless("ps").stdout
    # the same container has its addresses and its way out again
    assert rootless("inspect", "-f", "{{.State.StartedAt}}", "n").stdout == began
    shown = rootless("exec", "n", "sh", "-c", "ip addr show tap0; ip route").stdout
    assert "10.0.2.100/24" in shown and "default via 10.0.2.2" in shown
    assert fetch(port) == b"served\n"


def test_slirp4netns_is_confined(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "n", busybox_image, "sleep", "1000")
    rows = rootless("explain", "--format", "json", "n").json()["Processes"]
    slirp = next(row for row in rows if "slirp4netns" in row["Command"])
    status = Path(f"/proc/{slirp['Pid']}/status").read_text()
    assert "Seccomp:\t2" in status
    # its sandbox: hardly anything of the host's files
    root = os.readlink(f"/proc/{slirp['Pid']}/ns/mnt")
    assert root != os.readlink("/proc/self/ns/mnt")
    for option in ("--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"):
        assert option in slirp["Command"]
