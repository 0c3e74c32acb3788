"""What a build tells while it runs: steps with parents, times, log lines, warnings.

Scope: events and who receives them; the command line draws them (`rootless.cli.build_progress`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

States = ("started", "cached", "done", "failed", "canceled")


@dataclass(frozen=True)
class StepEvent:
    """A step has another state.  `number` counts from 1; `parents` are numbers; times in seconds
    since the epoch."""

    number: int
    name: str
    state: str
    at: float
    parents: tuple[int, ...] = ()
    error: str = ""
    digest: str = ""


@dataclass(frozen=True)
class LogEvent:
    """What a step wrote to 1 or 2."""

    number: int
    stream: int
    data: bytes
    at: float


@dataclass(frozen=True)
class StatusEvent:
    """How far a part of a step is: bytes or things, `total` 0 where nobody knows."""

    number: int
    name: str
    current: int
    total: int
    at: float
    finished: bool = False


@dataclass(frozen=True)
class WarningEvent:
    """Something that the Dockerfile would be better without."""

    rule: str
    text: str
    file: str
    line: int
    url: str = ""


Event = StepEvent | LogEvent | StatusEvent | WarningEvent
Receiver = Callable[[Event], None]


@dataclass
class _Known:
    name: str
    parents: tuple[int, ...]
    started: float = 0.0


@dataclass
class Progress:
    """Numbers steps and passes events on, one at a time whichever thread they come from."""

    receiver: Receiver = field(default=lambda _: None)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _steps: list[_Known] = field(default_factory=list)

    def step(self, name: str, parents: Sequence[int] = ()) -> int:
        """A step that is going to be done; its number."""
        with self._lock:
            self._steps.append(_Known(name, tuple(sorted(set(parents)))))
            return len(self._steps)

    def state(self, number: int, state: str, *, error: str = "", digest: str = "") -> None:
        """Tell that a step began or ended."""
        known = self._steps[number - 1]
        event = StepEvent(number, known.name, state, time.time(), known.parents, error, digest)
        with self._lock:
            self.receiver(event)

    def log(self, number: int, stream: int, data: bytes) -> None:
        """Pass on what a step wrote."""
        with self._lock:
            self.receiver(LogEvent(number, stream, data, time.time()))

    def status(
        self, number: int, name: str, current: int, total: int = 0, *, finished: bool = False
    ) -> None:
        """Tell how far a part of a step is."""
        with self._lock:
            self.receiver(StatusEvent(number, name, current, total, time.time(), finished))

    def warning(self, event: WarningEvent) -> None:
        """Pass a warning on."""
        with self._lock:
            self.receiver(event)
