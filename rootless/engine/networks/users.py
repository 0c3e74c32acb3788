"""Who is on a network: what the collection of networks asks of the containers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TypedDict

    class MemberRecord(TypedDict):
        """A container on a network; addresses are empty while it does not run."""

        id: str
        name: str
        running: bool
        mac: str
        address: str
        address6: str

    class NetworkUsers(Protocol):
        """The containers, as networks see them."""

        def of_networks(self) -> dict[str, list[MemberRecord]]:
            """The containers on each network, by its name."""

        def remove(self, name: str) -> None:
            """Remove a container, running or not."""
