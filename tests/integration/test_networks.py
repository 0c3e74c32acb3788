"""Networks with names: who reaches whom, leases, and what is left when helpers are killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("everyone")

SLEEP = ("sleep", "1000")


def eventually(what: Callable[[], bool], why: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.02)


def address(rootless: Command, name: str, network: str) -> str:
    """What a running container has on a network."""
    found = json.loads(rootless("inspect", name).stdout)[0]
    return str(found["NetworkSettings"]["Networks"][network]["IPAddress"])


def children_of(name: str) -> list[int]:
    """Processes of a program that this user runs below this test's process table."""
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdigit():
            try:
                arguments = (one / "cmdline").read_bytes().split(b"\0")
                if (
                    one.stat().st_uid == os.getuid()
                    and os.path.basename(arguments[0]) == name.encode()
                ):
                    found.append(int(one.name))
            except OSError:
                continue
    return found


def helpers(rootless: Command, name: str) -> list[int]:
    """Those of this test's data directory: each has its directory among its arguments, or its
    parent has."""
    mine = []
    for pid in children_of(name):
        try:
            own = Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            around = Path(f"/proc/{parent}/cmdline").read_bytes()
        except OSError:
            continue
        if str(rootless.place.runtime).encode() in own + around:
            mine.append(pid)
    return mine


@contextmanager
def listener(host: str) -> Iterator[int]:
    """A server of the host that greets whoever connects."""
    import threading

    with socket.create_server((host, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    one, _ = server.accept()
                except OSError:
                    return
                with one:
                    one.sendall(b"greetings\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)


def own_address() -> str:
    """An address of this host that is not its loopback's; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))
        return str(one.getsockname()[0])


def test_two_containers_reach_each_other_and_the_outside(
    rootless: Command, busybox_image: str
) -> None:
    rootless("network", "create", "web")
    rootless("run", "-d", "--name", "a", "--network", "web", busybox_image, *SLEEP)
    rootless("run", "-d", "--name", "b", "--network", "web", busybox_image, *SLEEP)
    first, second = address(rootless, "a", "web"), address(rootless, "b", "web")
    assert first != second
    rootless("exec", "b", "ping", "-c", "1", "-w", "20", first)
    rootless("exec", "a", "ping", "-c", "1", "-w", "20", second)
    assert f"{second}\t" in rootless("exec", "b", "cat", "/etc/hosts").stdout
    with listener(own_address()) as port:
        said = rootless("exec", "b", "nc", "-w", "20", own_address(), str(port)).stdout
    assert said == "greetings\n"
    rootless("rm", "-f", "-t", "0", "a", "b")
    # the namespaces go with the last monitor, and what served them
    eventually(lambda: not helpers(rootless, "rootless-companion"), "the companion stays")
    eventually(lambda: not helpers(rootless, "slirp4netns"), "slirp4netns stays")


def test_the_loopback_of_the_host_is_not_reached(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "web")
    with listener("127.0.0.1") as port:
        for where in ("10.0.2.2", "10.0.2.3"):
            rootless("run", "--rm", "--network", "web", busybox_image,
                     "nc", "-w", "2", where, str(port), code=1)  # fmt: skip


def test_networks_are_apart(rootless: Command, busybox_image: str) -> None:
    for name in ("one", "two"):
        rootless("network", "create", "--ipv6", name)
        rootless("run", "-d", "--name", name, "--network", name, busybox_image, *SLEEP)
    shown = {name: json.loads(rootless("network", "inspect", name).stdout)[0]
             for name in ("one", "two")}  # fmt: skip
    for mine, other in (("one", "two"), ("two", "one")):
        of_other = json.loads(rootless("inspect", other).stdout)[0]
        there = of_other["NetworkSettings"]["Networks"][other]
        own = shown[mine]["subnets"]
        for target in (one["gateway"] for one in own):
            rootless("exec", mine, "ping", "-c", "1", "-w", "20", target)
        for target in (there["IPAddress"], there["GlobalIPv6Address"], there["Gateway"],
                       there["IPv6Gateway"], "169.254.169.254"):  # fmt: skip
            assert target
            # -w ends no wait for the answer to the last packet: that is 10 seconds without -W
            rootless("exec", mine, "ping", "-c", "1", "-W", "1", target, code=1)


def test_an_internal_network_reaches_nothing_outside(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "--internal", "back")
    rootless("run", "-d", "--name", "a", "--network", "back", busybox_image, *SLEEP)
    rootless("run", "-d", "--name", "b", "--network", "back", busybox_image, *SLEEP)
    rootless("exec", "b", "ping", "-c", "1", "-w", "20", address(rootless, "a", "back"))
    assert "default" not in rootless("exec", "b", "ip", "route").stdout
    with listener(own_address()) as port:
        rootless("exec", "b", "nc", "-w", "1", own_address(), str(port), code=1)


def test_several_networks_with_chosen_addresses(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "--subnet", "10.123.4.0/24", "one")
    rootless("network", "create", "--subnet", "10.123.5.0/24", "two")
    places = ("--network", "one:ip=10.123.4.77,mac=02:11:22:33:44:55",
              "--network", "two:interface_name=back0")  # fmt: skip
    found = rootless("run", "--rm", *places, busybox_image, "ip", "addr").stdout
    assert "10.123.4.77/24" in found and "02:11:22:33:44:55" in found
    assert "back0" in found and "10.123.5.2/24" in found
    said = rootless("run", "--network", "one:ip=10.9.9.9", busybox_image, "true", code=125).stderr
    assert "10.9.9.9" in said and "10.123.4.0/24" in said
    found = rootless("run", "--rm", "--network", "one", "--ip", "10.123.4.9", "--mac-address",
                     "02:aa:00:00:00:01", busybox_image, "ip", "addr").stdout  # fmt: skip
    assert "10.123.4.9/24" in found and "02:aa:00:00:00:01" in found
    rootless("run", "-d", "--name", "first", "--network", "one:ip=10.123.4.9", busybox_image,
             *SLEEP)  # fmt: skip
    said = rootless("run", "--network", "one", "--ip", "10.123.4.9", busybox_image, "true",
                    code=125).stderr  # fmt: skip
    assert "10.123.4.9 is in use" in said
    for words in (("--ip", "10.1.1.1"), ("--network-alias", "x"), ("--mac-address", "x")):
        said = rootless("run", *words, busybox_image, "true", code=125).stderr
        assert words[0] in said and "--network NAME" in said
    said = rootless("run", "--network", "nothing", busybox_image, "true", code=125).stderr
    assert 'no such network: "nothing"' in said


@pytest.mark.parametrize("victim", ["rootless-companion", "slirp4netns"])
def test_a_killed_helper_comes_back_without_a_command(
    rootless: Command, busybox_image: str, victim: str
) -> None:
    rootless("network", "create", "web")
    rootless("run", "-d", "--name", "a", "--network", "web", busybox_image, *SLEEP)
    rootless("run", "-d", "--name", "b", "--network", "web", busybox_image, *SLEEP)
    before = helpers(rootless, victim)
    assert len(before) >= 1
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(
        lambda: bool(set(helpers(rootless, victim)) - set(before)), f"{victim} is not started again"
    )
    rootless("exec", "b", "ping", "-c", "1", "-w", "20", address(rootless, "a", "web"))
    with listener(own_address()) as port:

        def reached() -> bool:
            found = rootless("exec", "b", "nc", "-w", "5", own_address(), str(port), code=None)
            return found.stdout == "greetings\n"

        eventually(reached, "the outside is not reached again")


def test_killed_monitors_leave_nothing(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "web")
    for name in ("a", "b", "c"):
        rootless("run", "-d", "--name", name, "--network", "web", busybox_image, *SLEEP)
    monitors = [json.loads(rootless("inspect", name).stdout)[0]["State"]["MonitorPid"]
                for name in ("a", "b", "c")]  # fmt: skip
    third = address(rootless, "c", "web")
    # whoever made the namespaces is needed by nobody
    os.kill(monitors[0], signal.SIGKILL)
    rootless("run", "--rm", "--network", "web", busybox_image, "ping", "-c", "1", "-w", "20", third)
    for pid in monitors[1:]:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not helpers(rootless, "rootless-companion"), "the companion stays")
    # and the next command makes them anew
    found = rootless("run", "--rm", "--network", "web", busybox_image, "ip", "addr").stdout
    assert "eth0" in found


def test_a_network_in_use_stays(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "--label", "a=b", "web")
    rootless("create", "--name", "a", "--network", "web", busybox_image, *SLEEP)
    assert "is used by a" in rootless("network", "rm", "web", code=125).stderr
    assert rootless("network", "prune", "-f").stdout == ""
    assert rootless("network", "ls", "-q", "--filter", "label=a=b").stdout == "web\n"
    assert rootless("ps", "-aq", "--filter", "network=web").stdout != ""
    rootless("network", "exists", "web")
    rootless("network", "rm", "-f", "web")
    rootless("network", "exists", "web", code=1)
    assert rootless("ps", "-aq").stdout == ""


def test_many_joins_at_once_have_addresses_of_their_own(
    rootless: Command, busybox_image: str
) -> None:
    rootless("network", "create", "web")
    started = [
        rootless.start(
            "run",
            "--rm",
            "--network",
            "web",
            busybox_image,
            "ip",
            "-o",
            "addr",
            "show",
            "eth0",
            stdout=subprocess.PIPE,
        )  # fmt: skip
        for _ in range(12)
    ]
    told = []
    for one in started:
        out, _ = one.communicate(timeout=280)
        told += [line.split()[3] for line in out.decode().splitlines() if " inet " in line]
    assert len(told) == 12
    names = [f"c{at}" for at in range(8)]
    for one in [rootless.start("run", "-d", "--name", name, "--network", "web", busybox_image,
                               *SLEEP, stdout=subprocess.PIPE) for name in names]:  # fmt: skip
        one.communicate(timeout=280)
        assert one.returncode == 0
    assert len({address(rootless, name, "web") for name in names}) == 8


def test_every_map_of_ids_is_on_the_same_network(
    rootless: Command, busybox_image: str, everyone: str
) -> None:
    rootless("network", "create", "web")
    rootless("run", "-d", "--name", "a", "--network", "web", busybox_image, *SLEEP)
    there = address(rootless, "a", "web")
    several = ("auto:size=1000", "nomap") if everyone == "mapped" else ()
    for kind in ("keep-id", "single", *several):
        rootless("run", "--rm", "--network", "web", "--userns", kind, busybox_image,
                 "sh", "-c", f"echo x | nc -w 20 {there} 9; nslookup a")  # fmt: skip


def test_a_container_that_starts_again_has_its_address(
    rootless: Command, busybox_image: str
) -> None:
    rootless("network", "create", "web")
    rootless("run", "-d", "--name", "a", "--network", "web", "--restart", "on-failure:2",
             busybox_image, "sh", "-c", "ip -o -4 addr show eth0; exit 1")  # fmt: skip

    # `wait` returns when one life has ended, whether or not another follows
    def ended() -> bool:
        found = json.loads(rootless("inspect", "a").stdout)[0]
        return bool(found["RestartCount"] == 2 and found["State"]["Status"] == "exited")

    eventually(ended, "the container did not end for good")
    lines = rootless("logs", "a").stdout.splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1, lines


def test_options_choose_the_way_out(rootless: Command, busybox_image: str) -> None:
    made = {"plain": (), "far": ("metric=200",), "near": ("metric=50",),
            "never": ("no_default_route=true", "metric=1")}  # fmt: skip
    for name, options in made.items():
        words = [word for one in options for word in ("-o", one)]
        rootless("network", "create", *words, name)

    def way_out(*names: str) -> list[str]:
        words = [word for one in names for word in ("--network", one)]
        said = rootless("run", "--rm", *words, busybox_image, "ip", "route").stdout
        return [line.split()[4] for line in said.splitlines() if line.startswith("default")]

    assert way_out("never", "far", "plain", "near") == ["eth3"]
    assert way_out("far", "never", "plain") == ["eth2"]
    assert way_out("plain", "far") == ["eth0"]
    assert way_out("never") == []


def test_options_that_cannot_be_are_refused(rootless: Command) -> None:
    for option, why in (("isolate=false", "networks never reach each other"),
                        ("metric=0", "no number between"), ("metric=soon", "no number between"),
                        ("mtu=" + "9" * 5000, "no number between"),
                        ("no_default_route=perhaps", "true or false")):  # fmt: skip
        said = rootless("network", "create", "-o", option, "web", code=125).stderr
        assert said.startswith("error: ") and why in said
    rootless("network", "create", "-o", "isolate=true", "web")


def test_nobody_takes_a_neighbours_mac_address(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "web")
    run = ("run", "-d", "--network", "web", "--name")
    for name in ("a", "b"):
        rootless(*run, name, busybox_image, *SLEEP)
    rootless(*run, "thief", "--cap-add", "NET_ADMIN", busybox_image, *SLEEP)
    there = address(rootless, "a", "web")
    rootless("exec", "thief", "ping", "-c", "1", "-w", "20", there)
    shown = json.loads(rootless("inspect", "a").stdout)[0]["NetworkSettings"]["Networks"]["web"]
    take = f"ip link set eth0 address {shown['MacAddress']}; ip route; ping -c 1 -W 2 {there}"
    rootless("exec", "thief", "sh", "-c", take, code=1)
    # the bridge brings it nothing that is meant for the other
    rootless("exec", "b", "ping", "-c", "1", "-w", "20", there)
    back = "ip link set eth0 address 02:77:00:00:00:01"
    rootless("exec", "thief", "sh", "-c", f"{back}; ping -c 1 -W 2 {there}", code=1)
