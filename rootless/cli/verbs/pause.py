"""`rootless pause`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._shared_options import CHOICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "pause",
    "CONTAINER...",
    "Pause all processes of one or more containers",
    (flag("-a --all", "Pause all running containers"), *CHOICE),
    complete=("running",),
)


def run(call: Call) -> int:
    """Do it to each."""
    from rootless.cli.verbs import _several

    return _several.side_by_side(call, lambda one: one.pause(), states=("running",))
