"""Names, masks and docker's rules of adding and dropping; and the defaults beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime import capabilities, defaults


def test_numbers_are_the_kernels() -> None:
    header = Path("/usr/include/linux/capability.h")
    found = re.findall(r"^#define (CAP_\w+)\s+(\d+)\s*$", header.read_text(), re.M)
    theirs = {name: int(number) for name, number in found}
    assert {name: capabilities.NUMBERS[name] for name in theirs} == theirs
    assert len(capabilities.ALL) == 41


@given(st.sets(st.sampled_from(capabilities.ALL)))
def test_a_mask_and_its_names_are_the_same_set(chosen: set[str]) -> None:
    assert set(capabilities.names(capabilities.mask(chosen))) == chosen


def test_the_default_mask_is_dockers() -> None:
    # CapEff in /proc/self/status of a container under docker
    assert capabilities.mask(capabilities.DEFAULT) == 0xA80425FB


@pytest.mark.parametrize("name", ["net_raw", "NET_RAW", "cap_net_raw", "CAP_NET_RAW"])
def test_any_spelling_will_do(name: str) -> None:
    assert capabilities.normal(name) == "CAP_NET_RAW"
    assert capabilities.mask([name]) == 1 << 13


def test_adding_and_dropping() -> None:
    adjust = capabilities.adjust
    default = [name for name in capabilities.ALL if name in capabilities.DEFAULT]
    assert adjust() == default
    assert adjust(["SYS_ADMIN"]) == sorted([*default, "CAP_SYS_ADMIN"], key=capabilities.ALL.index)
    assert adjust(drop=["chown"]) == [name for name in default if name != "CAP_CHOWN"]
    assert adjust(drop=["all"]) == []
    assert adjust(["chown"], ["ALL"]) == ["CAP_CHOWN"]
    assert adjust(["ALL"]) == list(capabilities.ALL)
    assert adjust(["ALL"], ["cap_sys_admin"]) == [
        name for name in capabilities.ALL if name != "CAP_SYS_ADMIN"
    ]
    assert adjust(["ALL"], ["ALL"]) == list(capabilities.ALL)
    assert adjust(["CHOWN"], ["CHOWN"]) == default
    assert adjust(drop=["CHOWN"], privileged=True) == list(capabilities.ALL)


def test_an_unknown_name_is_answered_with_a_near_one() -> None:
    with pytest.raises(UsageError, match="'net_rwa'") as caught:
        capabilities.adjust(["net_rwa"])
    assert "NET_RAW" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        capabilities.adjust(drop=["xyzzy"])
    assert caught.value.hint


def test_mounts_are_what_the_kernel_will_take() -> None:
    mounts = {m["destination"]: m for m in defaults.mounts(tty_group=False, shm_size=1 << 20)}
    assert list(mounts)[:3] == ["/proc", "/dev", "/dev/pts"]
    assert not any(option.startswith("gid=") for option in mounts["/dev/pts"]["options"])
    assert "size=1048576" in mounts["/dev/shm"]["options"]
    assert "ro" in mounts["/sys"]["options"] and "ro" in mounts["/sys/fs/cgroup"]["options"]
    again = {m["destination"]: m for m in defaults.mounts(tty_group=True, own_network=False)}
    assert "gid=5" in again["/dev/pts"]["options"]
    assert again["/sys"]["source"] == "/sys" and "rbind" in again["/sys"]["options"]


def test_sysctls_are_only_for_a_network_of_its_own() -> None:
    assert defaults.sysctls(own_network=False) == {}
    assert defaults.sysctls(largest_gid=65535)["net.ipv4.ping_group_range"] == "0 65535"


def test_masked_paths_are_a_fresh_list() -> None:
    paths = defaults.masked_paths()
    assert paths[: len(defaults.MASKED_PATHS)] == list(defaults.MASKED_PATHS)
    assert len(set(paths)) == len(paths)
