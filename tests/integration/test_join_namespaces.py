"""Containers that share namespaces: what the one who joins sees, and what is seen of it.

A neighbour (tests/probe/neighbour.c) with CAP_SYS_PTRACE looks for the launcher while that joins,
at moments that the tests choose; each protection is shown to be what keeps it out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place
from test_runtime import Runtime
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture(scope="session")
def neighbour(scratch: Path) -> Path:
    """The static program."""
    made = scratch / "neighbour"
    compiler = shutil.which("musl-gcc") or "gcc"
    words = [compiler, "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", made]
    source = TREE / "tests/probe/neighbour.c"
    found = subprocess.run([*words, source], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return made


class Watch:
    """A directory that host and neighbour share: fifos, and a file of the host's to be spoiled."""

    def __init__(self, place: Place, neighbour: Path) -> None:
        self.directory = place.base / "watch"
        self.directory.mkdir()
        self.result = self.directory / "result"
        self.secret = place.base / "secret"
        self.secret.write_text("intact")
        shutil.copy(neighbour, self.directory / "neighbour")
        for name in ("ask", "answer"):
            os.mkfifo(self.directory / name)
        self.command = ["/watch/neighbour", "/watch/ask", "/watch/answer", str(self.secret)]
        self.script = (
            f"echo once >{self.directory}/ask; cat {self.directory}/answer >>{self.result}"
        )

    def ask(self, word: str = "once") -> None:
        """Let the neighbour look."""
        (self.directory / "ask").write_text(word + "\n")

    def answer(self) -> str:
        """What it saw and what worked, by now."""
        stop = self.directory / "ask.stop"
        stop.touch()
        answer = (self.directory / "answer").read_text()
        stop.unlink()
        return answer

    def hold(self) -> Change:
        """The launcher waits before the pivot until the neighbour has looked at everything."""
        return Change(
            "helpers/launch/mounts.c",
            '    plan->failing = "/";\n',
            f"    if (system(\"/bin/sh -c '{self.script}'\") != 0)\n        return -1;\n"
            '    plan->failing = "/";\n',
        )


@pytest.fixture
def watch(place: Place, neighbour: Path) -> Watch:
    """The directory of a test."""
    return Watch(place, neighbour)


# in the pid namespace from the beginning, as whatever is cloned after joining all of them
EARLY = (
    Change("helpers/launch/join.c", "        if (flag == CLONE_NEWPID) {\n", "        if (0) {\n"),
    Change(
        "rootless/runtime/launch_plan.py",
        "    if enters:\n",
        "    if False:\n",
    ),
)
EVERYTHING = ["root", "cwd", "fd", "mem", "trace"]


def test_run_is_invisible_while_it_has_the_hosts_files(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    watch: Watch,
) -> None:
    engine()("run", "-d", "--name", "a", "--cap-add", "SYS_PTRACE", "--security-opt",
             "seccomp=unconfined", "-v", f"{watch.directory}:/watch", busybox_image,
             *watch.command)  # fmt: skip
    join = ["run", "--rm", "--pid", "container:a", "--userns", "container:a", busybox_image, "true"]
    engine(watch.hold())(*join)
    assert watch.result.read_text() == "0\n"
    assert watch.secret.read_text() == "intact"
    watch.result.unlink()
    engine(watch.hold(), *EARLY)(*join)
    assert watch.result.read_text().split()[1:] == EVERYTHING
    assert watch.secret.read_text().startswith("pwned")


EVERY = ["CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID", "SYS_ADMIN", "SYS_PTRACE"]


def watching(runtime: Runtime, watch: Watch) -> None:
    """The bundle has the neighbour as its process."""
    every = [f"CAP_{name}" for name in EVERY]
    process = runtime.config["process"]
    process["capabilities"] = {kind: every for kind in ("bounding", "effective", "permitted")}
    process["args"] = watch.command
    (runtime.bundle / "rootfs/watch").mkdir()
    runtime.config["mounts"].append(
        {"destination": "/watch", "type": "bind", "source": str(watch.directory),
         "options": ["bind"]}
    )  # fmt: skip
    runtime.write()


def joining(config: dict[str, Any], pid: object, *kinds: str) -> None:
    """These namespaces are those of a process."""
    linux = config["linux"]
    for one in linux["namespaces"]:
        if one["type"] in kinds:
            one["path"] = f"/proc/{pid}/ns/{one['type']}"
    if "user" in kinds:
        for name in ("uidMappings", "gidMappings"):
            linux.pop(name, None)


def start_neighbour(runtime: Runtime, watch: Watch) -> int:
    """Start it; its pid."""
    watching(runtime, watch)
    runtime.create("a", *watch.command)
    runtime("start", "a")
    pid: int = runtime.state("a")["pid"]
    return pid


def test_create_is_invisible_while_it_has_the_hosts_files(
    variant: Variant,  # noqa: F811
    watch: Watch,
) -> None:
    pid = start_neighbour(variant(), watch)

    def seen(*changes: Change) -> str:
        runtime = variant(*changes)
        joining(runtime.config, pid, "user", "pid")
        hook = {"path": "/bin/sh", "args": ["sh", "-c", watch.script]}
        runtime.config["hooks"] = {"createRuntime": [hook]}
        runtime.create("b", "true")
        said = watch.result.read_text()
        watch.result.unlink()
        # it waits for `start`, and has nothing of the host's any more
        watch.ask()
        return said + watch.answer()

    assert seen() == "0\n1\n"
    assert watch.secret.read_text() == "intact"
    assert seen(*EARLY).splitlines()[0].split()[1:] == EVERYTHING
    assert watch.secret.read_text().startswith("pwned")


def test_created_cannot_be_traced(variant: Variant, watch: Watch) -> None:  # noqa: F811
    """It is in the neighbour's pid namespace, with rights that the neighbour may not have."""
    pid = start_neighbour(variant(), watch)

    def seen(*changes: Change) -> str:
        runtime = variant(*changes)
        joining(runtime.config, pid, "user", "pid")
        runtime.create("b", "true")
        watch.ask()
        return watch.answer()

    assert seen() == "1\n"
    dumpable = Change(
        "helpers/launch/join.c",
        "    plan->joined = 1;\n    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);\n",
        "    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);\n",
    )
    assert seen(dumpable) == "2 fd mem trace\n"


# one that has its other namespace from before, and one that makes it now, which takes one that can
# be looked at
ENTERS_LATE = Change(
    "helpers/launch/privileges.c",
    "        return setns(plan->nested, CLONE_NEWUSER);\n",
    "        return sleep(1), setns(plan->nested, CLONE_NEWUSER);\n",
)
CAN_BE_SEEN = Change(
    "helpers/launch/privileges.c",
    "    for (int i = 0; i < 3; i++)\n        file[i] =",
    "    sleep(1);\n    for (int i = 0; i < 3; i++)\n        file[i] =",
)


def test_another_user_of_one_id_cannot_be_traced(
    variant: Variant,  # noqa: F811
    watch: Watch,
    everyone: str,
) -> None:
    """It has a user namespace more, which only a process that can be traced may make."""
    if everyone != "single":
        return
    pid = start_neighbour(variant(), watch)

    def seen(*changes: Change) -> str:
        runtime = variant(*changes)
        joining(runtime.config, pid, "user", "pid")
        runtime.config["process"]["user"] = {"uid": 7, "gid": 7}
        watch.ask("watch")
        # what has executed something may be traced
        runtime.run("/missing", code=127)
        return watch.answer()

    assert seen(ENTERS_LATE) == "1\n"
    unmade = Change(
        "rootless/runtime/launch_plan.py", "if enters and _nests(process, single):", "if False:"
    )
    assert "trace" in seen(unmade, CAN_BE_SEEN)


def test_an_entering_user_of_one_id_cannot_be_traced(
    variant: Variant,  # noqa: F811
    watch: Watch,
    everyone: str,
) -> None:
    if everyone != "single":
        return
    container = variant()
    start_neighbour(container, watch)

    def seen(*changes: Change) -> str:
        runtime = variant(*changes)
        watch.ask("watch")
        runtime.command("--root", container.root, "exec", "-u", "7:7", "a", "/missing", code=127)
        return watch.answer()

    assert seen(ENTERS_LATE) == "1\n"
    unmade = Change(
        "rootless/runtime/launch_plan.py",
        "if nested and not covered_proc else None",
        "if False else None",
    )
    assert "trace" in seen(unmade, CAN_BE_SEEN)


# the one process that has to be in the pid namespace before the pivot: its root is the host's
ROOTED = Change(
    "helpers/launch/join.c",
    'syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0',
    'chdir("/") < 0',
)
LINGER = Change(
    "helpers/launch/join.c",
    '        int context = (int)syscall(SYS_fsopen, "proc"',
    '        sleep(1);\n        int context = (int)syscall(SYS_fsopen, "proc"',
)


def test_in_the_callers_user_namespace(
    place: Place,
    busybox: Path,
    entry: list[str],
    variant: Variant,  # noqa: F811
    watch: Watch,
) -> None:
    """As podman's containers share one: there the neighbour may trace whatever it can name."""
    first = variant()
    watching(first, watch)

    def seen(word: str, *changes: Change, hook: bool = False) -> str:
        second = variant(*changes)
        joining(second.config, "@PID@", "pid")
        if hook:
            script = {"path": "/bin/sh", "args": ["sh", "-c", watch.script]}
            second.config["hooks"] = {"createRuntime": [script]}
        second.config["process"]["args"] = ["true"]
        for one in (first, second):
            linux = one.config["linux"]
            linux["namespaces"] = [kind for kind in linux["namespaces"] if kind["type"] != "user"]
            linux.pop("uidMappings", None)
            linux.pop("gidMappings", None)
            one.write()
        ours, theirs = (
            shlex.join([*one.command.words, "--root", str(one.root)]) for one in (first, second)
        )
        asked = "" if hook else f"echo {word} >{watch.directory}/ask"
        told = "" if hook else f"cat {watch.directory}/answer"
        script = f"""
            set -e
            {ours} create --bundle {first.bundle} a >/dev/null 2>&1 </dev/null
            {ours} start a
            pid=$({ours} state a | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
            sed -i "s/@PID@/$pid/" {second.bundle}/config.json
            {asked}
            {theirs} run --bundle {second.bundle} b
            {told}
            {ours} delete --force a
        """
        done = Command([*entry, "unshare"], place)("sh", "-c", script)
        return watch.result.read_text() if hook else done.stdout

    assert seen("once", hook=True) == "0\n"
    found = seen("watch", LINGER)
    assert "root" not in found and "cwd" not in found and found != "0\n"
    assert watch.secret.read_text() == "intact"
    assert "root" in seen("watch", LINGER, ROOTED)
    assert watch.secret.read_text().startswith("pwned")


# ------------------------------------------------- what the one who joins sees

LOOK = """grep -c . /proc/keys; echo 1 >/proc/sys/kernel/pid_max; grep -c ' /proc ' /proc/mounts
    cat /proc/self/oom_score_adj; cat /proc/[0-9]*/cmdline; true"""
HOSTS = Change("rootless/runtime/launch_plan.py", 'own_pid="pid" in own,',
               'own_pid=bool(made & CLONE["pid"]),')  # fmt: skip


def test_proc_shows_the_joined_pid_namespace(engine: Engine, busybox_image: str) -> None:  # noqa: F811
    engine()("run", "-d", "--name", "a", busybox_image, "sleep", "1234")

    def seen(*changes: Change) -> str:
        words = ["--pid", "container:a", "--oom-score-adj", "700", busybox_image, "sh", "-c", LOOK]
        found = engine(*changes)("run", "--rm", *words)
        assert "/proc/sys/kernel/pid_max: Read-only file system" in found.stderr
        keys, mounts, score, commands = found.stdout.split("\n", 3)
        assert (keys, mounts, score) == ("0", "1", "700")
        assert "sleep\x001234" in commands
        return commands

    assert "pytest" not in seen()
    assert "pytest" in seen(HOSTS)


def test_proc_of_a_bundle_that_joins(variant: Variant) -> None:  # noqa: F811
    first = variant()
    first.create("a", "sleep", "1234")
    first("start", "a")
    pid = first.state("a")["pid"]

    def seen(*changes: Change) -> str:
        runtime = variant(*changes)
        joining(runtime.config, pid, "user", "pid")
        return runtime.sh("cat /proc/[0-9]*/cmdline; true")

    found = seen()
    assert "sleep\x001234" in found and "pytest" not in found
    assert "pytest" in seen(HOSTS)
    # whose user namespace is another may not mount it, and does not get the host's instead
    runtime = variant()
    joining(runtime.config, pid, "pid")
    said = runtime.run("ls", "/proc", code=1)
    assert "mounts: /proc of the joined pid namespace cannot be mounted" in said.stderr
    assert said.stdout == ""


def test_what_the_other_shares_with_the_host(rootless: Command, busybox_image: str) -> None:
    """Who joins it gets the host's as well, which was asked for there."""
    rootless("run", "-d", "--name", "a", "--pid", "host", "--network", "host", busybox_image,
             "sleep", "1000")  # fmt: skip
    join = ["--pid", "container:a", "--network", "container:a"]
    script = "readlink /proc/self/ns/pid; readlink /proc/self/ns/net"
    found = rootless("run", "--rm", *join, busybox_image, "sh", "-c", script).stdout
    assert found.split() == [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net")]


def test_another_runtime_does_not_join(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "a", busybox_image, "sleep", "1000")
    said = rootless("run", "--rm", "--runtime", "crun", "--pid", "container:a", busybox_image,
                    "true", code=125)  # fmt: skip
    assert "crun cannot join the pid namespace of another container" in said.stderr


@pytest.mark.parametrize("users", ["keep-id", "auto", "nomap"])
def test_ids_of_the_joined_user_namespace(
    rootless: Command, busybox_image: str, everyone: str, users: str
) -> None:
    if everyone == "single" and users != "keep-id":
        return  # these need more ids than one
    rootless("run", "-d", "--name", "a", "--userns", users, busybox_image, "sleep", "1234")
    script = "cat /proc/self/uid_map; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    found = rootless(
        "run", "--rm", "--pid", "container:a", busybox_image, "sh", "-c", script
    ).stdout
    if everyone == "single":
        # the process of the other has a namespace more, for the id it wants to be
        assert found.split()[:3] == ["0", str(os.getuid()), "1"]
    else:
        assert found.startswith(rootless("exec", "a", "cat", "/proc/self/uid_map").stdout)
    assert "sleep 1234" in found and "pytest" not in found
