"""`rootless container exists`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "container exists",
    "CONTAINER",
    "Check whether a container exists",
    (flag("-e --external", "Accepted for compatibility: nobody else has containers here"),),
    minimum=1,
    maximum=1,
    complete=("container",),
    text="Exits with 0 if the container exists, with 1 if not. Prints nothing.",
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
