"""`generate systemd`: a plain unit for a container."""

from __future__ import annotations

from rootless.quadlet import generator
from rootless.quadlet import plain_service as quadlet_service
from rootless.quadlet.plain_service import Wanted

__all__ = ["Wanted", "unit"]


def unit(name: str, wanted: Wanted, create: list[str] | None, service: str) -> str:
    """Return the text of the unit; `create`: what makes the container anew at each start."""
    return quadlet_service.unit(name, wanted, generator.program(), create, service)
