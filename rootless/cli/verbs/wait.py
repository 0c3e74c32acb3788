"""`rootless wait`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, several, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "wait",
    "CONTAINER...",
    "Block until one or more containers stop, then print their exit codes",
    (
        several("--condition", "STATE",
                "Condition to wait for, given once or several times: stopped, exited, "
                "running, healthy, unhealthy, paused, created, stopping, removed or next-exit "
                "(default stopped)",
                complete="stopped exited running healthy unhealthy paused created stopping "
                "removed next-exit"),
        text("-i --interval", "TIME",
            "Time between two checks, as in 250ms (a plain number is milliseconds)"),
        LATEST,
        flag("--ignore", "Print -1 for containers that do not exist"),
    ),
    complete=("container",),
)  # fmt: skip


def run(call: Call) -> int:
    """Wait for each in turn."""
    from rootless.cli import output
    from rootless.cli.verbs import _several
    from rootless.engine.containers import wait as container_wait
    from rootless.errors import ContainerNotFound

    conditions = call.options["condition"] or ["stopped"]
    container_wait.check(conditions)
    interval = _interval(call.options["interval"])
    containers = call.engine().containers

    def work(word: str) -> str:
        try:
            found = containers.get(word)
            return str(found.wait(conditions, interval=interval)["StatusCode"])
        except ContainerNotFound:
            if call.options["ignore"]:
                return "-1"
            raise

    return output.each(_several.named(call), work)


def _interval(text: str | None) -> float | None:
    from rootless.engine.common import times
    from rootless.errors import UsageError

    if text is None:
        return None
    seconds = float(text) / 1000 if text.isdigit() else times.duration(text)
    if not seconds:
        raise UsageError(f'invalid --interval "{text}"', hint="as in 250ms")
    return seconds
