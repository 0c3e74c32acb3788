"""`stats`: what containers use, again and again."""

from __future__ import annotations

import os
import time

from rootless.cgroups import statistics
from rootless.engine.containers import top as container_top
from rootless.errors import Conflict
from rootless.network.backends import registry as networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rootless.cgroups.statistics import Figures
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef


def look(container: ContainerRef) -> Figures:
    """What it uses now.  Raises Conflict when it does not run."""
    state = container.state()
    if not state.alive:
        raise Conflict(f"the container {container.name} is not running")
    path = container.cgroup()
    if path and os.path.isdir(path):
        found = statistics.of_cgroup(path)
        if found.memory is not None and found.pids is not None:
            return found
        # a controller that is not delegated counts nothing: the processes themselves tell
        rest = statistics.of_processes(container_top.pids(state.pid))
        found.memory = rest.memory if found.memory is None else found.memory
        found.pids = rest.pids if found.pids is None else found.pids
        found.source = "cgroup and proc"
        return found
    return statistics.of_processes(container_top.pids(state.pid))


def stats(containers: Sequence[ContainerRef], seconds: float = 1.0) -> Iterator[list[Json]]:
    """One list of figures after another, `seconds` apart; each container's row is a table.

    Keys: ID, Name, CPU (percent of one processor since the last look), Memory, MemoryLimit,
    NetInput, NetOutput, BlockInput, BlockOutput (bytes), PIDs, PidsLimit, Pressure (percent of ten
    seconds by kind), Source, CPUSeconds (so far), Seconds (since its start).  Containers that end
    disappear.
    """
    before = {one.id: (_try(one), time.monotonic()) for one in containers}
    while True:
        time.sleep(seconds)
        rows = []
        for one in containers:
            now, at = _try(one), time.monotonic()
            earlier, then = before[one.id]
            before[one.id] = now, at
            if now is not None:
                used = now.cpu - (earlier.cpu if earlier is not None else now.cpu)
                rows.append(_row(one, now, 100 * used / max(1.0, (at - then) * 1e6)))
        yield rows


def _try(container: ContainerRef) -> Figures | None:
    try:
        return look(container)
    except (Conflict, OSError):
        return None


def network(container: ContainerRef) -> tuple[int, int] | None:
    """Bytes received and sent by its own network; None where it has none of its own."""
    if not networks.recorded(container.record).backend.counts:
        return None
    return statistics.network(container.state().pid)


def _row(container: ContainerRef, found: Figures, share: float) -> Json:
    received, sent = network(container) or (0, 0)
    return {
        "ID": container.id,
        "Name": container.name,
        "CPU": round(max(0.0, share), 2),
        "Memory": found.memory or 0,
        "MemoryLimit": found.memory_limit or _memory_of_host(),
        "NetInput": received,
        "NetOutput": sent,
        "BlockInput": found.read or 0,
        "BlockOutput": found.written or 0,
        "PIDs": found.pids or 0,
        "PidsLimit": found.pids_limit or 0,
        "Pressure": found.pressure,
        "Source": found.source,
        "CPUSeconds": found.cpu / 1e6,
        "Seconds": max(0.0, time.time() - container.state().started / 1e9),
    }


def _memory_of_host() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
