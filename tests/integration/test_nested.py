"""Inside somebody else's container: podman's as it is, with and without its parts, and one whose
filter lets nobody make a user namespace, as docker's and containerd's do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TREE, Command, Place, _python, _site_packages
from integration import weaken

# podman wants a cgroup2 of its own and directories that are not the host's
_BEGIN = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
for place in /run /var/lib /dev/shm; do mount -t tmpfs none $place || exit 1; done
export XDG_RUNTIME_DIR=/run HOME={base}
exec podman --root {base}/store --runroot /run/peer --storage-driver vfs --cgroup-manager cgroupfs \
    --events-backend file run --rm --network none --cgroups disabled -v /dev/pts:/dev/pts "$@"
"""

INSIDE = """
export HOME=/tmp/home PATH=/usr/sbin:/usr/bin:/sbin:/bin; mkdir -p $HOME
rootless() {{ {words} "$@"; }}
"""


def program_words() -> tuple[str, list[str]]:
    """How the command is called where this tree is /tree; and directories with what it imports."""
    sites = _site_packages()
    code = (f'import sys; sys.path[:0] = ["/tree"]; sys.path += {json.dumps(sites)}; '
            "from rootless.cli.main import main; sys.exit(main())")  # fmt: skip
    return f"{_python()} -ISB -c '{code}'", sites


Outer = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def outer(rootless: Command, place: Place, busybox_tar: Path) -> Outer:
    """`outer(script, podman's options..., tree=)`: a shell with the command `rootless` in a
    container of podman, whose files are those of this Debian; /busybox.tar is an image."""
    base = place.work / "outer"
    root = base / "root"
    for name in ("usr", "proc", "sys", "dev", "run", "etc", "root", "tmp", "tree"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nalice:x:1000:\n")
    (root / "busybox.tar").write_bytes(busybox_tar.read_bytes())
    (base / "begin").write_text(_BEGIN.format(base=base))
    words, sites = program_words()

    def run(
        script: str, *options: str, tree: Path = TREE, timeout: int = 100
    ) -> subprocess.CompletedProcess[str]:
        inside = INSIDE.format(words=words) + script
        binds = {"/usr": "/usr", str(tree): "/tree", **{site: site for site in sites}}
        volumes = [word for one in binds.items() for word in ("-v", f"{one[0]}:{one[1]}:ro")]
        return subprocess.run(
            [*rootless.words, "unshare", "unshare", "--mount", "--cgroup", "sh", base / "begin",
             *volumes, *options, "--rootfs", root, "sh", "-c", inside],
            env=place.env, cwd=place.work, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout,
        )  # fmt: skip

    return run


_LIFE = """
set -e
rootless run --rm rootless/hello
rootless import -q busybox.tar b
rootless run --rm --user 1000 b id -u
rootless run -d --name c b sleep 1000
rootless exec c id -u; rootless exec -u 1000 c id -u
rootless cp c:/etc/passwd /tmp/copied; grep -c guest /tmp/copied
rootless run --rm --pid container:c b ps 2>/tmp/joined || cat /tmp/joined
rootless top c; rootless stop -t 0 c >/tmp/stopped; rootless wait c; rootless rm c >/tmp/removed
rootless doctor --format json
"""

_slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("user", "fuse"),
    [("0", False), ("1000", True), pytest.param("0", True, marks=_slow),
     pytest.param("1000", False, marks=_slow)],
)  # fmt: skip
def test_a_container_in_podmans(outer: Outer, user: str, fuse: bool) -> None:
    device = ["--device", "/dev/fuse"] if fuse else []
    done = outer(_LIFE, "--user", user, *device)
    assert done.returncode == 0, done
    assert "Hello from a container" in done.stdout
    said, _, report = done.stdout.rpartition("\n{")
    assert said.splitlines()[-1] == "137" and "sleep 1000" in said, done
    lines = said.splitlines()
    at = lines.index("1000")
    # run as a user, exec as root and as a user
    assert (lines[at], lines[at + 2], lines[at + 3], lines[at + 4]) == ("1000", "0", "1000", "1")
    # one that joins it could be looked at in the /proc around
    assert "error: the pid namespace of c cannot be shared here: /proc/acpi is covered" in said
    # said once
    assert done.stderr.count("note: containers show the /proc around them here, read-only") == 1

    checks = {one["name"]: one for one in json.loads("{" + report)["checks"]}
    assert checks["user namespaces"]["status"] == "fine"
    for name, remedy in (("proc", "systempaths=unconfined"), ("host name", "seccomp=unconfined")):
        assert checks[name]["status"] == "limited"
        assert checks[name]["remedy"] == f"start the outer container with --security-opt {remedy}"
    assert checks["/dev/fuse"]["status"] == ("fine" if fuse else "limited")
    assert "--device /dev/net/tun" in checks["/dev/net/tun"]["remedy"]


def test_what_doctor_names_opens_it(outer: Outer) -> None:
    script = """
    rootless import -q busybox.tar b
    rootless run --rm --hostname inner b sh -c 'hostname; head -n1 /proc/1/cmdline'
    """
    shut = outer(script)
    assert "the host name inner cannot be set: Operation not permitted" in shut.stderr
    assert "hint: start the outer container with --security-opt seccomp=unconfined" in shut.stderr
    shut = outer("rootless import -q busybox.tar b; "
                 "rootless run --rm --sysctl net.ipv4.ip_forward=1 b true")  # fmt: skip
    assert shut.returncode == 125
    assert "hint: start the outer container with --security-opt systempaths=unc" in shut.stderr
    words = [word for one in ("seccomp", "systempaths") for word in ("--security-opt",
             f"{one}=unconfined")]  # fmt: skip
    script += "rootless doctor --format json | grep -A1 -E '\"(proc|host name)\"'"
    opened = outer(script, *words)
    # its own process is the first of its own /proc
    assert "inner\nsh\0-c\0hostname;" in opened.stdout, opened
    assert "note: containers show" not in opened.stderr
    assert opened.stdout.count('"status": "fine"') == 2, opened


_ATTEMPTS = """
echo 1 >/proc/$AROUND/oom_score_adj && echo out: oom_score_adj
cat /proc/$AROUND/environ | grep -q SECRET && echo out: environ
ls /proc/$AROUND/root/ && echo out: root
ls /proc/$AROUND/cwd/ && echo out: cwd
(echo x >/proc/sys/net/ipv4/ip_forward) && echo out: sysctl
mount -o remount,rw /proc && echo out: remount
umount /proc/sys && echo out: umount
head -c 1 /proc/timer_list | grep -q . && echo out: masked
tr "\\0" " " </proc/$AROUND/cmdline
"""


def test_the_proc_around_is_to_be_looked_at(outer: Outer, scratch: Path) -> None:
    """What the container sees of its outer one's processes, of the same user, it cannot use."""
    script = f"""
    export SECRET=1; sleep 1000 & rootless import -q busybox.tar b
    rootless run --rm -e AROUND=$! b sh -c '{_ATTEMPTS}'
    """
    found = outer(script)
    # the processes around are seen, as the note says
    assert found.stdout.splitlines()[-1].strip() == "sleep 1000", found
    assert "out:" not in found.stdout, found
    options = '*(mount.get("options") or ())'
    change = weaken.Change("rootless/runtime/mounts.py", options + ', "ro"]', options + "]")
    weak = outer(script, tree=weaken.program(scratch, (change,)))
    assert "out: oom_score_adj" in weak.stdout, weak


@pytest.mark.parametrize("errno", [1, 38])
def test_a_filter_that_lets_nobody_make_a_namespace(outer: Outer, place: Place, errno: int) -> None:
    refused = {"action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    new_user = {"index": 0, "value": 0x10000000, "valueTwo": 0x10000000, "op": "SCMP_CMP_MASKED_EQ"}
    names = ["unshare", "setns", "mount", "umount2", "pivot_root", "fsopen", "open_tree"]
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": names, **refused},
            {"names": ["clone"], "args": [new_user], **refused},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        ],
    }
    path = place.work / "profile.json"
    path.write_text(json.dumps(profile))
    done = outer("rootless run --rm rootless/hello; echo $?; rootless doctor",
                 "--security-opt", f"seccomp={path}")  # fmt: skip
    assert done.stdout.startswith("125\n"), done
    hint = "start the outer container with --security-opt seccomp=unconfined"
    assert "error: cannot make a user namespace" in done.stderr and f"hint: {hint}" in done.stderr
    assert f"    fix: {hint}\n" in done.stdout
    assert done.stdout.endswith("containers cannot run here\n")
