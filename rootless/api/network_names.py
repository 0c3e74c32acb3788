"""What docker's clients call the networks that every host has."""

from __future__ import annotations

import hashlib


def identifier(name: str) -> str:
    """The id that a network of every host has."""
    return hashlib.sha256(b"rootless network " + name.encode()).hexdigest()


def network_name(mode: str) -> str:
    """What docker's clients call the network of a container."""
    return mode if mode in ("host", "none") or mode.startswith("container:") else "bridge"
