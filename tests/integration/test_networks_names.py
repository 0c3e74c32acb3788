"""Names on networks: who is found by whom, by which name, and what is said of all others."""

from __future__ import annotations

import json

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("everyone")

SLEEP = ("sleep", "1000")

# a question for the address of "a" with its length before it, and what is no question at all
QUESTION = r"\000\023\022\064\001\000\000\001\000\000\000\000\000\000\001a\000\000\001\000\001"
NONSENSE = (
    r"\377",
    r"\022\064\001\000\000\001\000\000\000\000\000\000\300\014\000\001\000\001",
    r"\022\064\001\000\377\377\000\000\000\000\000\000\077aaaa",
    r"\022\064\001\000\000\001\000\000\000\000\000\000\001a\000",
)


def found(rootless: Command, asker: str, name: str, *server: str) -> set[str]:
    """The addresses that a container is told."""
    said = rootless("exec", asker, "nslookup", name, *server, code=None).stdout
    lines = said.splitlines()
    after = lines[lines.index("") :] if "" in lines else []
    return {line.split()[-1] for line in after if line.startswith("Address")}


def addresses(rootless: Command, name: str, network: str) -> set[str]:
    """What a running container has there."""
    one = json.loads(rootless("inspect", name).stdout)[0]["NetworkSettings"]["Networks"][network]
    return {text for text in (one["IPAddress"], one["GlobalIPv6Address"]) if text}


def test_containers_find_each_other_by_every_name(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "--ipv6", "web")
    run = ("run", "-d", "--network")
    rootless(*run, "web:alias=db,alias=Store", "--name", "a", "--hostname", "host-a",
             busybox_image, *SLEEP)  # fmt: skip
    rootless(*run, "web:alias=db", "--name", "b", busybox_image, *SLEEP)
    first, second = addresses(rootless, "a", "web"), addresses(rootless, "b", "web")
    assert len(first) == 2
    identifier = json.loads(rootless("inspect", "a").stdout)[0]["Id"][:12]
    for name in ("a", "A", "host-a", "store", identifier, "a.dns.podman"):
        assert found(rootless, "b", name) == first, name
    # both have it
    assert found(rootless, "b", "db") == first | second
    reverse = rootless("exec", "b", "nslookup", min(first)).stdout
    assert "name = a\n" in reverse
    assert "NXDOMAIN" in rootless("exec", "b", "nslookup", "nobody", code=1).stdout
    # gone at once
    rootless("rm", "-f", "-t", "0", "a")
    assert found(rootless, "b", "a") == set()
    assert found(rootless, "b", "db") == second


def test_a_name_is_known_on_shared_networks_alone(rootless: Command, busybox_image: str) -> None:
    for name in ("one", "two"):
        rootless("network", "create", name)
        rootless("run", "-d", "--name", name, "--network", name, busybox_image, *SLEEP)
    rootless("run", "-d", "--name", "both", "--network", "one", "--network", "two",
             busybox_image, *SLEEP)  # fmt: skip
    for one, other in (("one", "two"), ("two", "one")):
        assert found(rootless, "both", one) == addresses(rootless, one, one)
        assert found(rootless, one, "both") == addresses(rootless, "both", one)
        assert found(rootless, one, other) == set()
        gateway = json.loads(rootless("network", "inspect", other).stdout)[0]["subnets"][0]
        assert found(rootless, one, other, gateway["gateway"]) == set()


def test_the_built_in_network_has_no_names(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "a", "--network", "bridge", busybox_image, *SLEEP)
    rootless("run", "-d", "--name", "b", "--network", "podman", busybox_image, *SLEEP)
    assert found(rootless, "b", "a") == set()
    (address,) = addresses(rootless, "a", "bridge")
    rootless("exec", "b", "ping", "-c", "1", "-w", "20", address)


def test_names_outside(rootless: Command, busybox_image: str) -> None:
    # nobody listens there: that is told at once, and not waited for
    rootless("network", "create", "--dns", "127.0.0.1", "web")
    said = rootless("run", "--rm", "--network", "web", busybox_image,
                    "nslookup", "-type=a", "example.com", code=1).stdout  # fmt: skip
    assert "SERVFAIL" in said
    rootless("network", "create", "--internal", "--dns", "127.0.0.1", "back")
    said = rootless("run", "--rm", "--network", "back", busybox_image,
                    "nslookup", "-type=a", "example.com", code=1).stdout  # fmt: skip
    assert "NXDOMAIN" in said


def test_by_tcp_and_after_nonsense(rootless: Command, busybox_image: str) -> None:
    rootless("network", "create", "--subnet", "10.123.7.0/24", "web")
    rootless("run", "-d", "--name", "a", "--network", "web", busybox_image, *SLEEP)
    for one in NONSENSE:
        rootless("exec", "a", "sh", "-c", f"printf '{one}' | nc -u -w 1 10.123.7.1 53", code=None)
        rootless("exec", "a", "sh", "-c", f"printf '{one}' | nc -w 1 10.123.7.1 53", code=None)
    ask = f"printf '{QUESTION}' | nc -w 5 10.123.7.1 53 | od -An -tu1 -v | tr -s ' \\n' ' '"
    said = rootless("exec", "a", "sh", "-c", ask).stdout
    assert said.rstrip().endswith("10 123 7 2"), said
