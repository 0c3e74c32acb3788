"""Rules for devices and settings of the host, as they hold for its own root: no namespace does."""

from __future__ import annotations

import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.cgroups import devices
from rootless.errors import UsageError
from rootless.runtime import real_root

ACCESS = {"m": 1, "r": 2, "w": 4}


def kernel_says(code: bytes, kind: str, access: str, major: int, minor: int) -> bool:
    """What the instructions answer: the few of linux/bpf.h that are used, one after the other."""
    bits = sum(ACCESS[letter] for letter in access)
    context = {0: bits << 16 | {"b": 1, "c": 2}[kind], 4: major, 8: minor}
    register = [0] * 11
    at = 0
    while True:
        what, registers, offset, value = struct.unpack_from("=BBhi", code, at * 8)
        low, high = registers & 15, registers >> 4
        target, source = (low, high) if sys.byteorder == "little" else (high, low)
        at += 1
        if what == 0x61:
            register[target] = context[offset]
        elif what == 0xBF:
            register[target] = register[source]
        elif what == 0xB7:
            register[target] = value
        elif what == 0x57:
            register[target] &= value
        elif what == 0x77:
            register[target] >>= value
        elif what == 0x55:
            at += offset if register[target] != value else 0
        elif what == 0x15:
            at += offset if register[target] == value else 0
        elif what == 0x95:
            return register[0] == 1
        else:
            raise AssertionError(f"instruction {what:#x}")


def is_meant(rules: list[Any], kind: str, access: str, major: int, minor: int) -> bool:
    """The specification's words: rules in their order, and what no rule allows is denied."""

    def one(letter: str) -> bool:
        allowed = False
        for rule in [*rules, *devices._ALWAYS]:
            if (
                rule.get("type", "a") in ("a", kind)
                and rule.get("major", -1) in (-1, major)
                and rule.get("minor", -1) in (-1, minor)
                and letter in rule.get("access", "rwm")
            ):
                allowed = rule["allow"]
        return allowed

    return all(map(one, access))


NUMBER = st.sampled_from([-1, 1, 3, 8, 136, 240])
RULE = st.fixed_dictionaries(
    {"allow": st.booleans()},
    optional={"type": st.sampled_from("abc"), "major": NUMBER, "minor": NUMBER,
              "access": st.sampled_from(["r", "w", "m", "rw", "rm", "rwm"])},
)  # fmt: skip


@given(st.lists(RULE, max_size=5), st.sampled_from("bc"), st.sampled_from(["r", "w", "rw", "m"]),
       st.sampled_from([1, 3, 8, 136, 240, 250]), st.sampled_from([0, 1, 3, 8]))  # fmt: skip
def test_the_program_says_what_the_rules_say(
    rules: list[Any], kind: str, access: str, major: int, minor: int
) -> None:
    code = devices.program(rules)
    asked = (kind, access, major, minor)
    assert kernel_says(code, *asked) == is_meant(rules, *asked)


def test_what_engines_write() -> None:
    """All denied, and what every container has is there all the same; disks are not."""
    code = devices.program([{"allow": False, "access": "rwm"}])
    assert kernel_says(code, "c", "rw", 1, 3)
    assert kernel_says(code, "c", "rw", 136, 7)
    assert not kernel_says(code, "b", "r", 8, 0)
    assert devices.restricts([{"allow": False, "access": "rwm"}])
    assert not devices.restricts([{"allow": False}, {"allow": True, "access": "rwm"}])
    assert not devices.restricts([])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"allow": True, "type": "x"}, "linux.resources.devices[0].type"),
        ({"allow": True, "access": "rx"}, "linux.resources.devices[0].access"),
        ({"allow": True, "major": 1 << 40}, "linux.resources.devices[0].major"),
        ({"allow": False, "access": "rwm"}, "linux.resources.devices: there is no cgroup"),
    ],
)
def test_what_cannot_be_held_is_refused(rule: Any, said: str) -> None:
    with pytest.raises(UsageError) as found:
        devices.confining(None, [rule])
    assert found.value.message.startswith(said)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("net.ipv4.ip_forward", "network"), ("net/ipv4/conf/eth0.1/forwarding", "network"),
        ("kernel.msgmax", "ipc"), ("kernel.shm_rmid_forced", "ipc"), ("fs.mqueue.msg_max", "ipc"),
        ("kernel.domainname", "uts"), ("kernel.core_pattern", ""), ("vm.swappiness", ""),
        ("fs.file-max", ""), ("net/../kernel/core_pattern", ""),
    ],
)  # fmt: skip
def test_settings_of_the_host_are_not_a_containers(key: str, kind: str) -> None:
    def refused(*namespaces: Any) -> bool:
        try:
            real_root.refuse_sysctls({"sysctl": {key: "1"}, "namespaces": list(namespaces)})
        except UsageError as error:
            assert error.message.startswith(f"linux.sysctl.{key}: ")
            return True
        return False

    every = [{"type": one} for one in ("mount", "ipc", "network", "uts")]
    assert refused(*every) == (not kind)
    assert refused(*[one for one in every if one["type"] != kind])
    if kind:
        path = f"/proc/self/ns/{ {'network': 'net'}.get(kind, kind) }"
        assert refused({"type": kind, "path": path})
