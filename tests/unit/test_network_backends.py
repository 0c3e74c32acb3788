"""Network backends: found by name, chosen, recorded, and what each says of itself."""

from __future__ import annotations

import pytest

from rootless import host
from rootless.errors import HostError, UsageError
from rootless.network import resolv_hosts
from rootless.network.backends import registry
from rootless.network.backends.backend import Backend, Network
from rootless.network.ports import Port, heard, told

TAP = "slirp4netns"
PORTS = [Port("127.0.0.1", 8080, 80, "tcp"), Port("", 53, 53, "udp")]


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
    for text in ("colour=red", "cidr=10.0.0.1", "mtu=big", "enable_ipv6=2", "port_handler=x",
                 "retry=soon", "proxy_protocol=3"):  # fmt: skip
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
    network = registry.parse(f"{TAP}:cidr=10.9.0.0/24,retry=3,port_handler=rootlesskit")
    made = network.backend.sidecar(network, PORTS, "/run/c")
    assert made is not None and not made.socket and not made.requests and not made.datagrams
    assert "--ready-fd=@READY@" in made.argv and "@NET@" in made.argv
    assert "address=10.9.0.100" in made.ports and "gateway=10.9.0.2" in made.ports
    assert "retry=3" in made.ports
    assert made.ports[-2:] == ["tcp/127.0.0.1/8080-8080/80", "udp//53-53/53"]
    assert registry.of_start(made.argv, own_namespace=True) is network.backend
    without = network.backend.sidecar(network, [], "/run/c")
    assert without is not None and not without.ports


def test_ranges_are_told_in_one_word_and_heard_again() -> None:
    ports = [Port("", 8000 + i, 80 + i, "tcp") for i in range(3)]
    ports += [Port("", 8003, 90, "tcp"), Port("::1", 8004, 91, "tcp"), Port("", 8003, 90, "udp")]
    words = told(ports)
    assert words == ["tcp//8000-8002/80", "tcp//8003-8003/90", "tcp/::1/8004-8004/91",
                     "udp//8003-8003/90"]  # fmt: skip
    assert heard(words) == [port.as_dict() for port in ports]


def test_slirps_own_port_handler(installed: None) -> None:
    network = registry.parse(f"{TAP}:cidr=10.9.0.0/24,port_handler=slirp4netns")
    made = network.backend.sidecar(network, PORTS, "/run/c")
    assert made is not None and made.socket == "/run/c/slirp"
    assert f"--api-socket={made.socket}" in made.argv and not made.ports
    assert made.datagrams == ["0.0.0.0:53>10.9.0.100:53"]
    requests = [one.decode() for one in made.requests]
    assert network.backend.published(requests) == [PORTS[0].as_dict()]
    failure = network.backend.refused(requests[0])
    assert failure and "127.0.0.1:8080/tcp cannot be published" in failure.message
    assert registry.of_start([], own_namespace=True).isolated
    assert registry.of_start([], own_namespace=False).shares_host
    without = network.backend.sidecar(network, [], "/run/c")
    assert without is not None and not without.socket and not without.requests
    with pytest.raises(UsageError, match="IPv6"):
        network.backend.sidecar(network, [Port("::1", 80, 80, "tcp")], "/run/c")


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
