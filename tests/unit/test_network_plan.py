"""Subnets, definitions and leases of networks with names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rootless.errors import Conflict, NetworkNotFound, UsageError
from rootless.network import definitions, leases
from rootless.network.backends import named_networks, registry
from rootless.network.subnets import Subnet, free, free6, number, shown

RECORD: definitions.SubnetRecord = {"subnet": "10.7.0.0/29", "gateway": "10.7.0.1"}


@pytest.mark.parametrize("text", ["10.7.0.0/29", "0.0.0.0/0", "fd00:7::/64", "10.1.2.3/32"])
def test_a_subnet_is_written_as_it_is_read(text: str) -> None:
    assert str(Subnet(text)) == text


@pytest.mark.parametrize("text", ["", "10.7.0.0", "10.7.0.0/33", "10.7.0.1/29", "10.7.0/24",
                                  "fd00::1/64", "x/24", "10.7.0.0/-1", "10.7.0.0/٢٤"])  # fmt: skip
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Subnet(text)


def test_which_addresses_are_in_it() -> None:
    subnet = Subnet("10.7.0.0/29")
    assert "10.7.0.7" in subnet and "10.7.0.8" not in subnet and "fd00::1" not in subnet
    assert subnet.overlaps(Subnet("10.7.0.4/30")) and subnet.overlaps(Subnet("10.0.0.0/8"))
    assert not subnet.overlaps(Subnet("10.7.0.8/29")) and not subnet.overlaps(Subnet("fd00::/8"))
    assert shown(number("10.7.0.3") + 1, 32) == "10.7.0.4"


def test_a_free_one_touches_no_other() -> None:
    taken = [Subnet("10.89.0.0/24"), Subnet("10.89.1.0/25")]
    assert not any(free(taken).overlaps(one) for one in taken)
    assert not free([Subnet("10.89.0.0/16")]).overlaps(Subnet("10.89.0.0/16"))
    assert str(free6([])).startswith("fd") and free6([]).bits == 64


def test_each_address_is_leased_once_until_it_is_given_back(tmp_path: Path) -> None:
    held = [leases.lease(str(tmp_path), RECORD) for _ in range(5)]
    assert [one.address for one in held] == [f"10.7.0.{at}" for at in range(2, 7)]
    with pytest.raises(Conflict, match="no address is free"):
        leases.lease(str(tmp_path), RECORD)
    with pytest.raises(Conflict, match="in use"):
        leases.lease(str(tmp_path), RECORD, wanted="10.7.0.4")
    assert leases.is_held(held[2].path)
    # as when a monitor is killed: its file stays, and the lock does not
    os.close(held[2].fd)
    assert not leases.is_held(held[2].path)
    again = leases.lease(str(tmp_path), RECORD)
    assert again.address == "10.7.0.4"
    leases.publish(again, "ab" * 32, ["web", "db"], "02:42:0a:07:00:04", ["10.7.0.4"])
    assert (tmp_path / "10.7.0.4").read_text().split("\n")[1:3] == ["web db", "02:42:0a:07:00:04"]
    for one in (*held[:2], *held[3:], again):
        os.close(one.fd)


def test_a_range_is_kept_to(tmp_path: Path) -> None:
    record: definitions.SubnetRecord = {**RECORD, "first": "10.7.0.5", "last": "10.7.0.5"}
    one = leases.lease(str(tmp_path), record)
    assert one.address == "10.7.0.5"
    with pytest.raises(Conflict):
        leases.lease(str(tmp_path), record)
    os.close(one.fd)


@pytest.mark.parametrize("wanted", ["10.7.0.0", "10.7.0.1", "10.7.0.7", "10.8.0.2", "fd00::2"])
def test_an_address_of_the_network_itself_is_nobodys(wanted: str) -> None:
    with pytest.raises(UsageError):
        leases.check(RECORD, wanted)


def test_places_are_read() -> None:
    found = registry.parse("web:ip=10.7.0.2,ip=fd00::2,alias=a,alias=b,mac=x,interface_name=y")
    assert found.backend.named
    assert found.places == [
        {"name": "web", "ip": "10.7.0.2", "ip6": "fd00::2", "mac": "x", "interface": "y",
         "aliases": ["a", "b"]}
    ]  # fmt: skip
    assert [one["name"] for one in registry.parse(["a", "b"]).places] == ["a", "b"]
    for words in (["a", "a"], ["a", "host"], ["a:colour=red"], ["a:ip="]):
        with pytest.raises(UsageError):
            registry.parse(words)
    assert named_networks.BACKEND.parse("x") is None


def test_definitions_that_are_there(tmp_path: Path) -> None:
    assert definitions.names(str(tmp_path)) == ["bridge"]
    assert definitions.read(str(tmp_path), "podman")["name"] == "bridge"
    with pytest.raises(NetworkNotFound):
        definitions.read(str(tmp_path), "web")
    for name in ("", "../x", "a/b", "-a", ".", "a b", "x" * 129):
        assert not definitions.is_name(name)
