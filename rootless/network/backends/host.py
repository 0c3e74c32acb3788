"""The host's network namespace: nothing is separate, and every port is the host's."""

from __future__ import annotations

from rootless.network.backends.backend import Backend


class Host(Backend):
    """See the module."""

    name = "host"
    picture = "the host's own devices, as for any program of yours"
    shares_host = True
    counts = False
    unpublished = "with --network host the container listens on the host's own ports"


BACKEND = Host()
