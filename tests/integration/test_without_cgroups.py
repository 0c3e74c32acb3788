"""A host where nobody gives cgroups: every limit that is asked for is an error that says so.

The same things that test_systemd.py and test_systemd_health.py do where a systemd answers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("everyone")

LIMITS = [
    ["-m", "64m"],
    ["-m", "64m", "--memory-swap", "-1"],
    ["--memory-reservation", "32m"],
    ["--cpus", "0.5"],
    ["--cpu-shares", "512"],
    ["--cpu-quota", "20000"],
    ["--cpu-period", "50000"],
    ["--cpuset-cpus", "0"],
    ["--cpuset-mems", "0"],
    ["--pids-limit", "10"],
    ["--blkio-weight", "500"],
    ["--cgroup-conf", "memory.high=64M"],
    ["--cgroup-parent", "work.slice"],
]
REFUSED = [
    (["--kernel-memory", "64m"], "memory of the kernel counts towards --memory"),
    (["--memory-swappiness", "10"], "/proc/sys/vm/swappiness"),
    (["--oom-kill-disable"], "--memory-reservation"),
    (["--cpu-rt-period", "1000"], "real-time groups"),
    (["--cpu-rt-runtime", "1000"], "real-time groups"),
    (["--device-cgroup-rule", "c 1:3 rwm"], "--device"),
]


@pytest.fixture(autouse=True)
def without(rootless: Command) -> bool:
    """Whether this is such a host; where there are cgroups, as somebody who wants none."""
    found = rootless("info", "--format", "{{.CgroupManager}}").stdout == "none\n"
    if not found:
        config = Path(rootless.place.home, ".config/rootless")
        config.mkdir(parents=True)
        (config / "config.toml").write_text('[engine]\ncgroup-manager = "disabled"\n')
    return found


def test_every_limit_is_refused_with_the_remedy(rootless: Command, busybox_image: str) -> None:
    for words in LIMITS:
        found = rootless("run", *words, busybox_image, "true", code=125)
        what = "--cgroup-parent" if "--cgroup-parent" in words else "limits"
        assert what in found.stderr, found
        assert "cannot be" in found.stderr, found
        assert "/etc/systemd/system/user@.service.d/delegate.conf" in found.stderr, found
    device = next((f"/dev/{name}" for name in sorted(os.listdir("/sys/block"))
                   if os.path.exists(f"/dev/{name}")), None)  # fmt: skip
    if device is not None:
        found = rootless("run", "--device-read-bps", f"{device}:1mb", busybox_image, "true",
                         code=125)  # fmt: skip
        assert "limits cannot be applied" in found.stderr
    found = rootless("run", "--device-write-bps", "/dev/null:1mb", busybox_image, "true", code=125)
    assert "/dev/null is not a block device" in found.stderr
    assert rootless("ps", "-aq").stdout == ""
    rootless("run", "--rm", busybox_image, "true")


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=lambda one: str(one[0]))
def test_what_nobody_can_have_is_refused_by_name(
    rootless: Command, busybox_image: str, words: list[str], why: str
) -> None:
    found = rootless("run", *words, busybox_image, "true", code=125)
    assert f"error: {words[0]} cannot be had" in found.stderr
    assert why in found.stderr


def test_managers_and_modes(rootless: Command, busybox_image: str, without: bool) -> None:
    forced = [["--cgroup-manager", "systemd"], ["--cgroup-manager", "cgroupfs"]]
    for words in forced if without else []:
        found = rootless(*words, "run", busybox_image, "true", code=125)
        assert f"the cgroup manager {words[1]} cannot be had" in found.stderr
    for mode in ("split", "no-conmon") if without else ():
        found = rootless("run", "--cgroups", mode, busybox_image, "true",
                         code=125)  # fmt: skip
        assert "cannot be had" in found.stderr
    found = rootless("run", "--cgroups", "sideways", busybox_image, "true", code=125)
    assert 'unknown --cgroups "sideways"' in found.stderr
    found = rootless("--cgroup-manager", "upstart", "run", busybox_image, "true", code=125)
    assert 'unknown cgroup manager "upstart"' in found.stderr
    rootless("run", "--rm", "--cgroups", "disabled", busybox_image, "true")
    rootless("--cgroup-manager", "disabled", "run", "--rm", busybox_image, "true")


def test_a_running_container(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image,
             "sh", "-c", "while :; do :; done")  # fmt: skip
    for verb in ("pause", "unpause"):
        found = rootless(verb, "c", code=125)
        assert "it has no cgroup" in found.stderr
        assert "rootless doctor" in found.stderr
    found = rootless("update", "-m", "64m", "c", code=125)
    assert "limits cannot be applied" in found.stderr
    rootless("update", "--restart", "no", "c")
    figures = json.loads(rootless("stats", "--no-stream", "--format", "json", "c").stdout)
    assert figures["Source"] == "proc"
    assert figures["CPUPerc"].endswith("%*")
    assert figures["CPU"] > 1
    assert figures["PIDs"] == 1
    assert figures["MemoryBytes"] > 0
    assert "%*" in rootless("stats", "--no-stream").stdout.splitlines()[1]
    lines = rootless("doctor", "--format", "json", code=None).json()["checks"]
    line = next(one for one in lines if one["name"] == "cgroups")
    assert line["status"] == "limited"
    assert "no limits, no pause" in line["text"]
    assert "Delegate=cpu cpuset io memory pids" in line["remedy"]
    assert "/etc/systemd/system/user@.service.d/delegate.conf" in line["remedy"]
    rootless("kill", "c")
    assert rootless("wait", "c").stdout == "137\n"


def test_tags_of_the_journal(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--log-driver", "journald", "--log-opt", "tag={{.Colour}}",
                     busybox_image, "true", code=125)  # fmt: skip
    assert 'invalid --log-opt tag "{{.Colour}}"' in found.stderr
    found = rootless("run", "--log-opt", "tag=a", busybox_image, "true", code=125)
    assert "--log-opt tag needs --log-driver journald" in found.stderr
