"""The network namespace of another container, with its addresses and its ports."""

from __future__ import annotations

from rootless.network.backends.backend import Backend, Network


class Shared(Backend):
    """See the module."""

    name = "container"
    usage = "container:NAME"
    picture = "shared with another container"
    joins = True
    unpublished = "the network is another container's, which publishes its own"

    def parse(self, rest: str) -> Network | None:
        """The rest is the name or id of the other container."""
        return Network(self, target=rest) if rest else None


BACKEND = Shared()
