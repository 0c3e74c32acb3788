"""The words and the environment that start this same program again, later and from elsewhere."""

from __future__ import annotations

import os
import sys

from rootless import paths

_VARIABLES = (
    "HOME", "USER", "PATH", "LANG", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME", "DBUS_SESSION_BUS_ADDRESS", "SLURM_JOB_ID",
)  # fmt: skip


def command(options: list[str]) -> list[str]:
    """The interpreter, this package and where its libraries were found, and `options`.

    Not the name under which it was called: the library is used by programs of other names.
    """
    base = os.path.dirname(paths.PACKAGE)
    # what the standard library is found by comes from the interpreter
    standard = (os.path.dirname(os.__file__), sys.prefix + "/lib/python3")
    found = [base] + [one for one in sys.path if one and not one.startswith(standard)]
    found += [one for one in sys.path if one.endswith(("site-packages", "dist-packages"))]
    libraries = [one for one in dict.fromkeys(map(os.path.abspath, found)) if os.path.isdir(one)]
    start = (
        f"import sys;sys.path+={libraries!r};from rootless.cli.main import main;sys.exit(main())"
    )
    # the interpreter below a virtual environment: with -I and the paths above it does the same
    words = [getattr(sys, "_base_executable", "") or sys.executable, "-IS", "-c", start]
    return [*words, *options]


def environment() -> list[str]:
    """The variables that say where things are, as NAME=VALUE."""
    return [f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ]
