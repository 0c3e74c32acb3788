"""`rootless port`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "port",
    "CONTAINER [PORT[/PROTOCOL]]",
    "List the port mappings of a container",
    minimum=1,
    maximum=2,
    complete=("container", ""),
)


def run(call: Call) -> None:
    """Print `80/tcp -> 0.0.0.0:8080`; for one port `0.0.0.0:8080`."""
    from rootless.cli import output
    from rootless.errors import NotFound

    container = call.engine().containers.get(call.words[0])
    found = False
    published = container.ports
    for inner, outer in [
        (inner, f"{place['HostIp']}:{place['HostPort']}")
        for inner, places in published.items()
        for place in places
    ]:
        if len(call.words) == 1:
            output.line(f"{inner} -> {outer}")
            continue
        wanted = call.words[1]
        if inner == (wanted if "/" in wanted else wanted + "/tcp"):
            output.line(outer)
            found = True
    if len(call.words) > 1 and not found:
        raise NotFound(f"the port {call.words[1]} of {container.name} is not published")
