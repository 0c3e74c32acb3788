"""Health checks by timers of a real systemd, limits in systemd's words, and what a scope costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TREE, Command
from integration.test_systemd import (
    as_user,
    cgroup_of,
    outside,
    properties,
    said,
    supervisors,
    systemctl,
    wait_for,
)
from integration.test_systemd import nothing_left as nothing_left

pytestmark = pytest.mark.systemd


def units() -> list[str]:
    """Everything of containers that systemd knows."""
    lines = systemctl("list-units", "--all", "--plain", "--no-legend", "rootless-*").splitlines()
    return sorted(line.split()[0] for line in lines if line.strip())


def timers() -> list[str]:
    """The timers among it."""
    return [one for one in units() if one.endswith(".timer")]


def stages(short: str) -> list[str]:
    """The stage of each timer of a container: `rootless-ID-health-STAGE-XXXX.timer`."""
    mine = [one.removeprefix(f"rootless-{short}-health-") for one in timers()]
    return [one.partition("-")[0] for one in mine]


@pytest.mark.parametrize("victim", ["monitor", pytest.param("manager", marks=pytest.mark.long)])
def test_checks_by_a_timer(rootless: Command, busybox_image: str, victim: str) -> None:
    rootless("run", "-d", "--name", "h", "--health-cmd", "test -e /tmp/well", "--health-interval",
             "700ms", "--health-start-period", "10m", "--health-start-interval", "500ms",
             "--network", "none", busybox_image, "sleep", "1000")  # fmt: skip
    path = cgroup_of(rootless, "h")
    scope = path.parent.name
    short = scope.removeprefix("rootless-").removesuffix(".scope")
    assert stages(short) == ["start"]
    shown = properties(timers()[0], "BindsTo", "Description", "ActiveState")
    assert shown == {
        "BindsTo": scope, "ActiveState": "active",
        "Description": "health check of the container h (rootless)",
    }  # fmt: skip
    if victim == "monitor":
        assert "(health: starting)" in rootless("ps").stdout
        rootless("exec", "h", "touch", "/tmp/well")
        assert rootless("wait", "--condition", "healthy", "h").stdout == "-1\n"
        # the start has ended, and with it the shorter interval
        wait_for("the other timer", lambda: stages(short) == ["run"])
        older = timers()
        rootless("update", "--health-interval", "600ms", "h")
        wait_for("a timer for it", lambda: stages(short) == ["run"] and timers() != older)
        rootless("exec", "h", "rm", "/tmp/well")
        rootless("wait", "--condition", "unhealthy", "h")
        told = rootless("events", "--no-stream", "--filter", "event=health_status",
                        "--format", "{{.Action}}").stdout  # fmt: skip
        assert told == "health_status: healthy\nhealth_status: unhealthy\n"
        # a check does not count to the container's limits, and nothing of it stays beside it
        names = {
            Path(f"/proc/{one}/comm").read_text().strip()
            for one in (path.parent / "sup/cgroup.procs").read_text().split()
        }
        assert names == supervisors(rootless)
        for pid in (path.parent / "sup/cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
    else:
        _kill_the_manager()
    wait_for("the end", lambda: "Exited" in rootless("ps", "-a").stdout, 60)
    wait_for("units to go", lambda: not [one for one in units() if short in one], 60)
    assert not path.exists()
    rootless("start", "h")
    assert stages(short) == ["start"]
    assert "(health: starting)" in rootless("ps").stdout
    rootless("rm", "-f", "-t", "0", "h")
    wait_for("units to go", lambda: not [one for one in units() if short in one], 60)


def _kill_the_manager() -> None:
    uid = os.getuid()
    try:
        pid = as_user("root", f"systemctl show -P MainPID user@{uid}.service").stdout.strip()
        os.kill(int(pid), signal.SIGKILL)
    finally:
        as_user("root", f"systemctl restart user@{uid}.service")
        wait_for("systemd", lambda: "running" in systemctl("is-system-running", "--wait"), 60)


@pytest.mark.long
def test_restarted_when_it_is_unhealthy(rootless: Command, busybox_image: str) -> None:
    work = rootless.place.work
    rootless("run", "-d", "--name", "h", "-v", f"{work}:/w:ro", "--health-cmd", "test -e /w/well",
             "--health-retries", "1", "--health-interval", "1s", "--health-on-failure", "restart",
             "-m", "64m",
             "--network", "none", "--stop-timeout", "0", busybox_image,
             "sleep", "1000")  # fmt: skip
    again = ("events", "--no-stream", "--filter", "event=restart")
    wait_for("another life", lambda: rootless(*again).stdout, 90)
    (work / "well").touch()
    rootless("wait", "--condition", "healthy", "h")
    # the second life has what the first had: its scope, its limits, its timer
    path = cgroup_of(rootless, "h")
    assert (path / "memory.max").read_text() == f"{64 << 20}\n"
    assert path.parent.name in systemctl("list-units", "rootless-*.scope")
    assert len(timers()) == 1
    rootless("rm", "-f", "-t", "0", "h")


@pytest.mark.long
def test_limits_in_the_words_of_systemd(rootless: Command, busybox_image: str) -> None:
    status = os.stat(os.path.expanduser("~"))
    number = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    device = f"/dev/block/{number}"
    rootless(
        "run", "-d", "--name", "l", "--device-read-bps", f"{device}:2mb", "--device-write-bps",
        f"{device}:3mb", "--device-read-iops", f"{device}:400", "--device-write-iops",
        f"{device}:500", "--cpuset-mems", "0", "--cpuset-cpus", "0-1", "--pids-limit", "40",
        "--cpu-period", "50000", "--cpu-quota", "20000", "--cgroup-conf", "memory.high=50331648",
        "--network", "none", busybox_image, "sleep", "1000",
    )  # fmt: skip
    path = cgroup_of(rootless, "l")
    shown = properties(
        path.parent.name, "IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax",
        "IOWriteIOPSMax", "AllowedMemoryNodes", "AllowedCPUs", "CPUQuotaPerSecUSec",
        "CPUQuotaPeriodUSec", "MemoryHigh", "TasksMax",
    )  # fmt: skip
    assert shown == {
        "IOReadBandwidthMax": f"{device} {2 << 20}", "IOWriteBandwidthMax": f"{device} {3 << 20}",
        "IOReadIOPSMax": f"{device} 400", "IOWriteIOPSMax": f"{device} 500",
        "AllowedMemoryNodes": "0", "AllowedCPUs": "0-1", "CPUQuotaPerSecUSec": "400ms",
        "CPUQuotaPeriodUSec": "50ms", "MemoryHigh": "50331648", "TasksMax": "56",
    }  # fmt: skip
    files = "cd /sys/fs/cgroup; cat io.max cpuset.mems cpuset.cpus cpu.max memory.high pids.max"
    inside = rootless("exec", "l", "sh", "-c", files).stdout.splitlines()
    assert inside == [
        f"{number} rbps={2 << 20} wbps={3 << 20} riops=400 wiops=500",
        "0", "0-1", "20000 50000", "50331648", "40",
    ]  # fmt: skip
    # what a person sees who asks systemd for everything
    tree = systemctl("status", "--no-pager")
    assert "app.slice" in tree
    assert path.parent.name in tree
    rootless("rm", "-f", "-t", "0", "l")


def test_oom_is_told(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--name", "hog", "-m", "48m", "--memory-swap", "48m", "--network", "none",
             busybox_image, "tail", "-c", "300m", "/dev/zero", code=137)  # fmt: skip
    told = rootless("events", "--no-stream", "--filter", "container=hog", "--format",
                    "{{.Action}}").stdout.split()  # fmt: skip
    assert told == ["create", "attach", "init", "start", "oom", "die", "cleanup"]


@pytest.mark.long
def test_a_delegated_tree_without_a_bus(rootless: Command, busybox_image: str) -> None:
    """A runner of jobs gives a tree and nothing else: health by the monitor, its pid left alone."""
    words = [*outside(), "-p", "Delegate=yes", "--", "env", "-u", "DBUS_SESSION_BUS_ADDRESS",
             "XDG_RUNTIME_DIR=/nonexistent"]  # fmt: skip
    script = (
        'set -e; "$@" info --format "{{.CgroupManager}}"; '
        f'"$@" run -d --name d -m 48m --health-cmd true --health-interval 1s {busybox_image} '
        'sleep 99 >/dev/null; "$@" wait --condition healthy d; '
        '"$@" exec d cat /sys/fs/cgroup/memory.max; "$@" stats --no-stream --format json d; '
        '"$@" rm -f -t 0 d; '
        f'"$@" run -d --name n --cgroups no-conmon --pids-limit 7 {busybox_image} sleep 99 '
        '>/dev/null; m=$("$@" inspect -f "{{.State.MonitorPid}}" n); '
        'cat /proc/$m/cgroup /proc/self/cgroup; "$@" exec n cat /sys/fs/cgroup/pids.max; '
        'kill -9 $m; "$@" rm -f -t 0 n; c=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); '
        'echo "left:" $(ls -d $c/rootless-*/ctr $c/../rootless-*/ctr 2>/dev/null)'
    )
    env = {**rootless.place.env, "TMPDIR": str(rootless.place.work)}
    found = subprocess.run(
        [*words, "sh", "-c", script, "sh", *rootless.words], env=env, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=200,
    )  # fmt: skip
    lines = said(found.stdout)
    assert found.returncode == 0, found.stdout
    assert lines[:3] == ["cgroupfs", "-1", str(48 << 20)], found.stdout
    assert json.loads(lines[3])["Source"].startswith("cgroup")
    monitor, own = (line for line in lines if line.startswith("0::"))
    assert monitor == own, "the monitor left the cgroup of the job"
    assert "7" in lines
    assert lines[-1] == "left:", "a cgroup of a killed monitor stayed"
    subprocess.run(["rm", "-rf", f"/tmp/rootless-{os.getuid()}"], check=True)


@pytest.mark.long
def test_forced_where_it_cannot_be(rootless: Command, busybox_image: str) -> None:
    # a login session's own cgroup belongs to the system's manager
    found = rootless("--cgroup-manager", "cgroupfs", "run", busybox_image, "true", code=125)
    assert "the cgroup manager cgroupfs cannot be had" in found.stderr
    assert "is not delegated to this user" in found.stderr
    found = rootless("--cgroup-manager", "systemd", "run", busybox_image, "true", code=125,
                     env={"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"})  # fmt: skip
    assert "the cgroup manager systemd cannot be had" in found.stderr
    assert "/nowhere" in found.stderr
    found = rootless("run", "--cgroups", "no-conmon", busybox_image, "true", code=125)
    assert "--cgroups no-conmon cannot be had with systemd" in found.stderr
    assert rootless("ps", "-aq").stdout == ""


def test_one_connection_to_the_bus(rootless: Command, busybox_image: str) -> None:
    script = f"""
import sys
from rootless import Engine
from rootless.cgroups import dbus
made = []
before = dbus.Bus.__init__
def counted(self, address):
    made.append(address)
    before(self, address)
dbus.Bus.__init__ = counted
engine = Engine()
done = engine.containers.run({busybox_image!r}, ["cat", "/sys/fs/cgroup/memory.max"], memory="64m",
                             network="none", health_cmd="true", health_interval="1h")
print(done.output.decode().strip(), len(made))
"""
    path = ":".join([str(TREE), *filter(None, [os.environ.get("ROOTLESS_TEST_SITE")])])
    found = subprocess.run(
        [sys.executable, "-c", script], env={**rootless.place.env, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200,
    )  # fmt: skip
    assert found.stdout == f"{64 << 20} 1\n"


@pytest.mark.long
def test_what_a_scope_costs(rootless: Command, busybox_image: str) -> None:
    """Printed, not judged: tests/bench/scope.py does it at length."""
    bench = TREE / "tests/bench/scope.py"
    found = subprocess.run(
        [sys.executable, bench, "--times", "3", "--no-peers", "--image", busybox_image, "--",
         *rootless.words],
        env={**rootless.place.env, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    print(found.stdout)
    assert found.returncode == 0, found.stdout
    assert "with a scope" in found.stdout
