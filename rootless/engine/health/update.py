"""`update --health-…`: another health check for a container that exists, at once if it runs.

What is not named stays as it is; without a check before, what `run` would take.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.health import config as health_config
from rootless.engine.health import schedule as health_schedule
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.health.checked import CheckedContainer
    from rootless.engine.health.record import HealthRecord

NAMES = (*ContainerOptions.HEALTH, "no_healthcheck")


def take(words: dict[str, Json]) -> dict[str, Json]:
    """Take the options about health out of those of `update`; return those that were given."""
    found = {name: words.pop(name) for name in NAMES if name in words}
    return {name: value for name, value in found.items() if value not in (None, False)}


def changed(
    container: CheckedContainer, given: dict[str, Json], shell: Callable[[], Json]
) -> HealthRecord | None:
    """Return the check as container.json is to have it; None for none.  Raises UsageError.

    `shell` answers with the SHELL of the image, which commands given as texts are for.
    """
    older = container.record.get("health")
    options = ContainerOptions(image="", rm=container.record["remove"], **given)
    if options.no_healthcheck:
        return health_config.parse(options, {})
    image: Json = {"Shell": shell()}
    if older:
        _keep(older, options, image)
    elif options.health_cmd is None:
        raise UsageError(
            f"the container {container.name} has no health check that could be changed",
            hint='give it one, as in --health-cmd "wget -qO- http://localhost/"',
        )
    made = health_config.parse(options, image)
    if made and older:
        if "health_cmd" not in given:
            made["command"] = older["command"]
        startup, before = made["startup"], older["startup"]
        if startup and before and "health_startup_cmd" not in given:
            startup["command"] = before["command"]
    return made


def _keep(older: HealthRecord, options: ContainerOptions, image: Json) -> None:
    """What was before takes the place of defaults."""
    table = health_config.configured({"health": older})
    image["Healthcheck"] = table["Healthcheck"]
    kept: dict[str, Json] = {
        "health_on_failure": older["onFailure"],
        "health_log_destination": older["destination"],
        "health_max_log_count": older["logCount"],
        "health_max_log_size": older["logSize"],
    }
    if not older["interval"]:
        kept["health_interval"] = "disable"
    startup = older["startup"]
    if startup and options.health_startup_cmd is None:
        kept |= {
            "health_startup_cmd": startup["test"],
            "health_startup_interval": f"{startup['interval']}s",
            "health_startup_timeout": f"{startup['timeout']}s",
            "health_startup_retries": startup["retries"],
            "health_startup_success": startup["success"],
        }
    for name, value in kept.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def drive(container: CheckedContainer, manager: Manager, older: HealthRecord | None) -> None:
    """Have the checks of a running container made at their new times."""
    cgroup = container.cgroup()
    if manager.kind == "systemd" and cgroup:
        manager.repeat_no_more(cgroup, f"{container.short_id}-health-*")
    words = health_schedule.drive(container, manager, cgroup)
    # a monitor that makes the checks looks here after each of them; 0: no more
    times = words[:2] or ["0", "0"]
    path = os.path.join(container.directory, "health.times")
    documents.write_bytes(path, ("\n".join(times) + "\n").encode())
    if words and not (older and older["interval"]):
        container.ctx.notice(
            f"health-{container.short_id}",
            f"the checks of {container.name} begin with its next start: its monitor was started "
            "without any",
            always=True,
        )
