"""`rm`: the end of a container and of all that is its own."""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.containers import owned
from rootless.errors import InUse

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
                raise InUse(
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
        if not os.path.isdir(container.directory):
            return
        own = owned.of(container)
        held = _hold(container.directory)
        # From here on it is garbage, which the next command collects if this one is killed: one
        # that had lost no more than its name could never be named again.
        try:
            os.unlink(os.path.join(container.directory, "container.json"))
        except FileNotFoundError:
            pass
        own.release(container.ctx)
        if held is not None:
            held.close()
    container.emit("remove")
    if volumes or container.record["remove"]:
        owned.release_volumes(container, stores)


def _end_leftovers(found: State) -> None:
    """After a monitor's violent death a sidecar may still be there; servers die with it."""
    from rootless.engine.common import signals

    for pid, start in ((found.sidecar, found.sidecar_start), (found.ports, found.ports_start)):
        if pid and start:
            # by its start time: a pid alone may be another's by now
            signals.send(pid, start, 15)


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
