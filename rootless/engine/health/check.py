"""Make health checks, and have them made at their times.

Nobody waits for the next check: a timer of the user's systemd, or else the monitor, starts
`rootless healthcheck run` each time, which ends when the check has ended.
"""

from __future__ import annotations

import os
import select
import time

from rootless import documents, paths
from rootless.engine.common import humanize
from rootless.engine.health import config as health_config
from rootless.errors import Conflict, ContainerNotFound, RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.containers.container import Container
    from rootless.engine.containers.state import State

STILL_STARTING = (
    3  # exit status that the monitor understands; helpers/monitor/health_checks.c has the same
)
_MOST = 1 << 16  # bytes of output that are read, however much of it is to be kept


class Outcome:
    """`good`: the check itself; `status` after it; `starting`: it is in its first phase still."""

    __slots__ = ("good", "starting", "status")

    def __init__(self, good: bool, status: str, starting: bool) -> None:
        self.good = good
        self.status = status
        self.starting = starting


def check(container: Container) -> Outcome:
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
        stage = wanted if known["startup"]["passed"] else wanted["startup"]
        began = time.time()
        code, output = _execute(container, stage["command"], stage["timeout"])
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
        container.engine.container_event("health_status", container.record, **more)
    if again:
        container.restart()
    elif now == health_config.UNHEALTHY and now != before:
        _act(container, wanted["onFailure"], found)
    return Outcome(code == 0, now, _starting(known, wanted, time.time() - found.started / 1e9))


def _note(known: Json, wanted: Json, good: bool, age: float) -> bool:
    """Put a result into what is known; whether the container has failed to start up."""
    startup = known["startup"]
    if not startup["passed"]:
        if good:
            startup["successes"] += 1
            startup["passed"] = startup["successes"] >= max(1, wanted["startup"]["success"])
            return False
        startup["successes"] = 0
        startup["failures"] += 1
        most = wanted["startup"]["retries"]
        return bool(most and startup["failures"] >= most)
    if good:
        known["status"], known["failingStreak"] = health_config.HEALTHY, 0
    elif known["status"] != health_config.STARTING or age >= wanted["startPeriod"]:
        # in the start period a failure says nothing, until it has been healthy once
        known["failingStreak"] += 1
        if known["failingStreak"] >= wanted["retries"]:
            known["status"] = health_config.UNHEALTHY
    return False


def _starting(known: Json, wanted: Json, age: float) -> bool:
    """Whether the next check is one of those that come while the container starts."""
    if not known["startup"]["passed"]:
        return True
    if wanted["startup"]:
        return False
    return bool(known["status"] == health_config.STARTING and age < wanted["startPeriod"])


def _log(
    container: Container, known: Json, wanted: Json, began: float, code: int, output: str
) -> None:
    most = wanted["logSize"]
    entry = {
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
        table = {name: known[name] for name in ("status", "failingStreak", "log")}
        try:
            documents.write(path, table)
        except OSError as error:
            raise Conflict(f"the health log {path} cannot be written: {error.strerror}") from None


def _act(container: Container, action: str, found: State) -> None:
    from rootless.engine.common import signals

    if action == "restart":
        container.restart()
    elif action == "stop":
        container.stop()
    elif action == "kill":
        # not Container.kill, by which a user asks that it stay ended: here the restart
        # policy, or the unit that it belongs to, decides what follows
        signals.send(found.pid, found.pid_start, 9)
        container.engine.container_event("kill", container.record, signal="9")


def _execute(container: Container, command: list[str], seconds: float) -> tuple[int, str]:
    """Run it inside: (exit status, what it wrote to both streams); -1 when it took too long."""
    from rootless.engine.containers import exec as container_exec
    from rootless.engine.spec.option_values import ExecOptions
    from rootless.runtime import plan_format

    items = container_exec.plan(container, ExecOptions(command=command))
    directory = os.path.join(container.directory, "exec")
    os.makedirs(directory, 0o700, exist_ok=True)
    path = plan_format.write(
        directory, os.urandom(6).hex() + ".plan", items, plan_format.OPERATIONS
    )
    out, ours = os.pipe()
    try:
        # the launcher waits for this lock, until it is where it can enter the cgroup from
        with documents.Lock(path):
            pid = os.posix_spawn(
                paths.helper("launch"),
                ["rootless-launch", "-", path],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, ours, 1),
                    (os.POSIX_SPAWN_DUP2, ours, 2),
                ],
            )
            admit = container_exec.admission(container)
            if admit is not None:
                admit(pid)
        os.close(ours)
        ours = -1
        return _wait(pid, out, seconds)
    finally:
        os.close(out)
        if ours >= 0:
            os.close(ours)


def _wait(pid: int, out: int, seconds: float) -> tuple[int, str]:
    ended = os.pidfd_open(pid)
    text, late = bytearray(), False
    deadline = time.monotonic() + seconds
    waiting = select.poll()
    waiting.register(out, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and not late:
                late = True
                _end(pid)
                deadline += 5
                continue
            ready = dict(waiting.poll(max(0, int(left * 1000) + 1)))
            if out in ready:
                part = os.read(out, 65536)
                if not part:
                    waiting.unregister(out)
                text += part[: _MOST - len(text)]
            elif ended in ready or late:
                # what it left behind may hold the stream open for ever
                break
    finally:
        os.close(ended)
    if late:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return -1, f"Health check exceeded timeout ({seconds:g}s)"
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code, text.decode("utf-8", "replace")


def _end(launcher: int) -> None:
    """Kill the command, which is the launcher's child; the launcher then ends by itself."""
    import _signal  # type: ignore[import-not-found,unused-ignore]

    opened: dict[int, int] = {}
    try:
        for child in _children(launcher):
            opened[child] = os.pidfd_open(child)
        # a descriptor is of whom we mean if that one was a child after it was opened
        for child in set(_children(launcher)) & set(opened):
            _signal.pidfd_send_signal(opened[child], 9)
    except OSError:
        pass
    finally:
        for fd in opened.values():
            os.close(fd)


def _children(launcher: int) -> list[int]:
    with open(f"/proc/{launcher}/task/{launcher}/children", encoding="ascii") as file:
        return list(map(int, file.read().split()))


# at their times


def _intervals(wanted: Json) -> tuple[float, float]:
    """Seconds to a check while the container starts, and to later ones."""
    regular = wanted["interval"]
    if wanted["startup"]:
        return wanted["startup"]["interval"], regular
    return (wanted["startInterval"] if wanted["startPeriod"] else regular), regular


def drive(container: Container, manager: Manager, cgroup: str) -> list[str]:
    """Have the checks made from now on: by a timer, or by the monitor, whose arguments are
    returned."""
    wanted = container.record.get("health")
    if not wanted or not wanted["interval"]:
        return []
    first, regular = _intervals(wanted)
    if _timer(container, manager, cgroup, "start" if first != regular else "run", first):
        return []
    from rootless.engine.common import reexec

    times = [str(int(first * 1000)), str(int(regular * 1000))]
    return [*times, *reexec.environment(), "", *_words(container, "monitor")]


def _words(container: Container, driver: str) -> list[str]:
    from rootless.engine.common import reexec

    return [
        *reexec.command(container.engine),
        "healthcheck",
        "run",
        "--driver",
        driver,
        container.id,
    ]


def _timer(container: Container, manager: Manager, cgroup: str, stage: str, seconds: float) -> bool:
    if manager.kind != "systemd" or not cgroup:
        return False
    from rootless.engine.common import reexec

    # a name of its own each time: a check that restarts the container runs in the unit of before
    name = f"{container.id[:12]}-health-{stage}-{os.urandom(2).hex()}"
    return manager.repeat(
        cgroup,
        name,
        f"health check of the container {container.name} (rootless)",
        seconds,
        _words(container, f"timer:{name}"),
        reexec.environment(),
    )


def scheduled(container: Container, driver: str) -> int:
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
        if _timer(container, manager, cgroup, "run", wanted["interval"]):
            manager.repeat_no_more(cgroup, driver.partition(":")[2])
    return 0
