"""`rootless restart`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number

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
        flag("-a --all", "Restart all running containers"),
    ),
    complete=("container",),
)


def run(call: Call) -> int:
    """Stop and start."""
    from rootless.cli.verbs import _several

    seconds = call.options["time"]
    return _several.side_by_side(call, lambda one: one.restart(seconds))
