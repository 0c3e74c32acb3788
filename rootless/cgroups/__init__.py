"""Limits of containers: who can apply them here, and what can be done with a cgroup."""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager


def choose(requested: str | None, mode: str = "") -> Manager:
    """Choose the best manager of this host, or the one asked for.

    `mode`: "" or "enabled"; "disabled"; "split", below the cgroup that we are in; "no-conmon", with
    the monitor left where it is.  Makes nothing and asks nothing, only looks.  Raises UsageError,
    HostError.
    """
    from rootless.cgroups import managers

    if requested not in (None, "", "systemd", "cgroupfs", "disabled", "none"):
        raise UsageError(
            f'unknown cgroup manager "{requested}"', hint="systemd, cgroupfs or disabled"
        )
    if mode not in ("", "enabled", "disabled", "split", "no-conmon"):
        raise UsageError(
            f'unknown --cgroups "{mode}"', hint="enabled, disabled, split or no-conmon"
        )
    if mode == "disabled":
        return managers.Manager("cgroups were disabled by --cgroups")
    if requested in ("disabled", "none"):
        return managers.Manager("cgroups were disabled by --cgroup-manager")
    why = ""
    # a batch job must stay within its own limits: a scope of the user's systemd would leave them
    if mode != "split" and (
        requested == "systemd" or (not requested and "SLURM_JOB_ID" not in os.environ)
    ):
        found, why = _systemd(requested == "systemd")
        if found is not None:
            if mode == "no-conmon":
                raise UsageError(
                    "--cgroups no-conmon cannot be had with systemd: the monitor holds the scope",
                    hint="the container's limits do not count the monitor; or add "
                    "--cgroup-manager cgroupfs in a delegated unit",
                )
            return found
        if requested == "systemd":
            raise HostError(
                f"the cgroup manager systemd cannot be had: {why}", hint=managers.REMEDY
            )
    base, reason = managers.delegated()
    if base:
        return managers.Delegated(base, reason, mode)
    if requested == "cgroupfs" or mode in ("split", "no-conmon"):
        asked = "the cgroup manager cgroupfs" if requested == "cgroupfs" else f"--cgroups {mode}"
        raise HostError(f"{asked} cannot be had: {reason}", hint=managers.REMEDY)
    return managers.Manager(
        f"{reason}, and {why}" if why and os.path.isdir("/run/systemd/system") else reason
    )


def _systemd(forced: bool) -> tuple[Manager | None, str]:
    if not os.path.isdir("/run/systemd/system"):
        return None, "systemd does not run here"
    from rootless.cgroups import systemd

    return systemd.find(forced=forced)
