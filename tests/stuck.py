"""What processes wait for that should have ended long ago: what a report of a hang needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            words = _read(path / "stat").rpartition(")")[2].split()
            if len(words) > 1:
                found[int(path.name)] = int(words[1])
    return found


def _files(pid: int) -> list[str]:
    try:
        files = sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name))
        return [f"{path.name}={path.readlink()}" for path in files[:60]]
    except OSError:
        return ["?"]


def look(process: subprocess.Popen[bytes]) -> str:
    """It, all that descend from it, and whoever else holds the pipes that it was to close.

    Of each the command, the state, the place in the kernel and the open files.
    """
    parents, wanted = _parents(), [process.pid]
    for one in wanted:
        wanted += [child for child, parent in parents.items() if parent == one]
    streams = [one for one in (process.stdout, process.stderr) if one and not one.closed]
    pipes = {os.readlink(f"/proc/self/fd/{stream.fileno()}") for stream in streams}
    wanted += [
        one for one in parents
        if one not in wanted and one != os.getpid()
        and pipes & {file.partition("=")[2] for file in _files(one)}
    ]  # fmt: skip
    lines = []
    for one in wanted:
        at = Path(f"/proc/{one}")
        state = _read(at / "stat").rpartition(")")[2].split()[:1]
        lines.append(f"{one} of {parents.get(one)} {state}: {_read(at / 'cmdline')[:150]}")
        lines.append(f"    in {_read(at / 'wchan')}; system call {_read(at / 'syscall')}")
        lines.append(f"    {' '.join(_files(one))}")
    return "\n".join(lines)
