"""`wait`: until a container has come to a state."""

from __future__ import annotations

import os
import time

from rootless.errors import Conflict, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State

# docker's and podman's words; the status of ours that each means
_STATUS = {
    "configured": "created", "created": "created", "initialized": "created", "paused": "paused",
    "running": "running",
}  # fmt: skip
_ENDED = ("stopped", "exited", "not-running", "next-exit")
_GONE = ("removed", "removing")
_HEALTH = ("healthy", "unhealthy")
CONDITIONS = (*_ENDED, *_STATUS, "stopping", *_GONE, *_HEALTH)


class Waiter:
    """Somebody who waits for a container: what counts is what happens after it was made."""

    def __init__(self, container: ContainerRef, conditions: list[str]) -> None:
        """Raises UsageError for an unknown condition, Conflict for a health that is not checked."""
        check(conditions)
        health = [one for one in conditions if one in _HEALTH]
        if health and not container.record.get("health"):
            raise Conflict(
                f"the container {container.name} has no health check, so it never becomes "
                f"{health[0]}",
                hint="it is given with run --health-cmd, or by the image",
            )
        self._container = container
        self._conditions = conditions
        self._first = container.state()

    def wait(
        self, interval: float | None = None, stop: Callable[[], bool] | None = None
    ) -> int | None:
        """The exit status if it has ended, otherwise -1; None when `stop` said so.

        `interval`: seconds between two looks; without, they begin close together, and the end of a
        process is seen at once.  Raises Conflict when a state of health cannot come any more.
        """
        return _wait(self._container, self._conditions, self._first, interval, stop)


def wait(
    container: ContainerRef,
    conditions: list[str],
    interval: float | None,
    timeout: float | None = None,
) -> int:
    """Wait until one of the conditions holds; see Waiter.  Raises TimedOut after `timeout`."""
    end = None if timeout is None else time.monotonic() + timeout
    stop = None if end is None else lambda: time.monotonic() > end
    found = Waiter(container, conditions).wait(interval, stop)
    if found is None:
        from rootless.errors import TimedOut

        raise TimedOut(
            f"the container {container.name} was not {' or '.join(conditions)} within "
            f"{timeout:g} seconds"
        )
    return found


def _wait(
    container: ContainerRef,
    conditions: list[str],
    first: State,
    interval: float | None,
    stop: Callable[[], bool] | None,
) -> int | None:
    health = [one for one in conditions if one in _HEALTH]
    pause = interval or 0.002
    while True:
        if stop is not None and stop():
            return None
        try:
            found = container.state()
            gone = not os.path.isdir(container.directory)
        except OSError:
            gone = True
        if gone:
            return _last_exit(container)
        for one in conditions:
            if one in _ENDED and _began_anew(found, first):
                # as docker: its restart policy takes nothing from whoever waits for an end
                same = found.finished or found.restarts > first.restarts
                return found.exit_code if same else _last_exit(container)
            if _holds(container, one, found, first):
                return found.exit_code if one in _ENDED else -1
        if health and _has_ended(found) and not set(conditions) & {*_GONE, *_STATUS}:
            raise Conflict(
                f"the container {container.name} ended before it was {' or '.join(health)}",
                hint=f"rootless logs {container.name}",
            )
        time.sleep(pause)
        if not interval:
            pause = min(pause * 1.3, 0.1)


def check(conditions: list[str]) -> None:
    """Raises UsageError for a word that is no condition."""
    for one in conditions:
        if one not in CONDITIONS:
            raise UsageError(f'unknown --condition "{one}"', hint=", ".join(CONDITIONS))


def _has_ended(found: State) -> bool:
    return found.status in ("exited", "created") and not found.monitor


def _began_anew(found: State, first: State) -> bool:
    """Whether a life has ended since, although there is another or will be."""
    if found.finished:
        return found.finished != first.finished
    if first.finished:
        # the life that is meant began after the first look, so there must have been two
        return found.restarts > first.restarts + 1
    return bool(first.started) and found.started != first.started


def _holds(container: ContainerRef, condition: str, found: State, first: State) -> bool:
    if condition == "next-exit":
        return _has_ended(found) and found.finished != first.finished
    if condition in _ENDED:
        return _has_ended(found)
    if condition in _STATUS:
        return found.status == _STATUS[condition]
    if condition == "stopping":
        return found.alive and os.path.exists(os.path.join(container.directory, "stopping"))
    if condition in _HEALTH and found.status == "running":
        from rootless.engine.health import config as health_config

        return health_config.status(container.directory, container.record, found) == condition
    return False


def _last_exit(container: ContainerRef) -> int:
    """How it ended, of a container that was removed while we waited."""
    from rootless.engine.events import reader as event_reader

    filters = {"container": [container.id], "event": ["die"]}
    codes = [
        event.attributes.get("exitCode", "")
        for event in event_reader.read(container.ctx.data_dir, filters=filters, stream=False)
    ]
    return int(codes[-1]) if codes and codes[-1].isdigit() else 0
