"""Carrying out a health check: the command, its result, and what follows from it."""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.common import humanize
from rootless.engine.health import config as health_config
from rootless.engine.health import schedule as health_schedule
from rootless.errors import Conflict, ContainerNotFound, RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.health.checked import CheckableContainer, Life
    from rootless.engine.health.record import (
        CheckedEntry,
        HealthDocument,
        HealthRecord,
        StageRecord,
    )

STILL_STARTING = (
    3  # exit status that the monitor understands; helpers/monitor/health_checks.c has the same
)


class Outcome:
    """`good`: the check itself; `status` after it; `starting`: it is in its first phase still."""

    __slots__ = ("good", "starting", "status")

    def __init__(self, good: bool, status: str, starting: bool) -> None:
        self.good = good
        self.status = status
        self.starting = starting


def check(container: CheckableContainer) -> Outcome:
    """Check now, take note, and act if it has become unhealthy.

    Raises Conflict when there is nothing to check or it does not run, and what entering it may
    raise.
    """
    wanted = container.record.get("health")
    if not wanted:
        raise Conflict(
            f"the container {container.name} has no health check",
            hint="it is given with run --health-cmd, or by the image",
        )
    try:
        lock = documents.Lock(os.path.join(container.directory, "health.lock"))
    except FileNotFoundError:
        raise ContainerNotFound(f'no such container: "{container.name}"') from None
    with lock:
        found = container.state()
        if found.status != "running":
            raise Conflict(
                f"the container {container.name} is not running",
                hint=f"rootless start {container.name}",
            )
        known = health_config.read(container.directory, wanted, found)
        before = known["status"]
        first = None if known["startup"]["passed"] else wanted["startup"]
        stage: StageRecord = first or wanted
        began = time.time()
        code, output = container.execute(stage["command"], stage["timeout"])
        if container.state().started != found.started:
            raise Conflict(f"the container {container.name} ended while it was checked")
        again = _note(known, wanted, code == 0, time.time() - found.started / 1e9)
        _log(container, known, wanted, began, code, output)
        try:
            documents.write(os.path.join(container.directory, "health"), known)
        except FileNotFoundError:
            raise ContainerNotFound(f'no such container: "{container.name}"') from None
    now = known["status"]
    if now != before or wanted["destination"] == "events_logger":
        more = {"health_status": now, "health_failing_streak": str(known["failingStreak"])}
        if wanted["destination"] == "events_logger":
            more["health_log"] = output
        container.emit("health_status", **more)
    if again:
        container.restart()
    elif now == health_config.UNHEALTHY and now != before:
        _act(container, wanted["onFailure"], found)
    return Outcome(code == 0, now, _starting(known, wanted, time.time() - found.started / 1e9))


def _note(known: HealthDocument, wanted: HealthRecord, good: bool, age: float) -> bool:
    """Put a result into what is known; whether the container has failed to start up."""
    startup, stage = known["startup"], wanted["startup"]
    if stage and not startup["passed"]:
        if good:
            startup["successes"] += 1
            startup["passed"] = startup["successes"] >= max(1, stage["success"])
            return False
        startup["successes"] = 0
        startup["failures"] += 1
        most = stage["retries"]
        return bool(most and startup["failures"] >= most)
    if good:
        known["status"], known["failingStreak"] = health_config.HEALTHY, 0
    elif known["status"] != health_config.STARTING or age >= wanted["startPeriod"]:
        # in the start period a failure says nothing, until it has been healthy once
        known["failingStreak"] += 1
        if known["failingStreak"] >= wanted["retries"]:
            known["status"] = health_config.UNHEALTHY
    return False


def _starting(known: HealthDocument, wanted: HealthRecord, age: float) -> bool:
    """Whether the next check is one of those that come while the container starts."""
    if not known["startup"]["passed"]:
        return True
    if wanted["startup"]:
        return False
    return bool(known["status"] == health_config.STARTING and age < wanted["startPeriod"])


def _log(
    container: CheckableContainer,
    known: HealthDocument,
    wanted: HealthRecord,
    began: float,
    code: int,
    output: str,
) -> None:
    most = wanted["logSize"]
    entry: CheckedEntry = {
        "Start": humanize.rfc3339(began),
        "End": humanize.rfc3339(time.time()),
        "ExitCode": code,
        "Output": output[:most] if most else output,
    }
    place = wanted["destination"]
    log = known["log"]
    path = os.path.join(place, f"{container.id}-healthcheck.log")
    if place not in ("local", "events_logger"):
        log = health_config.logged(path)
    log = [*log, entry]
    if wanted["logCount"]:
        log = log[-wanted["logCount"] :]
    known["log"] = log if place != "events_logger" else []
    if place not in ("local", "events_logger"):
        table = {
            "status": known["status"],
            "failingStreak": known["failingStreak"],
            "log": known["log"],
        }
        try:
            documents.write(path, table)
        except OSError as error:
            raise Conflict(f"the health log {path} cannot be written: {error.strerror}") from None


def _act(container: CheckableContainer, action: str, found: Life) -> None:
    from rootless.engine.common import signals

    if action == "restart":
        container.restart()
    elif action == "stop":
        container.stop()
    elif action == "kill":
        # not Container.kill, by which a user asks that it stay ended: here the restart
        # policy, or the unit that it belongs to, decides what follows
        signals.send(found.pid, found.pid_start, 9)
        container.emit("kill", signal="9")


def scheduled(container: CheckableContainer, driver: str) -> int:
    """Make one check on behalf of a timer or the monitor; return the exit status for it.

    Errors are ignored here: the container may have ended just now.
    """
    try:
        outcome = check(container)
    except (RootlessError, OSError):
        return 0
    if driver == "monitor":
        return STILL_STARTING if outcome.starting else 0
    if "-health-start-" in driver and not outcome.starting:
        # from now on at the longer intervals
        wanted = container.record["health"]
        manager, cgroup = container.manager(), container.cgroup()
        if wanted and health_schedule.timer(container, manager, cgroup, "run", wanted["interval"]):
            manager.repeat_no_more(cgroup, driver.partition(":")[2])
    return 0
