"""The collections of an engine, as the parts see them that work on all of them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rootless.engine.containers.collection import Containers
    from rootless.engine.context import Context
    from rootless.engine.images.collection import Images
    from rootless.engine.volumes.collection import Volumes

    class Collections(Protocol):
        """What `Engine` is to them; nothing here is loaded at run time."""

        @property
        def context(self) -> Context:
            """What the collections share."""

        @property
        def containers(self) -> Containers:
            """All containers."""

        @property
        def images(self) -> Images:
            """All images."""

        @property
        def volumes(self) -> Volumes:
            """All volumes."""
