"""`logs --details`: what --log-opt labels= and env= name of a container, before each line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef


def of(container: ContainerRef) -> bytes:
    """`name=value,…` and a space, empty without such an option; as docker prints it."""
    wanted: dict[str, list[str]] = {"labels": [], "env": []}
    for word in container.record["logOptions"]:
        name, _, value = word.partition("=")
        if name in wanted:
            wanted[name] += value.split(",")
    found = {name: value for name, value in container.labels.items() if name in wanted["labels"]}
    if wanted["env"]:
        for word in container.config()["process"]["env"]:
            name, _, value = word.partition("=")
            if name in wanted["env"]:
                found[name] = value
    told = ",".join(f"{name}={value}" for name, value in sorted(found.items()))
    return f"{told} ".encode() if told else b""
