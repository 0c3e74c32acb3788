"""`rootless port`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call
    from rootless.engine.containers.container import Container

VERB = Verb(
    "port",
    "CONTAINER [PORT[/PROTOCOL]]",
    "List the port mappings of a container",
    (flag("-a --all", "List the port mappings of all running containers"), LATEST),
    maximum=2,
    complete=("container", ""),
)


def run(call: Call) -> None:
    """Print `80/tcp -> 0.0.0.0:8080`; for one port `0.0.0.0:8080`."""
    from rootless.cli import output
    from rootless.cli.verbs import _several
    from rootless.errors import NotFound, UsageError

    if call.options["all"]:
        _all(call)
        return
    if not (call.words or call.options["latest"]):
        raise UsageError("no container is named", hint="name one, or use --all")
    name, rest = _several.first(call)
    container = call.engine().containers.get(name)
    found = False
    for inner, outer in _published(container):
        if not rest:
            output.line(f"{inner} -> {outer}")
            continue
        wanted = rest[0]
        if inner == (wanted if "/" in wanted else wanted + "/tcp"):
            output.line(outer)
            found = True
    if rest and not found:
        raise NotFound(f"the port {rest[0]} of {container.name} is not published")


def _published(container: Container) -> list[tuple[str, str]]:
    from rootless.engine.common import humanize

    return [
        (inner, humanize.published(place))
        for inner, places in container.ports.items()
        for place in places
    ]


def _all(call: Call) -> None:
    """Print the id of each container that runs before its ports, as podman does."""
    from rootless.cli import output
    from rootless.errors import UsageError

    if call.words or call.options["latest"]:
        raise UsageError("--all and names contradict each other")
    for one in call.engine().containers.list():
        for inner, outer in _published(one):
            output.line(f"{one.id[:12]}\t{inner} -> {outer}")
