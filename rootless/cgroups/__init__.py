"""Limits of containers: who can apply them here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager


def choose(requested: str | None) -> Manager:
    """The best manager of this host, or the one asked for.  Raises UsageError, HostError."""
    from rootless.cgroups import managers

    return managers.choose(requested)
