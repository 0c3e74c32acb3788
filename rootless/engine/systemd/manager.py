"""Services of the user's systemd: load units, read their states, restart one.

Source: org.freedesktop.systemd1(5).
"""

from __future__ import annotations

from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.cgroups.systemd import SystemdUser


class Services:
    """The user's systemd as a supervisor of services.  Raises HostError when it is not there."""

    def __init__(self) -> None:
        from rootless.cgroups import systemd

        found, why = systemd.find(forced=False)
        if found is None:
            raise HostError(
                f"services need the user's systemd: {why}",
                hint="log in through systemd, or as root: loginctl enable-linger NAME",
            )
        self._manager: SystemdUser = found  # type: ignore[assignment]

    def reload(self) -> None:
        """Let it read its units anew, which runs the generators."""
        self._manager.bus().socket.settimeout(300)
        self._call("Reload")

    def states(self, units: list[str]) -> dict[str, str]:
        """Return `active/running`, `inactive/dead`, `Not loaded` of units by name."""
        if not units:
            return {}
        rows = self._call("ListUnitsByNames", "as", units)[0]
        return {
            str(row[0]): "Not loaded" if row[2] == "not-found" else f"{row[3]}/{row[4]}"
            for row in rows
        }

    def instances(self, template: str) -> list[str]:
        """Return the loaded units of a template, as a@x.service of a@.service."""
        front, _, back = template.partition("@")
        rows = self._call("ListUnitsByPatterns", "asas", [], [f"{front}@*{back}"])[0]
        return [str(row[0]) for row in rows]

    def restart(self, unit: str, seconds: float = 600) -> str:
        """Restart a unit and wait: `done`, or what else became of the job (`failed`, `timeout`)."""
        return self._job("RestartUnit", unit, seconds)

    def reset(self, unit: str) -> None:
        """Forget that it failed, and how often it was started; nothing for one never loaded."""
        try:
            self._call("ResetFailedUnit", "s", unit)
        except HostError:
            pass

    def stop(self, unit: str, seconds: float = 300) -> str:
        """Stop a unit and wait; as restart."""
        return self._job("StopUnit", unit, seconds)

    def enable(self, units: list[str]) -> None:
        """Enable units, as `systemctl --user enable` does, and read them."""
        self._call("EnableUnitFiles", "asbb", units, False, True)
        self.reload()

    def disable(self, units: list[str]) -> None:
        """Take them out of what starts at login or boot."""
        self._call("DisableUnitFiles", "asb", units, False)
        self.reload()

    def start(self, unit: str, seconds: float = 600) -> str:
        """Start a unit and wait; as restart."""
        return self._job("StartUnit", unit, seconds)

    def _job(self, method: str, unit: str, seconds: float) -> str:
        from rootless.cgroups import systemd

        bus = self._manager.bus()
        bus.match(systemd._JOB_REMOVED)
        bus.socket.settimeout(seconds)
        job = self._call(method, "ss", unit, "replace")[0]
        done = bus.wait(
            lambda one: one.fields.get("member") == "JobRemoved" and one.values[1] == job
        )
        return str(done.values[3])

    def _call(self, member: str, signature: str = "", *values: object) -> list[Any]:
        from rootless.cgroups.dbus import DBusError

        try:
            return self._manager.call(member, signature, *values)
        except DBusError as error:
            raise HostError(
                f"the user's systemd refuses {member}: {error.text or error.name}"
            ) from None
