"""Further processes for a container's cgroup (`exec`).

The kernel lets a user move a process only below a cgroup that they may write to.  From a login
session, which belongs to the system's manager, that is not so: the user's systemd moves it then.
Source: cgroup-v2.rst, "Delegation Containment".
"""

from __future__ import annotations

import os

from rootless.cgroups import tree
from rootless.errors import HostError


def must_be_asked(path: str) -> bool:
    """Return whether this process cannot move its own to the container's cgroup at `path`."""
    common = os.path.commonpath([tree.of_process() or "/", path])
    return not os.access(common + "/cgroup.procs", os.W_OK)


def admit(path: str, pid: int) -> None:
    """Have systemd move a process to the monitor's side of the container's scope.

    From there it may go on to the container's side by itself.  Raises HostError.
    """
    from rootless.cgroups import dbus, systemd

    unit = os.path.basename(os.path.dirname(path))
    try:
        with dbus.Bus(dbus.user_address()) as bus:
            bus.call(
                systemd.SYSTEMD, systemd.PATH, systemd.MANAGER, "AttachProcessesToUnit", "ssau",
                unit, "/" + tree.SUPERVISOR, [pid],
            )  # fmt: skip
    except (OSError, ValueError, dbus.DBusError) as error:
        raise HostError(
            f"the cgroup of the container cannot be entered: {error}",
            hint="it was made by the user's systemd, which has to move processes there",
        ) from None
