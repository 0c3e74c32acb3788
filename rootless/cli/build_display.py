"""What the displays of a build have in common.

Scope: which method an event goes to, and text that is safe to show.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from rootless.build.progress import Event, LogEvent, StepEvent, WarningEvent
from rootless.cli.output import harmless as harmless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


class Display(ABC):
    """Shows steps and what they print as it comes, and warnings at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._warnings: list[WarningEvent] = []

    def take(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, StepEvent):
            self._step(event)
        elif isinstance(event, LogEvent):
            self._log(event)
        elif isinstance(event, WarningEvent):
            self._warnings.append(event)

    @abstractmethod
    def _step(self, event: StepEvent) -> None:
        """Show that a step has begun, goes on or has ended."""

    @abstractmethod
    def _log(self, event: LogEvent) -> None:
        """Show what a step printed."""

    def close(self) -> None:
        """Show the warnings."""
        show_warnings(self._out, self._warnings)


def show_warnings(out: TextIO, found: list[WarningEvent]) -> None:
    """Write them as BuildKit does, after everything else."""
    if not found:
        return
    count = "1 warning" if len(found) == 1 else f"{len(found)} warnings"
    lines = [f"\n {count} found:\n"]
    for one in found:
        rule = f"{one.rule}: " if one.rule else ""
        lines.append(f" - {rule}{harmless(one.text)} (line {one.line})\n")
    write(out, "".join(lines))


def last(line: bytes) -> str:
    """What a terminal would show of a line that was written over by carriage returns."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")


def write(out: TextIO, text: str) -> None:
    """Write at once; where nobody reads any more, nothing is lost but this."""
    try:
        out.write(text)
        out.flush()
    except (OSError, ValueError):
        pass
