"""`rootless image exists`."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "image exists",
    "IMAGE",
    "Tell whether an image is here",
    minimum=1,
    maximum=1,
    complete=("image",),
    text="0 if it is, 1 if it is not; nothing is printed.",
    examples="rootless image exists debian || rootless pull debian",
)


def run(call: Call) -> int:
    """Look."""
    return 0 if call.engine().images.exists(call.words[0]) else 1
