"""The OCI runtime's command, as engines and batch systems call it: bundles, lifecycle, errors."""

from __future__ import annotations

import array
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place, Result

pytestmark = pytest.mark.usefixtures("everyone")


class Runtime:
    """The command, with a root directory of this test and a bundle to change."""

    def __init__(self, command: Command, base: Path, busybox: Path) -> None:
        self.command = command
        self.root = command.place.runtime / "oci"
        self.helpers = TREE / "rootless/bin"
        self.bundle = base / "bundle"
        rootfs = self.bundle / "rootfs"
        for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
            (rootfs / name).mkdir(parents=True)
        shutil.copy(busybox, rootfs / "bin/busybox")
        for name in ("sh", "cat", "id", "sleep", "ls", "true", "tty", "stty", "hostname", "touch"):
            (rootfs / "bin" / name).symlink_to("busybox")
        self("spec", "--rootless", cwd=self.bundle)
        self.config: dict[str, Any] = json.loads((self.bundle / "config.json").read_text())
        self.config["root"]["readonly"] = False

    def __call__(self, *words: str | Path, **options: Any) -> Result:
        return self.command("--root", self.root, *words, **options)

    def write(self) -> None:
        """config.json as `config` is now."""
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def run(self, *command: str, code: int = 0, **options: Any) -> Result:
        """`run` with this command as the process."""
        self.config["process"]["args"] = list(command)
        self.write()
        return self("run", "--bundle", self.bundle, f"c{time.monotonic_ns()}", code=code, **options)

    def sh(self, script: str, **options: Any) -> str:
        """What a shell in the container prints."""
        return self.run("sh", "-c", script, **options).stdout

    def create(self, name: str, *command: str, words: tuple[str | Path, ...] = ()) -> Path:
        """`create`; what the process writes goes to the file that is returned."""
        self.config["process"]["args"] = list(command)
        self.write()
        path = self.bundle / f"{name}.out"
        with open(path, "wb") as file:
            done = subprocess.run(
                [*self.command.words, "--root", str(self.root), "create", "--bundle",
                 str(self.bundle), *map(str, words), name],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self.command.place.env,
                timeout=100,
            )  # fmt: skip
        assert done.returncode == 0, path.read_text()
        return path

    def state(self, name: str) -> Any:
        """`state` as JSON."""
        return self("state", name).json()

    def wait(self, name: str, status: str, seconds: float = 60) -> None:
        """Until it has this status."""
        end = time.monotonic() + seconds
        while (found := self.state(name)["status"]) != status:
            assert time.monotonic() < end, f"{name} is {found}, not {status}"
            time.sleep(0.02)


@pytest.fixture
def runtime(scratch: Path, place: Place, busybox: Path, oci_entry: list[str]) -> Iterator[Runtime]:
    """A runtime with a bundle; whatever it made is gone afterwards."""
    made = Runtime(Command(oci_entry, place), place.base, busybox)
    yield made
    for name in made("list", "-q").stdout.split():
        made("delete", "--force", name)
    left = list(made.root.iterdir()) if made.root.exists() else []
    made.command.close()
    assert not left, left


def test_the_whole_life(runtime: Runtime) -> None:
    pid_file = runtime.bundle / "pid"
    script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    output = runtime.create("one", "sh", "-c", script, words=("--pid-file", pid_file))
    state = runtime.state("one")
    assert state["status"] == "created"
    assert state["bundle"] == str(runtime.bundle)
    assert state["pid"] == int(pid_file.read_text())
    assert output.read_text() == ""
    assert Path(f"/proc/{state['pid']}").exists()
    runtime("start", "one")
    runtime.wait("one", "running")
    found = runtime("start", "one", code=1)
    assert 'container "one" is running, not created' in found.stderr
    found = runtime("delete", "one", code=1)
    assert "is running, not stopped" in found.stderr
    listed = runtime("list", "--format", "json").json()
    assert [(one["id"], one["status"]) for one in listed] == [("one", "running")]
    assert runtime("ps", "--format", "json", "one").json()[0] == state["pid"]
    while "up" not in output.read_text():
        time.sleep(0.02)
    runtime("kill", "one")
    runtime.wait("one", "stopped")
    assert output.read_text() == "up\nbye\n"
    assert "pid" not in runtime.state("one")
    runtime("delete", "one")
    found = runtime("state", "one", code=1)
    assert found.stdout == ""
    assert 'container "one" does not exist' in found.stderr


def test_run_ends_as_its_process_ends(runtime: Runtime) -> None:
    assert runtime.sh("id -u; hostname; cat /proc/1/comm; exit 7", code=7) == "0\ncontainer\nsh\n"
    assert runtime.run("cat", input="through\n").stdout == "through\n"
    assert runtime("list", "-q").stdout == ""


# to the command, whose child the hook is; to its helper, whose child the container is
TERMINATE = {
    "command": "kill -TERM $PPID",
    "helper": """pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/'); set -- $(cat /proc/$pid/stat)
                 kill -TERM $4""",
}


@pytest.mark.parametrize("whom", TERMINATE)
def test_an_end_asked_for_while_it_starts(runtime: Runtime, whom: str) -> None:
    """What comes to `run` before the container runs is passed on to it all the same."""
    linux = runtime.config["linux"]
    # the first process of a pid namespace does not hear SIGTERM
    linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] != "pid"]
    mounts = runtime.config["mounts"]
    runtime.config["mounts"] = [one for one in mounts if one["type"] != "proc"]
    hook = {"path": "/bin/sh", "args": ["sh", "-c", TERMINATE[whom]]}
    runtime.config["hooks"] = {"createRuntime": [hook]}
    runtime.run("sleep", "1000", code=143)
    assert runtime("list", "-q").stdout == ""


def test_exec_in_it(runtime: Runtime) -> None:
    runtime.create("e", "sleep", "1000")
    runtime("start", "e")
    found = runtime("exec", "e", "sh", "-c", "cat /proc/1/comm; echo $X; pwd; exit 4", code=4)
    assert found.stdout == "sleep\n\n/\n"
    found = runtime("exec", "-e", "X=1", "--cwd", "/tmp", "e", "sh", "-c", "echo $X; pwd")
    assert found.stdout == "1\n/tmp\n"
    # options after the id as well
    assert runtime("exec", "e", "--cwd", "/etc", "sh", "-c", "pwd").stdout == "/etc\n"
    process = {**runtime.config["process"], "args": ["sh", "-c", "echo $A; umask"], "env": ["A=b"],
               "user": {"uid": 0, "gid": 0, "umask": 0o77}}  # fmt: skip
    process["env"].append("PATH=/bin")
    path = runtime.bundle / "process.json"
    path.write_text(json.dumps(process))
    assert runtime("exec", "--process", path, "e").stdout == "b\n0077\n"
    pid_file = runtime.bundle / "pid"
    # nothing of ours is held open by a pipe that the process in the container inherits
    quiet = 'exec "$@" >/dev/null 2>&1'
    subprocess.run(
        ["sh", "-c", quiet, "sh", *runtime.command.words, "--root", str(runtime.root), "exec", "-d",
         "--pid-file", str(pid_file), "e", "sleep", "500"],
        env=runtime.command.place.env, stdin=subprocess.DEVNULL, check=True, timeout=100,
    )  # fmt: skip
    assert int(pid_file.read_text()) in runtime("ps", "--format", "json", "e").json()
    assert "sleep 500" in runtime("ps", "e", "-ef").stdout
    found = runtime("exec", "e", "nosuch", code=None)
    assert found.code != 0
    assert "executable file not found in $PATH: no such file or directory" in found.stderr
    runtime("delete", "--force", "e")


def test_hooks_in_their_places(runtime: Runtime) -> None:
    log = runtime.bundle / "log"
    log.touch(mode=0o666)
    log.chmod(0o666)
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    script = f"{{ printf '%s ' $0; cat; echo; }} >>{log}"
    runtime.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", script, kind], "env": ["PATH=/bin"]}]
        for kind in kinds
    }
    inside = "{ printf '%s ' $0; cat; echo; } >>/log"
    runtime.config["hooks"]["startContainer"] = [
        {"path": "/bin/sh", "args": ["sh", "-c", inside, "startContainer"], "env": ["PATH=/bin"]}
    ]
    runtime.config["mounts"].append(
        {"destination": "/log", "source": str(log), "type": "bind", "options": ["bind"]}
    )
    runtime.create("h", "sh", "-c", "echo ran >>/log; sleep 1000")
    pid = runtime.state("h")["pid"]
    created = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [kind for kind, _ in created] == ["prestart", "createRuntime", "createContainer"]
    for _, text in created:
        state = json.loads(text)
        assert state["id"] == "h"
        assert state["pid"] == pid
        assert state["status"] in ("creating", "created")
    runtime("start", "h")
    while "ran" not in log.read_text():
        time.sleep(0.02)
    runtime("delete", "-f", "h")
    order = [line.split()[0] for line in log.read_text().splitlines()]
    assert order[3:] in (
        ["startContainer", "poststart", "ran", "poststop"],
        ["startContainer", "ran", "poststart", "poststop"],
        ["poststart", "startContainer", "ran", "poststop"],
    )


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_leaves_nothing(runtime: Runtime, kind: str) -> None:
    runtime.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}
    found = runtime.run("true", code=1)
    assert "hook" in found.stderr
    assert runtime("list", "-q").stdout == ""


def test_a_hook_that_takes_too_long(runtime: Runtime) -> None:
    for kind in ("createRuntime", "createContainer"):
        hook = {"path": "/bin/sleep", "args": ["sleep", "600"], "timeout": 1}
        runtime.config["hooks"] = {kind: [hook]}
        begin = time.monotonic()
        found = runtime.run("true", code=1)
        assert "took" in found.stderr
        assert time.monotonic() - begin < 30


def test_a_terminal_goes_to_the_console_socket(runtime: Runtime) -> None:
    runtime.config["process"]["terminal"] = True
    runtime.config["process"]["consoleSize"] = {"height": 33, "width": 99}
    path = runtime.command.place.runtime / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        runtime.create(
            "t", "sh", "-c", "tty; stty size; sleep 0.2", words=("--console-socket", path)
        )
        peer, _ = listener.accept()
        _, control, _, _ = peer.recvmsg(64, 64)
        peer.close()
    master = array.array("i", control[0][2][:4])[0]
    runtime("start", "t")
    seen = b""
    try:
        while more := os.read(master, 4096):
            seen += more
    except OSError:
        pass  # EIO: the last one has let go
    os.close(master)
    assert seen == b"/dev/pts/0\r\n33 99\r\n"
    runtime.wait("t", "stopped")


def test_descriptors_pass_through(runtime: Runtime) -> None:
    runtime.config["process"]["args"] = ["sh", "-c", "echo given >&3"]
    runtime.write()
    path = runtime.bundle / "third"
    words = [*runtime.command.words, "--root", str(runtime.root), "run", "-b", str(runtime.bundle)]

    def with_third(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", 'exec "$@" 3>"$0"', str(path), *words, *more],
            env=runtime.command.place.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=100,
        )  # fmt: skip

    kept = with_third("--preserve-fds", "1", "p")
    assert kept.stderr == ""
    assert path.read_text() == "given\n"
    assert "Bad file descriptor" in with_third("q").stderr
    found = with_third("--preserve-fds", "9", "r")
    assert found.returncode == 1
    assert "descriptor 4 is not open" in found.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"linux.namespaces": [{"type": "mount"}, {"type": "foo"}]},
         'linux.namespaces[1].type: unknown namespace "foo"'),
        ({"linux.namespaces": [{"type": "user"}]}, "a mount namespace is needed"),
        ({"process.args": []}, "process.args: must not be empty"),
        ({"process.cwd": "tmp"}, 'process.cwd: "tmp" is not an absolute path'),
        ({"process.user": {"uid": -1}}, "process.user.uid: -1 is not between 0 and"),
        ({"process.rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]},
         'process.rlimits[0].type: unknown limit "RLIMIT_X"'),
        ({"process.noNewPrivileges": "yes"}, 'process.noNewPrivileges: "yes" is not true or false'),
        ({"root.path": "nothing"}, 'root.path: "'),
        ({"ociVersion": "2.0.0"}, "ociVersion: version 2.0.0 is not supported"),
        ({"mounts": [{"destination": "rel", "type": "bind"}]},
         "mounts[0].source: a bind mount needs one"),
        ({"linux.timeOffsets": {"boottime": {"secs": 1}}}, "linux.timeOffsets:"),
        ({"linux.mountLabel": "x"}, "linux.mountLabel:"),
        ({"linux.resources": {"memory": {"swappiness": 5}}},
         "linux.resources.memory.swappiness: cgroup version 2 does not have it"),
        ({"linux.seccomp": {"defaultAction": "SCMP_ACT_FOO"}},
         'linux.seccomp.defaultAction: unknown action "SCMP_ACT_FOO"'),
        ({"process": None}, "process: is missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(runtime: Runtime, change: dict[str, Any], said: str) -> None:
    runtime.config["process"]["args"] = ["true"]
    for path, value in change.items():
        table: Any = runtime.config
        *above, last = path.split(".")
        for name in above:
            table = table[name]
        table[last] = value
    runtime.write()
    log = runtime.bundle / "log.json"
    found = runtime("--log", log, "--log-format", "json", "run", "-b", runtime.bundle, "x", code=1)
    assert said in found.stderr
    assert said in json.loads(log.read_text())["msg"]
    assert found.stdout == ""


def test_a_log_that_cannot_be_written_is_told(runtime: Runtime) -> None:
    """Its engine reads nothing there, and would never learn why."""
    runtime.write()
    for log in ("/no/such/directory/log", str(runtime.bundle)):
        found = runtime("--log", log, "run", "-b", runtime.bundle, "x", code=1)
        assert f"the log {log} cannot be written" in found.stderr
        assert found.stdout == ""


def test_files_that_are_no_configuration(runtime: Runtime) -> None:
    (runtime.bundle / "config.json").write_text("{")
    assert "is not JSON" in runtime("run", "-b", runtime.bundle, "x", code=1).stderr
    found = runtime("run", "-b", runtime.bundle / "none", "x", code=1)
    assert "no such file or directory" in found.stderr
    found = runtime("run", "-b", runtime.bundle, "../x", code=1)
    assert 'invalid container id "../x"' in found.stderr
    found = runtime("run", "--no-pivot", "-b", runtime.bundle, "x", code=1)
    assert "--no-pivot cannot be had" in found.stderr


def test_an_id_is_taken_once(runtime: Runtime) -> None:
    runtime.create("same", "sleep", "100")
    found = runtime("create", "--bundle", runtime.bundle, "same", code=1)
    assert 'container "same" exists already' in found.stderr
    assert runtime.state("same")["status"] == "created"
    # one that waits may be removed as it is
    runtime("delete", "same")
    found = runtime("delete", "same", code=1)
    assert "does not exist" in found.stderr
    runtime("delete", "--force", "same")


def test_a_killed_create_can_be_removed(runtime: Runtime) -> None:
    runtime.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "3"]}],
    }
    runtime.config["process"]["args"] = ["true"]
    runtime.write()
    process = runtime.command.start("--root", runtime.root, "create", "-b", runtime.bundle, "k")
    path = runtime.root / "k/state.json"
    while not path.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert runtime.state("k")["status"] == "creating"
    runtime("delete", "--force", "k")


def test_what_engines_read(runtime: Runtime) -> None:
    first, spec, words = runtime("--version").stdout.splitlines()
    assert first.startswith("rootless-runtime version ")
    assert spec == "spec: 1.3.0"
    assert "+SECCOMP" in words.split() and "+SYSTEMD" in words.split()
    features = runtime("features").json()
    assert features["linux"]["cgroup"]["v2"] is True
    assert set(features["hooks"]) == {
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
    }  # fmt: skip
    # the specification's list: config.md, "Linux mount options"
    options = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand
        noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid
        nosymfollow private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev
        rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime
        rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave
        strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap"""
    assert set(options.split()) <= set(features["mountOptions"])
    assert features["ociVersionMax"] == "1.3.0"
    linux = features["linux"]
    assert "SCMP_ACT_NOTIFY" in linux["seccomp"]["actions"]
    assert "MPOL_BIND" in linux["memoryPolicy"]["modes"]
    assert linux["mountExtensions"]["idmap"]["enabled"] is True
    help_text = runtime("--help").stdout
    for verb in ("create", "start", "state", "kill", "delete", "exec", "update", "features"):
        assert f"  {verb} " in help_text
    assert "--console-socket" in runtime("create", "--help").stdout


def test_statistics_and_mistakes(runtime: Runtime) -> None:
    runtime.create("s", "sleep", "1000")
    runtime("start", "s")
    for words in (("stats", "s"), ("events", "--stats", "s"), ("events", "s", "--stats")):
        found = runtime(*words).json()
        assert (found["type"], found["id"]) == ("stats", "s")
        assert found["data"]["memory"]["usage"]["usage"] > 0
    assert "is no time" in runtime("events", "--interval", "x", "s", code=1).stderr
    # an error is told and logged also where it is looked for
    log = runtime.bundle / "log.json"
    where = ("--debug", "--log", log, "--log-format", "json")
    found = runtime(*where, "state", "nobody", code=1)
    assert found.stderr.startswith("error: ") and "Traceback" not in found.stderr
    assert "does not exist" in json.loads(log.read_text())["msg"]


def test_fields_of_the_process(runtime: Runtime) -> None:
    process = runtime.config["process"]
    process.update(
        cwd="/made/when/missing",
        oomScoreAdj=700,
        rlimits=[{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}],
        scheduler={"policy": "SCHED_BATCH", "nice": 3},
        ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0},
        capabilities={"bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"],
                      "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": []},
    )  # fmt: skip
    runtime.config["linux"]["personality"] = {"domain": "LINUX32"}
    found = runtime.sh(
        "pwd; cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; "
        "grep -E 'CapBnd|NoNewPrivs' /proc/self/status; "
        "cut -d' ' -f19,41 /proc/self/stat"
    ).split("\n")
    assert found[:4] == ["/made/when/missing", "700", "55", "66"]
    assert "CapBnd:\t0000000000000021" in found
    assert "NoNewPrivs:\t1" in found
    assert "3 3" in found  # nice, and SCHED_BATCH


def test_mounts_and_root(runtime: Runtime) -> None:
    shared = runtime.bundle / "shared"
    (shared / "below").mkdir(parents=True)
    (shared / "file").write_text("text\n")
    (runtime.bundle / "rootfs/keep").mkdir()
    (runtime.bundle / "rootfs/keep/old").write_text("old\n")
    runtime.config["root"]["readonly"] = True
    runtime.config["mounts"] += [
        {"destination": "/a", "source": str(shared), "type": "bind", "options": ["rbind", "rro"]},
        {"destination": "/b", "source": str(shared), "options": ["bind", "nosuid", "nodev"]},
        {"destination": "/keep", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]},
        {"destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=64k", "noexec"]},
    ]
    found = runtime.sh(
        "cat /a/file /keep/old; touch /a/x /a/below/x; touch /b/new && echo b; touch /x; "
        "grep -E ' /(a|b|t|) ' /proc/self/mountinfo | cut -d' ' -f5,6 2>/dev/null; "
        "ls -l /dev/stdout /dev/ptmx"
    )
    lines = found.splitlines()
    assert lines[:2] == ["text", "old"]
    assert lines[2] == "b"
    flags = {line.split()[0]: line.split()[1].split(",") for line in lines[3:-2]}
    assert "ro" in flags["/a"] and "ro" in flags["/"]
    assert "nosuid" in flags["/b"] and "rw" in flags["/b"]
    assert "noexec" in flags["/t"]


def test_seccomp_of_the_configuration(runtime: Runtime) -> None:
    runtime.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    found = runtime.run("sh", "-c", "mkdir /tmp/x || busybox mkdir /tmp/x", code=1)
    assert "No space left on device" in found.stderr
    runtime.config["linux"]["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_NOTIFY"
    assert "linux.seccomp" in runtime.run("true", code=1).stderr


def test_as_a_batch_system_calls_it(runtime: Runtime) -> None:
    """Slurm's patterns: RunTimeQuery, RunTimeRun, RunTimeKill, RunTimeDelete by /bin/sh."""
    environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "", "HOME": "/nonexistent"}
    program = " ".join(f"'{word}'" for word in runtime.command.words)
    runtime.config["process"]["args"] = ["sh", "-c", "echo job; sleep 1000"]
    # the last one of a name that is given twice counts
    runtime.config["process"]["env"] += ["A=1", "A=2"]
    runtime.write()
    root = f"--root={runtime.root}"

    def pattern(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/bin/sh", "-c", f"{program} --rootless=true {root} {words}"],
                              env=environment, cwd="/", stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100)  # fmt: skip

    missing = pattern("state user.1.0.0")
    assert (missing.returncode, missing.stdout) == (1, "")
    job = subprocess.Popen(
        ["/bin/sh", "-c",
         f"exec {program} --rootless=true {root} run user.1.0.0 -b {runtime.bundle}"],
        env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert job.stdout is not None
    assert job.stdout.readline() == "job\n"
    found = pattern("state user.1.0.0")
    assert json.loads(found.stdout)["status"] == "running"
    assert found.stderr == ""
    assert pattern("kill -a user.1.0.0").returncode == 0
    assert pattern("kill user.1.0.0 KILL").returncode in (0, 1)
    assert job.wait(60) in (137, 143)
    assert pattern("delete --force user.1.0.0").returncode == 0
    job.stdout.close()
