"""`linux.resources` and `linux.cgroupsPath` of an OCI configuration.

Source: runtime-spec config-linux.md, "Control Groups"; runc's and crun's way to write systemd's
units as `slice:prefix:name`.
"""

from __future__ import annotations

import os

from rootless import cgroups
from rootless.cgroups import limits, managers, tree
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cgroups.managers import Manager
    from rootless.documents import Json

# what only version 1 had; refused by name
_OLD = {
    "memory": ("kernel", "kernelTCP", "swappiness", "disableOOMKiller"),
    "cpu": ("realtimeRuntime", "realtimePeriod"),
    "blockIO": ("leafWeight",),
}


def resources(table: Json) -> limits.Resources:
    """Return limits of a configuration.  Raises UsageError for what version 2 does not have.

    `devices` is for root of the host alone, and applied elsewhere: devices.py.
    """
    made = limits.Resources()
    table = table or {}
    for part, names in _OLD.items():
        for name in names:
            # 0 and false are what is so anyway
            if (table.get(part) or {}).get(name):
                raise UsageError(
                    f"linux.resources.{part}.{name}: cgroup version 2 does not have it"
                )
    memory, cpu = table.get("memory") or {}, table.get("cpu") or {}
    if memory.get("useHierarchy") is False:
        raise UsageError("linux.resources.memory.useHierarchy: in cgroup version 2 it is always so")
    made.memory, made.swap = memory.get("limit"), memory.get("swap")
    made.reservation = memory.get("reservation")
    made.cpu_quota, made.cpu_period = cpu.get("quota"), cpu.get("period")
    made.cpu_shares = cpu.get("shares")
    made.cpuset, made.mems = cpu.get("cpus") or "", cpu.get("mems") or ""
    if (table.get("pids") or {}).get("limit"):
        made.pids = table["pids"]["limit"]
    for name, file in (("burst", "cpu.max.burst"), ("idle", "cpu.idle")):
        if cpu.get(name) is not None:
            made.unified[file] = str(cpu[name])
    _block(made, table.get("blockIO") or {})
    for one in table.get("hugepageLimits") or ():
        # of reservations where the kernel counts them, and of pages in use
        for name in ("rsvd.max", "max"):
            made.unified[f"hugetlb.{one['pageSize']}.{name}"] = str(one["limit"])
    lines = []
    for device, one in (table.get("rdma") or {}).items():
        words = [f"hca_handle={one['hcaHandles']}"] if one.get("hcaHandles") is not None else []
        words += [f"hca_object={one['hcaObjects']}"] if one.get("hcaObjects") is not None else []
        lines.append(" ".join([device, *words]))
    if lines:
        made.unified["rdma.max"] = "\n".join(lines)
    for name, value in (table.get("unified") or {}).items():
        if "/" in name or "." not in name:
            raise UsageError(f'linux.resources.unified: "{name}" is not a file of a cgroup')
        made.unified[name] = value
    return made


def _block(made: limits.Resources, table: Json) -> None:
    made.io_weight = table.get("weight") or None
    for number, one in enumerate(table.get("weightDevice") or ()):
        if one.get("leafWeight"):
            raise UsageError(
                f"linux.resources.blockIO.weightDevice[{number}].leafWeight: cgroup version 2 does "
                "not have it"
            )
        if one.get("weight"):
            made.weights[f"{one['major']}:{one['minor']}"] = one["weight"]
    names = ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")
    for name, rate in zip(names, limits.RATES, strict=True):
        for one in table.get(f"throttle{name}Device") or ():
            device = f"{one['major']}:{one['minor']}"
            made.io.setdefault(device, {})[rate] = one["rate"]


def _asks(wanted: limits.Resources) -> bool:
    """Whether anything is asked for that is not so without a cgroup.

    containerd always writes 1024 shares, which is what everybody has.
    """
    table = wanted.as_dict()
    if table.get("cpu_shares") == 1024:
        del table["cpu_shares"]
    return bool(table)


def choose(requested: str | None, wanted: limits.Resources) -> Manager:
    """Return the manager asked for, or none if it cannot be had and no limit was asked for.

    Engines name a manager always, also where an unprivileged user has no cgroup to write to.
    """
    try:
        return cgroups.choose(requested)
    except HostError:
        if _asks(wanted):
            raise
        return managers.Manager("it was not to be had, and no limit was asked for")


def placing(
    manager: Manager, path: str, identifier: str, wanted: limits.Resources
) -> Callable[[int], str] | None:
    """Return a function that puts a process into the cgroup that `linux.cgroupsPath` names.

    Raises HostError when a limit cannot be applied, UsageError for a path that means nothing.
    """
    if manager.kind == "none":
        if _asks(wanted):
            manager.check(wanted)
        return None
    if manager.kind == "cgroupfs" and path:
        if ".." in path.split("/"):
            raise UsageError(f'linux.cgroupsPath: "{path}" leads out of the tree')
        return lambda pid: _make(path, pid, wanted)
    parent = unit = ""
    if manager.kind == "systemd" and path:
        parts = path.split(":")
        if len(parts) != 3:
            raise UsageError(
                f'linux.cgroupsPath: "{path}" is not slice:prefix:name',
                hint="that is how units of systemd are named; or --cgroup-manager cgroupfs",
            )
        parent = parts[0]
        unit = parts[2] if parts[2].endswith(".slice") else f"{parts[1]}-{parts[2]}.scope"
        # the system's slices are not the user's
        parent = "" if parent in ("system.slice", "machine.slice") else parent
    manager.check(wanted, parent)
    return lambda pid: manager.attach(pid, identifier, wanted, parent=parent, name=identifier,
                                      unit=unit)  # fmt: skip


def _make(path: str, pid: int, wanted: limits.Resources) -> str:
    """A cgroup at an exact place, with the controllers that it needs given to it from above."""
    steps = [step for step in path.split("/") if step]
    above = tree.ROOT if path.startswith("/") else tree.of_process()
    try:
        for step in steps:
            tree.enable(above, wanted.controllers())
            above = f"{above}/{step}"
            os.makedirs(above, exist_ok=True)
    except OSError as error:
        if wanted.any():
            raise HostError(
                f"the cgroup {above} cannot be made: {error.strerror}", hint=managers.remedy()
            ) from None
        return ""
    tree.apply(above, wanted)
    if not os.access(above + "/cgroup.procs", os.W_OK):
        return ""
    return above
