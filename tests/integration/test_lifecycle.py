"""A container's life: create, start, exec, logs, stop, restart, rename, remove."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")


def wait_for(condition: object, seconds: float = 60) -> None:
    """Wait until a function is true."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_from_created_to_removed(rootless: Command, busybox_image: str) -> None:
    identifier = rootless("create", "--name", "job", busybox_image, "echo", "done").stdout.strip()
    assert len(identifier) == 64

    def status() -> str:
        return rootless("inspect", "-f", "{{.State.Status}}", "job").stdout.strip()

    assert status() == "created"
    assert rootless("start", "-a", "job").stdout == "done\n"
    assert status() == "exited"
    assert rootless("start", "-a", identifier[:8]).stdout == "done\n"
    assert rootless("logs", "job").stdout == "done\ndone\n"
    assert rootless("rm", "job").stdout == "job\n"
    rootless("inspect", "job", code=125)


def test_a_container_in_the_background(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "bg", busybox_image, *SLEEP)
    (row,) = rootless("ps", "--format", "json").json()
    assert row["Names"] == ["bg"]
    assert row["State"] == "running"
    assert row["Status"].startswith("Up ")
    rootless("rm", "bg", code=2)
    assert rootless("stop", "-t", "10", "bg").stdout == "bg\n"
    state = rootless("inspect", "bg").json()[0]["State"]
    assert state["ExitCode"] == 0
    assert state["Pid"] == 0
    assert rootless("ps", "-q").stdout == ""
    assert len(rootless("ps", "-aq").stdout.split()) == 1


def test_stop_kills_after_the_grace_time(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "deaf", "--network", "none", busybox_image, "sh", "-c",
             "trap '' TERM; while :; do sleep 0.1; done")  # fmt: skip
    rootless("stop", "-t", "1", "deaf")
    assert rootless("wait", "deaf").stdout == "137\n"


def test_the_stop_signal_is_the_one_asked_for(rootless: Command, busybox_image: str) -> None:
    script = "trap 'exit 9' USR1; while :; do sleep 0.05; done"
    rootless("run", "-d", "--name", "s", "--stop-signal", "USR1", "--network", "none",
             busybox_image, "sh", "-c", script)  # fmt: skip
    time.sleep(0.2)
    rootless("stop", "s")
    assert rootless("wait", "s").stdout == "9\n"


def test_kill_with_a_signal(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "k", busybox_image, "sh", "-c",
             "trap 'echo got it' HUP; while :; do sleep 0.05; done")  # fmt: skip
    time.sleep(0.2)
    rootless("kill", "-s", "HUP", "k")
    wait_for(lambda: "got it" in rootless("logs", "k").stdout)
    rootless("kill", "-s", "nonsense", "k", code=125)
    rootless("kill", "k")
    assert rootless("wait", "k").stdout == "137\n"
    rootless("kill", "k", code=125)


def test_restart(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "r", "--network", "none", busybox_image, *SLEEP)
    first = rootless("inspect", "-f", "{{.State.Pid}}", "r").stdout
    rootless("restart", "r")
    second = rootless("inspect", "-f", "{{.State.Pid}}", "r").stdout
    assert first != second
    assert rootless("inspect", "-f", "{{.State.Running}}", "r").stdout == "true\n"


def test_exec(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "e", "-e", "A=1", busybox_image, "sleep", "1000")
    assert rootless("exec", "e", "echo", "hi").stdout == "hi\n"
    rootless("exec", "e", "sh", "-c", "exit 3", code=3)
    assert rootless("exec", "-i", "e", "cat", input="in").stdout == "in"
    assert rootless("exec", "e", "cat", input="ignored").stdout == ""
    found = rootless("exec", "-e", "B=2", "-w", "/tmp", "e", "sh", "-c", "echo $A$B $PWD")
    assert found.stdout == "12 /tmp\n"
    assert rootless("exec", "-u", "guest", "e", "id", "-u").stdout == "1000\n"
    assert rootless("exec", "e", "no-such", code=127).stderr.startswith("error: ")
    rootless("exec", "e", "/etc/passwd", code=126)
    rootless("exec", "-d", "e", "sh", "-c", "sleep 0.1; touch /tmp/made")
    wait_for(lambda: rootless("exec", "e", "test", "-e", "/tmp/made", code=None).code == 0)
    # the same namespaces and rights as the container's first process has
    for name in ("pid", "net", "mnt", "ipc", "uts"):
        inside = rootless("exec", "e", "readlink", f"/proc/self/ns/{name}").stdout
        assert inside == rootless("exec", "e", "readlink", f"/proc/1/ns/{name}").stdout
    for line in ("CapBnd", "Seccomp:", "NoNewPrivs"):
        script = f"grep {line} /proc/self/status; grep {line} /proc/1/status"
        own, first = rootless("exec", "e", "sh", "-c", script).stdout.split("\n")[:2]
        assert own == first
    rootless("stop", "-t", "0", "e")
    stopped = rootless("exec", "e", "true", code=125)
    assert "is not running" in stopped.stderr


def test_exec_as_another_user(rootless: Command, busybox_image: str) -> None:
    """By name, in any user namespace; home is that user's where nobody says otherwise."""
    script = "echo $(id -un) $HOME"
    for userns in ("private", "keep-id"):
        rootless("run", "-d", "--name", userns, "--userns", userns, "--network", "none",
                 busybox_image, "sleep", "1000")  # fmt: skip
        found = rootless("exec", "-u", "guest", userns, "sh", "-c", script)
        assert found.stdout == "guest /home/guest\n"
    found = rootless("exec", "-u", "guest", "-e", "HOME=/x", "private", "sh", "-c", script)
    assert found.stdout == "guest /x\n"
    rootless("run", "-d", "--name", "told", "-e", "HOME=/y", "--network", "none",
             busybox_image, "sleep", "1000")  # fmt: skip
    assert rootless("exec", "-u", "guest", "told", "sh", "-c", script).stdout == "guest /y\n"
    found = rootless("exec", "-u", "nobody-here", "keep-id", "true", code=125)
    assert 'no user "nobody-here"' in found.stderr


def test_whoever_ignores_ended_children_can_start_containers(
    rootless: Command, busybox_image: str
) -> None:
    """As some daemons do, whose children inherit it."""

    def ignoring(*words: str) -> tuple[int, bytes]:
        process = rootless.start(
            *words,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        )
        said = process.communicate(timeout=60)[0]
        return process.returncode, said

    assert ignoring("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep",
                    "1000")[0] == 0  # fmt: skip
    assert ignoring("exec", "c", "echo", "there") == (0, b"there\n")
    assert ignoring("run", "--rm", "--network", "none", busybox_image, "echo", "here") == (
        0,
        b"here\n",
    )


def test_a_signal_to_exec_reaches_its_command(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "e", "--network", "none", busybox_image, "sleep", "1000")
    process = rootless.start("exec", "e", "sh", "-c",
                             "trap 'echo ended; exit 5' TERM; echo ready; while :; do sleep 0.05; "
                             "done", stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == b"ended\n"
    assert process.wait(60) == 5


def test_signals_are_passed_on_by_run(rootless: Command, busybox_image: str) -> None:
    process = rootless.start("run", "--rm", "--name", "p", busybox_image, "sh", "-c",
                             "trap 'echo bye; exit 6' TERM; echo ready; while :; do sleep 0.05; "
                             "done", stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == b"bye\n"
    assert process.wait(60) == 6


def test_two_watchers_see_the_same(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "-i", "--name", "a", busybox_image, "sh", "-c", "cat; echo over")
    watcher = rootless.start("attach", "--no-stdin", "a", stdout=subprocess.PIPE)
    time.sleep(0.3)
    found = rootless("attach", "a", input="typed\n")
    assert found.stdout == "typed\nover\n"
    assert watcher.stdout is not None
    assert watcher.stdout.read() == b"typed\nover\n"


def test_names(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "first", busybox_image, "true")
    taken = rootless("create", "--name", "first", busybox_image, "true", code=125)
    assert 'the container name "first" is already in use' in taken.stderr
    assert len(rootless("ps", "-aq").stdout.split()) == 1
    rootless("create", "--name", "first", "--replace", busybox_image, "true")
    rootless("rename", "first", "second")
    rootless("create", "--name", "first", busybox_image, "true")
    rootless("rename", "first", "second", code=125)
    invented = {rootless("create", busybox_image, "true").stdout for _ in range(3)}
    names = rootless("ps", "-a", "--format", "{{.Names}}").stdout.split()
    assert len(invented) == 3
    assert len(set(names)) == 5


def test_remove(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "busy", busybox_image, "sleep", "1000")
    busy = rootless("rm", "busy", code=2)
    assert "is running" in busy.stderr
    assert rootless("rm", "-f", "busy", "not-there").stdout == "busy\n"
    missing = rootless("rm", "not-there", code=1)
    assert 'no such container: "not-there"' in missing.stderr


def test_a_removed_container_takes_only_its_own_name(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    """Its monitor removes it, and knows the name that it began with."""
    run = ("run", "-d", "--network", "none")
    rootless(*run, "--rm", "--name", "a", busybox_image, "sleep", "1000")
    rootless("rename", "a", "b")
    second = rootless(*run, "--name", "a", busybox_image, "sleep", "1000").stdout.strip()
    rootless("rm", "-f", "b")
    rootless(*run, "--rm", "--name", "b", busybox_image, "sleep", "1000")
    rootless("rename", "b", "c")
    rootless("kill", "c")
    names = place.data / "containers/names"
    end = time.monotonic() + 60
    while len(list(names.iterdir())) > 1 and time.monotonic() < end:
        time.sleep(0.02)
    assert {one.name: os.readlink(one) for one in names.iterdir()} == {"a": second}


def test_an_id_may_be_shortened_while_it_is_unique(rootless: Command, busybox_image: str) -> None:
    identifier = rootless("create", busybox_image, "true").stdout.strip()
    assert rootless("inspect", "-f", "{{.Id}}", identifier[:3]).stdout.strip() == identifier
    for number in range(17):
        rootless("create", "--name", f"n{number}", busybox_image, "true")
    ids = rootless("ps", "-aq", "--no-trunc").stdout.split()
    first = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
    found = rootless("inspect", "--type", "container", first, code=125)
    assert "could be any of" in found.stderr


def test_logs(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--name", "l", busybox_image, "sh", "-c",
             "echo one; echo two >&2; sleep 1.1; echo three; printf end")  # fmt: skip
    found = rootless("logs", "l")
    assert (found.stdout, found.stderr) == ("one\nthree\nend", "two\n")
    assert rootless("logs", "--tail", "2", "l").stdout == "three\nend"
    assert rootless("logs", "-n", "0", "l").stdout == ""
    stamped = rootless("logs", "-t", "l").stdout.split("\n")
    assert stamped[0].split(" ")[1] == "one"
    started = stamped[0].split(" ")[0]
    assert "one" in rootless("logs", "--until", started, "l").stdout
    assert "three" not in rootless("logs", "--until", started, "l").stdout
    late = stamped[1].split(" ")[0]
    assert rootless("logs", "--since", late, "l").stdout == "three\nend"
    assert rootless("logs", "--since", "1h", "l").stdout == "one\nthree\nend"
    rootless("logs", "--since", "tea time", "l", code=125)
    rootless("logs", "--tail", "few", "l", code=125)


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_logs_are_followed_over_rotation(
    rootless: Command, busybox_image: str, driver: str
) -> None:
    count = 400
    script = f"sleep 0.5; i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); done"
    rootless("run", "-d", "--name", "many", "--log-driver", driver, "--log-opt", "max-size=4k",
             "--log-opt", "max-file=50", busybox_image, "sh", "-c", script)  # fmt: skip
    followed = rootless("logs", "-f", "many").stdout
    expected = "".join(f"line {i}\n" for i in range(count))
    assert followed == expected
    assert rootless("logs", "many").stdout == expected
    log = Path(rootless("inspect", "-f", "{{.LogPath}}", "many").stdout.strip())
    files = [path for path in log.parent.iterdir() if path.name.startswith("ctr.log")]
    assert len(files) > 2
    assert all(path.stat().st_size <= 4096 + 100 for path in files)


def test_a_log_keeps_every_byte(rootless: Command, busybox_image: str) -> None:
    script = r"printf 'a\000b\377\n'; printf '\303'; sleep 0.1; printf '\244\n'"
    rootless("run", "--name", "b", busybox_image, "sh", "-c", script)
    assert rootless("logs", "b").out == b"a\0b\xff\n\xc3\xa4\n"


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_the_last_line_is_whole_however_it_was_written(
    rootless: Command, busybox_image: str, driver: str
) -> None:
    script = "echo one; for i in a b c; do printf $i; usleep 50000; done; echo d; echo e >&2"
    rootless("run", "--name", "p", "--network", "none", "--log-driver", driver, busybox_image,
             "sh", "-c", script)  # fmt: skip
    assert rootless("logs", "--tail", "2", "p").out == b"abcd\n"
    assert rootless("logs", "--tail", "3", "p").out == b"one\nabcd\n"


def test_no_log(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "--name", "n", "--log-driver", "none", busybox_image, "echo", "seen")
    assert found.stdout == "seen\n"
    assert "keeps no log" in rootless("logs", "n", code=125).stderr


def test_wait(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "w", busybox_image, "sh", "-c", "sleep 0.3; exit 4")
    assert rootless("wait", "w").stdout == "4\n"
    rootless("wait", "nobody", code=125)
    # a restart policy takes the end from nobody: docker's wait returns at each
    rootless("run", "-d", "--name", "a", "--network", "none", "--restart", "always", busybox_image,
             "sh", "-c", "sleep 0.2; exit 6")  # fmt: skip
    for condition in ("stopped", "not-running", "next-exit"):
        assert rootless("wait", "--condition", condition, "a", timeout=30).stdout == "6\n"
    rootless("rm", "-f", "a")


def test_top_port_and_inspect(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "t", "--network", "none", busybox_image, "sleep", "1000")
    top = rootless("top", "t").stdout
    assert "sleep 1000" in top
    pid = rootless("inspect", "-f", "{{.State.Pid}}", "t").stdout.strip()
    assert rootless("top", "t", "pid", "hpid").stdout.split() == ["PID", "HPID", "1", pid]
    found = rootless("inspect", "t").json()[0]
    assert found["Name"] == "/t"
    assert found["Config"]["Cmd"] == ["sleep", "1000"]
    assert found["State"]["Running"] is True
    assert rootless("port", "t").stdout == ""


def test_pausing_needs_a_cgroup(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "p", "--network", "none", busybox_image, "sleep", "1000")
    if rootless("info", "-f", "{{.CgroupManager}}").stdout.strip() == "none":
        found = rootless("pause", "p", code=125)
        assert "has no cgroup" in found.stderr
        assert "hint: " in found.stderr
    else:
        rootless("pause", "p")
        assert rootless("inspect", "-f", "{{.State.Status}}", "p").stdout == "paused\n"
        rootless("unpause", "p")


def test_a_container_explained(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "x", busybox_image, "sleep", "1000")
    picture = json.loads(rootless("explain", "--format", "json", "x").stdout)
    commands = {row["Role"]: row for row in picture["Processes"]}
    assert commands["container"]["Command"] == "sleep 1000"
    assert commands["container"]["PidInside"] == 1
    assert commands["container"]["Uid"] == os.getuid()
    shared = {row["Type"]: row["Shared"] for row in picture["Namespaces"]}
    assert shared["net"] is False
    assert shared["user"] is False
    assert {"Inside": 0, "Host": os.getuid()} in picture["Ids"]["InsideToHost"]
    text = rootless("explain", "x").stdout
    for title in ("PROCESSES", "NAMESPACES", "IDS", "CGROUP", "FILES", "NETWORK"):
        assert title in text


def test_restart_policies(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "f", "--restart", "on-failure:2", "--network", "none",
             busybox_image, "sh", "-c", "echo try; exit 3")  # fmt: skip
    wait_for(lambda: rootless("inspect", "-f", "{{.State.Status}}", "f").stdout == "exited\n")
    assert rootless("logs", "f").stdout == "try\n" * 3
    found = rootless("inspect", "f").json()[0]
    assert found["RestartCount"] == 2
    assert found["State"]["ExitCode"] == 3
    rootless("run", "-d", "--name", "a", "--restart", "always", "--network", "none",
             busybox_image, "sh", "-c", "echo again; exit 0")  # fmt: skip
    wait_for(lambda: rootless("logs", "a").stdout.count("again") >= 3)
    rootless("stop", "a")
    count = rootless("logs", "a").stdout.count("again")
    time.sleep(0.5)
    assert rootless("logs", "a").stdout.count("again") == count
    assert rootless("inspect", "-f", "{{.State.Status}}", "a").stdout == "exited\n"


def test_namespaces_of_another_container(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "first", busybox_image, "sleep", "1000")

    def namespace(name: str, *flags: str) -> str:
        words = ("readlink", f"/proc/self/ns/{name}")
        return rootless("run", "--rm", *flags, busybox_image, *words).stdout

    theirs = rootless("exec", "first", "readlink", "/proc/self/ns/net").stdout
    assert namespace("net", "--network", "container:first") == theirs
    theirs = rootless("exec", "first", "readlink", "/proc/self/ns/ipc").stdout
    assert namespace("ipc", "--ipc", "container:first") == theirs
    found = rootless("run", "--rm", "--pid", "container:first", busybox_image, "ps")
    assert "sleep 1000" in found.stdout
    missing = rootless("run", "--rm", "--network", "container:nobody", busybox_image, "true",
                       code=125)  # fmt: skip
    assert "nobody" in missing.stderr


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_another_runtime_runs_the_same_bundle(
    rootless: Command, busybox_image: str, runtime: str
) -> None:
    found = rootless("run", "--rm", "--runtime", runtime, "-e", "A=1", busybox_image, "sh", "-c",
                     "echo $A; id -u; grep Seccomp: /proc/self/status; exit 3", code=3)  # fmt: skip
    # the default filter as well
    assert found.stdout == "1\n0\nSeccomp:\t2\n"
    free = ("--security-opt", "seccomp=unconfined")
    found = rootless("run", "--rm", "--runtime", runtime, *free, busybox_image, "grep", "Seccomp:",
                     "/proc/self/status")  # fmt: skip
    assert found.stdout == "Seccomp:\t0\n"
    rootless("run", "-d", "--name", "other", "--runtime", runtime, busybox_image, *SLEEP)
    assert rootless("inspect", "-f", "{{.HostConfig.Runtime}}", "other").stdout == f"{runtime}\n"
    rootless("stop", "-t", "5", "other")
    rootless("rm", "other")


def test_what_is_pruned(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("create", "--name", "old", busybox_image, "true")
    rootless("run", "-d", "--name", "live", "--network", "none", busybox_image, "sleep", "1000")
    asked = rootless("prune", input="n\n")
    assert "want to continue? [y/N]" in asked.stderr
    assert len(rootless("ps", "-aq").stdout.split()) == 2
    rootless("prune", "-f")
    assert rootless("ps", "-a", "--format", "{{.Names}}").stdout == "live\n"
    assert busybox_image in rootless("images", "--format", "{{.Repository}}:{{.Tag}}").stdout


@pytest.mark.parametrize("rm", [True, False])
def test_directories_within_each_other_without_end(
    rootless: Command, busybox_image: str, place: Place, rm: bool
) -> None:
    """Each level costs who removes them a descriptor and a frame of the stack."""
    script = "i=0; while [ $i -lt 1500 ]; do mkdir a && cd a || exit 1; i=$((i+1)); done"
    flags = ["--rm"] if rm else []
    rootless("run", "--name", "deep", "--network", "none", *flags, busybox_image, "sh", "-c",
             script)  # fmt: skip
    if not rm:
        rootless("rm", "deep")
    assert rootless("ps", "-aq").stdout == ""
    assert os.listdir(place.data / "containers") == ["names"]


def test_a_client_that_its_person_has_stopped_holds_nobody_up(
    rootless: Command, busybox_image: str
) -> None:
    client = rootless.start("run", "--name", "loud", "--network", "none", busybox_image, "yes",
                            stdout=subprocess.PIPE)  # fmt: skip
    wait_for(lambda: "loud" in rootless("ps", "--format", "{{.Names}}").stdout)
    assert client.stdout is not None and client.stdout.read(1) == b"y"
    client.send_signal(signal.SIGSTOP)
    try:
        rootless("stop", "-t", "0", "loud", timeout=60)
        assert rootless("inspect", "-f", "{{.State.Status}}", "loud").stdout == "exited\n"
        rootless("rm", "loud")
    finally:
        client.kill()


def test_replace_takes_a_name_for_a_name(rootless: Command, busybox_image: str) -> None:
    """Also where it is the beginning of another container's id."""
    create = ("create", "--network", "none", busybox_image, "true")
    other = rootless(*create).stdout.strip()
    name = other[:4]
    words = ("create", "--replace", "--name", name, *create[1:])
    first = rootless(*words).stdout.strip()
    second = rootless(*words).stdout.strip()
    left = rootless("ps", "-aq", "--no-trunc").stdout.split()
    assert sorted(left) == sorted([other, second]) and first != second
