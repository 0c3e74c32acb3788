"""`rm`: the end of a container and of all that is its own."""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.containers import gc as container_gc
from rootless.engine.containers import names as container_names
from rootless.errors import Conflict
from rootless.storage.trees import remove as trees_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State
    from rootless.engine.containers.stores import Stores


def remove(
    container: ContainerRef,
    stores: Stores,
    *,
    force: bool = False,
    volumes: bool = False,
    timeout: int | None = None,
) -> None:
    """See Container.remove."""
    with container.lock():
        found = container.look()
        monitor = found.monitor or container.listener()
        if found.alive or monitor:
            if not force:
                raise Conflict(
                    f"the container {container.name} is running",
                    hint=f"stop it first, or: rootless rm -f {container.name}",
                )
            if found.damage is None and (found.alive or found.monitor):
                from rootless.engine.containers import stop as container_stop

                container_stop.stop(container, timeout or 0)
            else:
                from rootless.engine.containers import monitor as container_monitor

                container_monitor.end(found, monitor)
        if found.lost:
            # its monitor could not report it any more
            container.emit("die", exitCode=str(found.exit_code))
        _end_leftovers(found)
        cgroup = container.cgroup()
        if not os.path.isdir(container.directory):
            return
        maps = container.storage_maps()
        held = _hold(container.directory)
        # From here on it is garbage, which the next command collects if this one is killed: one
        # that had lost no more than its name could never be named again.
        try:
            os.unlink(os.path.join(container.directory, "container.json"))
        except FileNotFoundError:
            pass
        container_names.release(container.ctx.containers_dir, container.name, container.id)
        trees_remove.remove(container.directory, maps)
        if held is not None:
            held.close()
    container.emit("remove")
    container_gc.remove_sockets(container.id)
    if cgroup:
        from rootless.cgroups import tree

        tree.remove(cgroup)
    if volumes or container.record["remove"]:
        # --volumes-from may have given one to another container
        anonymous = container.record["anonymous"]
        used = stores.volumes.users() if anonymous else {}
        for name in [one for one in anonymous if one not in used]:
            stores.volumes.store.remove_quietly(name)
            stores.volumes.event("remove", name)


def _end_leftovers(found: State) -> None:
    """After a monitor's violent death a sidecar may still be there; servers die with it."""
    from rootless.engine.common import signals

    if found.sidecar and found.sidecar_start:
        # by its start time: a pid alone may be another's by now
        signals.send(found.sidecar, found.sidecar_start, 15)


def _hold(directory: str) -> documents.DirectoryLock | None:
    """Keep those who collect garbage from a container that is being removed.

    None when its maker has it still, who may be ourselves; one who only looks has it for a moment.
    """
    for _ in range(20):
        try:
            return documents.DirectoryLock(directory)
        except BlockingIOError:
            time.sleep(0.005)
        except OSError:
            break
    return None
