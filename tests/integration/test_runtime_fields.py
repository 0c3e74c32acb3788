"""More fields of a bundle, seen from inside as in test_runtime_probe.py and in the same settings:
mounts, devices, filters, hooks, clocks, processors and memory."""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from test_runtime_container_actions import Agent
from test_runtime_probe import (  # noqa: F401  (fixtures)
    X86_64,
    Seen,
    mounted,
    probe,
    seen,
    setting,
    status,
)

RELEASE = tuple(int(word) for word in os.uname().release.split(".")[:2])


def add(seen: Seen, destination: str, kind: str, *options: str, **more: Any) -> None:  # noqa: F811
    """One more mount."""
    mount = {"destination": destination, "type": kind, "options": list(options), **more}
    seen.config["mounts"].append(mount)


def flags(found: Any, target: str) -> set[str]:
    """The options of the mount that is seen at a place."""
    return set(mounted(found, target)[-1][0].split(","))


def executed(seen: Seen, *words: str) -> str:  # noqa: F811
    """What `exec` with these words prints in a container c that waits.

    All by one caller, who in one of the settings is root of a namespace of its own.
    """
    seen.process["args"] = ["/probe", "wait"]
    seen.runtime.write()
    command = seen.runtime.command
    at = command.words.index("unshare") + 1 if seen.setting == "root" else 0
    runtime = [*command.words[at:], "--root", str(seen.runtime.root)]
    quoted = " ".join(shlex.quote(word) for word in runtime)
    script = (
        f"{quoted} create -b {shlex.quote(str(seen.runtime.bundle))} c </dev/null >&2 && "
        f'{quoted} start c && {quoted} exec "$@"; {quoted} delete --force c'
    )
    found = subprocess.run(
        [*command.words[:at], "sh", "-c", script, "sh", *words], env=command.place.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=100,
    )  # fmt: skip
    return found.stdout


def test_paths_of_mounts_may_be_relative(seen: Seen) -> None:  # noqa: F811
    """The destination to the root, the source to the bundle."""
    (seen.runtime.bundle / "here").mkdir()
    (seen.runtime.bundle / "here/file").write_text("text")
    add(seen, "a/b", "bind", "bind", source="here")
    add(seen, "t", "tmpfs", source="tmpfs")
    assert seen.tries("read", "/a/b/file")[0]["text"] == "text"
    assert "tmpfs" in mounted(seen.everything(), "/t")[0][2]


def test_a_later_option_takes_back_an_earlier(seen: Seen) -> None:  # noqa: F811
    source = seen.runtime.bundle / "source"
    source.mkdir()
    (source / "link").symlink_to("/probe")
    add(seen, "/a", "bind", "bind", "ro", "rw", "nosuid", source="source")
    add(seen, "/b", "bind", "rbind", "rro", "rrw", "nodev", source="source")
    add(seen, "/c", "tmpfs", "ro", "rw", "noexec", "exec", "nosuid")
    add(seen, "/d", "bind", "bind", "nosymfollow", source="source")
    add(seen, "/e", "tmpfs", "rnosymfollow", "shared")
    found = seen.everything()
    assert flags(found, "/a") >= {"rw", "nosuid"}
    assert flags(found, "/b") >= {"rw", "nodev"}
    assert flags(found, "/c") >= {"rw", "nosuid"} and "noexec" not in flags(found, "/c")
    assert "nosymfollow" in flags(found, "/d") & flags(found, "/e")
    assert "shared:" in mounted(found, "/e")[0][1]
    assert seen.tries("open", "/d/link", "r", "open", "/a/link", "r") == [errno.ELOOP, 0]


def test_a_mount_is_changed_by_a_second_one(seen: Seen) -> None:  # noqa: F811
    add(seen, "/t", "tmpfs", "nosuid", "nodev")
    add(seen, "/t", "tmpfs", "remount", "bind", "ro", "nosuid", "nodev")
    found = seen.everything()
    assert len(mounted(found, "/t")) == 1
    assert flags(found, "/t") >= {"ro", "nosuid", "nodev"}


def test_options_that_mean_nothing_there(seen: Seen) -> None:  # noqa: F811
    for kind, option, said in (
        ("tmpfs", "nonsense", "/x"),
        ("tmpfs", "size=abc", "/x"),
        ("cgroup", "memory", "cgroup version 1"),
        ("nosuchfs", "ro", "/x"),
    ):
        add(seen, "/x", kind, option)
        assert said in seen.refused(), kind
        seen.config["mounts"].pop()


def test_what_the_image_has_is_copied_up(seen: Seen) -> None:  # noqa: F811
    keep = seen.runtime.bundle / "rootfs/keep"
    (keep / "deep").mkdir(parents=True)
    (keep / "deep/file").write_text("old")
    (keep / "link").symlink_to("deep")
    keep.chmod(0o750)
    add(seen, "/keep", "tmpfs", "tmpcopyup", "ro", "mode=711")
    first, second, mode = seen.tries("read", "/keep/deep/file", "read", "/keep/link/file", "stat",
                                     "/keep")  # fmt: skip
    assert (first["text"], second["text"]) == ("old", "old")
    # what was asked for holds, as with crun; without, the image's own
    assert mode["mode"] & 0o777 == 0o711
    seen.config["mounts"][-1]["options"].remove("mode=711")
    (mode,) = seen.tries("stat", "/keep")
    assert mode["mode"] & 0o777 == 0o750
    assert (keep / "deep/file").read_text() == "old"


def test_ids_of_a_mount(seen: Seen, setting: str, place: Place) -> None:  # noqa: F811
    """Granted for what the caller's own user namespace has mounted, and refused in words else."""
    source = seen.runtime.bundle / "mapped"
    source.mkdir()
    more = {"source": "mapped", "uidMappings": [{"containerID": 0, "hostID": 7, "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": 8, "size": 1}]}  # fmt: skip
    for option in ("idmap", "ridmap"):
        add(seen, "/m", "bind", "rbind", option, **more)
        said = seen.refused()
        assert "the ids of /m cannot be mapped" in said
        assert "hint: the kernel maps only" in said
        seen.config["mounts"].pop()
    if setting != "root":
        return
    # a tmpfs of the namespace that calls
    words = seen.runtime.command.words
    at = words.index("unshare") + 1
    script = f'mount -t tmpfs none {source} && : >{source}/file && exec "$@"'
    seen.runtime.command.words = [*words[:at], "sh", "-c", script, "sh", *words[at:]]
    for option, shown in (("idmap", [7, 8]), ("", [7, 8])):
        add(seen, "/m", "bind", "bind", *([option] if option else []), **more)
        if RELEASE < (6, 3):
            assert "the ids of /m cannot be mapped" in seen.refused()
            seen.config["mounts"].pop()
            continue
        [found] = seen.tries("stat", "/m/file")
        assert [found["uid"], found["gid"]] == shown
        seen.config["mounts"].pop()
    add(seen, "/m", "bind", "bind", source="mapped")
    [found] = seen.tries("stat", "/m/file")
    assert [found["uid"], found["gid"]] == [0, 0]


def test_devices_by_their_numbers(seen: Seen) -> None:  # noqa: F811
    seen.linux["devices"] = [
        {"type": "c", "path": "/dev/mine", "major": 1, "minor": 5},
        {"type": "c", "path": "/else/where", "major": 1, "minor": 3},
        {"type": "p", "path": "/dev/pipe", "fileMode": 0o600},
    ]
    mine, there, pipe = seen.tries("stat", "/dev/mine", "stat", "/else/where", "stat", "/dev/pipe")
    assert (mine["device"], there["device"]) == ([1, 5], [1, 3])
    assert pipe["mode"] & 0o170000 == 0o010000
    for change, said in (
        ({"major": 4000}, "linux.devices[0]: /dev/mine: this host has no node"),
        ({"type": "b"}, "of the device b 1:5"),
        ({"minor": None}, "linux.devices[0].minor: is missing"),
    ):
        good = dict(seen.linux["devices"][0])
        seen.linux["devices"][0].update(change)
        assert said in seen.refused()
        seen.linux["devices"][0] = good


def test_modes_and_owners_of_devices(seen: Seen) -> None:  # noqa: F811
    """A bound node keeps the host's; what somebody inside would notice is told, and no more."""
    null = {"type": "c", "path": "/dev/mine", "major": 1, "minor": 3}
    private = next(path for path in map(Path, ("/dev/mem", "/dev/tty0", "/dev/hwrng", "/dev/vcs"))
                   if path.exists() and path.stat().st_mode & 7 == 0)  # fmt: skip
    number, mode = private.stat().st_rdev, private.stat().st_mode & 0o7777
    other = {**null, "path": "/dev/other", "major": os.major(number), "minor": os.minor(number)}
    log = seen.runtime.bundle / "log"
    # as podman, docker and containerd write it of every device
    asked = {"fileMode": 0o20666, "uid": 0, "gid": 0}
    seen.linux["devices"] = [null | asked, other | {"fileMode": mode}]
    assert seen.runtime.run("/probe").stderr == ""
    seen.linux["devices"] = [null | {"fileMode": 0o640}, other | {"uid": 0, "gid": 65534}]
    found = seen.runtime.run("/probe", "stat", "/dev/mine", "stat", "/dev/other")
    mine, there = map(json.loads, found.stdout.splitlines())
    assert (mine["mode"] & 0o777, there["uid"]) == (0o666, 65534)
    said = (
        "linux.devices[0].fileMode: 0640 cannot be had: the host's /dev/null is bound, which has "
        "0666",
        f"linux.devices[1].uid: 0 cannot be had: the host's {private} is bound, which has 65534",
    )
    assert found.stderr.splitlines() == [f"warning: {one}" for one in said]
    for form in ("text", "json"):
        log.unlink(missing_ok=True)
        root = seen.runtime.root
        words = ["--log", log, "--log-format", form, "--root", root, "run", "-b",
                 seen.runtime.bundle, "c"]  # fmt: skip
        assert seen.runtime.command(*words).stderr == ""
        lines = log.read_text().splitlines()
        if form == "json":
            logged = [json.loads(line) for line in lines]
            assert [(one["level"], one["msg"]) for one in logged] == [("warning", x) for x in said]
        else:
            assert [line.split(" msg=")[1] for line in lines] == [json.dumps(one) for one in said]
            assert all(" level=warning " in line for line in lines)


def test_mode_and_owner_of_a_pipe(seen: Seen) -> None:  # noqa: F811
    """It is really made, whatever the caller's umask is."""
    device = {"type": "p", "path": "/dev/pipe", "fileMode": 0o622, "uid": 0, "gid": 0}
    if seen.setting != "single":
        device.update(uid=5, gid=6)
    seen.linux["devices"] = [device, {"type": "p", "path": "/kept", "fileMode": 0o600}]
    os.mkfifo(seen.runtime.bundle / "rootfs/kept", 0o644)
    first, kept = seen.tries("stat", "/dev/pipe", "stat", "/kept")
    assert (first["mode"], first["uid"], first["gid"]) == (
        0o010622, device["uid"], device["gid"]
    )  # fmt: skip
    assert kept["mode"] == 0o010600
    seen.linux["devices"] = [{"type": "p", "path": "/probe"}]
    assert "linux.devices: the pipe /probe cannot be made as asked: something" in seen.refused()
    seen.linux["devices"] = [device | {"uid": 4000000000}]
    assert "linux.devices: the pipe /dev/pipe cannot be made" in seen.refused()


def test_devices_without_a_dev_of_its_own(seen: Seen) -> None:  # noqa: F811
    mounts = seen.config["mounts"]
    seen.config["mounts"] = [one for one in mounts if one["destination"][:4] != "/dev"]
    answers = seen.tries("stat", "/dev/null", "stat", "/dev/full", "open", "/dev/null", "w")
    assert [one["device"] for one in answers[:2]] == [[1, 3], [1, 7]]
    assert answers[2] == 0
    # with one of the host's there is nothing to supply
    (seen.runtime.bundle / "dev").mkdir()
    add(seen, "/dev", "bind", "bind", source="dev")
    assert seen.tries("list", "/dev") == [[]]


def test_processors_of_a_further_process(seen: Seen) -> None:  # noqa: F811
    last = max(os.sched_getaffinity(0))
    seen.process["execCPUAffinity"] = {"initial": str(last), "final": str(last)}
    # the specification: not for the first one
    assert seen.everything()["processors"] == len(os.sched_getaffinity(0))
    found = json.loads(executed(seen, "c", "/probe"))
    assert found["processors"] == 1
    assert f"Cpus_allowed_list:\t{last}\n" in found["status"]
    process = {**seen.process, "args": ["/probe"], "execCPUAffinity": {"final": "9000"}}
    path = seen.runtime.bundle / "process.json"
    path.write_text(json.dumps(process))
    assert "process.execCPUAffinity.final" in executed(seen, "--process", str(path), "c")
    process["execCPUAffinity"] = {"initial": str(last)}
    path.write_text(json.dumps(process))
    assert json.loads(executed(seen, "--process", str(path), "c"))["processors"] == 1


def test_memory_of_which_nodes(seen: Seen) -> None:  # noqa: F811
    seen.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    assert seen.everything()["memory_policy"] == 2
    assert json.loads(executed(seen, "c", "/probe"))["memory_policy"] == 2
    seen.linux["memoryPolicy"] = {
        "mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"],
    }  # fmt: skip
    assert seen.everything()["memory_policy"] == 3 | 1 << 15
    seen.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "700"}
    assert "memory-policy" in seen.refused()
    del seen.linux["memoryPolicy"]
    assert seen.everything()["memory_policy"] == 0


def test_clocks(seen: Seen) -> None:  # noqa: F811
    seen.linux["namespaces"].append({"type": "time"})
    seen.linux["timeOffsets"] = {"monotonic": {"secs": -5, "nanosecs": 7}, "boottime": {"secs": 99}}
    found = seen.everything()
    assert found["timens_offsets"].split() == ["monotonic", "-5", "7", "boottime", "99", "0"]
    [uptime] = seen.tries("read", "/proc/uptime")
    assert 98 < float(uptime["text"].split()[0]) - time.clock_gettime(time.CLOCK_BOOTTIME) + 5 < 105


@pytest.mark.skipif(not X86_64, reason="the numbers of the calls are those of one machine")
def test_filters_of_other_calls(seen: Seen) -> None:  # noqa: F811
    """Every action; calls as programs of 32 bits and of x32 make them."""
    own = ["call", "102", "0", "5", "0"]  # getuid
    old = ["call32", "24", "0", "5", "0"]  # the same for 32 bits
    wide = ["call", str(0x40000000 + 102), "0", "5", "0"]  # and for x32
    rule = {"names": ["getuid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}
    filter_ = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    seen.linux["seccomp"] = filter_
    assert [one[1] for one in seen.tries(*own)] == [77]
    # an architecture that is not listed would be a way around the filter
    seen.runtime.run("/probe", *old, code=128 + 31)
    seen.runtime.run("/probe", *wide, code=128 + 31)
    every = [f"SCMP_ARCH_{name}" for name in ("X86_64", "X86", "X32", "AARCH64", "S390X")]
    filter_["architectures"] = every
    assert [one[1] for one in seen.tries(*own, *old, *wide)] == [77, 77, 77]
    filter_["flags"] = [f"SECCOMP_FILTER_FLAG_{name}" for name in ("TSYNC", "LOG", "SPEC_ALLOW")]
    for action, expected in (
        ("ALLOW", 0), ("LOG", 0), ("TRACE", errno.ENOSYS), ("ERRNO", errno.EPERM),
    ):  # fmt: skip
        filter_["syscalls"] = [{"names": ["getuid"], "action": f"SCMP_ACT_{action}"}]
        assert [one[1] for one in seen.tries(*own)] == [expected], action
    for action in ("KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"):
        filter_["syscalls"] = [{"names": ["getuid"], "action": f"SCMP_ACT_{action}"}]
        seen.runtime.run("/probe", *own, code=128 + 31)
    # whatever is not named
    del filter_["flags"]
    # what the probe needs; the launcher needs nothing but execve
    allowed = "execve exit_group write writev ioctl brk mmap munmap set_tid_address arch_prctl"
    filter_.update(
        defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=66, architectures=every,
        syscalls=[{"names": allowed.split(), "action": "SCMP_ACT_ALLOW"}],
    )  # fmt: skip
    assert [one[1] for one in seen.tries(*own, *old)] == [66, 66]


@pytest.mark.skipif(not X86_64, reason="the numbers of the calls are those of one machine")
def test_filters_that_ask(seen: Seen) -> None:  # noqa: F811
    path = seen.runtime.bundle / "agent"
    agent = Agent(path, errno.EDQUOT)
    seen.config["annotations"] = {"a": "b"}
    seen.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path),
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }  # fmt: skip
    for flag in ([], ["SECCOMP_FILTER_FLAG_TSYNC"], ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]):
        seen.linux["seccomp"]["flags"] = flag
        if flag[:1] == ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] and RELEASE < (5, 19):
            assert "linux.seccomp: the filter cannot be loaded" in seen.refused()
            continue
        answers = seen.tries("call", "83", "0", "0", "0")
        assert [one[1] for one in answers] == [errno.EDQUOT], flag
    assert set(agent.calls) == {83} and len(agent.calls) == (3 if RELEASE >= (5, 19) else 2)
    assert agent.told[0]["state"]["annotations"] == {"a": "b"}
    assert agent.told[0]["ociVersion"].startswith("1.")
    assert "metadata" not in agent.told[0]
    agent.listener.close()


HOST_HOOKS = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")


def hooks(seen: Seen) -> Path:  # noqa: F811
    """Every kind of hooks, which append their states to the file that is returned."""
    log = seen.runtime.bundle / "log"
    log.touch()
    log.chmod(0o666)
    script = f"{{ printf '%s %s %s ' $0 $A $PWD; cat; echo; }} >>{log}"
    seen.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", script, kind],
                "env": ["PATH=/usr/bin:/bin", "A=b"], "timeout": 30}]
        for kind in HOST_HOOKS
    }  # fmt: skip
    # the others are looked up inside, where there is nothing but this
    seen.config["hooks"]["startContainer"] = [{"path": "/probe", "args": ["p", "stdin", "/hook"]}]
    return log


def said(log: Path) -> list[tuple[str, Any]]:
    """(kind, state) of the hooks that have run."""
    rows = [line.split(" ", 3) for line in log.read_text().splitlines()]
    return [(kind, json.loads(state)) for kind, _, _, state in rows]


def test_hooks_of_all_six_kinds(seen: Seen) -> None:  # noqa: F811
    log = hooks(seen)
    seen.runtime.create("h", "/probe", "wait")
    pid = seen.runtime.state("h")["pid"]
    rows = [line.split(" ", 3)[:3] for line in log.read_text().splitlines()]
    assert rows[0][:2] == ["prestart", "b"]
    seen.runtime("start", "h")
    inside = json.loads((seen.runtime.bundle / "rootfs/hook").read_text())
    seen.runtime("delete", "--force", "h")
    found = said(log)
    assert [kind for kind, _ in found] == list(HOST_HOOKS)
    expected = ["creating", "creating", "creating", "running", "stopped"]
    assert [state["status"] for _, state in found] == expected
    assert inside["status"] == "created"
    for state in (inside, *(state for _, state in found)):
        assert state["id"] == "h"
        assert state["bundle"] == str(seen.runtime.bundle)
        assert state["ociVersion"].startswith("1.")
    if seen.setting != "root":
        assert {state["pid"] for _, state in found[:4]} == {pid} == {inside["pid"]}


@pytest.mark.parametrize("kind", [*HOST_HOOKS[:4], "startContainer"])
def test_a_hook_that_fails_ends_the_container(seen: Seen, kind: str) -> None:  # noqa: F811
    """And poststop runs: runtime.md, "Lifecycle", steps 3 to 13."""
    log = hooks(seen)
    bad: dict[str, Any] = {"path": "/bin/false"}
    if kind == "startContainer":
        bad = {"path": "/probe", "args": ["p", "fail"]}
    seen.config["hooks"][kind] = [bad]
    found = seen.runtime.run("/probe", "stdin", "/ran", code=1)
    assert "hook" in found.stderr
    assert (bad["path"] in found.stderr) or f"hooks.{kind}" in found.stderr
    assert [name for name, _ in said(log)][-1] == "poststop"
    assert "hook" in found.stderr
    if kind != "poststart":
        # the command was not run
        assert not (seen.runtime.bundle / "rootfs/ran").exists()
    assert seen.runtime("list", "-q").stdout == ""


def test_a_hook_that_hangs(seen: Seen) -> None:  # noqa: F811
    bad = {"path": "/bin/sleep", "args": ["sleep", "600"], "timeout": 1}
    inside = {"path": "/probe", "args": ["p", "wait"], "timeout": 1}
    for kind, hook in (("createContainer", bad), ("startContainer", inside), ("poststart", bad)):
        seen.config["hooks"] = {kind: [hook]}
        found = seen.runtime.run("/probe", "wait", code=1)
        assert "took" in found.stderr
        assert seen.runtime("list", "-q").stdout == ""


def test_poststop_hooks_all_run(seen: Seen) -> None:  # noqa: F811
    log = hooks(seen)
    good = seen.config["hooks"]["poststop"][0]
    seen.config["hooks"] = {"poststop": [{"path": "/bin/false"}, {"path": "/nowhere"}, good]}
    found = seen.runtime.run("/probe", "list", "/")
    assert found.stderr.count("warning: hooks.poststop") == 2
    assert [kind for kind, _ in said(log)] == ["poststop"]


def test_limits_without_a_cgroup_are_an_error(seen: Seen) -> None:  # noqa: F811
    """On this host nothing is delegated; with systemd see test_runtime_limits.py."""
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return
    for table, name in (
        ({"memory": {"limit": 1 << 26}}, "memory"),
        ({"cpu": {"cpus": "0"}}, "cpuset"),
        ({"pids": {"limit": 9}}, "pids"),
        ({"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma"),
        ({"unified": {"memory.high": "9"}}, "memory"),
    ):
        seen.linux["resources"] = table
        assert name in seen.refused() or "cgroup" in seen.refused()
    # what has no effect in a user namespace asks for nothing
    seen.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    seen.everything()
