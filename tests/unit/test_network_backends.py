"""Network backends: found by name, chosen, recorded, and what each says of itself."""

from __future__ import annotations

import pytest

from rootless import host
from rootless.errors import HostError, UsageError
from rootless.network import resolv_hosts
from rootless.network.backends import registry
from rootless.network.backends.backend import Backend, Network
from rootless.network.ports import Port

TAP = "slirp4netns"
PORTS = [Port("127.0.0.1", 8080, 80, "tcp"), Port("0.0.0.0", 53, 53, "udp")]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """All programs are there."""
    monkeypatch.setattr(host.Host, "program", lambda self, name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.access", lambda path, mode: True)


@pytest.mark.parametrize("name", registry.NAMES)
def test_each_name_has_a_backend_that_says_what_it_is(name: str) -> None:
    backend = registry.get(name)
    assert backend.name == name
    assert type(backend) is not Backend
    assert backend.picture
    assert bool(backend.unpublished) != backend.publishes
    assert backend.publishes <= backend.waits
    assert backend.shares_host + backend.joins + backend.isolated + backend.waits == 1


@pytest.mark.parametrize("text", ["pasta", "macvlan", "host:x", "none:x", "container:", "/x"])
def test_what_means_nothing_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(UsageError, match=f'"{text}"') as error:
        registry.parse(text)
    assert error.value.hint.startswith("slirp4netns, host, none, container:NAME or NAME")


def test_what_is_asked_for_is_taken(installed: None) -> None:
    assert registry.parse("host").backend.shares_host
    assert registry.parse("none").backend.isolated
    assert registry.parse("container:web").target == "web"
    assert registry.parse(f"{TAP}:mtu=1400").options == {"mtu": "1400"}
    for text in ("colour=red", "cidr=10.0.0.1", "mtu=big", "enable_ipv6=2", "port_handler=x"):
        with pytest.raises(UsageError):
            registry.parse(f"{TAP}:{text}")


def test_the_default_is_what_works(monkeypatch: pytest.MonkeyPatch, installed: None) -> None:
    assert registry.parse(None).backend.publishes and registry.parse("private").why
    monkeypatch.setattr(host.Host, "program", lambda self, name: "")
    found = registry.parse(None)
    assert found.backend.isolated
    assert found.why == "slirp4netns is not installed; as root: apt-get install slirp4netns"
    with pytest.raises(HostError, match="slirp4netns is not installed"):
        registry.parse(TAP)


def test_records_of_any_version_have_a_network() -> None:
    made = registry.recorded({"network": TAP, "networkOptions": {"cidr": "10.9.0.0/24"}})
    assert made.backend.settings(made.options)["IPAddress"] == "10.9.0.100"
    for name in ("", "of a later version"):
        unknown = registry.recorded({"network": name}).backend
        assert unknown.settings({})["IPAddress"] == ""
        assert not unknown.joins and not unknown.shares_host


def test_the_sidecar_and_what_its_orders_tell(installed: None) -> None:
    network = registry.parse(f"{TAP}:cidr=10.9.0.0/24")
    made = network.backend.sidecar(network, PORTS, "/run/c")
    assert made is not None and made.socket == "/run/c/slirp"
    assert f"--api-socket={made.socket}" in made.argv and "--ready-fd=@READY@" in made.argv
    assert made.datagrams == ["0.0.0.0:53>10.9.0.100:53"]
    assert registry.of_start(made.argv, own_namespace=True) is network.backend
    requests = [one.decode() for one in made.requests]
    assert network.backend.published(requests) == [PORTS[0].as_dict()]
    failure = network.backend.refused(requests[0])
    assert failure and "127.0.0.1:8080/tcp cannot be published" in failure.message
    assert registry.of_start([], own_namespace=True).isolated
    assert registry.of_start([], own_namespace=False).shares_host
    without = network.backend.sidecar(network, [], "/run/c")
    assert without is not None and not without.socket and not without.requests


@pytest.mark.parametrize(
    ("name", "servers", "address"),
    [
        (TAP, ["10.0.2.3", "9.9.9.9"], "10.0.2.100"),
        ("host", ["127.0.0.53", "9.9.9.9", "::1"], "127.0.1.1"),
        ("none", [], "127.0.1.1"),
    ],
)
def test_files(name: str, servers: list[str], address: str) -> None:
    network = Network(registry.get(name))
    text = "nameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\n"
    made = resolv_hosts.resolv_conf(text, network, [], [], [])
    assert made == "".join(f"nameserver {one}\n" for one in servers)
    assert f"{address}\tc web\n" in resolv_hosts.hosts("c", "web", network, [])
