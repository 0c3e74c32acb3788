"""Limits and scopes on a real systemd: run in the virtual machine of tests/vm.

Every figure is read twice: from inside the container and from systemd or cgroupfs outside.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command

pytestmark = pytest.mark.systemd
CGROUPS = Path("/sys/fs/cgroup")
SSH = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]


def systemctl(*words: str) -> str:
    """What the user's systemd says."""
    return subprocess.run(
        ["systemctl", "--user", *words], stdout=subprocess.PIPE, text=True, timeout=100
    ).stdout


def properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit."""
    words = [f"--property={name}" for name in names]
    lines = systemctl("show", unit, *words).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def scopes() -> list[str]:
    """Units of containers that systemd knows."""
    lines = systemctl("list-units", "--all", "--plain", "--no-legend", "rootless-*.scope")
    return [line.split()[0] for line in lines.splitlines() if line.strip()]


def as_user(name: str, script: str, *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a script of another user of the machine, in a session of theirs."""
    return subprocess.run(
        [*SSH, f"{name}@127.0.0.1", "bash", "-c", shlex.quote(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def outside() -> list[str]:
    """Words that run something in a scope; systemd-run wants the user's real directory."""
    directory = f"XDG_RUNTIME_DIR=/run/user/{os.getuid()}"
    return ["env", directory, "systemd-run", "--user", "--scope", "-q"]


def inside(rootless: Command) -> str:
    """And the command the one of its test again."""
    return f"XDG_RUNTIME_DIR={rootless.place.env['XDG_RUNTIME_DIR']}"


def wait_for(what: str, condition: object, seconds: float = 60) -> None:
    """Until the condition holds; fails with `what` and the last answer."""
    end = time.monotonic() + seconds
    while not (found := condition()):  # type: ignore[operator]
        if time.monotonic() > end:
            pytest.fail(f"{what}: {found!r} after {seconds} s")
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Whatever a test does, systemd knows no container afterwards."""
    yield
    end = time.monotonic() + 60
    while (left := scopes()) and time.monotonic() < end:
        time.sleep(0.1)
    told = [systemctl("status", "--no-pager", one) for one in left]
    for one in left:
        # the next test is judged by what it leaves itself
        systemctl("stop", one)
    assert not left, "\n".join(told)


def kernel() -> tuple[int, int]:
    """The kernel's version: what an older one lacks is told, not left out."""
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int(minor)


def said(text: str) -> list[str]:
    """Lines without the notes about the host, which older kernels give reasons for."""
    return [line for line in text.splitlines() if not line.startswith("note: ")]


def supervisors(rootless: Command) -> set[str]:
    """The programs beside a container without a network of its own."""
    driver = rootless("info", "--format", "{{.Driver}}").stdout.strip()
    # the kernel's own overlay is for users since 5.11
    assert driver == ("overlay" if kernel() >= (5, 11) else "fuse-overlayfs")
    return {"rootless-monito"} | ({"fuse-overlayfs"} if driver != "overlay" else set())


def cgroup_of(rootless: Command, name: str) -> Path:
    """The directory of a container's cgroup."""
    return Path(rootless("inspect", "--format", "{{.State.CgroupPath}}", name).stdout.strip())


def test_a_scope_of_its_own(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "web", "--network", "none", busybox_image, "sleep", "1000")
    identifier = rootless("inspect", "--format", "{{.Id}}", "web").stdout.strip()
    unit = f"rootless-{identifier[:12]}.scope"
    shown = properties(unit, "Slice", "Delegate", "Description", "ActiveState", "ControlGroup")
    assert shown["Slice"] == "app.slice"
    assert shown["Delegate"] == "yes"
    assert shown["ActiveState"] == "active"
    assert shown["Description"] == "container web (rootless)"
    path = cgroup_of(rootless, "web")
    assert str(path) == f"{CGROUPS}{shown['ControlGroup']}/ctr"
    pid = rootless("inspect", "--format", "{{.State.Pid}}", "web").stdout.strip()
    assert (path / "cgroup.procs").read_text().split() == [pid]
    beside = (path.parent / "sup/cgroup.procs").read_text().split()
    names = {Path(f"/proc/{one}/comm").read_text().strip() for one in beside}
    assert names == supervisors(rootless)
    # from inside it is the root of everything, and exec is in it as well
    assert rootless("exec", "web", "cat", "/proc/self/cgroup").stdout == "0::/\n"
    assert rootless("info", "--format", "{{.CgroupManager}}").stdout == "systemd\n"
    status = systemctl("status", unit)
    assert "container web (rootless)" in status
    assert "sleep 1000" in status
    rootless("rm", "-f", "web")


def test_a_memory_hog_is_ended(rootless: Command, busybox_image: str) -> None:
    hog = ["sh", "-c", "cat /sys/fs/cgroup/memory.max; exec tail -c 400m /dev/zero"]
    limits = ["-m", "64m", "--memory-swap", "64m", "--memory-reservation", "16m"]
    found = rootless("run", "--name", "hog", *limits, busybox_image, *hog, code=137)
    assert found.stdout == f"{64 << 20}\n"
    assert "ran out of memory" in found.stderr
    state = rootless("inspect", "--format", "{{json .State}}", "hog").json()
    assert state["OOMKilled"] is True
    assert state["ExitCode"] == 137
    rootless("rm", "hog")
    rootless("run", "-d", "--name", "calm", *limits, busybox_image, "sleep", "100")
    unit = cgroup_of(rootless, "calm").parent.name
    shown = properties(unit, "MemoryMax", "MemorySwapMax", "MemoryLow")
    assert shown == {
        "MemoryMax": str(64 << 20), "MemorySwapMax": "0", "MemoryLow": str(16 << 20),
    }  # fmt: skip
    rootless("rm", "-f", "calm")


@pytest.mark.long
def test_a_busy_loop_gets_its_quota(rootless: Command, busybox_image: str) -> None:
    rootless(
        "run", "-d", "--name", "busy", "--cpus", "0.3", "--cpu-shares", "2048", busybox_image,
        "sh", "-c", "while :; do :; done",
    )  # fmt: skip
    path = cgroup_of(rootless, "busy")
    inside = rootless("exec", "busy", "cat", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu.weight")
    assert inside.stdout.splitlines()[0] == "30000 100000"
    assert 150 < int(inside.stdout.splitlines()[1]) < 250
    assert properties(path.parent.name, "CPUQuotaPerSecUSec") == {"CPUQuotaPerSecUSec": "300ms"}

    def used() -> int:
        lines = (path / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"])

    before, began = used(), time.monotonic()
    time.sleep(6)
    share = (used() - before) / ((time.monotonic() - began) * 1e6)
    assert 0.27 <= share <= 0.33, f"{share:.3f} of a processor instead of 0.3"
    rootless("rm", "-f", "-t", "0", "busy")


@pytest.mark.long
def test_a_fork_bomb_stops(rootless: Command, busybox_image: str) -> None:
    # the shell gives up at the first fork that is refused; what is left keeps the container
    bomb = "(i=0; while [ $i -lt 60 ]; do sleep 300 & i=$((i+1)); done); exec sleep 300"
    rootless("run", "-d", "--name", "bomb", "--pids-limit", "12", busybox_image, "sh", "-c", bomb)
    path = cgroup_of(rootless, "bomb")
    wait_for("refused forks", lambda: "max 0" not in (path / "pids.events").read_text())
    assert int((path / "pids.current").read_text()) <= 12
    assert (path / "pids.max").read_text() == "12\n"
    rootless("rm", "-f", "-t", "0", "bomb")


@pytest.mark.long
def test_writes_are_throttled(rootless: Command, busybox_image: str, place: object) -> None:
    device = os.stat(os.path.expanduser("~")).st_dev
    name = f"/dev/block/{os.major(device)}:{os.minor(device)}"
    work = place.work  # type: ignore[attr-defined]
    begin = time.monotonic()
    rootless("run", "--rm", "--network", "none", "--device-write-bps", f"{name}:1mb",
             "-v", f"{work}:/w", busybox_image, "sh", "-c",
             # an old busybox knows the second only
             "for past in oflag=direct conv=fsync; do "
             "dd if=/dev/zero of=/w/file bs=64k count=64 $past && exit; done",
             timeout=200)  # fmt: skip
    assert time.monotonic() - begin > 3
    assert (work / "file").stat().st_size == 4 << 20


@pytest.mark.long
def test_processors_and_files_of_the_kernel(rootless: Command, busybox_image: str) -> None:
    found = rootless(
        "run", "--rm", "--network", "none", "--cpuset-cpus", "1", "--cgroup-conf",
        "memory.high=50331648", "--blkio-weight", "500", busybox_image, "sh", "-c",
        "cat /sys/fs/cgroup/cpuset.cpus.effective /sys/fs/cgroup/memory.high; "
        "grep Cpus_allowed_list /proc/self/status",
        code=None,
    )  # fmt: skip
    if found.code:
        # the kernel of a cloud image may have neither scheduler that knows weights
        assert "io.weight" in found.stderr, found
        assert "--device-read-bps" in found.stderr
        return
    assert found.stdout.splitlines() == ["1", "50331648", "Cpus_allowed_list:\t1"]


def test_pause_and_go_on(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "p", busybox_image, "sh", "-c",
             "while :; do date +%s.%N; usleep 50000; done")  # fmt: skip
    rootless("pause", "p")
    assert rootless("ps", "--format", "{{.State}}").stdout == "paused\n"
    first = rootless("logs", "p").stdout
    time.sleep(1)
    assert rootless("logs", "p").stdout == first
    rootless("unpause", "p")
    wait_for("more lines", lambda: rootless("logs", "p").stdout != first)
    rootless("pause", "p")
    rootless("stop", "-t", "1", "p")
    rootless("rm", "p")


def test_everything_in_it_ends(rootless: Command, busybox_image: str) -> None:
    # without a pid namespace of its own only the cgroup knows what belongs to it
    rootless("run", "-d", "--name", "host", "--pid", "host", "--network", "none", busybox_image,
             "sh", "-c", "setsid sleep 4321 & sleep 4321")  # fmt: skip
    path = cgroup_of(rootless, "host")
    wait_for("two processes", lambda: len((path / "cgroup.procs").read_text().split()) > 1)
    pids = (path / "cgroup.procs").read_text().split()
    rootless("kill", "host")
    wait_for("the end of all", lambda: not [p for p in pids if Path(f"/proc/{p}").exists()])
    rootless("rm", "-f", "host")


@pytest.mark.long
def test_below_a_slice(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "n", "--cgroup-parent", "work-night.slice", busybox_image,
             "sleep", "100")  # fmt: skip
    assert "/work.slice/work-night.slice/rootless-" in str(cgroup_of(rootless, "n"))
    rootless("rm", "-f", "n")
    found = rootless("run", "--cgroup-parent", "a/b", busybox_image, "true", code=125)
    assert "--cgroup-parent a/b is not the name of a slice" in found.stderr


@pytest.mark.long
def test_restart_keeps_the_scope(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "r", "-m", "50m", "--restart", "always", busybox_image,
             "sh", "-c", "cat /sys/fs/cgroup/memory.max; sleep 1; exit 3")  # fmt: skip
    wait_for("three starts", lambda: rootless("logs", "r").stdout.count(f"{50 << 20}\n") >= 3, 60)
    assert len(scopes()) == 1
    rootless("restart", "-t", "0", "r")
    assert len(scopes()) == 1
    rootless("rm", "-f", "-t", "0", "r")


@pytest.mark.parametrize("victim", ["monitor", pytest.param("container", marks=pytest.mark.long)])
def test_kill_9_leaves_no_unit(rootless: Command, busybox_image: str, victim: str) -> None:
    rootless("run", "-d", "--name", "k", "-m", "50m", busybox_image, "sleep", "1000")
    path = cgroup_of(rootless, "k")
    if victim == "monitor":
        for pid in (path.parent / "sup/cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        wait_for("the end", lambda: "Exited" in rootless("ps", "-a").stdout)
    else:
        rootless("kill", "k")
        rootless("wait", "k")
    wait_for("the scope to go", lambda: not path.parent.exists())
    rootless("start", "k")
    assert cgroup_of(rootless, "k").exists()
    rootless("rm", "-f", "k")


@pytest.mark.long
def test_kill_9_of_the_users_systemd(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "k", busybox_image, "sleep", "1000")
    path = cgroup_of(rootless, "k")
    uid = os.getuid()
    try:
        pid = as_user("root", f"systemctl show -P MainPID user@{uid}.service").stdout.strip()
        os.kill(int(pid), signal.SIGKILL)
        wait_for("the end", lambda: "Exited" in rootless("ps", "-a").stdout, 60)
        # nobody answers on the bus: no limits, and a sentence for who asks for them
        rootless("run", "--rm", busybox_image, "true")
        found = rootless("run", "--rm", "-m", "50m", busybox_image, "true", code=125)
        assert "limits cannot be applied" in found.stderr
    finally:
        as_user("root", f"systemctl restart user@{uid}.service")
        wait_for("systemd", lambda: "running" in systemctl("is-system-running", "--wait"), 60)
    assert not path.exists()
    rootless("start", "k")
    assert cgroup_of(rootless, "k").exists()
    rootless("rm", "-f", "k")


def test_what_is_not_delegated(busybox: Path) -> None:
    # Debian's own: no cpuset, no io
    script = (
        f"printf 'x' >/dev/null; mkdir -p r/bin; cp {busybox} r/bin/busybox; "
        "rootless run --rm --rootfs --cpuset-cpus 0 r /bin/busybox true; echo $?; "
        "rootless run --rm --rootfs -m 64m r /bin/busybox cat /sys/fs/cgroup/memory.max; "
        "rootless doctor"
    )
    found = as_user("plain", script).stdout
    assert "the cgroup controller cpuset is not delegated to the user's systemd" in found, found
    assert "/etc/systemd/system/user@.service.d/delegate.conf" in found
    assert "\n125\n" in found
    assert f"\n{64 << 20}\n" in found
    # Debian 11 does not delegate cpu either
    assert re.search("not delegated: (cpu, )?cpuset, io", found), found


def test_at_logout_without_linger(busybox: Path) -> None:
    started = as_user(
        "fleeting",
        f"mkdir -p r/bin; cp {busybox} r/bin/busybox; "
        "rootless rm -f -a >/dev/null 2>&1; "
        "for name in over again; do "
        "rootless run -d --restart unless-stopped --stop-timeout 1 --name $name "
        "--rootfs r /bin/busybox sleep 1000; done; rootless doctor",
    ).stdout
    assert started.count("note: this container ends when your last session here does") == 1
    assert "loginctl enable-linger fleeting" in started
    # the session has ended with ssh; systemd ends the user's processes a moment later
    wait_for(
        "the end of the user's systemd",
        lambda: as_user("root", "pgrep -u fleeting -f 1000 || true").stdout.strip() == "",
        90,
    )
    # a new login starts nothing by itself; what a restart policy wants, a unit of the person's does
    found = as_user(
        "fleeting",
        "rootless ps -a; rootless stop -t 0 again; rootless service enable restart; echo then; "
        "rootless ps -a; rootless service disable restart; systemctl --user list-unit-files "
        "'rootless-*.service'; rootless rm -f over again",
    ).stdout
    before, after = found.split("then\n")
    assert before.count("Exited") == 2, found
    assert "rootless-restart.service\n" in before, found
    assert "loginctl enable-linger fleeting makes that the boot" in found
    lines = {line.split()[-1]: line for line in after.splitlines() if "/bin/busybox" in line}
    assert "Up" in lines["over"], found
    assert "Up" in lines["again"], found
    assert "0 unit files listed" in after, found


def test_a_delegated_tree(rootless: Command, busybox_image: str) -> None:
    """What a runner of jobs gives: a tree of its own and no bus to ask."""
    words = [*outside(), "-p", "Delegate=yes", "--", "env", inside(rootless)]
    script = (
        'unset DBUS_SESSION_BUS_ADDRESS; "$@" --cgroup-manager cgroupfs run -m 48m --rm '
        f"{busybox_image} cat /sys/fs/cgroup/memory.max; "
        f'"$@" --cgroup-manager cgroupfs run -d --name d --pids-limit 9 {busybox_image} sleep 99; '
        '"$@" inspect --format "{{.State.CgroupPath}}" d; "$@" pause d; "$@" unpause d; '
        '"$@" rm -f d; ls -d /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/../rootless-*/ctr; '
        f'"$@" --cgroup-manager cgroupfs run --rm --cgroups split {busybox_image} true'
    )
    found = subprocess.run(
        [*words, "sh", "-c", script, "sh", *rootless.words],
        env=rootless.place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
    )
    lines = said(found.stdout)
    assert lines[0] == str(48 << 20), found.stdout
    assert any(line.endswith("/ctr") and "/run-" in line for line in lines), found.stdout
    assert "No such file" in found.stdout  # nothing of a container's cgroup is left
    assert found.returncode == 0, found.stdout


@pytest.mark.long
def test_a_unit_divides_its_own_cgroup(rootless: Command, busybox_image: str) -> None:
    words = [*outside(), "-p", "Delegate=yes", "-p", "MemoryMax=80M"]
    found = subprocess.run(
        [*words, "--unit=splitting", "env", inside(rootless), *rootless.words, "run", "--rm",
         "--cgroups", "split", "-m", "40m", busybox_image, "cat", "/sys/fs/cgroup/memory.max"],
        env=rootless.place.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=100,
    )  # fmt: skip
    assert said(found.stdout) == [str(40 << 20)]


@pytest.mark.long
def test_disabled_by_hand(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "no", "--cgroups", "disabled", busybox_image, "sleep", "99")
    assert rootless("inspect", "--format", "{{.State.CgroupPath}}", "no").stdout == "\n"
    assert scopes() == []
    found = rootless("pause", "no", code=125)
    assert "it has no cgroup" in found.stderr
    found = rootless("--cgroup-manager", "disabled", "run", "-m", "1g", busybox_image,
                     "true", code=125)  # fmt: skip
    assert "limits cannot be applied on this host" in found.stderr
    rootless("rm", "-f", "no")


def test_limits_change_while_it_runs(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "u", "-m", "64m", "--pids-limit", "50", busybox_image,
             "sleep", "1000")  # fmt: skip
    path = cgroup_of(rootless, "u")
    rootless("update", "-m", "96m", "--memory-swap", "128m", "--cpus", "0.5", "u")
    files = "cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max"
    inside = rootless("exec", "u", "sh", "-c", files)
    assert inside.stdout.split("\n")[:4] == [str(96 << 20), str(32 << 20), "50000 100000", "50"]
    shown = properties(path.parent.name, "MemoryMax", "CPUQuotaPerSecUSec")
    assert shown == {"MemoryMax": str(96 << 20), "CPUQuotaPerSecUSec": "500ms"}
    rootless("restart", "-t", "0", "u")
    assert rootless("exec", "u", "cat", "/sys/fs/cgroup/memory.max").stdout == f"{96 << 20}\n"
    found = rootless("update", "-m", "32m", "--memory-swap", "16m", "u", code=125)
    assert "at least --memory" in found.stderr
    assert rootless("exec", "u", "cat", "/sys/fs/cgroup/memory.max").stdout == f"{96 << 20}\n"
    rootless("rm", "-f", "u")


@pytest.mark.long
def test_what_is_used(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "s", "-m", "64m", "--pids-limit", "20", "--cpus", "0.4",
             busybox_image, "sh", "-c",
             "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; sleep 300 & while :; do :; done",
             )  # fmt: skip
    time.sleep(3)
    found = rootless("stats", "--no-stream", "--interval", "3", "--format", "json", "s").json()
    if isinstance(found, list):
        found = found[0]
    assert found["Source"] == "cgroup"
    assert 25 < found["CPU"] < 55, found
    assert 20 << 20 < found["MemoryBytes"] < 40 << 20, found
    assert found["MemoryLimitBytes"] == 64 << 20
    assert found["PIDs"] == 2
    assert "cpu " in found["Pressure"], found
    table = rootless("stats", "--no-stream").stdout.splitlines()
    assert table[0].split()[:4] == ["CONTAINER", "ID", "NAME", "CPU"]
    assert "/ 67.1MB" in table[1], table
    rootless("rm", "-f", "-t", "0", "s")


def test_the_journal(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--name", "diary", "--log-driver", "journald", busybox_image, "sh", "-c",
             "echo first; echo second >&2; printf unfinished")  # fmt: skip
    identifier = rootless("inspect", "--format", "{{.Id}}", "diary").stdout.strip()
    wanted = f"CONTAINER_ID_FULL={identifier}"

    def lines() -> list[dict[str, str]]:
        found = subprocess.run(
            ["journalctl", "--user", "-q", "-o", "json", wanted], stdout=subprocess.PIPE, text=True
        ).stdout
        return [json.loads(line) for line in found.splitlines()]

    wait_for("three lines", lambda: len(lines()) == 3)
    # two streams are two pipes: only within each is there an order
    found = {one["MESSAGE"]: one for one in lines()}
    assert set(found) == {"first", "second", "unfinished"}
    first, second = found["first"], found["second"]
    assert first["CONTAINER_NAME"] == "diary"
    assert first["CONTAINER_ID"] == identifier[:12]
    assert "busybox:test" in first["IMAGE_NAME"]
    assert (first["PRIORITY"], second["PRIORITY"]) == ("6", "3")
    shown = rootless("logs", "diary")
    assert shown.stdout == "first\nunfinished"
    assert shown.stderr == "second\n"
    last = rootless("logs", "--tail", "1", "diary")
    assert (last.stdout + last.stderr).rstrip("\n") in ("unfinished", "second")


@pytest.mark.long
def test_following_the_journal_ends_with_the_container(
    rootless: Command, busybox_image: str
) -> None:
    rootless("run", "-d", "--name", "diary", "--log-driver", "journald", "--log-opt", "tag=notes",
             busybox_image, "sh", "-c", "echo begun; sleep 2; echo done")  # fmt: skip
    followed = rootless("logs", "-f", "diary", timeout=200)
    assert followed.stdout == "begun\ndone\n"
    stamped = rootless("logs", "-t", "--since", "1h", "diary").stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == ["begun", "done"]
    assert rootless("logs", "--until", "1h", "diary").stdout == ""
    found = subprocess.run(
        ["journalctl", "--user", "-q", "-o", "cat", "CONTAINER_NAME=diary", "CONTAINER_TAG=notes"],
        stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    assert found == "begun\ndone\n"
    found = subprocess.run(
        ["journalctl", "--user", "-q", "-o", "cat", "-t", "notes"],
        stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip
    assert "done" in found
