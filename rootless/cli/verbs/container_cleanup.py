"""`rootless container cleanup`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container

VERB = Verb(
    "container cleanup",
    "CONTAINER...",
    "Clean up after containers that have ended (done anyway)",
    (
        flag("-a --all", "Clean up after all containers that have ended"),
        LATEST,
        flag("--rm", "Remove the container"),
        flag("--rmi", "Remove the image as well"),
        text("--exec", "ID", "Accepted for compatibility: an exec leaves nothing behind"),
    ),
    complete=("stopped",),
    text="A container that has ended leaves no process, mount or network behind, so that there is "
    "nothing to do without --rm.",
)


def run(call: Call) -> int:
    """Look at each, and remove it if that was asked for."""
    from rootless.cli.verbs import _several
    from rootless.errors import Conflict

    given = call.options
    images = call.engine().images

    def work(one: Container) -> None:
        if one.status in ("running", "paused", "restarting"):
            raise Conflict(f"the container {one.name} is {one.status}", hint="rootless stop first")
        image = one.image
        if given["rm"] or given["rmi"]:
            one.remove()
        if given["rmi"]:
            images.remove(image)

    return _several.side_by_side(call, work, states=("created", "exited", "dead"))
