"""`rootless kill`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._shared_options import CHOICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "kill",
    "CONTAINER...",
    "Send a signal to one or more running containers",
    (
        text("-s --signal", "SIGNAL", "Signal to send (default KILL)"),
        flag("-a --all", "Signal all running containers"),
        *CHOICE,
    ),
    complete=("running",),
)


def run(call: Call) -> int:
    """Send it to each."""
    from rootless.cli import output
    from rootless.cli.verbs import _several

    signal = call.options["signal"] or "KILL"
    containers = call.engine().containers

    def work(word: str) -> str:
        containers.get(word).kill(signal)
        return word

    return output.each(_several.named(call, _several.ALIVE), work)
