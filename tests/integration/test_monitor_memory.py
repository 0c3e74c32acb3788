"""What a monitor keeps while nothing happens: with glibc, as install.sh leaves it where there is no
musl, and with what the tests are built with."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import TREE, Command, Place
from integration import weaken

# conmon 2.1.6 of Debian 12 keeps 794 kB for each container beside others, 1,038 alone; 0.15 of that
_MOST = 119


def _with_glibc(scratch: Path) -> Path:
    """A copy of the package with programs of gcc's own library."""
    made = scratch / "glibc"
    if not made.exists():
        shutil.copytree(TREE / "rootless", made / "rootless")
        words = ["make", "-s", "-C", TREE / "helpers", "CC=gcc", "WERROR=",
                 f"OUT={made}/rootless/bin", f"OBJ={made}/obj"]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True)
        for path in made.rglob("*"):
            if path.is_dir() or os.access(path, os.X_OK):
                path.chmod(0o755)
    return made


def _kept(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


@pytest.mark.parametrize("library", ["glibc", "default"])
def test_a_monitor_that_waits(
    rootless: Command, busybox_image: str, place: Place, scratch: Path, library: str
) -> None:
    tree = TREE if library == "default" else _with_glibc(scratch)
    command = Command(weaken.launcher(tree, "rootless.cli.main"), place)
    os.mkfifo(place.work / "fifo")
    script = "echo up; read line </work/fifo; echo $line; exit 7"
    command("run", "-d", "--name", "c", "--network", "none", "-v", f"{place.work}:/work",
            busybox_image, "sh", "-c", script)  # fmt: skip
    process = int(command("inspect", "-f", "{{.State.Pid}}", "c").stdout)
    monitor = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    end = time.monotonic() + 20
    while (kept := _kept(monitor)) > _MOST and time.monotonic() < end:
        time.sleep(0.05)
    assert kept <= _MOST
    # and it comes back from there
    (place.work / "fifo").write_text("down\n")
    assert command("wait", "c").stdout == "7\n"
    assert command("logs", "c").stdout == "up\ndown\n"
