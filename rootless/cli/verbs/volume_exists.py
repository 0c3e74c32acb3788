"""`rootless volume exists`."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "volume exists",
    "NAME",
    "Tell whether a volume is here",
    minimum=1,
    maximum=1,
    complete=("volume",),
    text="0 if it is, 1 if it is not; nothing is printed.",
    examples="rootless volume exists papers || rootless volume create papers",
)


def run(call: Call) -> int:
    """Look."""
    return 0 if call.engine().volumes.exists(call.words[0]) else 1
