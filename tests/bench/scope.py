#!/usr/bin/python3
"""What a scope of the user's systemd adds to `run --rm`, beside podman: medians of one run.

    tests/bench/scope.py [--times N] [--image IMAGE] [-- WORD...]

Where a user's systemd answers, as in the machine of tests/vm:

    echo 'python3 /opt/tree/tests/bench/scope.py' | tests/vm/run --shell

WORD... start the command (rootless).  IMAGE is one that it has; without, one is made of busybox.
podman, if it is there, gets the same files, with its cgroup managers systemd and cgroupfs (the
latter without a cgroup: --cgroups disabled).  Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path


def once(words: list[str]) -> float:
    """Seconds of one use."""
    begin = time.perf_counter()
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(words)}: {done.returncode}\n{done.stderr}")
    return time.perf_counter() - begin


def root_file_system(directory: Path) -> Path:
    """A tar with busybox."""
    path = directory / "busybox.tar"
    with tarfile.open(path, "w") as archive:
        info = archive.gettarinfo("/bin/busybox", "bin/busybox")
        info.uid = info.gid = 0
        with open("/bin/busybox", "rb") as source:
            archive.addfile(info, source)
        link = tarfile.TarInfo("bin/true")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        archive.addfile(link)
    return path


def contenders(
    command: list[str], image: str, directory: Path, peers: bool
) -> dict[str, list[str]]:
    """What is measured, by name."""
    made = root_file_system(directory)
    if not image:
        image = "bench:scope"
        once([*command, "import", str(made), image])
    run = ["run", "--rm", "--network", "none"]
    found = {
        "rootless, with a scope": [*command, "--cgroup-manager", "systemd", *run, image, "true"],
        "rootless, without": [*command, *run, "--cgroups", "disabled", image, "true"],
    }
    if peers and shutil.which("podman"):
        # its own data, and the person's own runtime directory, where systemd is
        podman = ["env", f"XDG_DATA_HOME={directory / 'data'}", "podman"]
        name = "localhost/bench:scope"
        once([*podman, "import", str(made), name])
        found["podman, with a scope"] = [
            *podman, "--cgroup-manager", "systemd", *run, "--pids-limit", "-1", name, "true",
        ]  # fmt: skip
        found["podman, without"] = [*podman, *run, "--cgroups", "disabled", name, "true"]
    return found


def measure(given: argparse.Namespace, directory: Path) -> dict[str, list[float]]:
    """Seconds of each contender, in turn, after one use that is not counted."""
    every = contenders(given.command, given.image, directory, not given.no_peers)
    for words in every.values():
        once(words)
    found: dict[str, list[float]] = {one: [] for one in every}
    for _ in range(given.times):
        for one, words in every.items():
            found[one].append(once(words))
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--image", default="")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("command", nargs="*", default=["rootless"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir="/var/tmp", ignore_cleanup_errors=True
    ) as name:
        os.chmod(name, 0o711)
        try:
            found = measure(given, Path(name))
        finally:
            if (Path(name) / "data").exists():
                # files of mapped ids
                subprocess.run(["podman", "unshare", "rm", "-rf", str(Path(name) / "data")],
                               capture_output=True)  # fmt: skip
    medians = {one: statistics.median(times) for one, times in found.items()}
    for one, median in medians.items():
        print(f"{one:26} {median * 1000:8.0f} ms")
    for who in ("rootless", "podman"):
        if f"{who}, without" in medians:
            with_, without = medians[f"{who}, with a scope"], medians[f"{who}, without"]
            print(f"{who}: a scope adds {(with_ - without) / without:.2f} of a run without")
    return 0


if __name__ == "__main__":
    sys.exit(main())
