"""Nodes of `linux.devices`: which of the host's is meant, and how it differs from what was asked.

A user namespace makes no nodes, so the host's are bound.  Their mode and owner are the host's and
stay as they are; what of `fileMode`, `uid` and `gid` that leaves undone is told.
Source: runtime-spec config-linux.md, "Devices".
"""

from __future__ import annotations

import os
import stat

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_OVERFLOW = {"uid": 65534, "gid": 65534}
"""What an id that is not mapped looks like.  Source: user_namespaces(7), /proc/sys/kernel."""


def found(device: Json, number: int, linux: Json) -> tuple[Json, list[str]]:
    """The device with `source`, the host's node for it; and what of it is not as asked.

    The host's node that has the numbers is taken, under whatever name the container wants it.
    Raises UsageError when there is none.
    """
    if device["type"] == "p":
        return device, []
    numbers = (device.get("major"), device.get("minor"))
    if None in numbers:
        name = "major" if numbers[0] is None else "minor"
        raise UsageError(f"linux.devices[{number}].{name}: is missing")
    kind = device["type"]
    is_kind, where = (stat.S_ISBLK, "block") if kind == "b" else (stat.S_ISCHR, "char")
    candidates = [device["path"]]
    try:
        with open(f"/sys/dev/{where}/{numbers[0]}:{numbers[1]}/uevent", encoding="utf-8") as file:
            candidates += ["/dev/" + line[8:].strip() for line in file if line[:8] == "DEVNAME="]
    except (OSError, ValueError):
        pass
    for path in candidates:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if is_kind(status.st_mode) and (
            os.major(status.st_rdev), os.minor(status.st_rdev)
        ) == numbers:  # fmt: skip
            return {**device, "source": path}, _differences(device, number, path, status, linux)
    raise UsageError(
        f"linux.devices[{number}]: {device['path']}: this host has no node of the device "
        f"{kind} {numbers[0]}:{numbers[1]}"
    )


def _differences(
    device: Json, number: int, path: str, status: os.stat_result, linux: Json
) -> list[str]:
    """A sentence for each value that somebody inside would notice when opening the node.

    Engines write mode and owner of every device.  Whose node it is matters only where its owner or
    its group may do other things with it than everybody.
    """
    told: list[str] = []
    mode = stat.S_IMODE(status.st_mode)
    asked = stat.S_IMODE(mode if device.get("fileMode") is None else device["fileMode"])
    end = f"the host's {path} is bound, which has"
    if asked != mode:
        where = f"linux.devices[{number}].fileMode"
        told.append(f"{where}: {asked:04o} cannot be had: {end} {mode:04o}")
    for name, owner, shift in (("uid", status.st_uid, 6), ("gid", status.st_gid, 3)):
        wanted = device.get(name)
        same_for_all = all(one >> shift & 7 == one & 7 for one in (mode, asked))
        if wanted is None or same_for_all:
            continue
        given = _shown(owner, name, linux)
        if wanted != given:
            told.append(f"linux.devices[{number}].{name}: {wanted} cannot be had: {end} {given}")
    return told


def _shown(owner: int, name: str, linux: Json) -> int:
    """What an id of the caller's namespace is in the container's."""
    spaces = [one for one in linux["namespaces"] if one["type"] == "user"]
    if not spaces:
        return owner
    if spaces[0].get("path"):
        extents = map_of(spaces[0]["path"], name)
    else:
        extents = [
            (one["containerID"], one["hostID"], one["size"])
            for one in linux.get(f"{name}Mappings") or ()
        ]
    for inside, outside, size in extents:
        if outside <= owner < outside + size:
            return int(inside + owner - outside)
    return _OVERFLOW[name]


def map_of(namespace: str, name: str) -> list[tuple[int, int, int]]:
    """The map of a namespace that is joined; empty when it is not some process' /proc/PID/ns/user.

    /proc shows a map as the reader's own namespace counts.
    """
    try:
        with open(f"{namespace.removesuffix('/ns/user')}/{name}_map", encoding="ascii") as file:
            rows = [tuple(map(int, line.split())) for line in file]
    except (OSError, ValueError):
        return []
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]
