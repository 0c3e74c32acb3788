"""The display of a build on a terminal: what runs now, beside what has ended.

Scope: rows below the last line of what has scrolled away, drawn over again with each event and
twice a second.  A frame is never higher than the terminal, nor wider: a row that wraps, or one that
has left at the top, could not be drawn over.
"""

from __future__ import annotations

import os
import threading
import time

from rootless.build.progress import Event, LogEvent, StatusEvent, StepEvent
from rootless.cli.build_display import Display, harmless, last, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_LINES = 4  # of a step's output
_KEPT = 1 << 16  # bytes of a step's output that are shown when it fails
_OFTEN = 0.05  # seconds between two frames that output asks for
_TICK = 0.5


class _Running:
    """A step that runs."""

    def __init__(self, event: StepEvent) -> None:
        self.event = event
        self.tail: list[str] = []
        self.partial = b""
        self.log = b""
        self.parts: dict[str, StatusEvent] = {}

    def take(self, data: bytes) -> None:
        """Output."""
        self.log = (self.log + data)[-_KEPT:]
        *lines, rest = (self.partial + data).split(b"\n")
        self.partial = rest[-_KEPT:]
        self.tail = [*self.tail, *(harmless(last(line)) for line in lines[-_LINES:])][-_LINES:]

    def rows(self, now: float, most: int) -> list[str]:
        """What is shown of it: at least one row, at most so many."""
        parts = [one for one in self.parts.values() if not one.finished]
        shown = "".join(f"  {_amount(one)}" for one in parts[:2])
        made = [f" {now - self.event.at:6.1f}s {harmless(self.event.name)}{shown}"]
        unfinished = harmless(last(self.partial)) if self.partial else ""
        lines = [*self.tail, unfinished] if unfinished else self.tail
        room = min(most - 1, _LINES)
        return made + [f"          {line}" for line in lines[len(lines) - room :]] if room else made


class Live(Display):
    """See the module."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._running: dict[int, _Running] = {}
        self._began = time.time()
        self._ended = 0
        self._cached = 0
        self._shown = 0
        self._drawn = 0.0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    def take(self, event: Event) -> None:
        """Show an event."""
        with self._lock:
            if isinstance(event, StatusEvent):
                running = self._running.get(event.number)
                if running is not None:
                    running.parts[event.name] = event
                    self._soon()
            else:
                super().take(event)

    def _step(self, event: StepEvent) -> None:
        if event.state == "started":
            self._running[event.number] = _Running(event)
            self._draw("")
            return
        running = self._running.pop(event.number, None) or _Running(event)
        took = f"{event.at - running.event.at:5.1f}s"
        word = {"cached": "CACHED", "done": took, "failed": "ERROR"}.get(event.state, "CANCEL")
        self._ended += 1
        self._cached += event.state == "cached"
        above = f" {word:>7} {_cut(harmless(event.name), 9)}\n"
        if event.state == "failed":
            text = running.log.decode("utf-8", "replace")
            above += "".join(f"         {harmless(line)}\n" for line in text.splitlines()[-20:])
        self._draw(above)

    def _log(self, event: LogEvent) -> None:
        running = self._running.get(event.number)
        if running is not None:
            running.take(event.data)
            self._soon()

    def _soon(self) -> None:
        if time.monotonic() - self._drawn > _OFTEN:
            self._draw("")

    def _tick(self) -> None:
        while not self._closed.wait(_TICK):
            with self._lock:
                if self._running and not self._closed.is_set():
                    self._draw("")

    def _draw(self, above: str) -> None:
        self._drawn = time.monotonic()
        text = f"\x1b[{self._shown}A" if self._shown else ""
        rows = self._rows()
        self._shown = len(rows)
        # in one write: nobody sees a half
        write(self._out, text + "\r\x1b[J" + above + "".join(row + "\n" for row in rows))

    def _rows(self) -> list[str]:
        if not self._running:
            return []
        now = time.time()
        # the line of the cursor, and the sum
        room = max(_size().lines - 2, 1)
        running = list(self._running.values())
        beside = " side by side" if len(running) > 1 else ""
        made = [
            f"[{now - self._began:.0f}s] {len(running)} running{beside}, {self._ended} ended, "
            f"{self._cached} from the cache"
        ]
        shown = running[:room]
        for number, one in enumerate(shown):
            left = room - len(made) + 1 - (len(shown) - number - 1)
            made += one.rows(now, max(left, 1))
        return [_cut(row, 1) for row in made]

    def close(self) -> None:
        """Leave what has ended, and show the warnings."""
        self._closed.set()
        self._ticker.join()
        with self._lock:
            self._running.clear()
            self._draw("")
            super().close()


def _amount(event: StatusEvent) -> str:
    """How far a part is."""

    def size(value: int) -> str:
        return f"{value / 1e6:.1f} MB"

    of = f" of {size(event.total)}" if event.total else ""
    return f"{harmless(event.name)} {size(event.current)}{of}"


def _size() -> os.terminal_size:
    try:
        found = os.get_terminal_size(2)
    except OSError:
        found = os.terminal_size((80, 24))
    # a terminal that does not know has 0
    return os.terminal_size((found.columns or 80, found.lines or 24))


def _cut(text: str, room: int) -> str:
    """So much of a text as fits beside `room` columns; wide characters have two."""
    width = max(_size().columns - room, 1)
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + "…"
    import unicodedata

    used = 0
    for number, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > width:
            return text[: max(number - 1, 0)] + "…"
    return text
