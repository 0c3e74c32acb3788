"""The programs of the ways in, made static, so that they run in any container and any machine.

Nothing but the standard library: tests/vm makes them for its machine, which has no compiler.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = {
    "attack": ("attack", "descriptors", "processes", "files", "kernel", "network"),
    "lead": ("lead",),
}


def compile_into(directory: Path) -> None:
    """Make `attack` and `lead`; AssertionError has what the compiler says."""
    for name, parts in PROGRAMS.items():
        words = ["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", directory / name,
                 *(HERE / f"{one}.c" for one in parts)]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
