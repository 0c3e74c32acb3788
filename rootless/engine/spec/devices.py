"""`--device`: devices of the host in a container, as OCI mounts.

In a user namespace nobody may make a device node, so the host's is bound; its permissions on the
host, and nothing else, decide who may open it.  Sources: docker-run(1), podman-run(1), mknod(2).
"""

from __future__ import annotations

import os
import stat

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json

# what a container has of its own there, or what only the host's own sessions use
_OWN = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "core", "fd",
        "stdin", "stdout", "stderr", "pts", "shm", "mqueue", "hugepages"}  # fmt: skip


def mounts(words: list[str], privileged: bool) -> list[Json]:
    """The mounts of `--device` words, and with `privileged` of all devices that can be opened.

    Raises UsageError.
    """
    wanted: dict[str, str] = {}
    if privileged:
        wanted = {path: path for path in _below("/dev") if os.access(path, os.R_OK)}
    for word in words:
        source, target = _parse(word)
        try:
            mode = os.stat(source).st_mode
        except OSError as error:
            raise UsageError(
                f'--device "{word}": {source}: {(error.strerror or "").lower()}',
                hint="ls /dev shows the devices of this host",
            ) from None
        if stat.S_ISDIR(mode):
            # docker's rule: the devices of a directory, at the same places
            found = list(_below(source))
            if not found:
                raise UsageError(f'--device "{word}": there is no device in {source}')
            wanted |= {target + path[len(source) :]: path for path in found}
        elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            wanted[target] = source
        else:
            raise UsageError(f'--device "{word}": {source} is not a device', hint="for files: -v")
    return [
        {"type": "bind", "source": source, "destination": target, "options": ["bind"]}
        for target, source in wanted.items()
    ]


def _parse(word: str) -> tuple[str, str]:
    """`HOST[:CONTAINER][:PERMISSIONS]` -> (path on the host, path inside)."""
    parts = word.split(":")
    permissions = "rwm"
    if len(parts) > 1 and parts[-1] and set(parts[-1]) <= set("rwm"):
        permissions = parts.pop()
    if len(parts) > 2 or not all(part.startswith("/") for part in parts):
        raise UsageError(
            f'invalid --device "{word}"', hint="HOST[:CONTAINER][:rwm], as in /dev/fuse"
        )
    if not {"r", "w"} <= set(permissions):
        raise UsageError(
            f'--device "{word}": the permissions "{permissions}" cannot be enforced without root',
            hint="leave them out; the device's own permissions on the host hold",
        )
    return os.path.normpath(parts[0]), os.path.normpath(parts[-1])


def _below(directory: str) -> Iterator[str]:
    """Device nodes below a directory of /dev."""
    for entry in sorted(os.scandir(directory), key=lambda one: one.name):
        if directory == "/dev" and entry.name in _OWN:
            continue
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _below(entry.path)
            elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                yield entry.path
        except OSError:
            continue
