#!/usr/bin/python3
"""How fast images are built, beside buildah as installed: medians and ratios of one run.

    tests/bench/build.py [--user NAME] [--times N] [--only ROW,...] [--directory DIR]

Rows: run (twenty small RUNs), cached (the same again), copy (COPY of 10,000 files that are new),
unchanged (again), changed (one of them changed), stages (two that need each other not, against the
sum of both), memory (the builder's peak for a context of 2 GB; sum of PSS of the command and its
workers).  Contenders take turns.  buildah runs its steps with runc, because the crun of Debian 12
refuses hosts with cgroups version 1; its other way, --isolation chroot, is shown beside it.  Both
build as the same user, on the same file system.  Nothing is asserted.  As root it becomes the user
NAME (default rl-user) and measures on a file system of its own, like images.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from disk import own_disk, own_runtime_directory
from images import Medians, in_turn, timed, verdict
from start import become, busybox_tar, launcher, pss, run

ROWS = ("run", "cached", "copy", "unchanged", "changed", "stages", "memory")
FILES = 10_000
BIG = 2 << 30


class Builders:
    """The contenders: words that build a context with a Dockerfile."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        self.directory = directory
        self.ours = [*command, "--root", str(directory / "data")]
        self.buildah: list[str] = []
        tar = busybox_tar(directory)
        run([*self.ours, "import", "-q", str(tar), "localhost/base"])
        if shutil.which("buildah"):
            runroot = os.path.join(os.environ["XDG_RUNTIME_DIR"], "buildah")
            self.buildah = ["buildah", "--root", str(directory / "buildah"), "--runroot", runroot,
                            "--storage-driver", "overlay"]  # fmt: skip
            base = directory / "base"
            base.mkdir()
            (base / "Dockerfile").write_text("FROM scratch\nADD busybox.tar /\n")
            os.link(tar, base / "busybox.tar")
            run([*self.buildah, "bud", "-q", "-t", "localhost/base", str(base)])

    def words(self, name: str, context: Path, *options: str) -> list[str]:
        """The words of a contender."""
        if name == "rootless":
            return [*self.ours, "build", "-q", *options, str(context)]
        how = ["--isolation", "chroot"]
        if name == "buildah":
            how = ["--isolation", "rootless", "--runtime", "runc"]
        return [*self.buildah, "bud", "-q", "--layers", *how, *options, str(context)]

    def names(self, *, steps: bool) -> list[str]:
        """Who takes part; `steps`: in what runs RUN."""
        if not self.buildah:
            return ["rootless"]
        return ["rootless", "buildah", *(["chroot"] if steps else [])]

    def close(self) -> None:
        """Remove buildah's files, which are other ids'."""
        if self.buildah:
            subprocess.run([*self.buildah, "unshare", "rm", "-rf", str(self.directory / "buildah")])


def _context(top: Path, dockerfile: str) -> Path:
    top.mkdir()
    (top / "Dockerfile").write_text(dockerfile)
    return top


def _files(top: Path, salt: str) -> None:
    """10,000 small files in 100 directories."""
    for number in range(100):
        inner = top / f"d{number:03}"
        inner.mkdir()
        for other in range(FILES // 100):
            (inner / f"f{other:03}").write_text(f"{salt} {number} {other}\n" * 60)


class Rows:
    """All rows."""

    def __init__(self, builders: Builders, times: int) -> None:
        self.builders = builders
        self.directory = builders.directory
        self.times = times

    def run_and_cached(self, rows: list[str]) -> None:
        """Twenty steps, and then the same from the cache."""
        steps = "".join(f"RUN echo {number} >/{number}\n" for number in range(20))
        context = _context(self.directory / "steps", f"FROM localhost/base\n{steps}")
        names = self.builders.names(steps=True)
        for name in names:  # what is done once is not counted
            timed(self.builders.words(name, context, "-t", "bench"))
        kinds: list[tuple[str, str, int, float, list[str]]] = [
            ("run", "20 RUN", self.times, 0.15, ["--no-cache"]),
            ("cached", "20 RUN, cached", max(self.times, 7), 0.15, []),
        ]
        for row, title, times, aim, options in kinds:
            if row in rows:
                found = in_turn(times, {
                    name: self._build(name, context, *options, "-t", "bench") for name in names
                })  # fmt: skip
                verdict(title, found, "buildah", aim)

    def _build(self, name: str, context: Path, *options: str) -> Callable[[], float]:
        return lambda: timed(self.builders.words(name, context, *options))

    def copies(self, rows: list[str]) -> None:
        """10,000 files: new, the same again, one of them changed."""
        names = self.builders.names(steps=False)
        found: dict[str, dict[str, list[float]]] = {}
        for number in range(self.times):
            for name in names[number % 2 :] + names[: number % 2]:
                context = _context(
                    self.directory / "files", "FROM localhost/base\nCOPY . /files/\n"
                )
                _files(context, f"{number} {name}")
                run(["sync", "-f", str(context)])
                words = self.builders.words(name, context, "-t", "bench")
                table = found.setdefault(name, {})
                table.setdefault("copy", []).append(timed(words))
                table.setdefault("unchanged", []).append(timed(words))
                (context / "d050/f050").write_text(f"other {number} {name}\n")
                table.setdefault("changed", []).append(timed(words))
                shutil.rmtree(context)
        for row, title, aim in (
            ("copy", "COPY 10,000", 0.5),
            ("unchanged", "unchanged", 0.1),
            ("changed", "one changed", 0.3),
        ):
            if row in rows:
                medians = Medians({name: table[row] for name, table in found.items()})
                verdict(title, medians, "buildah", aim)

    def stages(self) -> None:
        """Two slow stages, against the sum of both alone."""
        slow = "RUN i=0; while [ $i -lt 600000 ]; do i=$((i+1)); done; echo >/made\n"
        text = f"FROM localhost/base AS a\n{slow}FROM localhost/base AS b\n{slow}"
        text += "FROM scratch\nCOPY --from=a /made /a\nCOPY --from=b /made /b\n"
        context = _context(self.directory / "slow", text)
        both, sums = [], []
        for _ in range(self.times):
            both.append(timed(self.builders.words("rootless", context, "--no-cache")))
            sums.append(
                sum(
                    timed(self.builders.words("rootless", context, "--no-cache", "--target", one))
                    for one in "ab"
                )
            )
        ratio = statistics.median(both) / statistics.median(sums)
        met = "met" if ratio <= 0.6 else "MISSED"
        print(
            f"{'two slow stages':22} {statistics.median(both):.0f} ms, one after the other "
            f"{statistics.median(sums):.0f} ms  ratio {ratio:.2f} (aim 0.6: {met})",
            flush=True,
        )

    def memory(self) -> None:
        """2 GB in files of 16 MB."""
        context = _context(self.directory / "big", "FROM scratch\nCOPY . /files/\n")
        piece = os.urandom(1 << 20)
        for number in range(BIG >> 24):
            with open(context / f"f{number:03}", "wb") as file:
                for other in range(16):
                    file.write(number.to_bytes(2, "little") + bytes([other]) + piece[3:])
        words = self.builders.words("rootless", context, "-t", "big")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        most = 0
        stop = threading.Event()

        def watch() -> None:
            nonlocal most
            while not stop.wait(0.02):
                most = max(most, sum(pss(pid) for pid in _family(process.pid)))

        thread = threading.Thread(target=watch)
        thread.start()
        begin = time.perf_counter()
        status = process.wait()
        took = time.perf_counter() - begin
        stop.set()
        thread.join()
        if status:
            raise SystemExit(f"error: {' '.join(words)}: {status}")
        shutil.rmtree(context)
        met = "met" if most <= 80 << 10 else "MISSED"
        print(f"{'memory, 2 GB':22} {most / 1024:.0f} MB, {took:.1f} s (aim 80 MB: {met})")


def _family(pid: int) -> list[int]:
    """A process and what descends from it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += _family(int(child))
    except OSError:
        pass
    return found


def main() -> None:
    """Prepare, measure, clean up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--user", default="rl-user")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--directory", default="")
    parser.add_argument("--rootless", default="", help="an installed command instead of this tree")
    given = parser.parse_args()
    rows = given.only.split(",")
    unknown = set(rows) - set(ROWS)
    if unknown:
        raise SystemExit(f"error: no row {', '.join(sorted(unknown))}")
    base = given.directory or "/var/tmp"
    if os.getuid() == 0:
        base = given.directory or own_disk()
        become(given.user)
    directory = Path(tempfile.mkdtemp(prefix="rootless-bench-", dir=base))
    directory.chmod(0o711)
    command = given.rootless.split() or launcher(directory)
    with own_runtime_directory():
        builders = Builders(directory, command)
        try:
            made = Rows(builders, given.times)
            if {"run", "cached"} & set(rows):
                made.run_and_cached(rows)
            if {"copy", "unchanged", "changed"} & set(rows):
                made.copies(rows)
            if "stages" in rows:
                made.stages()
            if "memory" in rows:
                made.memory()
        finally:
            builders.close()
            subprocess.run([*builders.ours, "unshare", "rm", "-rf", str(directory)], check=False)
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
