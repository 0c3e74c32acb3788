"""Who uses images: the question that this room asks the one above it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class ImageUsers(Protocol):
        """The containers, as far as images are concerned."""

        def of_images(self) -> dict[str, list[str]]:
            """Ids of images that containers use, and the names of those containers."""

        def layers(self) -> set[str] | None:
            """Short names of the layers that containers and the build cache need.

            None while somebody makes a container or builds: what they need is not written yet.
            """

        def remove(self, name: str) -> None:
            """Remove a container by force."""
