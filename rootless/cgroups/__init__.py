"""Limits of containers: who can apply them here, and what can be done with a cgroup."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager


def choose(requested: str | None, mode: str = "") -> Manager:
    """Return the best manager of this host, or the one asked for.

    `mode`: "" or "enabled"; "disabled"; "split", below the cgroup that we are in; "no-conmon", with
    the monitor left where it is.  Raises UsageError, HostError.
    """
    from rootless.cgroups import managers

    return managers.choose(requested, mode)
