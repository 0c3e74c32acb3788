"""Docker's words for limits, and what they become: files of the kernel, properties of systemd."""

from __future__ import annotations

import re

import pytest

from rootless.cgroups import limits, systemd, tree
from rootless.errors import HostError, UsageError


def files(**words: object) -> dict[str, str]:
    return dict(limits.files(limits.parse(**words)))  # type: ignore[arg-type]


def test_files_of_version_2() -> None:
    found = files(
        memory="64m", memory_swap="96m", memory_reservation="16m", cpus="1.5", cpu_shares=1024,
        cpuset_cpus="0-2,4", cpuset_mems="0", pids_limit=7, blkio_weight=500,
        cgroup_conf=["memory.high=48M"],
    )  # fmt: skip
    assert found == {
        "memory.max": str(64 << 20), "memory.swap.max": str(32 << 20),
        "memory.low": str(16 << 20), "cpu.max": "150000 100000", "cpu.weight": "100",
        "cpuset.cpus": "0-2,4", "cpuset.mems": "0", "pids.max": "7", "io.weight": "default 4950",
        "memory.high": "48M",
    }  # fmt: skip


def test_no_limit() -> None:
    found = files(memory="-1", memory_swap="-1", pids_limit=-1, cpu_quota=-1)
    assert found == {
        "memory.max": "max", "memory.swap.max": "max", "pids.max": "max", "cpu.max": "max 100000",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "weight"), [(0, None), (2, 1), (1024, 100), (262144, 10000), (512, 59)]
)
def test_shares_become_weights(shares: int, weight: int | None) -> None:
    assert files(cpu_shares=shares).get("cpu.weight") == (None if weight is None else str(weight))


def test_properties_of_systemd() -> None:
    made = limits.parse(
        memory="64m", memory_swap="64m", cpus="0.5", cpuset_cpus="0,3,9", pids_limit=10
    )
    made.io = {"8:0": {"rbps": 1 << 20, "wiops": 0}}
    assert dict(systemd.properties(made)) == {
        "MemoryMax": ("t", 64 << 20), "MemorySwapMax": ("t", 0),
        "CPUQuotaPerSecUSec": ("t", 500000), "CPUQuotaPeriodUSec": ("t", 100000),
        "AllowedCPUs": ("ay", [0b1001, 0b10]), "TasksMax": ("t", 26),
        "IOReadBandwidthMax": ("a(st)", [("/dev/block/8:0", 1 << 20)]),
        "IOWriteIOPSMax": ("a(st)", [("/dev/block/8:0", (1 << 64) - 1)]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"memory": "lots"}, 'invalid size "lots"'),
        ({"memory": "1e400"}, 'invalid size "1e400"'),
        ({"memory_swap": "1g"}, "--memory-swap needs --memory"),
        ({"memory": "2g", "memory_swap": "1g"}, "at least --memory"),
        ({"memory": "1m", "memory_reservation": "2m"}, "cannot be more than --memory"),
        ({"cpus": "none"}, 'invalid --cpus "none"'),
        ({"cpus": "inf"}, 'invalid --cpus "inf"'),
        ({"cpus": "0.001"}, 'invalid --cpus "0.001"'),
        ({"cpus": "1", "cpu_quota": 5}, "give one or the other"),
        ({"cpu_shares": 1}, "--cpu-shares 1 is not between 2 and 262144"),
        ({"cpu_period": 10}, "--cpu-period 10 is not between"),
        ({"cpuset_cpus": "0-"}, 'invalid --cpuset-cpus "0-"'),
        ({"cpuset_cpus": "3-1"}, 'invalid --cpuset-cpus "3-1"'),
        ({"cpuset_mems": "a"}, 'invalid --cpuset-mems "a"'),
        ({"blkio_weight": 5}, "--blkio-weight 5 is not between 10 and 1000"),
        ({"device_read_bps": ["/dev/null:1m"]}, "/dev/null is not a block device"),
        ({"device_read_bps": ["/dev/none:1m"]}, "--device-read-bps: /dev/none: No such file"),
        ({"device_write_iops": ["12"]}, 'invalid --device-write-iops "12"'),
        ({"cgroup_conf": ["../../x=1"]}, 'invalid --cgroup-conf "../../x=1"'),
    ],
)
def test_values_that_cannot_be_meant(words: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        limits.parse(**words)  # type: ignore[arg-type]


def test_what_is_kept_comes_back_and_is_changed_one_by_one() -> None:
    made = limits.parse(memory="64m", pids_limit=9)
    made.io = {"8:0": {"rbps": 5}}
    again = limits.Resources.from_dict(made.as_dict())
    assert again.as_dict() == made.as_dict()
    newer = limits.parse(pids_limit=20)
    newer.io = {"8:0": {"wbps": 6}}
    merged = again.merged(newer)
    assert merged.as_dict() == {
        "memory": 64 << 20, "pids": 20, "io": {"8:0": {"rbps": 5, "wbps": 6}},
    }  # fmt: skip
    assert made.controllers() == {"memory", "pids", "io"}
    assert limits.parse().any() is False


def test_the_oci_form() -> None:
    made = limits.parse(memory="1m", cpus="2", cpuset_cpus="0", cgroup_conf=["pids.max=3"])
    made.io = {"8:16": {"rbps": 5}}
    assert made.oci() == {
        "memory": {"limit": 1 << 20},
        "cpu": {"quota": 200000, "period": 100000, "cpus": "0"},
        "blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 5}]},
        "unified": {"pids.max": "3"},
    }


def test_a_file_that_is_not_there_is_named(tmp_path: object) -> None:
    with pytest.raises(HostError, match=r"the limit memory.max=1048576 cannot be applied"):
        tree.apply(str(tmp_path), limits.parse(memory="1m"))
