"""What the options of a build say of every RUN: limits, host directories, devices.

Scope: refused before anything is built where this host cannot have it.  None of it is in a cache
key: it is about this host, and not about what a step does.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.engine.spec.mounts import Binds
    from rootless.engine.spec.options import ContainerOptions

_LIMITS = ("memory", "memory_swap", "cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus",
           "cpuset_mems")  # fmt: skip


class Limits:
    """A cgroup of its own for each step, where any limit or a parent was asked for."""

    def __init__(self, engine: Collections, options: ContainerOptions) -> None:
        """Raises UsageError for what cannot be meant, HostError for what cannot be had."""
        given = {name: getattr(options, name) for name in _LIMITS}
        self.wanted = bool(options.cgroup_parent) or any(
            value not in (None, "") for value in given.values()
        )
        if not self.wanted:
            return
        from rootless.cgroups import limits

        self._resources = limits.parse(**given)
        self._parent = options.cgroup_parent or ""
        self._manager = engine.context.cgroups()
        self._manager.check(self._resources, self._parent)

    def place(self, pid: int, made: list[str]) -> str:
        """Put a step's helper into a cgroup of its own; the path for the step, noted in `made`."""
        identity = os.urandom(32).hex()
        path = self._manager.attach(pid, identity, self._resources, parent=self._parent)
        made.append(path)
        return path


def removed(paths: list[str]) -> None:
    """Remove cgroups whose steps have ended."""
    from rootless.cgroups import tree

    for path in paths:
        if path:
            tree.remove(path)


def check(engine: Collections, options: ContainerOptions) -> None:
    """Refuse now what no step could have.  Raises UsageError, HostError."""
    Limits(engine, options)
    for word in options.volume:
        _parts(word)
    if options.device:
        from rootless.engine.spec import devices

        devices.mounts(list(options.device), False)


def binds(
    engine: Collections, options: ContainerOptions, directory: str, owner: tuple[int, int]
) -> Binds:
    """The directories and devices of the host that a step sees.  `directory` is the step's."""
    from rootless.engine.spec import devices, mounts

    made = mounts.Binds(engine.volumes.store, directory, owner)
    for word in options.volume:
        source, target, flags = _parts(word)
        made.add(source, target, flags)
    found: list[Json] = devices.mounts(list(options.device), False) if options.device else []
    made.mounts += found
    return made


def _parts(word: str) -> tuple[str, str, list[str]]:
    """HOST:CONTAINER[:OPTIONS].  Raises UsageError."""
    parts = word.split(":")
    if len(parts) not in (2, 3) or not parts[0].startswith(("/", ".", "~")):
        raise UsageError(
            f'--volume "{word}" is not offered by build',
            hint="/on/the/host:/in/the/step[:ro]; what is to last is RUN --mount=type=cache",
        )
    if not os.path.exists(os.path.expanduser(parts[0])):
        raise UsageError(f"--volume: there is no {parts[0]} on this host")
    options = [one for one in "".join(parts[2:]).split(",") if one]
    if "U" in options:
        raise UsageError(
            f'--volume "{word}": a step does not take directories of the host for its own',
            hint="without U; or chown it before: rootless unshare chown",
        )
    return parts[0], parts[1], options
