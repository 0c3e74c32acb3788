"""Managers, which apply limits: the user's systemd, a delegated cgroup v2 tree, or none."""

from __future__ import annotations

import os

from rootless.cgroups import tree
from rootless.documents import DirectoryLock
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.limits import Resources

DROP_IN = "/etc/systemd/system/user@.service.d/delegate.conf"
_DELEGATE = (
    f"as root: mkdir -p {DROP_IN.rpartition('/')[0]} && "
    f"printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' >{DROP_IN} && "
    "systemctl daemon-reload"
)
REMEDY = f"log in through systemd with cgroup v2; {_DELEGATE}"
_LEAF = "rootless-others"  # where a delegated tree's own processes go


def remedy() -> str:
    """Return what an administrator can do to have limits."""
    return REMEDY


class Manager:
    """No cgroups: containers run without limits, and a limit asked for is an error."""

    kind = "none"

    def __init__(self, why: str) -> None:
        self.why = why

    def controllers(self) -> set[str]:
        """Return names of the controllers that this manager can use."""
        return set()

    def check(self, resources: Resources, parent: str = "") -> None:
        """Raise HostError if an explicit limit cannot be applied, UsageError for the parent."""
        if resources.any():
            raise HostError(f"limits cannot be applied on this host: {self.why}", hint=REMEDY)
        if parent:
            raise HostError(f"--cgroup-parent {parent} cannot be had: {self.why}", hint=REMEDY)

    def attach(
        self,
        pid: int,
        identifier: str,
        resources: Resources,
        *,
        parent: str = "",
        name: str = "",
        unit: str = "",
    ) -> str:
        """Put the monitor into a cgroup of its own; the path for the container, here none.

        Raises HostError.
        """
        return ""

    def update(self, path: str, resources: Resources) -> None:
        """Change the limits of a container that has the cgroup at `path`.  Raises HostError."""
        tree.apply(path, resources)

    def repeat(
        self,
        path: str,
        name: str,
        description: str,
        seconds: float,
        command: list[str],
        environment: list[str],
    ) -> bool:
        """Have a command run every so many `seconds` while the container with this cgroup runs.

        `environment` as NAME=VALUE.  False if this manager cannot.
        """
        return False

    def repeat_no_more(self, path: str, name: str) -> None:
        """Stop what `repeat` started."""

    def _refuse(self, missing: set[str], where: str) -> None:
        if missing:
            names = " and ".join(sorted(missing))
            plural = "s" if len(missing) > 1 else ""
            verb = "are" if len(missing) > 1 else "is"
            raise HostError(
                f"the cgroup controller{plural} {names} {verb} not delegated to {where}",
                hint=f"{_DELEGATE}; then log in again",
            )


class Delegated(Manager):
    """A writable sub-tree of cgroup v2, as a CI job, a Slurm step or `systemd-run` gives it."""

    kind = "cgroupfs"

    def __init__(self, base: str, why: str, mode: str = "") -> None:
        super().__init__(why)
        self.base = base
        self.mode = mode

    def controllers(self) -> set[str]:
        """See the base class."""
        return tree.controllers(self.base)

    def check(self, resources: Resources, parent: str = "") -> None:
        """Raise HostError naming the controller that is not delegated, UsageError."""
        self._refuse(resources.controllers() - self.controllers(), self.base)
        if parent.endswith(".slice"):
            raise UsageError(
                f"--cgroup-parent {parent} is a slice of systemd",
                hint="with the cgroup manager cgroupfs it is a directory, as in ci/jobs",
            )
        if parent and ".." in parent.split("/"):
            raise UsageError(f"--cgroup-parent {parent} leads out of {self.base}")

    def attach(
        self,
        pid: int,
        identifier: str,
        resources: Resources,
        *,
        parent: str = "",
        name: str = "",
        unit: str = "",
    ) -> str:
        """Make BASE/rootless-ID/{sup,ctr}; the monitor goes to sup, the container to ctr.

        With `--cgroups split` the unit that we run in is divided itself, with us in `sup`.
        """
        above = self.base
        try:
            if self.mode == "split":
                path = tree.divide(above, pid, os.getpid())
                tree.apply(path, resources)
                return path
            for step in ["", *parent.strip("/").split("/")]:
                if step:
                    above = f"{above}/{step}"
                    os.makedirs(above, exist_ok=True)
                if resources.any():
                    self._enable(above, resources.controllers())
                    # the others cost nothing now, and stats are exact with them
                    tree.enable(above, tree.controllers(above))
            scope = f"{above}/rootless-{identifier[:12]}"
            with DirectoryLock(above, blocking=True):
                _sweep(above)
                os.makedirs(scope, exist_ok=True)
                path = tree.divide(scope, *([] if self.mode == "no-conmon" else [pid]))
        except OSError as error:
            raise HostError(
                f"the cgroup below {above} cannot be made: {error.strerror}", hint=REMEDY
            ) from None
        tree.apply(path, resources)
        return path

    def _enable(self, path: str, wanted: set[str]) -> None:
        if wanted <= set(tree.get(path + "/cgroup.subtree_control").split()):
            return
        # a cgroup with processes of its own gives no controller to its children: they move aside,
        # as every engine in a delegated tree does; they stay within the limits of the same tree.
        # First of all, because some controllers could be given all the same, and then no process
        # may enter a child (cgroups(7), "domain invalid")
        leaf = f"{path}/{_LEAF}"
        os.makedirs(leaf, exist_ok=True)
        for pid in tree.get(path + "/cgroup.procs").split():
            try:
                tree.put(leaf + "/cgroup.procs", pid)
            except OSError:
                continue
        self._refuse(tree.enable(path, wanted), path)


def _sweep(above: str) -> None:
    """Remove cgroups of containers that ended with no process to clean up (`-d --rm`, kill -9)."""
    for name in os.listdir(above):
        scope = f"{above}/{name}"
        if (
            name.startswith("rootless-")
            and name != _LEAF
            and "populated 0" in tree.get(scope + "/cgroup.events")
        ):
            tree.remove(f"{scope}/{tree.CONTAINER}")


def delegated() -> tuple[str, str]:
    """Return the directory of a delegated tree, or empty and why there is none."""
    own = tree.of_process()
    if not own:
        return "", "there is no cgroup v2 hierarchy with controllers"
    if os.path.basename(own) == _LEAF:
        own = os.path.dirname(own)
    above = os.path.dirname(own)
    if os.path.basename(own) == tree.SUPERVISOR and os.path.basename(above).startswith("rootless-"):
        # a container's monitor, or what it starts: the tree is the one that the container is in
        own = os.path.dirname(above)
    if not os.access(own, os.W_OK) or not os.access(own + "/cgroup.procs", os.W_OK):
        return "", f"the cgroup {own} is not delegated to this user"
    return own, f"{own} is delegated to this user"
