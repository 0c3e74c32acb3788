"""A volume as `engine.volumes` hands it out: what inspect shows of it, and what can be done.

The names are those of docker's Python client; as a table it has the keys of `volume inspect`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Volumes(Protocol):
        """What a volume asks of the collection that it is from."""

        def get(self, name: str) -> Volume: ...
        def remove(self, name: str, force: bool = False) -> str: ...


class Volume(dict):  # type: ignore[type-arg]
    """A volume of one engine; what it knows is of the moment when it was asked for."""

    def __init__(self, found: dict[str, Any], volumes: Volumes) -> None:
        super().__init__(found)
        self._volumes = volumes

    def __repr__(self) -> str:
        return f"<Volume {self.name}>"

    @property
    def name(self) -> str:
        """Its unique name."""
        return str(self["Name"])

    id = name

    @property
    def short_id(self) -> str:
        """Its name, of an anonymous one the first 12 digits."""
        return self.name[:12] if self["Anonymous"] else self.name

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self["Labels"])

    @property
    def mountpoint(self) -> str:
        """Where its files are on the host."""
        return str(self["Mountpoint"])

    @property
    def attrs(self) -> dict[str, Any]:
        """The shape of `docker volume inspect`."""
        return dict(self)

    def reload(self) -> None:
        """Ask again.  Raises VolumeNotFound."""
        found = self._volumes.get(self.name)
        self.clear()
        self.update(found)

    def remove(self, force: bool = False) -> None:
        """Remove it and what it holds.  Raises Conflict while a container uses it."""
        self._volumes.remove(self.name, force)
