"""Which tool this command is called as; here is decided who is imitated where two exclude each
other.

Under its own name it does what docker does, but for the lists of `--format json`, which are
podman's: an array.  Called as `docker` it prints an object a line there.
"""

from __future__ import annotations

import os
import sys


def tool() -> str:
    """`docker` or `podman` where this program was started by that name, otherwise `rootless`."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return name if name in ("docker", "podman") else "rootless"


def lists_arrays() -> bool:
    """Whether `--format json` of a list is podman's array, and not docker's object a line."""
    return tool() != "docker"
