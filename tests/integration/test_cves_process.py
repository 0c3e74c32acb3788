"""Published escapes by way of the container's process: each is tried, and shown to work when the
protection is taken out.  The list is in docs/security.md."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from test_runtime import Runtime
from test_runtime_probe import subordinate
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")

CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    NET_BIND_SERVICE NET_ADMIN NET_RAW SYS_CHROOT SYS_PTRACE SYS_ADMIN MKNOD SETFCAP""".split()

# a window in which a process that has entered the container can be looked at
LINGER = Change(
    "helpers/programs/launch.c",
    "    plan->failing = r->argv[0];\n    return execute(plan, r->argv, 0);\n",
    "    plan->failing = r->argv[0];\n    sleep(2);\n    return execute(plan, r->argv, 0);\n",
)


def start_and_look(runtime: Runtime, look: str, *command: str) -> str:
    """What a process of the container prints that looks around while `exec` enters."""
    # as much as a container can have: it may look at everything that is its own
    every = [f"CAP_{name}" for name in CAPABILITIES]
    runtime.config["process"]["capabilities"] = {
        kind: every for kind in ("bounding", "effective", "permitted")
    }
    runtime.create("c", "sh", "-c", look)
    output = runtime.bundle / "c.out"
    runtime("start", "c")
    begun = runtime.command.start(
        "--root", str(runtime.root), "exec", "c", *command,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    runtime.wait("c", "stopped", 30)
    begun.wait(60)
    runtime("delete", "--force", "c")
    return output.read_text()


def test_cve_2016_9962_a_process_that_enters_can_be_looked_at(variant: Variant) -> None:  # noqa: F811
    look = """
        for try in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t; do
            for p in /proc/[0-9]*; do
                [ $p = /proc/1 ] || { readlink $p/exe; ls -l $p/fd/; } 2>&1 | grep -a -i launch
            done
            sleep 0.1
        done"""
    safe = start_and_look(variant(LINGER), look, "true")
    assert "memfd:rootless-launch" not in safe, safe
    dumpable = Change("helpers/launch/privileges.c", "    if (!plan->joined)\n", "")
    harmed = start_and_look(variant(LINGER, dumpable), look, "true")
    assert "memfd:rootless-launch" in harmed, harmed


def overwrite(runtime: Runtime) -> bytes:
    """The launcher's first bytes after a container ran it as itself and wrote to it."""
    os.mkfifo(runtime.bundle / "rootfs/tmp/fifo")
    look = """
        for try in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t; do
            for p in /proc/[0-9]*; do
                case $(readlink $p/exe) in *rootless-launch*)
                    exec 7<$p/exe
                    kill -9 ${p#/proc/}
                    sleep 0.3
                    (echo pwned >/proc/self/fd/7) && echo written
                    exit
                esac
            done
            sleep 0.1
        done"""
    said = start_and_look(runtime, look, "/proc/self/exe", "-", "/tmp/fifo")
    # it was found and tried
    assert "written" in said or "fd/7" in said, said
    return (runtime.helpers / "rootless-launch").read_bytes()[:5]


def test_cve_2019_5736_the_runtime_is_written_from_inside(variant: Variant) -> None:  # noqa: F811
    assert overwrite(variant())[:4] == b"\x7fELF"
    unsealed = (
        Change("helpers/monitor/spawn.c", "exec_sealed(o->executor, argv, environment);",
               "execve(o->executor, argv, environment);"),
        Change("helpers/programs/launch.c", "if (!is_sealed()) {", "if (0) {"),
    )  # fmt: skip
    assert overwrite(variant(*unsealed)) == b"pwned"


def leak(runtime: Runtime) -> str:
    """What a container sees that has a directory of the host's as its working directory."""
    secret = runtime.bundle / "secret-of-the-host"
    secret.touch()
    runtime.config["process"].update(cwd="/proc/self/fd/3", args=["ls"])
    runtime.write()
    words = [*runtime.command.words, "--root", str(runtime.root), "run", "--preserve-fds", "1",
             "-b", str(runtime.bundle), "c"]  # fmt: skip
    found = subprocess.run(
        ["sh", "-c", 'exec "$@" 3<"$0"', str(runtime.bundle), *words], text=True, timeout=100,
        env=runtime.command.place.env, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    return found.stdout + found.stderr


def test_cve_2024_21626_a_working_directory_outside(variant: Variant) -> None:  # noqa: F811
    said = leak(variant())
    assert "process.cwd: cannot enter /proc/self/fd/3" in said
    unchecked = Change(
        "helpers/launch/privileges.c",
        "if (syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/') {",
        "if (where[0] == 1) {",
    )
    assert "secret-of-the-host" in leak(variant(unchecked))


def test_cve_2024_21626_nothing_of_the_host_is_open(variant: Variant) -> None:  # noqa: F811
    def open_ones(runtime: Runtime) -> str:
        return runtime.sh("ls -l /proc/self/fd")

    assert str(os.getcwd()) not in open_ones(variant())
    found = open_ones(variant())
    assert len(found.splitlines()) == 5, found  # three streams, what ls reads, and "total"
    leaking = (
        Change("helpers/programs/launch.c",
               "if (syscall(SYS_close_range, 3 + plan->preserved, ~0U, "
               "CLOSE_RANGE_CLOEXEC) < 0 &&\n        close_at_exec(3 + plan->preserved) < 0)\n"
               "        return -1;\n",
               'if (!plan)\n        close_at_exec(3);\n    open("/", O_PATH | O_DIRECTORY);\n'),
    )  # fmt: skip
    assert len(open_ones(variant(*leaking)).splitlines()) == 6


INHERIT = Change(
    "rootless/runtime/launch_plan.py",
    "inheritable, ambient, permitted, effective = masks",
    "inheritable, ambient, permitted, effective = bounding, *masks[1:]",
)


@pytest.mark.parametrize(
    "cve", ["2022_24769", "2022_27649", "2022_27650", "2022_27651", "2022_29162"]
)
def test_cve_2022_inheritable_capabilities(engine: Engine, busybox_image: str, cve: str) -> None:  # noqa: F811
    """A program with inheritable file capabilities would get them, whoever starts it."""

    def inherited(which: str) -> int:
        command = engine(INHERIT) if which == "weak" else engine()
        words = ["grep", "CapInh", "/proc/self/status"]
        if cve in ("2022_24769", "2022_27649"):
            found = command("run", "--rm", busybox_image, *words)
        else:
            name = f"c-{which}"
            command("run", "-d", "--name", name, busybox_image, "sleep", "1000")
            found = command("exec", name, *words)
            command("rm", "-f", name)
        return int(found.stdout.split()[1], 16)

    assert inherited("real") == 0
    assert inherited("weak") != 0


@pytest.mark.parametrize("cve", ["2016_8867", "2018_10856", "2021_20188"])
def test_cve_rights_of_another_user(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    cve: str,
) -> None:
    """None by being started as another user, in a privileged container neither."""
    privileged = ["--privileged"] if cve == "2021_20188" else []
    script = "grep CapEff /proc/self/status"

    def effective(*changes: Change) -> int:
        found = engine(*changes)(
            "run", "--rm", *privileged, "-u", "1000:1000", busybox_image, "sh", "-c", script
        )
        return int(found.stdout.split()[1], 16)

    assert effective() == 0
    ambient = Change(
        "rootless/runtime/launch_plan.py",
        "inheritable, ambient, permitted, effective = masks",
        "inheritable = ambient = permitted = effective = bounding",
    )
    assert effective(ambient) != 0


@pytest.mark.parametrize("cve", ["2022_2989", "2022_2990", "2022_36109", "2023_25173"])
def test_cve_2022_the_first_group_can_be_shed(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    everyone: str,
    cve: str,
) -> None:
    """What a mode refuses to a group must stay refused when a program changes its group."""

    def groups(*changes: Change) -> list[str]:
        words = ["grep", "Groups", "/proc/self/status"]
        found = engine(*changes)("run", "--rm", "-u", "1000:1000", busybox_image, *words)
        return found.stdout.split()[1:]

    if everyone == "single":
        # there is one group in all, and setgroups is refused to everybody for good
        said = engine()("run", "--rm", busybox_image, "cat", "/proc/self/setgroups").stdout
        assert said == "deny\n"
        return
    assert groups() == ["1000"]
    shed = Change("rootless/engine/spec/user.py", "[gid, *found_groups]", "found_groups")
    assert groups(shed) == []


def test_cve_2024_40635_a_number_that_wraps_to_root(engine: Engine, busybox_image: str) -> None:  # noqa: F811
    words = ["run", "--rm", "-u", "4294967296", busybox_image, "id", "-u"]
    assert "4294967296" in engine()(*words, code=125).stderr
    unchecked = Change(
        "rootless/engine/spec/user.py", "if not 0 <= number < (1 << 32) - 1:", "if number < 0:"
    )
    assert engine(unchecked)(*words).stdout == "0\n"


def test_cve_2024_40635_the_number_that_means_none(variant: Variant, everyone: str) -> None:  # noqa: F811
    """To the kernel the largest number is "as it is", and it is root's that there is."""
    runtime = variant()
    runtime.config["process"]["user"] = {"uid": 4294967295, "gid": 0}
    said = runtime.run("id", "-u", code=1).stderr
    assert "process.user.uid: 4294967295 is not between 0 and 4294967294" in said
    wide = Change(
        "rootless/runtime/schema.py",
        "identity = integer(0, (1 << 32) - 2)",
        "identity = integer(0, (1 << 32) - 1)",
    )
    if everyone == "single":
        return  # every user but root is a namespace more there, which has no such number
    runtime = variant(wide)
    runtime.config["process"]["user"] = {"uid": 4294967295, "gid": 0}
    for name in ("uid", "gid"):
        further = {"containerID": 1, "hostID": subordinate(f"sub{name}"), "size": 65535}
        runtime.config["linux"][f"{name}Mappings"].append(further)
    assert runtime.run("id", "-u").stdout == "0\n"


def test_cve_2022_0492_cgroups_from_a_namespace_of_ones_own(
    engine: Engine,  # noqa: F811
    busybox_image: str,
) -> None:
    """The way to release_agent: a new user namespace, and mount in it."""
    words = [busybox_image, "unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/tmp"]
    said = engine()("run", "--rm", *words, code=1).stderr
    assert "not permitted" in said
    unconfined = ["--security-opt", "seccomp=unconfined"]
    engine()("run", "--rm", *unconfined, *words)


def test_cve_2020_15257_no_abstract_socket(engine: Engine, busybox_image: str) -> None:  # noqa: F811
    """With the host's network a container sees the host's abstract sockets."""

    def sockets(*changes: Change) -> list[str]:
        command = engine(*changes)
        name = f"c{len(changes)}"
        before = set(Path("/proc/net/unix").read_text().splitlines())
        command("run", "-d", "--name", name, "--network", "host", busybox_image, "sleep", "1000")
        time.sleep(0.2)
        found = command("exec", name, "cat", "/proc/net/unix").stdout.splitlines()
        command("rm", "-f", name)
        fields = [line.split() for line in found if line not in before]
        return [one[7] for one in fields if len(one) > 7 and one[7].startswith("@")]

    def ours(names: list[str]) -> list[str]:
        return [one for one in names if "rootless-weak" in one or "rootless" in one]

    assert ours(sockets()) == []
    named = Change(
        "helpers/programs/monitor.c",
        "    close_from(4 + orders.preserve + orders.leases);\n",
        '    struct sockaddr_un weak = {.sun_family = 1, .sun_path = "\\0rootless-weak"};\n'
        "    bind(socket(1, 1, 0), (struct sockaddr *)&weak, 16);\n",
    )
    assert ours(sockets(named)) != []
