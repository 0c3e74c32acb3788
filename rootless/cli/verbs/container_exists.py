"""`rootless container exists`."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "container exists",
    "CONTAINER",
    "Tell whether a container exists",
    minimum=1,
    maximum=1,
    complete=("container",),
    text="0 if it does, 1 if it does not; nothing is printed.",
    examples="rootless container exists db || rootless run -d --name db redis",
)


def run(call: Call) -> int:
    """Look."""
    from rootless.errors import ContainerNotFound

    try:
        call.engine().containers.get(call.words[0])
    except ContainerNotFound:
        return 1
    return 0
