"""`rootless image exists`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "image exists",
    "IMAGE",
    "Check whether an image exists in local storage",
    minimum=1,
    maximum=1,
    complete=("image",),
    text="Exits with 0 if the image exists, with 1 if not. Prints nothing.",
    examples="rootless image exists debian || rootless pull debian",
)


def run(call: Call) -> int:
    """Look."""
    return 0 if call.engine().images.exists(call.words[0]) else 1
