"""`pause` and `unpause`: freeze all processes of a container, and thaw them."""

from __future__ import annotations

from rootless.errors import Conflict, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef


def freeze(container: ContainerRef, on: bool) -> None:
    """Freeze or thaw it.  Raises Conflict, HostError where there is no cgroup to do it."""
    if not container.state().alive:
        raise Conflict(f"the container {container.name} is not running")
    path = container.cgroup()
    if not path:
        verb = "paused" if on else "unpaused"
        raise HostError(
            f"the container {container.name} cannot be {verb}: it has no cgroup",
            hint="pausing needs a delegated cgroup v2; see rootless doctor, line cgroups",
        )
    from rootless.cgroups import tree

    tree.freeze(path, on)
    container.emit("pause" if on else "unpause")
