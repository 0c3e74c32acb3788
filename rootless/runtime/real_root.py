"""Containers of the host's own root without a user namespace: what would reach the host is refused.

In a user namespace the kernel itself keeps a container from settings that are not its namespaces'
and from making device nodes.  Real root has no such wall, so a configuration is held to what it
says, or refused by its JSON path.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

# what a namespace has of its own.  Source: namespaces(7), ipc_namespaces(7); the kernel's
# Documentation/admin-guide/sysctl
_IPC = frozenset(
    "auto_msgmni msg_next_id msgmax msgmnb msgmni sem sem_next_id shm_next_id shm_rmid_forced "
    "shmall shmmax shmmni".split()
)
_UTS = frozenset(("domainname", "hostname"))


def is_host_root() -> bool:
    """Whether this process is root of the host, and not of a user namespace."""
    if os.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map", "rb", buffering=0) as file:
            return file.read(256).split() == [b"0", b"0", b"4294967295"]
    except OSError:
        return True  # a kernel without such namespaces


def refuse_sysctls(linux: Json) -> None:
    """Raises UsageError for a setting that would be the host's."""
    for key in linux.get("sysctl") or {}:
        kind = _namespace_of(key)
        if not kind:
            raise UsageError(
                f"linux.sysctl.{key}: no namespace has it of its own, so it would be set for the "
                "whole host",
                hint="set it there with sysctl(8)",
            )
        if not any(one["type"] == kind and _differs(one, kind) for one in linux["namespaces"]):
            raise UsageError(
                f"linux.sysctl.{key}: without a namespace of the container's own it would be set "
                "for the host",
                hint=f'add {{"type": "{kind}"}} to linux.namespaces',
            )


def _namespace_of(key: str) -> str:
    """The type of namespace that a setting belongs to, "" for none."""
    from rootless.runtime import launch_plan

    first, *rest = launch_plan.sysctl_path(key).split("/")
    if ".." in rest:
        return ""  # it would lead to another one's file
    if first == "net":
        return "network"
    if first == "fs" and rest[:1] == ["mqueue"]:
        return "ipc"
    if first == "kernel" and len(rest) == 1:
        return "ipc" if rest[0] in _IPC else "uts" if rest[0] in _UTS else ""
    return ""


def _differs(namespace: Json, kind: str) -> bool:
    """Whether it is not the runtime's own, which can be named by a path as well."""
    if not namespace.get("path"):
        return True
    name = {"network": "net"}.get(kind, kind)
    try:
        return not os.path.samestat(os.stat(namespace["path"]), os.stat(f"/proc/self/ns/{name}"))
    except OSError:
        return False
