"""The OCI runtime on a kernel from before 5.11: mount_setattr(2) and a flag of close_range(2) are
missing.  A filter below which everything runs answers as such a kernel does; the same bundles are
looked at without it."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from test_runtime import Runtime
from test_runtime_container_actions import Agent
from test_runtime_probe import Seen, mounted, probe  # noqa: F401  (a fixture)

from rootless.runtime import seccomp

PROGRAM = r"""
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static struct sock_filter code[4096];
    int fd = open(argv[1], O_RDONLY);
    ssize_t size = read(fd, code, sizeof code);
    struct sock_fprog program = {(unsigned short)(size / 8), code};
    close(fd);
    /* root of a user namespace needs no promise, and who makes one would lose newuidmap by it */
    if (argc < 3 || (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)))
        return 2;
    execv(argv[2], argv + 2);
    return 3;
}
"""

OLD: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["mount_setattr", "quotactl_fd", "fchmodat2", "statmount", "listmount"],
         "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
        {"names": ["close_range"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EINVAL,
         "args": [{"index": 2, "value": 4, "op": "SCMP_CMP_EQ"}]},
        {"names": ["seccomp"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EINVAL,
         "args": [{"index": 1, "value": 32, "valueTwo": 32, "op": "SCMP_CMP_MASKED_EQ"}]},
    ],
}  # fmt: skip


@pytest.fixture(scope="session")
def older(scratch: Path, probe: Path) -> list[str]:  # noqa: F811
    """Words before a command that make the kernel an older one for it; the last is the filter."""
    source, made, code = scratch / "older.c", scratch / "older", scratch / "5.10.bpf"
    source.write_text(PROGRAM)
    words = ["gcc", "-Wall", "-Wextra", "-Werror", "-o", made, source]
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    code.write_bytes(seccomp.program((), oci=OLD))
    syscalls = [{**OLD["syscalls"][0], "names": ["fsopen", "mount_setattr"]}, *OLD["syscalls"][1:]]
    filtered = seccomp.program((), oci={**OLD, "syscalls": syscalls})
    (scratch / "fsopen.bpf").write_bytes(filtered)
    found = subprocess.run([made, code, probe, "call", "442", "-1", "0", "0"], capture_output=True)
    assert json.loads(found.stdout) == [-1, errno.ENOSYS]
    return [str(made), str(code)]


# the last: in a container of somebody whose filter knows nothing of the mount API
@pytest.fixture(params=["single", "root", "single fsopen"])
def pair(
    request: pytest.FixtureRequest,
    place: Place,
    busybox: Path,
    probe: Path,  # noqa: F811
    entry: list[str],
    oci_entry: list[str],
    older: list[str],
) -> Iterator[tuple[Seen, Seen]]:
    """The same bundle on this kernel and on the older one."""
    setting, _, less = request.param.partition(" ")
    if less:
        older = [older[0], older[1].replace("5.10.bpf", "fsopen.bpf")]
    before = [*entry, "unshare"] if setting == "root" else []
    made = []
    for number, between in enumerate(([], older)):
        base = place.base / str(number)
        base.mkdir()
        runtime = Runtime(Command([*before, *between, *oci_entry], place), base, busybox)
        runtime.root = place.runtime / f"oci{number}"
        made.append(Seen(runtime, probe, setting))
    yield made[0], made[1]
    for one in made:
        for name in one.runtime("list", "-q").stdout.split():
            one.runtime("delete", "--force", name)
        one.runtime.command.close()


def shown(found: Any) -> list[tuple[Any, ...]]:
    """What is mounted where and how, without what differs from run to run."""
    rows = []
    for line in found["mounts"].splitlines():
        head, _, tail = line.partition(" - ")
        fields = head.split()
        shared = [word.partition(":")[0] for word in fields[6:]]
        rows.append((fields[4], fields[5], shared, tail.split()[0]))
    return rows


def test_a_bundle_as_spec_writes_it(pair: tuple[Seen, Seen]) -> None:
    """Read-only root, masks, read-only paths, tmpfs, devices; nothing open that is not its own."""
    new, old = pair
    for one in pair:
        one.config["root"]["readonly"] = True
        one.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}]
        # what a careless caller left open
        leaky = ["sh", "-c", 'exec 7</dev/null; exec "$@"', "sh"]
        one.runtime.command.words = [*leaky, *one.runtime.command.words]
    first, second = new.everything(), old.everything()
    assert shown(second) == shown(first)
    assert second["descriptors"] == first["descriptors"] == [0, 1, 2]
    (old.runtime.bundle / "rootfs/file").touch()
    assert old.tries("open", "/file", "w") == [errno.EROFS]


def test_options_of_mounts(pair: tuple[Seen, Seen]) -> None:
    for one in pair:
        source = one.runtime.bundle / "source"
        source.mkdir()
        (source / "file").write_text("text")
        add = one.config["mounts"].append
        for name, options in (
            ("a", ["bind", "ro"]),
            ("b", ["rbind", "ro", "nosuid", "nodev"]),
            ("c", ["rbind", "rro", "rnoexec"]),
            ("f", ["bind", "ro", "rw", "nosymfollow"]),
            ("g", ["bind", "shared"]),
            ("h", ["rbind", "rslave", "relatime"]),
        ):
            add({"destination": f"/{name}", "source": "source", "options": options})
        add({"destination": "/file", "source": "source/file", "options": ["bind", "ro", "noexec"]})
        add({"destination": "/t", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "noexec", "tmpcopyup", "ro", "size=1m"]})  # fmt: skip
        add({"destination": "/r", "type": "tmpfs", "source": "tmpfs", "options": ["rro"]})
        (source / "x").touch()
        (one.runtime.bundle / "rootfs/t").mkdir()
        (one.runtime.bundle / "rootfs/t/kept").write_text("old")
    new, old = pair
    first, second = new.everything(), old.everything()
    assert shown(second) == shown(first)
    assert "ro" in mounted(second, "/file")[0][0].split(",")
    words = [word for name in "abc" for word in ("open", f"/{name}/x", "w")]
    assert old.tries(*words, "open", "/f/x", "w", "open", "/t/kept", "w") == [
        errno.EROFS, errno.EROFS, errno.EROFS, 0, errno.EROFS
    ]  # fmt: skip


def test_what_lies_below_a_mount(pair: tuple[Seen, Seen], place: Place) -> None:
    """Each one is changed, and what the caller may not take back stays."""
    for one in pair:
        tree = one.runtime.bundle / "tree"
        tree.mkdir()
        words = one.runtime.command.words
        at = words.index("unshare") + 1 if one.setting == "root" else 0
        if at:
            # mounts of the namespace that calls, one of them with a name that has to be escaped
            script = (
                f'mount -t tmpfs none {tree} && mkdir "{tree}/a b" {tree}/c && '
                f'mount -t tmpfs none "{tree}/a b" && mkdir "{tree}/a b/deep" && '
                f'mount -t tmpfs none "{tree}/a b/deep" && mount -t tmpfs none {tree}/c && '
                f'mount -t tmpfs none {tree}/c && : >{tree}/f && : >"{tree}/a b/n" && '
                f': >"{tree}/a b/deep/n" && : >{tree}/c/n && '
                f'mount --bind {tree}/f {tree}/f && exec "$@"'
            )
            one.runtime.command.words = [*words[:at], "sh", "-c", script, "sh", *words[at:]]
        for name, options in (
            ("x", ["rbind", "ro"]),
            ("y", ["rbind", "rro", "rnosuid"]),
            *([("z", ["rbind", "rnoatime", "rnodiratime"]), ("v", ["bind", "strictatime"]),
               ("w", ["rbind", "rro", "rrw", "nodev"])] if at else []),
        ):  # fmt: skip
            one.config["mounts"].append(
                {"destination": f"/{name}", "source": str(tree), "options": options}
            )
    new, old = pair
    first, second = new.everything(), old.everything()
    expected = [row for row in shown(first) if row[0][:2] in ("/x", "/y", "/z", "/v", "/w")]
    seen = [row for row in shown(second) if row[0][:2] in ("/x", "/y", "/z", "/v", "/w")]
    # what lies under another mount at the same place cannot be reached, and is left
    assert {row[:2] for row in seen} >= {row[:2] for row in expected if row[0][3:] != "c"}
    assert [row[0] for row in seen] == [row[0] for row in expected]
    if old.setting == "root":
        tried = ["/x/a b/deep/n", "/y/a b/n", "/y/c/n", "/x/f", "/y/f"]
        words = [word for path in tried for word in ("open", path, "w")]
        assert old.tries(*words) == [errno.EROFS] * len(tried)


def test_what_such_a_kernel_cannot_do(pair: tuple[Seen, Seen]) -> None:
    _, old = pair
    (old.runtime.bundle / "source").mkdir()
    old.config["mounts"].append(
        {"destination": "/m", "source": "source", "options": ["bind", "idmap"],
         "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
         "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}
    )  # fmt: skip
    said = old.refused()
    assert "the ids of /m cannot be mapped" in said
    assert "hint: the kernel maps only" in said
    old.config["mounts"].pop()
    agent = Agent(old.runtime.bundle / "agent", errno.EDQUOT)
    old.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(old.runtime.bundle / "agent"),
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }  # fmt: skip
    said = old.refused()
    agent.listener.close()
    assert "linux.seccomp: the filter cannot be loaded" in said
    assert "since Linux 5.19" in said


def test_a_further_process(pair: tuple[Seen, Seen]) -> None:
    """`exec`, in a container of the older kernel."""
    _, old = pair
    runtime = old.runtime
    at = runtime.command.words.index("unshare") + 1 if old.setting == "root" else 0
    old.process["args"] = ["/probe", "wait"]
    runtime.write()
    script = (
        f'"$@" create -b {runtime.bundle} c </dev/null >&2 && "$@" start c && "$@" exec c /probe; '
        '"$@" delete --force c'
    )
    found = subprocess.run(
        [*runtime.command.words[:at], "sh", "-c", script, "sh", *runtime.command.words[at:],
         "--root", str(runtime.root)],
        env=runtime.command.place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        timeout=100,
    )  # fmt: skip
    assert json.loads(found.stdout)["descriptors"] == [0, 1, 2]
