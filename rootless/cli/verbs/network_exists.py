"""`rootless network exists`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "network exists",
    "NAME",
    "Check whether a network exists",
    minimum=1,
    maximum=1,
    complete=("network",),
    text="Exits with 0 if the network exists, with 1 if not. Prints nothing.",
    examples="rootless network exists web || rootless network create web",
)


def run(call: Call) -> int:
    """Look."""
    return 0 if call.engine().networks.exists(call.words[0]) else 1
