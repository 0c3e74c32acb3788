"""Containers whose documents cannot be read: they are listed, and they can be removed.

What is known of one without `container.json` is its id, its name, and, while `state` can be read,
its life.  Without `state` the monitor is found by its socket (`monitor`).
"""

from __future__ import annotations

from rootless.engine.containers import record
from rootless.engine.containers.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.state import State
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.errors import DamagedDocument
    from rootless.userns.idmap import IdMaps


class Damaged(Container):
    """A container whose `container.json` is damaged; all but its removal raises DamagedDocument."""

    def __init__(
        self, ctx: Context, identifier: str, stores: Stores, error: DamagedDocument
    ) -> None:
        self.error = error
        super().__init__(ctx, identifier, stores)

    def reload(self) -> None:
        """There is nothing to be read."""
        self.record = record.stand_in(self.directory, self.id)

    def look(self) -> State:
        """Dead, with the process and the monitor that there may be."""
        found = super().look()
        if found.damage is None:
            found.status, found.damage = "dead", self.error
        return found

    def maps(self) -> IdMaps:
        """Return the user's own map: the container's is not known, and all files fit this one."""
        return self.ctx.maps

    def rename(self, new: str) -> None:
        """Raises DamagedDocument: there is nothing to write the name into."""
        raise self.error

    def update(self, **words: object) -> None:
        """Raises DamagedDocument."""
        raise self.error
