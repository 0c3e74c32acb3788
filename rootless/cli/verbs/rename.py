"""`rootless rename`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "rename",
    "CONTAINER NAME",
    "Rename a container",
    minimum=2,
    maximum=2,
    complete=("container", ""),
)


def run(call: Call) -> None:
    """Do it."""
    call.engine().containers.get(call.words[0]).rename(call.words[1])
