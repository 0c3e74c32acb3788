"""`rootless pause`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "pause",
    "CONTAINER...",
    "Freeze containers",
    (flag("-a --all", "all that run"),),
    complete=("running",),
)


def run(call: Call) -> int:
    """Do it to each."""
    from rootless.cli.verbs import _several

    return _several.side_by_side(call, lambda one: one.pause())
