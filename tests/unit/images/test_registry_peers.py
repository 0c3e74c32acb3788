"""Which addresses are this machine's own, in every form in which a stranger may write them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import RegistryError
from rootless.images.registry import peers


def expected(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """What Python's own library says."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    zero = ipaddress.ip_network("0.0.0.0/8")
    return "unspecified" if address.is_unspecified or address in zero else ""


_NEAR = st.sampled_from(["0.0.0.0/7", "124.0.0.0/6", "169.254.0.0/15", "::/120", "fe00::/8",
                         "::ffff:169.254.0.0/111"])  # fmt: skip


@given(st.one_of(st.ip_addresses(), _NEAR.flatmap(lambda one: st.ip_addresses(network=one))))
def test_kinds_are_those_of_the_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert peers.kind_of_name(str(address)) == expected(address)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("localhost", "loopback"), ("LOCALHOST.", "loopback"), ("x.localhost", "loopback"),
        ("127.1", "loopback"), ("0x7f000001", "loopback"), ("2130706433", "loopback"),
        ("[::1]", "loopback"), ("0", "unspecified"), ("0xA9FEA9FE", "link-local"),
        ("169.254.43518", "link-local"), ("[fe80::1%25eth0]", "link-local"),
        ("example.org", ""), ("localhost.example.org", ""), ("", ""), ("ümlaut.example", ""),
    ],
)  # fmt: skip
def test_names(host: str, kind: str) -> None:
    assert peers.kind_of_name(host) == kind


def test_a_registry_may_send_us_to_its_like() -> None:
    peers.check("", set(), "r.example", "http://other.example/x")
    peers.check("loopback", {"loopback"}, "127.0.0.1:5000", "http://127.0.0.1:6000/x")
    for own in (set(), {""}, {"", "loopback"}):
        with pytest.raises(RegistryError, match=r"r\.example sends us to 169\.254\.1\.1:8"):
            peers.check("link-local", own, "r.example", "http://169.254.1.1:8/x")
