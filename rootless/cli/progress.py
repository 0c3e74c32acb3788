"""What the person sees of long operations: bars on a terminal, plain lines elsewhere.

Everything goes to standard error, so that standard output stays what scripts want of it.
"""

from __future__ import annotations

import _thread
import os

from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


# whose bars are on the terminal now: there is one terminal, and at most one of them
_drawing: list[Told] = []


def still() -> None:
    """Take what moves off the terminal: something else ends the command, and is told next."""
    while _drawing:
        _drawing.pop().stop()


class Told(Progress):
    """Loads nothing before there is something to tell."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._labels: dict[str, str] = {}
        self._open = 0
        self._lock = _thread.allocate_lock()

    def _use_bars(self) -> bool:
        return os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb"

    def start(self, key: str, label: str, total: int | None) -> None:
        """See Progress."""
        if self.quiet:
            return
        from rootless.cli.output import harmless

        if not self._use_bars():
            size = f" ({_size(total)})" if total else ""
            self._labels[key] = label
            _write(f"{label}{size}\n")
            return
        with self._lock:
            if self._bars is None:
                self._bars = _bars()
                self._bars.start()
                _drawing.append(self)
            self._open += 1
            self._tasks[key] = self._bars.add_task(
                harmless(label), total=total, counted=total is not None
            )

    def advance(self, key: str, n: int) -> None:
        """See Progress."""
        bars, task = self._bars, self._tasks.get(key)
        if bars is not None and task is not None:
            bars.advance(task, n)

    def finish(self, key: str, note: str = "") -> None:
        """See Progress."""
        if self.quiet:
            return
        if self._bars is None:
            if note:
                _write(f"{self._labels.get(key, key)}: {note}\n")
            return
        with self._lock:
            task = self._tasks.pop(key, None)
            if task is None or self._bars is None:
                return
            known = next((one for one in self._bars.tasks if one.id == task), None)
            total = (known.total if known else None) or 1
            self._bars.update(task, total=total, completed=total)
            self._open -= 1
            if not self._open:
                _drawing.remove(self)
                self.stop()

    def stop(self) -> None:
        """Leave the bars as they are, and the cursor where a person expects it."""
        bars, self._bars = self._bars, None
        if bars is not None:
            bars.stop()

    def message(self, text: str) -> None:
        """See Progress."""
        if self.quiet:
            return
        if self._bars is not None:
            from rootless.cli.output import harmless

            self._bars.console.print(harmless(text), markup=False, highlight=False)
        else:
            _write(text + "\n")


def _write(text: str) -> None:
    from rootless.cli import output

    output.remark(text)


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Task, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Bytes(DownloadColumn):
        """How much of how much, where somebody counts."""

        def render(self, task: Task) -> Text:
            return super().render(task) if task.fields["counted"] else Text()

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Bytes(),
        console=Console(stderr=True),
    )


def _size(count: int | None) -> str:
    from rootless.cli.output import human_size

    return human_size(count or 0)
