"""One cgroup of version 2, by its path: limits, freezing, killing, removal.

Nothing inside a container can change what these paths lead to: cgroupfs has no symbolic links and
no renaming, and a container sees its own part alone, read-only unless it is asked for.
Source: kernel documentation, Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os

from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.limits import Resources

ROOT = "/sys/fs/cgroup"
SUPERVISOR, CONTAINER = "sup", "ctr"
_UNITS = (".scope", ".service", ".slice")  # of systemd; what we make ourselves has other names


def of_process(pid: int | str = "self") -> str:
    """Return the directory of a process's cgroup; empty where version 2 is not mounted alone."""
    if not os.path.exists(ROOT + "/cgroup.controllers"):
        return ""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                if line.startswith("0::"):
                    return ROOT + line[3:].rstrip("\n").rstrip("/")
    except OSError:
        pass
    return ""


def put(path: str, text: str) -> None:
    """Write a file of a cgroup.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def get(path: str) -> str:
    """Read a file of a cgroup; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def controllers(path: str) -> set[str]:
    """Return the controllers that this cgroup may use."""
    return set(get(path + "/cgroup.controllers").split())


def divide(scope: str, *pids: int) -> str:
    """Make SCOPE/sup for the monitor, which is moved there, and SCOPE/ctr for the container.

    A process in SCOPE itself would keep controllers from being enabled, so the monitor moves first.
    Raises OSError.
    """
    for name in (SUPERVISOR, CONTAINER):
        try:
            os.mkdir(f"{scope}/{name}")
        except FileExistsError:
            pass
    for pid in pids:
        put(f"{scope}/{SUPERVISOR}/cgroup.procs", str(pid))
    enable(scope, controllers(scope))
    return f"{scope}/{CONTAINER}"


def enable(path: str, names: set[str]) -> set[str]:
    """Give children these controllers; returns those that could not be given.

    Each write makes the kernel wait for all processors, so there is one for all of them.  A single
    controller that cannot be given fails the whole: then each is tried.
    """
    file = path + "/cgroup.subtree_control"
    wanted = sorted(names - set(get(file).split()))
    if not wanted:
        return set()
    try:
        put(file, " ".join("+" + name for name in wanted))
        return set()
    except OSError:
        missing = set()
    for name in wanted:
        try:
            put(file, "+" + name)
        except OSError:
            missing.add(name)
    return missing


def apply(path: str, resources: Resources) -> None:
    """Write limits.  Raises HostError that names the file, the value and the reason."""
    from rootless.cgroups import limits

    for name, value in limits.files(resources):
        try:
            put(f"{path}/{name}", value)
        except OSError as error:
            if name == "io.weight" and _bfq(path, value):
                continue
            if name.endswith(".rsvd.max") and isinstance(error, FileNotFoundError):
                continue  # before Linux 5.7; the limit of pages in use holds by itself
            missing = isinstance(error, FileNotFoundError | PermissionError)
            reason = "this cgroup has no such file" if missing else (error.strerror or "").lower()
            hint = "see rootless doctor, line cgroups"
            if isinstance(error, FileNotFoundError) and name == "memory.swap.max":
                hint = "the kernel does not account for swap: boot it with swapaccount=1"
            if isinstance(error, FileNotFoundError) and name == "io.weight":
                hint = "the disk's scheduler knows no weights; --device-read-bps and the like work"
            raise HostError(
                f"the limit {name}={value} cannot be applied: {reason}", hint=hint
            ) from None


def _bfq(path: str, value: str) -> bool:
    # the bfq scheduler has a file of its own, with weights up to 1000
    device, _, weight = value.partition(" ")
    try:
        put(f"{path}/io.bfq.weight", f"{device} {max(1, min(1000, int(weight) // 10))}")
    except (OSError, ValueError):
        return False
    return True


def freeze(path: str, on: bool) -> None:
    """Pause or thaw everything in the cgroup.  Raises OSError."""
    put(path + "/cgroup.freeze", "1" if on else "0")


def kill(path: str) -> bool:
    """Kill everything in the cgroup at once; False where the kernel cannot (before 5.14)."""
    try:
        put(path + "/cgroup.kill", "1")
    except OSError:
        return False
    return True


def remove(path: str) -> None:
    """Remove a container's cgroup, and the supervisor's and the scope's directory if we made them.

    A unit's own directory is left to systemd, although we may remove it: systemd reads
    cgroup.events there when it hears that something changed, and where it is gone already it
    takes the unit to run for ever.
    """
    _prune(path)
    scope = os.path.dirname(path)
    for one in (f"{scope}/{SUPERVISOR}", scope):
        if one.endswith(_UNITS):
            return
        try:
            os.rmdir(one)
        except OSError:
            return


def _prune(path: str) -> None:
    # a container that was given its cgroup to write may have made others below; depth first
    for directory, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(directory)
        except OSError:
            pass
