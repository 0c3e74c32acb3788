"""What a build tells, on standard error: plain lines, JSON, a display that moves, or nothing.

Scope: `rootless.build.progress` events in, text out.  What a step wrote is a stranger's: on a
terminal nothing of it may move the cursor or speak to the terminal.
"""

from __future__ import annotations

import os
import sys

from rootless.build.progress import Event, LogEvent, StatusEvent, StepEvent
from rootless.cli.build_display import Display, harmless, last, show_warnings, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from rootless.cli.build_live import Live

MODES = ("auto", "plain", "tty", "rawjson", "quiet")
_KEPT = 1 << 16  # bytes of a step's output that are shown when it fails


class Plain(Display):
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
            write(self._out, f"#{number} {harmless(event.name)}\n")
        if event.state == "started":
            self._started[number] = event.at
            return
        self._flush(number)
        if event.state == "cached":
            write(self._out, f"#{number} CACHED\n\n")
        elif event.state == "done":
            took = event.at - self._started.get(number, event.at)
            write(self._out, f"#{number} DONE {took:.1f}s\n\n")
        elif event.state == "canceled":
            write(self._out, f"#{number} CANCELED\n")
        else:
            write(self._out, f"#{number} ERROR: {harmless(event.error)}\n")

    def _log(self, event: LogEvent) -> None:
        data = self._partial.pop(event.number, b"") + event.data
        *lines, rest = data.split(b"\n")
        if rest:
            self._partial[event.number] = rest
        took = event.at - self._started.get(event.number, event.at)
        text = "".join(f"#{event.number} {took:.3f} {harmless(last(line))}\n" for line in lines)
        if text:
            write(self._out, text)

    def _flush(self, number: int) -> None:
        rest = self._partial.pop(number, b"")
        if rest:
            write(self._out, f"#{number} {harmless(last(rest))}\n")

    def close(self) -> None:
        """Show the warnings."""
        show_warnings(self._out, self._warnings)


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
                write(self._out, "".join(f"{harmless(line)}\n" for line in text.splitlines()))
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

        write(self._out, documents.dumps(_as_json(event)) + "\n")

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
        from rootless.cli.build_live import Live

        return Live(out)
    return Plain(out)
