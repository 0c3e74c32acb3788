"""newuidmap and newgidmap: where they are, and whether they can work.

They need more rights than their caller: the setuid bit, or a file capability that their package
gives them; and nothing around this process may take these away.  See newuidmap(1),
capabilities(7), and no_new_privs in prctl(2).
"""

from __future__ import annotations

import os
import stat

from rootless.userns.subids import read, which

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Maps(Protocol):
        """What is asked of `idmap.IdMaps` here."""

        @property
        def single(self) -> bool:
            """Whether there is one id only."""


_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 6, 7, 21
_NOBODY = 65534  # the default of /proc/sys/kernel/overflowuid


def _status() -> dict[bytes, bytes]:
    fields = {}
    for line in read("/proc/self/status").split(b"\n"):
        name, _, value = line.partition(b":")
        fields[name] = value.strip()
    return fields


def privileged() -> bool:
    """Return whether this process may write any map itself, as root of this user namespace may."""
    if os.geteuid() != 0:
        return False
    effective = int(_status().get(b"CapEff", b"0"), 16)
    return all(effective >> bit & 1 for bit in (_CAP_SETUID, _CAP_SETGID))


def outer_ranges(kind: str) -> list[tuple[int, int]]:
    """Return ids (first, count) that exist in the user namespace of this process; `kind` uid or
    gid."""
    found = []
    for line in read(f"/proc/self/{kind}_map").split(b"\n"):
        fields = line.split()
        if len(fields) == 3:
            found.append((int(fields[0]), int(fields[2])))
    return found or [(0, (1 << 32) - 1)]


def paths() -> tuple[str, str]:
    """Return paths of newuidmap and newgidmap; "" for one that is not there."""
    return which("newuidmap"), which("newgidmap")


def needed(maps: Maps) -> tuple[str, str]:
    """Return paths of the two programs that must write `maps`; empty if the caller may write it
    itself."""
    if maps.single or privileged():
        return "", ""
    return paths()


def obstacle() -> str:
    """Return why newuidmap or newgidmap cannot work for this user, with the remedy; "" if they
    can."""
    status = _status()
    if status.get(b"NoNewPrivs", b"0") != b"0":
        return (
            "newuidmap gets no rights because no_new_privs is set for this process; "
            "start it without (docker: no security-opt no-new-privileges, systemd: "
            "NoNewPrivileges=no)"
        )
    bounding = int(status.get(b"CapBnd", b"ffffffffffffffff"), 16)
    names = ("newuidmap", _CAP_SETUID), ("newgidmap", _CAP_SETGID)
    for (name, bit), path in zip(names, paths(), strict=True):
        problem = _one(name, bit, path, bounding)
        if problem:
            return problem
    return ""


def _one(name: str, bit: int, path: str, bounding: int) -> str:
    if not path:
        return f"{name} is not installed; as root: apt-get install uidmap"
    try:
        found = os.stat(path)
        nosuid = os.statvfs(path).f_flag & os.ST_NOSUID
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    capability = _has_capability(path, bit)
    setuid = bool(found.st_mode & stat.S_ISUID) and found.st_uid == 0
    if not capability and found.st_mode & stat.S_ISUID and found.st_uid == _NOBODY:
        # user_namespaces(7): an owner who is not mapped looks like the overflow uid
        return (
            f"{path} has no rights in this user namespace, where it is not root's; "
            "start outside of the namespace, or with root mapped"
        )
    if not capability and not setuid:
        return f"{path} lost its setuid bit; as root: chmod u+s {path}"
    if nosuid:
        return f"{path} gets no rights because its file system is mounted nosuid"
    if not bounding >> bit & 1 or not (capability or bounding >> _CAP_SYS_ADMIN & 1):
        # a setuid program inside a container is root without the rights to write another's map;
        # with a file capability it stays the owner of the namespace and needs this one right only
        right = "setuid" if bit == _CAP_SETUID else "setgid"
        return (
            f"{path} cannot get the capability to map ids inside this container; "
            f"as its root: setcap cap_{right}+ep {path}"
        )
    return ""


def _has_capability(path: str, bit: int) -> bool:
    """Whether a file has a permitted and effective capability, from its attribute's bytes."""
    try:
        value = os.getxattr(path, "security.capability")
    except OSError:
        return False
    # struct vfs_cap_data: u32 magic with the flag "effective" lowest, then u32 permitted
    if len(value) < 8 or not value[0] & 1:
        return False
    return bool(int.from_bytes(value[4:8], "little") >> bit & 1)
