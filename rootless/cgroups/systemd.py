"""A scope per container from the user's own systemd.

`app.slice/rootless-ID.scope` holds the monitor in `sup` and the container in `ctr`.  Limits are
properties of the scope, so that `systemctl --user status` and `set-property` show the truth, and
files of `ctr`, so that they can be read from inside.  systemd ends the scope when it is empty.

Source: systemd.resource-control(5), systemd.scope(5), org.freedesktop.systemd1(5),
"Control Group APIs and Delegation" (systemd.io/CGROUP_DELEGATION).
"""

from __future__ import annotations

import os
import time

from rootless.cgroups import dbus, limits, tree
from rootless.cgroups.managers import Manager
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.cgroups.limits import Resources

SYSTEMD = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
MANAGER = SYSTEMD + ".Manager"
# the scope also holds the monitor and programs beside the container, which are no part of the
# container: its own cgroup has the exact limits, the scope room for them where it would matter
_HELPERS = 16
_SMALL, _RESERVE = 32 << 20, 8 << 20
_INFINITY = (1 << 64) - 1
_JOB_REMOVED = f"type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'"
_RATES = {"rbps": "IOReadBandwidthMax", "wbps": "IOWriteBandwidthMax", "riops": "IOReadIOPSMax",
          "wiops": "IOWriteIOPSMax"}  # fmt: skip
_UNIFIED = {"memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
            "memory.max": "MemoryMax", "memory.swap.max": "MemorySwapMax",
            "pids.max": "TasksMax", "cpu.weight": "CPUWeight"}  # fmt: skip


def find(*, forced: bool) -> tuple[Manager | None, str]:
    """Return the user's systemd if it answers on its bus, and why not.

    Connecting is the test: after the manager was killed the socket's file stays without a listener.
    """
    if not os.path.isdir("/run/systemd/system"):
        return None, "systemd does not run here"
    if not tree.of_process():
        return None, "systemd does not use cgroup v2 alone"
    address = dbus.user_address()
    try:
        bus = dbus.Bus(address)
        bus.flush()  # it lets us in while the container is prepared
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return None, f"the user's systemd does not answer at {address}: {str(reason).lower()}"
    return SystemdUser(bus, forced), ""


class SystemdUser(Manager):
    """The user's systemd; one connection, opened when it was found."""

    kind = "systemd"

    def __init__(self, bus: dbus.Bus, forced: bool) -> None:
        super().__init__("a scope of the user's systemd for each container")
        self._bus: dbus.Bus | None = bus
        self._forced = forced

    def bus(self) -> dbus.Bus:
        """Return the connection; a new one after it was used up.  Raises HostError."""
        if self._bus is None:
            try:
                self._bus = dbus.Bus(dbus.user_address())
            except (OSError, ValueError) as error:
                raise HostError(f"the user's systemd does not answer: {error}") from None
        return self._bus

    def call(self, member: str, signature: str = "", *values: Any) -> list[Any]:
        """Call a method of the manager.  Raises dbus.DBusError, HostError."""
        return self.bus().call(SYSTEMD, PATH, MANAGER, member, signature, *values)

    def base(self) -> str:
        """Return the cgroup of the user's systemd itself."""
        try:
            found = self.bus().call(
                SYSTEMD, PATH, "org.freedesktop.DBus.Properties", "Get", "ss", MANAGER,
                "ControlGroup",
            )  # fmt: skip
        except dbus.DBusError as error:
            raise HostError(f"the user's systemd does not answer: {error}") from None
        return tree.ROOT + str(found[0]).rstrip("/")

    def controllers(self) -> set[str]:
        """See the base class."""
        return tree.controllers(self.base())

    def check(self, resources: Resources, parent: str = "") -> None:
        """Raise HostError naming what is not delegated, UsageError for a parent that is no
        slice."""
        if parent and (not parent.endswith(".slice") or "/" in parent):
            raise UsageError(
                f"--cgroup-parent {parent} is not the name of a slice",
                hint="as in work.slice or work-night.slice, below which the scope is made",
            )
        if resources.any():
            self._refuse(resources.controllers() - self.controllers(), "the user's systemd")

    def attach(
        self,
        pid: int,
        identifier: str,
        resources: Resources,
        *,
        parent: str = "",
        name: str = "",
        unit: str = "",
    ) -> str:
        """Make the scope with the monitor in it and divide it.  Raises HostError."""
        unit = unit or f"rootless-{identifier[:12]}.scope"
        settings: list[tuple[str, tuple[str, Any]]] = [
            ("Description", ("s", f"container {name or identifier[:12]} (rootless)")),
            ("PIDs", ("au", [pid])),
            ("Delegate", ("b", True)),
            ("CollectMode", ("s", "inactive-or-failed")),
            *properties(resources),
        ]
        if parent:
            settings.append(("Slice", ("s", parent)))
        try:
            self._start(unit, settings)
            scope = tree.of_process(pid)
            if not scope.endswith("/" + unit):
                raise HostError(
                    f"systemd did not move the container's monitor to {unit}, it is in {scope}"
                )
            path = tree.divide(scope, pid)
        except dbus.DBusError as error:
            if not self._forced and not resources.any() and not parent:
                return ""  # a bus without systemd: no limit was asked for
            raise HostError(
                f"systemd refuses the scope {unit}: {error.text or error.name}",
                hint="systemctl --user status; or choose --cgroup-manager disabled",
            ) from None
        except OSError as error:
            raise HostError(f"the scope {unit} cannot be divided: {error.strerror}") from None
        tree.apply(path, resources)
        return path

    def _start(self, unit: str, settings: list[tuple[str, tuple[str, Any]]]) -> None:
        bus = self.bus()
        bus.match(_JOB_REMOVED)
        began = time.monotonic()
        while True:
            try:
                job = self.call(
                    "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", settings, []
                )[0]
                break
            except dbus.DBusError as error:
                # the scope of its last run may be ending still
                waited = time.monotonic() - began
                if not error.name.endswith("UnitExists") or waited > 10:
                    raise
                if waited > 1:
                    self._end_empty(unit)
                time.sleep(0.02)
        done = bus.wait(
            lambda one: one.fields.get("member") == "JobRemoved" and one.values[1] == job
        )
        if done.values[3] != "done":
            raise HostError(
                f"systemd did not make the scope {unit}: {done.values[3]}",
                hint=f"journalctl --user -u {unit}",
            )

    def _end_empty(self, unit: str) -> None:
        """Stop a scope without processes: systemd did not hear that the last one has gone."""
        try:
            if not self.call("GetUnitProcesses", "s", unit)[0]:
                self.call("StopUnit", "ss", unit, "replace")
        except dbus.DBusError:
            pass  # it has ended by itself meanwhile

    def update(self, path: str, resources: Resources) -> None:
        """Change the scope's properties and the container's files.  Raises HostError."""
        unit = os.path.basename(os.path.dirname(path))
        tree.apply(path, resources)
        try:
            self.call("SetUnitProperties", "sba(sv)", unit, True, properties(resources))
        except dbus.DBusError as error:
            raise HostError(f"systemd refuses to change {unit}: {error.text}") from None

    def repeat(
        self,
        path: str,
        name: str,
        description: str,
        seconds: float,
        command: list[str],
        environment: list[str],
    ) -> bool:
        """Make a timer and the service it starts, by one call; it ends with the scope."""
        scope = os.path.basename(os.path.dirname(path))
        timer, service = f"rootless-{name}.timer", f"rootless-{name}.service"
        every = int(seconds * 1000000)
        timed = [
            ("Description", ("s", description)),
            ("CollectMode", ("s", "inactive-or-failed")),
            # whatever ends the scope, the timer has ended with it
            ("BindsTo", ("as", [scope])),
            ("After", ("as", [scope])),
            ("TimersMonotonic",
             ("a(st)", [("OnActiveSec", every), ("OnUnitInactiveSec", every)])),
            # systemd's own minute would make a check every ten seconds one every minute
            ("AccuracyUSec", ("t", min(1000000, max(1000, every // 10)))),
            ("RemainAfterElapse", ("b", False)),
        ]  # fmt: skip
        served = [
            ("Description", ("s", description)),
            ("CollectMode", ("s", "inactive-or-failed")),
            ("Type", ("s", "oneshot")),
            ("ExecStart", ("a(sasb)", [(command[0], command, False)])),
            ("Environment", ("as", environment)),
            # what it starts again on failure is another container's life
            ("KillMode", ("s", "process")),
            # or the journal would have two lines for every check
            ("LogLevelMax", ("i", 5)),
        ]
        try:
            self.call("StartTransientUnit", "ssa(sv)a(sa(sv))", timer, "replace", timed,
                      [(service, served)])  # fmt: skip
        except dbus.DBusError:
            return False
        return True

    def repeat_no_more(self, path: str, name: str) -> None:
        """Stop the timer, or those of a pattern; what they have started goes on to its end."""
        units = [f"rootless-{name}.timer"]
        try:
            if "*" in name:
                units = [one[0] for one in self.call("ListUnitsByPatterns", "asas", [], units)[0]]
            for unit in units:
                self.call("StopUnit", "ss", unit, "replace")
        except dbus.DBusError:
            pass  # it ended with its scope


def _cpu_list(text: str) -> list[int]:
    """`0-2,4` -> the bytes of a mask, as AllowedCPUs takes it."""
    mask = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            mask |= 1 << number
    return list(mask.to_bytes((mask.bit_length() + 7) // 8, "little"))


def properties(resources: Resources) -> list[tuple[str, tuple[str, Any]]]:
    """Return limits as systemd's properties, with their D-Bus types."""
    found: list[tuple[str, tuple[str, Any]]] = []

    def number(name: str, value: int) -> None:
        found.append((name, ("t", _INFINITY if value < 0 else value)))

    if resources.memory is not None:
        small = 0 <= resources.memory < _SMALL
        number("MemoryMax", resources.memory + (_RESERVE if small else 0))
    if resources.swap is not None:
        alone = -1 if resources.swap < 0 else resources.swap - max(resources.memory or 0, 0)
        number("MemorySwapMax", alone)
    if resources.reservation is not None:
        number("MemoryLow", max(resources.reservation, 0))
    if resources.cpu_quota is not None or resources.cpu_period is not None:
        period = resources.cpu_period or limits.PERIOD
        quota = resources.cpu_quota or -1
        number("CPUQuotaPerSecUSec", -1 if quota < 0 else quota * 1000000 // period)
        number("CPUQuotaPeriodUSec", period)
    if resources.cpu_shares:
        number("CPUWeight", limits.cpu_weight(resources.cpu_shares))
    if resources.cpuset:
        found.append(("AllowedCPUs", ("ay", _cpu_list(resources.cpuset))))
    if resources.mems:
        found.append(("AllowedMemoryNodes", ("ay", _cpu_list(resources.mems))))
    if resources.pids is not None:
        number("TasksMax", -1 if resources.pids <= 0 else resources.pids + _HELPERS)
    if resources.io_weight:
        number("IOWeight", limits.io_weight(resources.io_weight))
    for rate, name in _RATES.items():
        values = [
            (f"/dev/block/{device}", _INFINITY if rates[rate] <= 0 else rates[rate])
            for device, rates in resources.io.items()
            if rate in rates
        ]
        if values:
            found.append((name, ("a(st)", values)))
    for file, value in resources.unified.items():
        if file in _UNIFIED and value.isdigit():
            number(_UNIFIED[file], int(value))
    return found
