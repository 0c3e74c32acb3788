"""What a build tells, on standard error: plain lines, JSON, a display that moves, or nothing.

Scope: `rootless.build.progress` events in, text out.  What a step wrote is a stranger's: on a
terminal nothing of it may move the cursor or speak to the terminal.
"""

from __future__ import annotations

import os
import sys
import time

from rootless.build.progress import Event, LogEvent, StatusEvent, StepEvent, WarningEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

MODES = ("auto", "plain", "tty", "rawjson", "quiet")
_KEPT = 1 << 16  # bytes of a step's output that are shown when it fails


class _Display:
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

    def _step(self, event: StepEvent) -> None:
        raise NotImplementedError

    def _log(self, event: LogEvent) -> None:
        raise NotImplementedError


class Plain(_Display):
    """A line for each thing that happens."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._started: dict[int, float] = {}
        self._partial: dict[int, bytes] = {}
        self._named: set[int] = set()

    def _step(self, event: StepEvent) -> None:
        number = event.number
        if number not in self._named:
            self._named.add(number)
            _write(self._out, f"#{number} {_harmless(event.name)}\n")
        if event.state == "started":
            self._started[number] = event.at
            return
        self._flush(number)
        if event.state == "cached":
            _write(self._out, f"#{number} CACHED\n\n")
        elif event.state == "done":
            took = event.at - self._started.get(number, event.at)
            _write(self._out, f"#{number} DONE {took:.1f}s\n\n")
        elif event.state == "canceled":
            _write(self._out, f"#{number} CANCELED\n")
        else:
            _write(self._out, f"#{number} ERROR: {_harmless(event.error)}\n")

    def _log(self, event: LogEvent) -> None:
        data = self._partial.pop(event.number, b"") + event.data
        *lines, rest = data.split(b"\n")
        if rest:
            self._partial[event.number] = rest
        took = event.at - self._started.get(event.number, event.at)
        text = "".join(f"#{event.number} {took:.3f} {_harmless(_last(line))}\n" for line in lines)
        if text:
            _write(self._out, text)

    def _flush(self, number: int) -> None:
        rest = self._partial.pop(number, b"")
        if rest:
            _write(self._out, f"#{number} {_harmless(_last(rest))}\n")

    def close(self) -> None:
        """Show the warnings."""
        _show_warnings(self._out, self._warnings)


class Quiet:
    """Nothing, but the output of a step that failed."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._logs: dict[int, bytes] = {}

    def take(self, event: Event) -> None:
        """Keep what may have to be shown."""
        if isinstance(event, LogEvent):
            self._logs[event.number] = (self._logs.get(event.number, b"") + event.data)[-_KEPT:]
        elif isinstance(event, StepEvent) and event.state == "failed":
            text = self._logs.get(event.number, b"").decode("utf-8", "replace")
            if text:
                _write(self._out, "".join(f"{_harmless(line)}\n" for line in text.splitlines()))
        elif isinstance(event, StepEvent) and event.state in ("done", "cached"):
            self._logs.pop(event.number, None)

    def close(self) -> None:
        """Nothing is left to be shown."""


class RawJson:
    """An object a line, in the shape of BuildKit's solve status."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, event: Event) -> None:
        """Write it."""
        from rootless import documents

        _write(self._out, documents.dumps(_as_json(event)) + "\n")

    def close(self) -> None:
        """Nothing is left to be shown."""


def _as_json(event: Event) -> dict[str, object]:
    import base64

    from rootless.build.config import stamp

    if isinstance(event, StepEvent):
        vertex: dict[str, object] = {"digest": _vertex(event.number), "name": event.name}
        if event.parents:
            vertex["inputs"] = [_vertex(one) for one in event.parents]
        if event.state == "cached":
            vertex.update(cached=True, started=stamp(event.at), completed=stamp(event.at))
        elif event.state == "started":
            vertex["started"] = stamp(event.at)
        else:
            vertex["completed"] = stamp(event.at)
        if event.error:
            vertex["error"] = event.error
        return {"vertexes": [vertex]}
    if isinstance(event, LogEvent):
        log = {
            "vertex": _vertex(event.number), "stream": event.stream,
            "data": base64.b64encode(event.data).decode(), "timestamp": stamp(event.at),
        }  # fmt: skip
        return {"logs": [log]}
    if isinstance(event, StatusEvent):
        status = {
            "id": event.name, "vertex": _vertex(event.number), "current": event.current,
            "total": event.total, "timestamp": stamp(event.at),
        }  # fmt: skip
        return {"statuses": [status]}
    warning = {"short": base64.b64encode(f"{event.rule}: {event.text}".encode()).decode(),
               "url": event.url, "range": [{"start": {"line": event.line}}]}  # fmt: skip
    return {"warnings": [warning]}


def _vertex(number: int) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(str(number).encode()).hexdigest()


class Live(_Display):
    """A display that moves: what runs now with its last lines, and a line for what has ended."""

    _LINES = 4

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._running: dict[int, StepEvent] = {}
        self._tail: dict[int, list[str]] = {}
        self._partial: dict[int, bytes] = {}
        self._logs: dict[int, bytes] = {}
        self._shown = 0
        self._drawn = 0.0

    def _step(self, event: StepEvent) -> None:
        if event.state == "started":
            self._running[event.number] = event
            self._draw("")
            return
        started = self._running.pop(event.number, event)
        took = event.at - started.at
        name = _cut(_harmless(event.name), 16)
        word = {"cached": "CACHED", "done": f"{took:5.1f}s", "failed": " ERROR"}.get(
            event.state, "CANCEL"
        )
        above = f" {word:>7} {name}\n"
        if event.state == "failed":
            text = self._logs.get(event.number, b"").decode("utf-8", "replace")
            above += "".join(f"         {_harmless(line)}\n" for line in text.splitlines()[-20:])
        for table in (self._tail, self._partial, self._logs):
            table.pop(event.number, None)
        self._draw(above)

    def _log(self, event: LogEvent) -> None:
        number = event.number
        self._logs[number] = (self._logs.get(number, b"") + event.data)[-_KEPT:]
        *lines, rest = (self._partial.pop(number, b"") + event.data).split(b"\n")
        self._partial[number] = rest
        tail = self._tail.setdefault(number, [])
        tail += [_harmless(_last(line)) for line in lines]
        del tail[: -self._LINES]
        if time.monotonic() - self._drawn > 0.05:
            self._draw("")

    def _draw(self, above: str) -> None:
        self._drawn = time.monotonic()
        text = f"\x1b[{self._shown}A" if self._shown else ""
        text += "\r\x1b[J" + above
        rows = []
        now = time.time()
        for number, event in self._running.items():
            rows.append(_cut(f" {now - event.at:6.1f}s {_harmless(event.name)}", 2))
            rows += [_cut(f"          {line}", 2) for line in self._tail.get(number, [])]
        text += "".join(row + "\n" for row in rows)
        self._shown = len(rows)
        _write(self._out, text)

    def close(self) -> None:
        """Leave what has ended, and show the warnings."""
        self._running.clear()
        self._draw("")
        _show_warnings(self._out, self._warnings)


def choose(mode: str, log: TextIO | None = None) -> Plain | Quiet | RawJson | Live:
    """Who draws, on standard error or into `log`.  `auto` moves on a terminal."""
    out = log or sys.stderr
    if mode == "quiet" and log is None:
        return Quiet(out)
    if mode == "rawjson":
        return RawJson(out)
    if log is not None:
        return Plain(out)
    terminal = os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb"
    if mode == "tty" or (mode == "auto" and terminal):
        return Live(out)
    return Plain(out)


def _show_warnings(out: TextIO, found: list[WarningEvent]) -> None:
    if not found:
        return
    count = "1 warning" if len(found) == 1 else f"{len(found)} warnings"
    lines = [f"\n {count} found:\n"]
    for one in found:
        rule = f"{one.rule}: " if one.rule else ""
        lines.append(f" - {rule}{_harmless(one.text)} (line {one.line})\n")
    _write(out, "".join(lines))


def _last(line: bytes) -> str:
    """What a terminal would show of a line that was written over by carriage returns."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")


def _cut(text: str, room: int) -> str:
    try:
        width = os.get_terminal_size(2).columns
    except OSError:
        width = 80
    return text if len(text) <= width - room else text[: max(width - room - 1, 1)] + "…"


def _harmless(text: str) -> str:
    from rootless.cli.output import harmless

    return harmless(text)


def _write(out: TextIO, text: str) -> None:
    try:
        out.write(text)
        out.flush()
    except (OSError, ValueError):
        pass
