"""`rootless restart`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number
from rootless.cli.verbs._shared_options import CHOICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "restart",
    "CONTAINER...",
    "Restart one or more containers",
    (
        number(
            "-t --time --timeout",
            "SECONDS",
            "Seconds to wait before killing the container",
            dest="time",
        ),
        flag("-a --all", "Restart all containers, running or not"),
        flag("--running", "Restart all running containers"),
        *CHOICE,
    ),
    complete=("container",),
)


def run(call: Call) -> int:
    """Stop and start."""
    from rootless.cli.verbs import _several

    seconds = call.options["time"]
    states = _several.ALIVE if call.options["running"] else ()
    call.options["all"] = call.options["all"] or call.options["running"]
    return _several.side_by_side(call, lambda one: one.restart(seconds), states=states)
