#!/usr/bin/python3
"""How fast containers start, beside podman and crun: medians and ratios of one run.

    tests/bench/start.py [--user NAME] [--times N] [--rootless COMMAND]

As root it makes a mount namespace with a cgroup2 hierarchy of its own, without which podman does
not start on a host with version 1, and measures as the user NAME (default rl-user).  As another
user it measures as that user.  What is measured in turn, N times (default 15): a bare interpreter;
`run --rm` of `true` without and with a network; `exec` of `true`; `ps` and `images` with 100
entries.  The budgets are those of the project's design; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
BUDGETS = {
    "run --network none": ("podman", 0.25),
    "run slirp4netns": ("podman", 0.3),
    "exec": ("podman", 0.15),
    "ps, 100 containers": ("podman", 0.6),
    "images, 100 images": ("podman", 0.6),
}


def become(user: str) -> None:
    """A private mount namespace with cgroup2, then the user."""
    if os.environ.get("ROOTLESS_BENCH_INSIDE") != "1":
        os.environ["ROOTLESS_BENCH_INSIDE"] = "1"
        script = 'mount --make-rprivate / && mount -t cgroup2 none /sys/fs/cgroup; exec "$@"'
        words = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *sys.argv]
        os.execvp("unshare", words)
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)
    os.environ["XDG_RUNTIME_DIR"] = f"/run/user/{entry.pw_uid}"
    os.chdir("/")


def launcher(directory: Path) -> list[str]:
    """The words that start this tree's command as install.sh's launcher does."""

    script = directory / "rootless"
    packages = sysconfig.get_paths()["purelib"]
    words = (
        f"import sys\nsys.path.insert(0, {str(TREE)!r})\nfrom rootless import packing\n"
        f"packing.write({str(directory / 'packed.bin')!r})\n"
        "print(packing.launcher('/usr/bin/python3', 'cli.main', 'for a measurement', "
        f"[{str(TREE)!r}, {packages!r}], {str(directory / 'packed.bin')!r}))"
    )
    script.write_text(run(["/usr/bin/python3", "-IS", "-c", words]))
    return ["/usr/bin/python3", "-IS", str(script)]


def busybox_tar(directory: Path) -> Path:
    """A root file system of one program."""
    path = directory / "busybox.tar"
    with tarfile.open(path, "w") as archive:
        info = archive.gettarinfo("/bin/busybox", "bin/busybox")
        info.uid = info.gid = 0
        with open("/bin/busybox", "rb") as source:
            archive.addfile(info, source)
        for name in ("true", "sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return path


def run(words: list[str]) -> str:
    """A command that must succeed; what it printed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(words)}: {done.returncode}\n{done.stderr}")
    return done.stdout.strip()


def once(words: list[str]) -> float:
    """Milliseconds of one use."""
    null = subprocess.DEVNULL
    begin = time.perf_counter()
    pid = os.posix_spawnp(
        words[0],
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        ],
    )
    _, status = os.waitpid(pid, 0)
    elapsed = (time.perf_counter() - begin) * 1000
    if status:
        raise SystemExit(f"error: {' '.join(words)}: {os.waitstatus_to_exitcode(status)} {null}")
    return elapsed


class Bench:
    """Measures in turn, so that what disturbs the machine disturbs everybody."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.rows: dict[str, dict[str, float]] = {}

    def measure(self, title: str, contenders: dict[str, list[str]]) -> None:
        """Run each contender `times` times in turn, after one use that is not counted."""
        found: dict[str, list[float]] = {name: [] for name in contenders}
        for words in contenders.values():
            once(words)
        for _ in range(self.times):
            for name, words in contenders.items():
                found[name].append(once(words))
        medians = {name: statistics.median(values) for name, values in found.items()}
        self.rows[title] = medians
        shown = "  ".join(f"{name} {value:.1f} ms" for name, value in medians.items())
        verdict = ""
        if title in BUDGETS and BUDGETS[title][0] in medians:
            peer, budget = BUDGETS[title]
            ratio = medians["rootless"] / medians[peer]
            met = "met" if ratio <= budget else "MISSED"
            verdict = f"  ratio to {peer} {ratio:.2f} (budget {budget}: {met})"
        print(f"{title:22} {shown}{verdict}", flush=True)


def pss(pid: int) -> int:
    """Proportional set size in kB."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def memory(command: list[str], podman: list[str]) -> None:
    """What stays beside a running container."""

    monitor = json.loads(run([*command, "inspect", "bench"]))[0]["State"]["MonitorPid"]
    line = f"{'memory per container':22} rootless monitor {pss(monitor)} kB PSS"
    if podman:
        conmon = json.loads(run([*podman, "inspect", "bench"]))[0]["State"].get("ConmonPid", 0)
        line += f"  conmon {pss(conmon)} kB PSS"
        if pss(conmon):
            ratio = pss(monitor) / pss(conmon)
            line += f"  ratio {ratio:.2f} (budget 0.2: {'met' if ratio <= 0.2 else 'MISSED'})"
    print(line)


def crun_bundle(directory: Path, tar: Path) -> list[str]:
    """A bundle for crun and the words that run it; empty where crun is missing."""

    if not shutil.which("crun"):
        return []
    bundle = directory / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    run(["tar", "-C", str(bundle / "rootfs"), "-xf", str(tar)])
    subprocess.run(["crun", "spec", "--rootless"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=["/bin/true"], terminal=False)
    (bundle / "config.json").write_text(json.dumps(config))
    root = str(directory / "crun")
    return ["crun", "--root", root, "--cgroup-manager=disabled", "run", "-b", str(bundle), "bench"]


def entries(command: list[str], podman: list[str], bench: Bench) -> None:
    """Lists with 100 entries."""
    for number in range(100):
        run([*command, "create", "--network", "none", "--name", f"many{number}", "bench", "true"])
        run([*command, "tag", "bench", f"bench:{number}"])
        if podman:
            run(
                [*podman, "create", "--network", "none", "--name", f"many{number}", "bench", "true"]
            )
            run([*podman, "tag", "bench", f"bench:{number}"])
    for title, words in (
        ("ps, 100 containers", ["ps", "-a"]),
        ("images, 100 images", ["images"]),
    ):
        bench.measure(
            title,
            {"rootless": [*command, *words], **({"podman": [*podman, *words]} if podman else {})},
        )


def main() -> None:
    """Prepare, measure, clean up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--rootless", default="", help="an installed command instead of this tree")
    parser.add_argument("--no-lists", action="store_true", help="leave out ps and images")
    given = parser.parse_args()
    if os.getuid() == 0:
        become(given.user)
    directory = Path(tempfile.mkdtemp(prefix="rootless-bench-", dir="/var/tmp"))
    directory.chmod(0o711)
    command = given.rootless.split() or launcher(directory)
    command = [*command, "--root", str(directory / "data")]
    undo: list[Callable[[], object]] = []
    try:
        measure(directory, command, given, undo)
    finally:
        for one in reversed(undo):
            one()
        subprocess.run([*command, "unshare", "rm", "-rf", str(directory)], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def measure(
    directory: Path, command: list[str], given: argparse.Namespace, undo: list[Callable[[], object]]
) -> None:
    """All rows."""
    tar = busybox_tar(directory)
    run([*command, "import", "-q", str(tar), "bench"])
    undo.append(lambda: subprocess.run([*command, "rm", "-fa"], capture_output=True))
    podman: list[str] = []
    if shutil.which("podman"):
        podman = ["podman", "--cgroup-manager", "cgroupfs", "--root", str(directory / "podman"),
                  "--runroot", str(directory / "podman-run")]  # fmt: skip
        run([*podman, "import", "-q", str(tar), "bench"])
        undo.append(
            lambda: subprocess.run([*podman, "unshare", "rm", "-rf", str(directory / "podman")])
        )
        undo.append(lambda: subprocess.run([*podman, "rm", "-fa", "-t", "0"], capture_output=True))
        version = run(["podman", "--version"])
        print(f"beside {version}, {run(['crun', '--version']).splitlines()[0]}")
    crun = crun_bundle(directory, tar)
    bench = Bench(given.times)
    bench.measure("bare python3 -IS", {"python": ["/usr/bin/python3", "-IS", "-c", "pass"]})

    def both(*words: str) -> dict[str, list[str]]:
        made = {"rootless": [*command, *words]}
        if podman:
            made["podman"] = [*podman, *words]
        return made

    contenders = both("run", "--rm", "--network", "none", "bench", "true")
    if crun:
        contenders["crun"] = crun
    bench.measure("run --network none", contenders)
    bench.measure(
        "run slirp4netns", both("run", "--rm", "--network", "slirp4netns", "bench", "true")
    )
    for words in both("run", "-d", "--name", "bench", "--network", "none", "bench", "sleep",
                      "1000").values():  # fmt: skip
        run(words)
    bench.measure("exec", both("exec", "bench", "true"))
    memory(command, podman)
    bench.measure("version", both("version"))
    if not given.no_lists:
        entries(command, podman, bench)


if __name__ == "__main__":
    main()
