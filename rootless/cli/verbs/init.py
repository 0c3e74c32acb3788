"""`rootless init`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container

VERB = Verb(
    "init",
    "CONTAINER...",
    "Check that containers can be started",
    (flag("-a --all", "Check all containers that do not run"), LATEST),
    complete=("stopped",),
    text="Nothing has to be set up before a container is started, which does it all: there is no "
    "state between created and running. A container that runs is an error, as with podman.",
)


def run(call: Call) -> int:
    """Look at each."""
    from rootless.cli.verbs import _several
    from rootless.errors import Conflict

    def work(one: Container) -> None:
        if one.status not in ("created", "exited"):
            raise Conflict(f"the container {one.name} is {one.status}", hint="rootless stop first")

    return _several.side_by_side(call, work, states=("created", "exited"))
