"""`stop`: the signal, the time it is given, and SIGKILL in the end.

The monitor may be between two lives of the container when somebody asks: it looks for the file
`stopping` before each start and while it waits, so one more life can begin and is ended as well.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.common import signals
from rootless.engine.containers import state as container_state
from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State

_KILLED = 30.0  # seconds for a killed process and its monitor to go
_BETWEEN = 10.0  # seconds for a monitor that is between two lives to begin one or to end


def ask(directory: str) -> None:
    """Leave the word that nothing is to be started again."""
    try:
        documents.write_bytes(os.path.join(directory, "stopping"), b"")
    except FileNotFoundError:
        pass


def stop(container: ContainerRef, timeout: int | None = None, signal: str | None = None) -> None:
    """Stop it by its own signal and time, or by these; nothing when it does not run."""
    found = container.state()
    if not found.alive and not found.monitor:
        return
    grace = container.record["stopTimeout"] if timeout is None else timeout
    end(container, found, grace, signal or container.record["stopSignal"])
    container.emit("stop")


def end(container: ContainerRef, found: State, grace: float, signal: str) -> None:
    """End what runs and return when neither it nor its monitor lives.

    `grace`: seconds until it is killed; below 0 it never is.  Raises HostError.
    """
    ask(container.directory)
    if not found.alive:
        found = _between(container.directory)
    if found.alive and grace != 0:
        if found.status == "paused":
            from rootless.engine.containers import pause

            pause.freeze(container, False)
        signals.send(found.pid, found.pid_start, signals.number(signal))
        if _ended(container.directory, float("inf") if grace < 0 else grace):
            return
        container.ctx.notice(
            "",
            f"{signal} did not end {container.name} in {grace:g} seconds, resorting to SIGKILL",
            always=True,
        )
    if not _ended(container.directory, _KILLED, kill=True):
        raise HostError(
            f"the container {container.name} does not end although it was killed",
            hint="a process may hang in the kernel; see ps for state D",
        )


def wait_killed(directory: str) -> None:
    """Return when a container that was sent SIGKILL has ended, as docker's and podman's kill do.

    A process that hangs in the kernel is not waited for longer than some seconds.
    """
    _ended(directory, _BETWEEN)


def _between(directory: str) -> State:
    """The state once the monitor has read our word or has begun another life all the same."""
    end = time.monotonic() + _BETWEEN
    while True:
        found = container_state.read(directory)
        if found.alive or not found.monitor or time.monotonic() >= end:
            return found
        time.sleep(0.005)


def _ended(directory: str, seconds: float, *, kill: bool = False) -> bool:
    """Wait until neither the container nor its monitor lives; `kill`: whatever life it is in."""
    end = time.monotonic() + seconds
    pause = 0.001
    killed = 0
    while True:
        found = container_state.read(directory)
        if not found.alive and not found.monitor:
            return True
        if kill and found.alive and found.pid_start != killed:
            signals.send(found.pid, found.pid_start, 9)
            killed = found.pid_start
        if time.monotonic() >= end:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
