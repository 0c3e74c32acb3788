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


def local_name(name: str) -> str:
    """The name of an image that is made here: a short one is under localhost/, as with podman.

    Called as `docker` it stays as it is, which means one of docker.io.
    """
    if not name or tool() == "docker":
        return name
    from rootless.engine.images import local

    return local.name_here(name)


def without_terminal(verb: str) -> None:
    """`-it` has no terminal to talk through: `run` says so, docker refuses it.  UsageError."""
    from rootless.errors import UsageError

    if tool() == "docker":
        raise UsageError("standard input is not a terminal", hint="leave out -t")
    if verb == "run":
        os.write(2, b"rootless: standard input is not a terminal: nothing can be typed\n")
