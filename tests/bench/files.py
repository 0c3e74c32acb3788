#!/usr/bin/python3
"""File-system work inside a container: medians and ratios against the host, in one run.

    tests/bench/files.py [--user NAME] [--times N] [--only NAME,...]

A build of 2,000 small files (each is read, compiled, and written by rename: Python modules), `git
status` of these 2,000 files, and random reads of a file of 64 MB from the page cache: on the host,
in containers of this project with each storage driver and in a directory bound into one, and in
podman's with the kernel's overlay and with fuse-overlayfs, in turn, as the same user,
on one disk.  The times are taken inside, so no start of a container is in them.  Aims: native
overlay >= 0.95 of the host, fuse-overlayfs as good as podman's.  Nothing is asserted.  As root it
prepares as start.py does, on a file system of its own (disk.py).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from disk import own_disk, own_runtime_directory
from start import become, launcher

FILES = 2000
BIG = 64 << 20
FUNCTION = "def f{0}_{1}(a, b):\n    return [one * {1} + len(b) for one in a if one != {0}]\n\n\n"

# runs inside; prints {work: [seconds, seconds of processor time]}
WORK = r"""
import json, os, py_compile, random, subprocess, sys, time
root = sys.argv[1]
made = {}
def timed(name, act):
    begin, used = time.perf_counter(), sum(os.times()[:4])
    act()
    made[name] = time.perf_counter() - begin, sum(os.times()[:4]) - used
def build():
    for directory, _, names in os.walk(root + "/src"):
        for name in names:
            if name.endswith(".py"):
                py_compile.compile(os.path.join(directory, name), doraise=True)
    total = 0
    for directory, _, names in os.walk(root + "/src"):
        total += sum(os.stat(os.path.join(directory, name)).st_size for name in names)
def status():
    for _ in range(3):
        subprocess.run(["git", "-C", root + "/src", "status", "--short", "-uno"], check=True,
                       stdout=subprocess.DEVNULL)
def reads():
    chance = random.Random(1)
    fd = os.open(root + "/big", os.O_RDONLY)
    for _ in range(20000):
        os.pread(fd, 4096, chance.randrange(0, @SIZE@, 4096))
    os.close(fd)
status()  # what was copied a moment ago is in the caches, what was mounted a moment ago is not
timed("git status", status)
timed("build", build)
timed("random reads", reads)
print(json.dumps(made))
""".replace("@SIZE@", str(BIG - 4096))


def tree(base: Path) -> None:
    """The sources as a repository, and the big file."""
    source = base / "src"
    for number in range(FILES):
        path = source / f"d{number % 40}" / f"f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(FUNCTION.format(number, one) for one in range(20)))
    (base / "big").write_bytes(os.urandom(1 << 20) * (BIG >> 20))
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")},
    }  # fmt: skip
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=source, env=environment, check=True)


def image(path: Path, work: Path) -> None:
    """A root file system with the tree, an interpreter and git, from what this host has."""
    programs = ["/bin/busybox", "/usr/bin/python3", "/usr/bin/git"]
    files = set(programs)
    found = Path("/usr/lib").glob("python3.*/lib-dynload/*.so")
    for program in [*programs, *map(str, found)]:
        said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        files.update(word for word in said.split() if word.startswith("/"))
    with tarfile.open(path, "w") as archive:

        def own(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            return None if "__pycache__" in member.name else member

        for name in sorted(files):
            archive.add(os.path.realpath(name), name.lstrip("/"), filter=own)
        version = f"usr/lib/python3.{sys.version_info.minor}"
        archive.add("/" + version, version, filter=own)
        for name, text in (("etc/gitconfig", "[safe]\n\tdirectory = *\n"), ("work.py", WORK)):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
        archive.add(work, "w", filter=own)


def call(*words: str) -> str:
    """Run to the end; what it printed."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    place = "/var/tmp"
    if os.geteuid() == 0:
        place = own_disk()
        become(given.user)
    base = Path(tempfile.mkdtemp(prefix="files-bench-", dir=place))
    base.chmod(0o711)
    os.environ["ROOTLESS_DATA_DIR"] = str(base / "data")
    ours = launcher(base)
    with own_runtime_directory():
        try:
            measure(base, ours, given.times, given.only)
        finally:
            for words in ([*ours, "unshare"], ["podman", "unshare"]):
                subprocess.run([*words, "rm", "-rf", str(base)], capture_output=True)
            shutil.rmtree(base, ignore_errors=True)


def measure(base: Path, ours: list[str], times: int, only: str) -> None:
    """Measure everything in turn and print the table."""
    work = base / "w"
    work.mkdir()
    tree(work)
    image(base / "image.tar", work)
    call(*ours, "import", str(base / "image.tar"), "bench:1")
    inside = ["bench:1", "/usr/bin/python3", "/work.py", "/w"]

    def podman(name: str, *options: str) -> Callable[[], str]:
        words = ["podman", "--root", str(base / name), "--runroot", str(base / "run")]
        words += ["--cgroup-manager", "cgroupfs", "--storage-driver", "overlay", *options]
        made = []

        def act() -> str:
            if not made:
                made.append(call(*words, "import", "-q", str(base / "image.tar"), "bench:1"))
            return call(*words, "run", "--rm", "--network", "none", *inside)

        return act

    def here() -> str:
        copy = base / "copy"
        shutil.copytree(work, copy, symlinks=True)
        (base / "work.py").write_text(WORK)
        try:
            return call("/usr/bin/python3", str(base / "work.py"), str(copy))
        finally:
            shutil.rmtree(copy)

    def bound() -> str:
        copy = base / "bound"
        shutil.copytree(work, copy, symlinks=True)
        words = ["run", "--rm", "--network", "none", "-v", f"{copy}:/w", *inside]
        try:
            return call(*ours, *words)
        finally:
            shutil.rmtree(copy)

    def driver(name: str) -> Callable[[], str]:
        words = [*ours, "--storage-driver", name, "run", "--rm", "--network", "none", *inside]
        return lambda: call(*words)

    ways: dict[str, Callable[[], str]] = {
        "host": here,
        **{name: driver(name) for name in ("overlay", "fuse-overlayfs", "python-fuse", "copy")},
        "bind": bound,
        "podman overlay": podman("podman"),
        "podman fuse-overlayfs": podman(
            "podman-fuse", "--storage-opt", "overlay.mount_program=/usr/bin/fuse-overlayfs"
        ),
    }
    wanted = {"host", *only.split(",")} if only else set(ways)
    ways = {name: act for name, act in ways.items() if name in wanted}
    found: dict[str, dict[str, list[list[float]]]] = {name: {} for name in ways}
    spread: dict[tuple[str, str], list[float]] = {}
    names = list(ways)
    for number in range(times):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            act = ways[name]
            for what, pair in json.loads(act()).items():
                found[name].setdefault(what, []).append(pair)
                spread.setdefault((name, what), []).append(pair[0] * 1000)
    for what in found["host"]:
        print(
            f"\n{what} (medians of {times}: ms, speed against the host; the same of the work's own"
        )
        print("processor time, which a busy machine disturbs less and a server is no part of)")
        host = [statistics.median(one) for one in zip(*found["host"][what], strict=True)]
        for name, table in found.items():
            middle = [statistics.median(one) for one in zip(*table[what], strict=True)]
            shown = "".join(
                f" {one * 1000:8.1f} {of / max(one, 0.001):5.2f}  "
                for one, of in zip(middle, host, strict=True)
            )
            values = spread[name, what]
            print(f"  {name:22}{shown}  ({min(values):.0f}-{max(values):.0f} ms)")


if __name__ == "__main__":
    main()
