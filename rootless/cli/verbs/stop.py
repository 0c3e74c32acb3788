"""`rootless stop`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "stop",
    "CONTAINER...",
    "Stop containers",
    (
        number("-t --time --timeout", "SECONDS", "how long to wait before killing", dest="time"),
        flag("-a --all", "all that run"),
        flag("-i --ignore", "no error for a container that does not exist"),
    ),
    complete=("running",),
)


def run(call: Call) -> int:
    """Several are stopped side by side: their grace times do not add up."""
    from rootless.cli.verbs import _several

    seconds = call.options["time"]
    return _several.side_by_side(call, lambda one: one.stop(seconds))
