"""Who uses volumes: the question that this room asks the one above it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class VolumeUsers(Protocol):
        """The containers, as far as volumes are concerned."""

        def of_volumes(self) -> dict[str, list[str]]:
            """Names of volumes that containers use, and the names of those containers."""
