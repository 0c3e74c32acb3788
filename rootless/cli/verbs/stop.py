"""`rootless stop`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number, text
from rootless.cli.verbs._shared_options import CHOICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "stop",
    "CONTAINER...",
    "Stop one or more running containers",
    (
        number(
            "-t --time --timeout",
            "SECONDS",
            "Seconds to wait before killing the container",
            dest="time",
        ),
        text("-s --signal", "SIGNAL", "Signal to send to the container"),
        flag("-a --all", "Stop all containers"),
        *CHOICE,
        flag("-i --ignore", "Ignore containers that do not exist"),
    ),
    complete=("running",),
)


def run(call: Call) -> int:
    """Several are stopped side by side: their grace times do not add up."""
    from rootless.cli.verbs import _several

    seconds, signal = call.options["time"], call.options["signal"]
    if signal:
        from rootless.engine.common import signals

        signals.number(signal)
    return _several.side_by_side(call, lambda one: one.stop(seconds, signal))
