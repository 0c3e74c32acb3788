"""The collections that containers are made of: images and volumes.

They are asked for by attribute, so that a verb which needs none of them loads none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rootless.engine.images.collection import Images
    from rootless.engine.volumes.collection import Volumes

    class Stores(Protocol):
        """The images and volumes of the same engine."""

        @property
        def images(self) -> Images:
            """What containers are made from."""

        @property
        def volumes(self) -> Volumes:
            """What is mounted into them."""
