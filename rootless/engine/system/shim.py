"""`install-shim`: a command `podman` or `docker` that is this program under that name.

It is a small program of its own and no link: how it is called is how it behaves, and the first line
but one says whose it is.  One that is not ours is never replaced or removed.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import Conflict, NotFound, StorageError, UsageError

NAMES = ("docker", "podman")
_MARK = "# made by rootless install-shim; rootless install-shim --remove takes it away"


class Shim:
    """One that was installed: its path, and what still stands in its way."""

    __slots__ = ("hidden_by", "off_path", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        name = os.path.basename(path)
        places = [one for one in os.environ.get("PATH", "").split(":") if one]
        self.off_path = os.path.dirname(path) not in [os.path.normpath(one) for one in places]
        # the command of this name that comes first on the search path
        found = [os.path.join(one, name) for one in places]
        first = next((one for one in found if os.access(one, os.X_OK)), path)
        self.hidden_by = "" if os.path.normpath(first) == path else first


def directory(given: str = "") -> str:
    """Where commands of the user's own are: `given`, or ~/.local/bin."""
    return os.path.abspath(os.path.expanduser(given or "~/.local/bin"))


def _is_ours(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


def _path(name: str, place: str) -> str:
    if name not in NAMES:
        raise UsageError(f'there is no shim for "{name}"', hint=" or ".join(NAMES))
    return os.path.join(directory(place), name)


def install(name: str, place: str = "") -> Shim:
    """Make the command `name`.  Raises Conflict for a file that is not ours, StorageError."""
    from rootless.engine.common import reexec

    path = _path(name, place)
    if os.path.lexists(path) and not _is_ours(path):
        raise Conflict(f"{path} exists and is not rootless'", hint="move it away, or use --dir")
    python, options, _, start = reexec.command([])
    text = f"#!{python} {options}\n{_MARK}\n{start.replace(';', chr(10))}\n"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        documents.write_bytes(path, text.encode())
        os.chmod(path, 0o755)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}", hint="use --dir") from None
    return Shim(path)


def remove(name: str, place: str = "") -> str:
    """Take the command `name` away; its path.  Raises NotFound, Conflict."""
    path = _path(name, place)
    if not os.path.lexists(path):
        raise NotFound(f"there is no {path}")
    if not _is_ours(path):
        raise Conflict(f"{path} is not rootless', and stays")
    os.unlink(path)
    return path
