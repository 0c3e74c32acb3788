"""What docker's clients call the networks of a container, and their ids."""

from __future__ import annotations

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.engine import Engine

# those that are no networks of the engine's
WITHOUT = {"host": "host", "none": "null"}


def identifier(name: str) -> str:
    """The id that one of WITHOUT has."""
    return hashlib.sha256(b"rootless network " + name.encode()).hexdigest()


class Ids:
    """Ids of networks by name, each looked up once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = {name: identifier(name) for name in WITHOUT}

    def __call__(self, name: str) -> str:
        """The id; "" for a network that has gone."""
        from rootless.errors import RootlessError

        if name not in self._known:
            try:
                self._known[name] = self._engine.networks.get(name)["id"]
            except RootlessError:
                self._known[name] = ""
        return self._known[name]


def names(container: ContainerRef) -> list[str]:
    """Its networks; a network of its own is docker's bridge.  None where it shares another's."""
    mode = container.record["network"]
    if mode.startswith("container"):
        return []
    if container.record.get("networks"):
        return container.networks
    return [mode if mode in WITHOUT else "bridge"]


def mode(container: ContainerRef) -> str:
    """HostConfig.NetworkMode."""
    found = names(container)
    return found[0] if found else container.record["network"]
