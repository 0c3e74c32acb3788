"""`--systemd`: what an init that is systemd finds in a container (podman-run(1)).

Source: systemd's "Container Interface", https://systemd.io/CONTAINER_INTERFACE.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.spec.mounts import Binds
    from rootless.engine.spec.options import ContainerOptions

_INITS = ("/init", "/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init")
_MEMORY = {"/run": "mode=755", "/run/lock": "mode=755", "/tmp": "mode=1777",
           "/var/log/journal": "mode=755"}  # fmt: skip
STOP_SIGNAL = "SIGRTMIN+3"


def wanted(options: ContainerOptions, arguments: list[str]) -> bool:
    """Whether the command is to find what systemd wants.  Raises UsageError."""
    mode = options.systemd or "false"
    if mode not in ("true", "false", "always"):
        raise UsageError(f'unknown --systemd "{mode}"', hint="true, false or always")
    if mode != "true":
        return mode == "always"
    program = arguments[0] if arguments else ""
    return program in _INITS or program.rpartition("/")[2] == "systemd"


def mount(binds: Binds) -> None:
    """File systems in memory, where nothing else was asked for."""
    taken = {one["destination"] for one in binds.mounts}
    count = len(binds.mounts)
    for target, mode in _MEMORY.items():
        if target not in taken:
            binds.tmpfs(target, [mode, "exec"] if target == "/run" else [mode])
    # what was asked for below them is mounted there
    binds.mounts[:] = [*binds.mounts[count:], *binds.mounts[:count]]


def writable_cgroup(mounts: list[Json]) -> None:
    """systemd makes groups below the container's own one."""
    for one in mounts:
        if one["destination"] == "/sys/fs/cgroup":
            one["options"] = ["rw" if word == "ro" else word for word in one["options"]]
