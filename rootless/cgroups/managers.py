"""Who applies limits: a delegated cgroup v2 tree, or nobody."""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.limits import Resources

_REMEDY = (
    "log in through systemd with cgroup v2; as root: write [Service] Delegate=cpu cpuset io memory "
    "pids to /etc/systemd/system/user@.service.d/delegate.conf, then systemctl daemon-reload"
)


def remedy() -> str:
    """What an administrator can do."""
    return _REMEDY


class Manager:
    """No cgroups: containers run without limits, and a limit asked for is an error."""

    kind = "none"

    def __init__(self, why: str) -> None:
        self.why = why

    def controllers(self) -> set[str]:
        """Names of the controllers that this manager can use."""
        return set()

    def check(self, resources: Resources) -> None:
        """Raises HostError when an explicit limit cannot be applied."""
        if resources.any():
            raise HostError(f"limits cannot be applied on this host: {self.why}", hint=_REMEDY)

    def attach(self, pid: int, identifier: str, resources: Resources) -> str:
        """Put the process into a cgroup of its own; the path for the container, here none."""
        return ""

    def freeze(self, path: str, on: bool) -> None:
        """Pause or thaw everything in the cgroup."""
        with open(os.path.join(path, "cgroup.freeze"), "w", encoding="ascii") as file:
            file.write("1" if on else "0")

    def remove(self, path: str) -> None:
        """Remove an empty cgroup and the scope's directory above it."""
        for one in (path, os.path.join(os.path.dirname(path), "sup"), os.path.dirname(path)):
            try:
                os.rmdir(one)
            except OSError:
                return


class Delegated(Manager):
    """A writable sub-tree of cgroup v2, as a CI job, a Slurm step or `systemd-run` gives it."""

    kind = "cgroupfs"

    def __init__(self, base: str, why: str) -> None:
        super().__init__(why)
        self.base = base

    def controllers(self) -> set[str]:
        """As the base class says."""
        try:
            with open(os.path.join(self.base, "cgroup.controllers"), encoding="ascii") as file:
                return set(file.read().split())
        except OSError:
            return set()

    def check(self, resources: Resources) -> None:
        """Raises HostError naming the controller that is not delegated."""
        wanted = {
            "memory": resources.memory is not None,
            "cpu": resources.cpu_quota is not None,
            "cpuset": bool(resources.cpuset),
            "pids": resources.pids is not None,
        }
        for name, asked in wanted.items():
            if asked and name not in self.controllers():
                raise HostError(
                    f"the cgroup controller {name} is not delegated in {self.base}", hint=_REMEDY
                )

    def attach(self, pid: int, identifier: str, resources: Resources) -> str:
        """Make BASE/rootless-ID/{sup,ctr}; the monitor goes to sup, the container to ctr."""
        scope = os.path.join(self.base, f"rootless-{identifier[:12]}")
        for path in (scope, scope + "/sup", scope + "/ctr"):
            os.makedirs(path, exist_ok=True)
        _write(scope + "/sup/cgroup.procs", str(pid))
        for controller in sorted(self.controllers()):
            # one at a time: a single one that is missing would fail the whole write
            try:
                _write(scope + "/cgroup.subtree_control", "+" + controller)
            except OSError:
                continue
        self._apply(scope + "/ctr", resources)
        return scope + "/ctr"

    def _apply(self, path: str, resources: Resources) -> None:
        values = {
            "memory.max": resources.memory,
            "memory.swap.max": None
            if resources.swap is None or resources.memory is None
            else ("max" if resources.swap == -1 else resources.swap - resources.memory),
            "cpu.max": f"{resources.cpu_quota} 100000" if resources.cpu_quota else None,
            "cpuset.cpus": resources.cpuset or None,
            "pids.max": None
            if resources.pids is None
            else ("max" if resources.pids < 0 else resources.pids),
        }
        for name, value in values.items():
            if value is not None:
                try:
                    _write(f"{path}/{name}", str(value))
                except OSError as error:
                    raise HostError(
                        f"the limit {name}={value} cannot be applied: {error.strerror}",
                        hint=_REMEDY,
                    ) from None


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _own() -> str:
    """The directory of our cgroup v2, empty where version 2 is not mounted alone."""
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return ""
    with open("/proc/self/cgroup", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("0::"):
                return "/sys/fs/cgroup" + line[3:].strip().rstrip("/")
    return ""


def choose(requested: str | None) -> Manager:
    """See rootless.cgroups.choose."""
    if requested not in (None, "", "systemd", "cgroupfs", "disabled", "none"):
        raise UsageError(
            f'unknown cgroup manager "{requested}"', hint="systemd, cgroupfs or disabled"
        )
    if requested in ("disabled", "none"):
        return Manager("cgroups were disabled by --cgroup-manager")
    own = _own()
    if not own:
        manager = Manager("there is no cgroup v2 hierarchy with controllers")
    elif not os.access(own, os.W_OK) or not os.access(own + "/cgroup.procs", os.W_OK):
        manager = Manager(f"the cgroup {own} is not delegated to this user")
    else:
        manager = Delegated(own, f"{own} is delegated to this user")
    if requested and manager.kind != requested:
        raise HostError(
            f"the cgroup manager {requested} cannot be had: {manager.why}", hint=_REMEDY
        )
    return manager
