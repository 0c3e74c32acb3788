"""`update`: other limits, health checks and restart policies for a container that exists."""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.containers import record as container_record
from rootless.errors import HostError, ImageNotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.stores import Stores


def update(
    container: ContainerRef, stores: Stores, *, restart: str | None = None, **words: object
) -> None:
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
        record = container.record.copy()
        if checks:
            record["health"] = health_update.changed(
                container, checks, lambda: _shell(container, stores)
            )
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
        container_record.write(container.directory, record)
        before, container.record = container.record, record
        if checks and container.state().alive:
            health_update.drive(container, manager, before.get("health"))


def _manager(container: ContainerRef) -> Manager:
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


def _shell(container: ContainerRef, stores: Stores) -> Json:
    """The SHELL of its image, None where that is not known."""
    try:
        return stores.images.get(container.image_id).config.get("Shell")
    except (ImageNotFound, UsageError):
        return None  # the image was removed by force, or there never was one
