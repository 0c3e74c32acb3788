"""`rootless volume exists`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume exists",
    "NAME",
    "Check whether a volume exists",
    minimum=1,
    maximum=1,
    complete=("volume",),
    text="Exits with 0 if the volume exists, with 1 if not. Prints nothing.",
    examples="rootless volume exists papers || rootless volume create papers",
)


def run(call: Call) -> int:
    """Look."""
    return 0 if call.engine().volumes.exists(call.words[0]) else 1
