"""A network namespace with nothing but its loopback device."""

from __future__ import annotations

from rootless.network.backends.backend import Backend


class Nothing(Backend):
    """See the module."""

    name = "none"
    picture = "nothing but the container's own loopback"
    isolated = True
    counts = False
    unpublished = "with --network none there is nothing to reach"

    def name_servers(self, host: list[str], options: dict[str, str]) -> list[str]:
        """None can be reached."""
        return []


BACKEND = Nothing()
