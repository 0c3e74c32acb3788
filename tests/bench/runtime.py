#!/usr/bin/python3
"""The OCI runtime alone, beside crun and runc: medians and ratios of one run.

    tests/bench/runtime.py [--user NAME] [--times N]

`run` of one prepared bundle whose process is a static `true` (busybox), N times each in turn
(default 25): wall time and processor time, the same less the bare interpreter's start (which only
ours needs), and the peak memory of the largest process.  On a busy machine the processor time says
more.  As root it makes a mount namespace with a cgroup2 hierarchy
of its own, without which runc does not start on a host with version 1, and measures as the user
NAME (default rl-user).  Nothing is asserted; the aims are those of the project's design.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

from start import TREE, become


def bundle(directory: Path, busybox: str) -> None:
    """A bundle that all take: crun and runc of Debian refuse newer numbers of the specification."""
    root = directory / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/true")
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/",
            "env": ["PATH=/bin"], "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": one} for one in
                           ("user", "pid", "network", "ipc", "uts", "mount")],
            "uidMappings": [{"containerID": 0, "hostID": os.getuid(), "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": os.getgid(), "size": 1}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/bus", "/proc/irq", "/proc/sys"],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["mount", "umount2", "reboot", "swapon", "bpf"],
                              "action": "SCMP_ACT_ERRNO", "errnoRet": 1}],
            },
        },
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config))


def launcher(directory: Path) -> list[str]:
    """As install.sh writes it."""
    script = directory / "rootless-runtime"
    packages = sysconfig.get_paths()["purelib"]
    words = (
        f"import sys\nsys.path.insert(0, {str(TREE)!r})\nfrom rootless import packing\n"
        f"packing.write({str(directory / 'packed.bin')!r})\n"
        "print(packing.launcher('/usr/bin/python3', 'cli.oci.main', 'for a measurement', "
        f"[{str(TREE)!r}, {packages!r}], {str(directory / 'packed.bin')!r}))"
    )
    started = ["/usr/bin/python3", "-IS", "-c", words]
    script.write_text(subprocess.run(started, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return ["/usr/bin/python3", "-IS", str(script)]


def measure(words: list[str]) -> tuple[float, float]:
    """Milliseconds of one run, and those of a processor.  Raises SystemExit when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    found = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    taken = (time.perf_counter() - began) * 1000
    if found.returncode:
        raise SystemExit(f"{' '.join(words)}: {found.returncode}\n{found.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return taken, used * 1000


def peak(words: list[str], file: Path) -> int:
    """Kilobytes of the largest process of one run.

    busybox' time starts it: a process begins with its parent's peak, and this one is larger.
    It takes the kernel's kilobytes for pages.
    """
    measure(["busybox", "time", "-f", "%M", "-o", str(file), *words])
    return int(file.read_text()) // (os.sysconf("SC_PAGESIZE") // 1024)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=25)
    given = parser.parse_args()
    if os.getuid() == 0:
        become(given.user)
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp") as name:
        base = Path(name)
        bundle(base / "bundle", shutil.which("busybox") or "/bin/busybox")
        state = base / "state"
        state.mkdir()
        ours = launcher(base)
        run = ["run", "--bundle", str(base / "bundle")]
        commands = {
            "bare interpreter": [ours[0], "-I", "-S", "-c", "pass"],
            "rootless-runtime": [*ours, "--root", str(state / "a"), *run],
        }
        if shutil.which("crun"):
            commands["crun"] = [
                "crun", "--root", str(state / "b"), "--cgroup-manager", "disabled", *run,
            ]  # fmt: skip
        if shutil.which("runc"):
            commands["runc"] = ["runc", "--root", str(state / "c"), "--rootless", "true", *run]
        taken: dict[str, list[tuple[float, float]]] = {one: [] for one in commands}
        for number in range(given.times + 2):
            for one, words in commands.items():
                found = measure([*words, *([] if words[-1] == "pass" else [f"c{number}"])])
                if number >= 2:  # the first ones fill caches
                    taken[one].append(found)
        memory = {
            one: peak([*words, *([] if words[-1] == "pass" else ["peak"])], base / "peak")
            for one, words in commands.items()
        }
    print(f"{'':18} {'ms':>7} {'less bare':>10} {'cpu ms':>8} {'less bare':>10} {'peak kB':>9}")
    medians = {
        one: [statistics.median(column) for column in zip(*values, strict=True)]
        for one, values in taken.items()
    }
    bare, mine = medians["bare interpreter"], medians["rootless-runtime"]
    for one, (wall, used) in medians.items():
        less = [wall - bare[0], used - bare[1]] if one == "rootless-runtime" else []
        shown = [f"{value:10.1f}" for value in less] or [" " * 10] * 2
        print(f"{one:18} {wall:7.1f} {shown[0]} {used:8.1f} {shown[1]} {memory[one]:9}")
    for peer, aim in (("crun", 1.0), ("runc", 0.5)):
        if peer not in medians:
            continue
        off = bare if peer == "crun" else [0.0, 0.0]
        words = "less the bare interpreter, of crun" if peer == "crun" else "of runc"
        ratios = [(mine[at] - off[at]) / medians[peer][at] for at in (0, 1)]
        print(f"{words}: wall {ratios[0]:.2f} (aim {aim}), processor {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
