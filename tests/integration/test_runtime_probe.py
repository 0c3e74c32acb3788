"""Every field of a bundle, seen from inside by a static program that is alone in its root file
system: with 65,536 ids, with one, and with root of a user namespace as the caller."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place
from test_runtime import Runtime

SETTINGS = ["mapped", "root", pytest.param("single", marks=pytest.mark.single)]
NAMESPACES = ("cgroup", "ipc", "mount", "network", "pid", "uts", "user")
X86_64 = os.uname().machine == "x86_64"


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> str:
    """Who calls."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def probe(scratch: Path) -> Path:
    """tests/probe/probe.c, built without anything that it would need at run time."""
    made = scratch / "probe"
    compiler = shutil.which("musl-gcc") or "gcc"
    words = [compiler, "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", made]
    found = subprocess.run([*words, TREE / "tests/probe/probe.c"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return made


def subordinate(file: str) -> int:
    """The first of the person's further ids."""
    for line in Path("/etc", file).read_text().splitlines():
        user, first, _ = line.split(":")
        if user in (getpass.getuser(), str(os.getuid())):
            return int(first)
    raise AssertionError(f"/etc/{file} gives nothing to {getpass.getuser()}")


class Seen:
    """A bundle with the probe alone, and what it sees."""

    def __init__(self, runtime: Runtime, probe: Path, setting: str) -> None:
        self.runtime, self.setting, self.config = runtime, setting, runtime.config
        rootfs = runtime.bundle / "rootfs"
        shutil.rmtree(rootfs)
        rootfs.mkdir()
        shutil.copy(probe, rootfs / "probe")
        self.process, self.linux = self.config["process"], self.config["linux"]
        if setting == "mapped":
            for name, own_id in (("uid", os.getuid()), ("gid", os.getgid())):
                self.linux[f"{name}Mappings"] = [
                    {"containerID": 0, "hostID": own_id, "size": 1},
                    {"containerID": 1, "hostID": subordinate(f"sub{name}"), "size": 65535},
                ]
        if setting == "root":
            # who calls is root of a user namespace already, and makes no further one
            self.linux["namespaces"] = [
                one for one in self.linux["namespaces"] if one["type"] != "user"
            ]
            for name in ("uidMappings", "gidMappings"):
                self.linux.pop(name, None)

    def everything(self, *words: str) -> Any:
        """All that it sees of itself."""
        found = self.runtime.run("/probe", *words)
        return json.loads(found.stdout)

    def tries(self, *words: str) -> list[Any]:
        """One answer for each thing that it tries."""
        found = self.runtime.run("/probe", *words)
        return [json.loads(line.replace(", null]", "]").replace("[null]", "[]"))
                for line in found.stdout.splitlines()]  # fmt: skip

    def refused(self) -> str:
        """What is said of a bundle that cannot be."""
        return self.runtime.run("/probe", code=1).stderr


@pytest.fixture
def seen(
    setting: str, place: Place, busybox: Path, probe: Path, entry: list[str], oci_entry: list[str]
) -> Iterator[Seen]:
    """The bundle of a test; `spec --rootless` wrote it."""
    words = [*entry, "unshare", *oci_entry] if setting == "root" else oci_entry
    runtime = Runtime(Command(words, place), place.base, busybox)
    yield Seen(runtime, probe, setting)
    for name in runtime("list", "-q").stdout.split():
        runtime("delete", "--force", name)
    runtime.command.close()


def status(found: Any, name: str) -> str:
    """A line of /proc/self/status."""
    lines = dict(line.split(":\t", 1) for line in found["status"].splitlines() if ":\t" in line)
    return str(lines[name].strip())


def test_who_it_is(seen: Seen) -> None:
    found = seen.everything()
    assert found["uids"] == found["gids"] == [0, 0, 0]
    assert found["pid"] == found["session"] == 1
    assert found["descriptors"] == [0, 1, 2]
    sizes = [int(line.split()[2]) for line in found["uid_map"].splitlines()]
    assert (sum(sizes) == 1) == (seen.setting == "single")
    seen.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o27}
    if seen.setting == "single":
        # another user is had by a namespace more; groups cannot be set in one with one id
        found = seen.everything()
        assert (found["uids"], found["gids"]) == ([5, 5, 5], [6, 6, 6])
    else:
        found = seen.everything()
        assert (found["uids"], found["gids"]) == ([5, 5, 5], [6, 6, 6])
        assert found["groups"] == [7, 8]
    assert found["umask"] == 0o27
    # nothing of root's is left
    assert status(found, "CapEff") == "0000000000000000"


def test_what_it_was_given(seen: Seen) -> None:
    odd = ["", "a b", 'q"\\', "\t", "ü"]
    seen.process.update(env=["A=1", "B=", "C=a=b", "A=2"], cwd="/made/for/it")
    seen.config.update(hostname="the-host", domainname="the-domain")
    found = seen.runtime.run("/probe")
    found = json.loads(found.stdout)
    assert found["env"] == ["A=2", "B=", "C=a=b"]
    assert found["cwd"] == "/made/for/it"
    assert (found["hostname"], found["domainname"]) == ("the-host", "the-domain")
    assert (seen.runtime.bundle / "rootfs/made/for/it").is_dir()
    seen.process["cwd"] = "/"
    answers = seen.tries(*[word for one in odd for word in ("stat", f"/{one}x")])
    assert [one["error"] for one in answers] == [2] * len(odd)


def test_limits_and_priorities(seen: Seen) -> None:
    seen.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 22},
    ]
    seen.process.update(
        ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0}, oomScoreAdj=500,
        scheduler={"policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    )  # fmt: skip
    seen.linux["personality"] = {"domain": "LINUX32"}
    found = seen.everything()
    assert found["rlimits"][7] == [64, 128]
    assert found["rlimits"][4] == [0, 0]
    assert found["rlimits"][3] == [1 << 20, 1 << 22]
    assert found["ioprio"][0] == 3
    assert found["oom_score_adj"] == "500\n"
    assert (found["policy"], found["nice"], found["policy_flags"]) == (3, 5, 1)
    assert found["personality"] == 8


def test_rights(seen: Seen) -> None:
    seen.process["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "effective": ["CAP_CHOWN"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": [],
    }  # fmt: skip
    seen.process["noNewPrivileges"] = True
    found = seen.everything()
    assert int(status(found, "CapBnd"), 16) == 1 | 1 << 5 | 1 << 13
    assert int(status(found, "CapInh"), 16) == 1 << 5
    assert int(status(found, "CapAmb"), 16) == 0
    assert status(found, "NoNewPrivs") == "1"
    seen.process["noNewPrivileges"] = False
    seen.process["user"] = {"uid": 5, "gid": 5}
    seen.process["capabilities"]["ambient"] = ["CAP_KILL"]
    if seen.setting != "single":
        found = seen.everything()
        assert int(status(found, "CapAmb"), 16) == int(status(found, "CapEff"), 16) == 1 << 5
    assert status(found, "NoNewPrivs") == ("1" if seen.setting == "single" else "0")


def own(name: str) -> str:
    return os.readlink(f"/proc/self/ns/{ {'mount': 'mnt', 'network': 'net'}.get(name, name) }")


def test_namespaces_made_shared_and_joined(seen: Seen) -> None:
    found = seen.everything()["namespaces"]
    made = {one["type"] for one in seen.linux["namespaces"]}
    for name in NAMESPACES:
        short = {"mount": "mnt", "network": "net"}.get(name, name)
        if seen.setting != "root":
            assert (found[short] != own(name)) == (name in made), name
    seen.linux["namespaces"] = [
        one for one in seen.linux["namespaces"] if one["type"] not in ("ipc", "uts")
    ]
    seen.config["mounts"] = [one for one in seen.config["mounts"] if one["type"] != "mqueue"]
    seen.config.pop("hostname", None)
    found = seen.everything()
    if seen.setting != "root":
        assert found["namespaces"]["ipc"] == own("ipc")
        assert found["namespaces"]["uts"] == own("uts")
    assert found["hostname"] == os.uname().nodename
    seen.linux["namespaces"].append({"type": "ipc", "path": "/nowhere"})
    assert "/nowhere" in seen.refused()


def mounted(found: Any, target: str) -> list[tuple[str, str, str]]:
    """(options, propagation, type and options of the file system) of the mounts at a place."""
    rows = []
    for line in found["mounts"].splitlines():
        left, _, right = line.partition(" - ")
        words = left.split()
        if words[4] == target:
            rows.append((words[5], " ".join(words[6:]), right))
    return rows


FLAGS = ["ro", "nosuid", "nodev", "noexec"]
# the kernel keeps the access times of a host's mount as they are in a user namespace
OPTIONS = [*FLAGS, "noatime", "nodiratime"]


def test_mounts_and_their_options(seen: Seen) -> None:
    source = seen.runtime.bundle / "source"
    (source / "below").mkdir(parents=True)
    add = seen.config["mounts"].append
    add({"destination": "/t", "type": "tmpfs", "source": "tmpfs",
         "options": [*OPTIONS, "size=64k", "mode=711"]})  # fmt: skip
    add({"destination": "/b", "type": "bind", "source": str(source), "options": ["bind", *FLAGS]})
    add({"destination": "/w", "type": "bind", "source": str(source), "options": ["rbind", "rw"]})
    add({"destination": "/r", "type": "bind", "source": str(source),
         "options": ["rbind", "rro", "rnosuid", "rnodev", "rnoexec"]})  # fmt: skip
    add({"destination": "/s", "type": "bind", "source": str(source), "options": ["bind", "shared"]})
    add({"destination": "/q/deep", "type": "mqueue", "source": "mqueue"})
    found = seen.everything()
    options, _, system = mounted(found, "/t")[0]
    assert set(options.split(",")) >= set(OPTIONS)
    assert "tmpfs" in system and "size=64k" in system and "mode=711" in system
    assert set(mounted(found, "/b")[0][0].split(",")) >= set(FLAGS)
    assert mounted(found, "/w")[0][0].split(",")[0] == "rw"
    assert set(mounted(found, "/r")[0][0].split(",")) >= {"ro", "nosuid", "nodev", "noexec"}
    assert "shared:" in mounted(found, "/s")[0][1]
    assert "mqueue" in mounted(found, "/q/deep")[0][2]
    answers = seen.tries("open", "/b/x", "c", "open", "/w/x", "c", "open", "/r/x", "c", "open",
                         "/t/x", "c")  # fmt: skip
    assert answers == [30, 0, 30, 30]
    unmapped = "uidMappings" if seen.setting == "root" else "cannot be mapped"
    for option, said in (("idmap", unmapped), ("nonsense", "nonsense")):
        seen.config["mounts"][-1] = {
            "destination": "/x", "type": "bind", "source": str(source), "options": ["bind", option],
        }  # fmt: skip
        assert said in seen.refused()
    seen.config["mounts"][-1] = {
        "destination": "/x", "type": "bind", "source": str(source / "missing"), "options": ["bind"],
    }  # fmt: skip
    assert "missing" in seen.refused()


@pytest.mark.parametrize("word", ["private", "rslave", "shared", "unbindable"])
def test_the_root(seen: Seen, word: str) -> None:
    seen.linux["rootfsPropagation"] = word
    seen.config["root"]["readonly"] = word != "shared"
    found = seen.everything()
    options, propagation, _ = mounted(found, "/")[-1]
    assert options.split(",")[0] == ("rw" if word == "shared" else "ro")
    assert ("shared:" in propagation) == (word == "shared")
    assert ("unbindable" in propagation) == (word == "unbindable")
    assert seen.tries("open", "/x", "c") == [0 if word == "shared" else 30]


def test_devices_masks_and_sysctls(seen: Seen) -> None:
    seen.linux["devices"] = [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}]
    seen.linux["maskedPaths"] = ["/proc/keys", "/proc/sys/kernel", "/not/there"]
    seen.linux["readonlyPaths"] = ["/proc/sys/net", "/not/there"]
    seen.linux["sysctl"] = {"net.ipv4.ip_default_ttl": "77"}
    names = ["null", "zero", "full", "random", "urandom", "tty", "fuse"]
    answers = seen.tries(*[word for name in names for word in ("stat", f"/dev/{name}")])
    expected = [[1, 3], [1, 5], [1, 7], [1, 8], [1, 9], [5, 0], [10, 229]]
    assert [one["device"] for one in answers] == expected
    answers = seen.tries("open", "/dev/null", "w", "open", "/dev/zero", "r", "open",
                         "/dev/ptmx", "w")  # fmt: skip
    assert answers == [0, 0, 0]
    keys, hidden, ttl = seen.tries("read", "/proc/keys", "list", "/proc/sys/kernel", "read",
                                   "/proc/sys/net/ipv4/ip_default_ttl")  # fmt: skip
    assert keys["text"] == ""
    assert hidden == []
    assert ttl["text"] == "77\n"
    assert mounted(seen.everything(), "/proc/sys/net")[0][0].startswith("ro,")
    seen.linux["devices"][0].update(path="/dev/not-there", minor=4000)
    assert "/dev/not-there" in seen.refused()
    seen.linux["devices"] = []
    for name in ("kernel.not_there", "vm.swappiness"):
        seen.linux["sysctl"] = {name: "1"}
        assert name.replace(".", "/") in seen.refused()


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"action": "SCMP_ACT_ERRNO", "errnoRet": 77}, [77, 77, 77]),
    ({"action": "SCMP_ACT_ERRNO"}, [1, 1, 1]),
    ({"action": "SCMP_ACT_LOG"}, [0, 0, 0]),
    *[({"action": "SCMP_ACT_ERRNO", "errnoRet": 77,
        "args": [{"index": 1, "value": 5, "op": f"SCMP_CMP_{name}", **more}]},
       [77 if one else 0 for one in hits])
      for name, more, hits in (
          ("EQ", {}, (0, 1, 0)), ("NE", {}, (1, 0, 1)), ("LT", {}, (1, 0, 0)),
          ("LE", {}, (1, 1, 0)), ("GT", {}, (0, 0, 1)), ("GE", {}, (0, 1, 1)),
          ("MASKED_EQ", {"value": 6, "valueTwo": 4}, (1, 1, 0)))],
]  # fmt: skip


@pytest.mark.skipif(not X86_64, reason="the numbers of the calls are those of one machine")
def test_filters(seen: Seen) -> None:
    # getuid, which looks at no argument; the filter does
    words = [word for value in "459" for word in ("call", "102", "0", value, "0")]
    for rule, expected in FILTERS:
        seen.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [{"names": ["getuid"], **rule}],
        }  # fmt: skip
        answers = seen.tries(*words)
        assert [one[1] for one in answers] == expected, rule
    for action, signal in (("KILL_PROCESS", 31), ("KILL", 31), ("TRAP", 31)):
        seen.linux["seccomp"]["syscalls"] = [{"names": ["getuid"], "action": f"SCMP_ACT_{action}"}]
        seen.runtime.run("/probe", *words[:5], code=128 + signal)
    seen.linux["seccomp"]["syscalls"] = []
    assert status(seen.everything(), "Seccomp") == "2"


def test_a_terminal_of_its_size(seen: Seen) -> None:
    seen.process.update(terminal=True, consoleSize={"height": 33, "width": 99}, args=["/probe"])
    seen.runtime.write()
    words = ["run", "-b", str(seen.runtime.bundle), "t"]
    found = seen.runtime(*words).stdout
    assert json.loads(found)["terminal"] == 1
    assert json.loads(found)["size"] == [33, 99]


def test_annotations_are_in_the_state(seen: Seen) -> None:
    seen.config["annotations"] = {"org.example": "value"}
    seen.runtime.create("a", "/probe")
    found = seen.runtime.state("a")
    assert found["annotations"] == {"org.example": "value"}
    assert found["ociVersion"].startswith("1.")
    seen.runtime("delete", "--force", "a")
