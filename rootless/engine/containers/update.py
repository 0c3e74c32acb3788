"""Limits of containers that exist, and what they use: `update` and `stats`."""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.errors import Conflict, HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.cgroups.managers import Manager
    from rootless.cgroups.statistics import Figures
    from rootless.documents import Json
    from rootless.engine.containers.container import Container


def update(container: Container, *, restart: str | None = None, **words: object) -> None:
    """Change limits, now if it runs and for every later start; `words` as those of `run`.

    Nothing is changed when a part of it cannot be.  Raises UsageError, HostError.
    """
    from rootless.cgroups import limits
    from rootless.engine.containers import bundle as container_bundle
    from rootless.engine.health import update as health_update

    checks = health_update.take(words)
    newer = limits.parse(**words)  # type: ignore[arg-type]
    if not newer.any() and restart is None and not checks:
        raise UsageError("there is nothing to update", hint="as in: rootless update -m 1g NAME")
    with container.lock():
        record = dict(container.record)
        if checks:
            record["health"] = health_update.changed(container, checks)
        older = limits.Resources.from_dict(record["cgroup"]["resources"])
        merged = older.merged(newer)
        if merged.swap is not None and merged.swap >= 0 and merged.swap < (merged.memory or 0):
            raise UsageError("--memory-swap is memory and swap together, so at least --memory")
        manager = _manager(container)
        manager.check(newer)
        if newer.any() and container.state().alive:
            path = container.cgroup()
            if not path:
                raise HostError(
                    f"the limits of {container.name} cannot be changed: it has no cgroup",
                    hint="it was started where none could be made; start it again",
                )
            newer.memory = newer.memory if newer.memory is not None else _for_swap(newer, merged)
            manager.update(path, newer)
        if restart is not None:
            policy = container_bundle.restart_policy(restart)
            record["restart"] = restart
            # a monitor that runs looks here first
            documents.write_bytes(
                os.path.join(container.directory, "restart"), "\n".join(policy).encode()
            )
        record["cgroup"] = {**record["cgroup"], "resources": merged.as_dict()}
        documents.write(os.path.join(container.directory, "container.json"), record)
        before, container.record = container.record, record
        if checks and container.state().alive:
            health_update.drive(container, manager, before.get("health"))


def _manager(container: Container) -> Manager:
    """Who changes its limits; for a unit's own cgroup that works from outside the unit as well."""
    path = container.cgroup()
    if container.record["cgroup"].get("mode") != "split" or not path:
        return container.manager()
    from rootless.cgroups import managers

    return managers.Delegated(os.path.dirname(path), "the unit of the container", "split")


def _for_swap(newer: object, merged: object) -> int | None:
    """The swap file counts swap alone, so the memory limit that stays is needed with it."""
    swap = getattr(newer, "swap", None)
    return getattr(merged, "memory", None) if swap is not None else None


def look(container: Container) -> Figures:
    """What it uses now.  Raises Conflict when it does not run."""
    from rootless.cgroups import statistics
    from rootless.engine.containers import top as container_top

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


def stats(containers: list[Container], seconds: float = 1.0) -> Iterator[list[Json]]:
    """One list of figures after another, `seconds` apart; each container's row is a table.

    Keys: ID, Name, CPU (percent of one processor since the last look), Memory, MemoryLimit,
    NetInput, NetOutput, BlockInput, BlockOutput (bytes), PIDs, PidsLimit, Pressure (percent of ten
    seconds by kind), Source.  Containers that end disappear.
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


def _try(container: Container) -> Figures | None:
    try:
        return look(container)
    except (Conflict, OSError):
        return None


def _row(container: Container, found: Figures, share: float) -> Json:
    from rootless.cgroups import statistics

    own = container.record["network"] not in ("host", "none")
    received, sent = statistics.network(container.state().pid) if own else (0, 0)
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
    }


def _memory_of_host() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
