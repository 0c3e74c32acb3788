"""The command that runs tests in a virtual machine, where it cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from conftest import TREE


def run(*words: str, path: str) -> subprocess.CompletedProcess[str]:
    """The command with this search path."""
    return subprocess.run(
        ["/bin/sh", str(TREE / "tests/vm/run"), *words], env={"PATH": path},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_without_an_emulator_it_says_so_and_fails(tmp_path: Path) -> None:
    os.symlink("/usr/bin/dirname", tmp_path / "dirname")
    found = run("-k", "nothing", path=str(tmp_path))
    assert found.returncode == 1
    assert found.stderr == (
        "tests/vm: error: there is no qemu-system-x86_64\nhint: apt-get install qemu-system-x86\n"
    )
    assert found.stdout == ""


def test_releases_are_named() -> None:
    found = run("--suite", "potato", path="/usr/bin:/bin")
    assert found.returncode == 2
    for name in ("bullseye", "bookworm", "trixie"):
        assert name in found.stderr
