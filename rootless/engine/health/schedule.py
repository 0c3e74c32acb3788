"""Having health checks made at their times.

Nobody waits for the next check: a timer of the user's systemd, or else the monitor, starts
`rootless healthcheck run` each time, which ends when the check has ended.
"""

from __future__ import annotations

import os

from rootless.engine.common import reexec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager
    from rootless.engine.health.checked import CheckedContainer
    from rootless.engine.health.record import HealthRecord


def _intervals(wanted: HealthRecord) -> tuple[float, float]:
    """Seconds to a check while the container starts, and to later ones."""
    regular = wanted["interval"]
    if wanted["startup"]:
        return wanted["startup"]["interval"], regular
    return (wanted["startInterval"] if wanted["startPeriod"] else regular), regular


def drive(container: CheckedContainer, manager: Manager, cgroup: str) -> list[str]:
    """Have the checks made from now on: by a timer, or by the monitor, whose arguments are
    returned."""
    wanted = container.record.get("health")
    if not wanted or not wanted["interval"]:
        return []
    first, regular = _intervals(wanted)
    if timer(container, manager, cgroup, "start" if first != regular else "run", first):
        return []
    times = [str(int(first * 1000)), str(int(regular * 1000))]
    return [*times, *reexec.environment(), "", *_words(container, "monitor")]


def _words(container: CheckedContainer, driver: str) -> list[str]:
    return [
        *reexec.command(container.ctx.arguments()),
        "healthcheck",
        "run",
        "--driver",
        driver,
        container.id,
    ]


def timer(
    container: CheckedContainer, manager: Manager, cgroup: str, stage: str, seconds: float
) -> bool:
    """Have the user's systemd make the checks every so many seconds; whether it does."""
    if manager.kind != "systemd" or not cgroup:
        return False
    # a name of its own each time: a check that restarts the container runs in the unit of before
    name = f"{container.id[:12]}-health-{stage}-{os.urandom(2).hex()}"
    return manager.repeat(
        cgroup,
        name,
        f"health check of the container {container.name} (rootless)",
        seconds,
        _words(container, f"timer:{name}"),
        reexec.environment(),
    )
