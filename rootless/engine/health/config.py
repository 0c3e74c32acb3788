"""Health checks: what an image and the flags ask for, and what is known of a running container.

`read` and `status` are asked by `ps` and `inspect`; running a check is `checking`.
Sources: docker's HEALTHCHECK instruction, podman-run(1), "--health-…".
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.health.checked import Life
    from rootless.engine.health.record import (
        CheckedEntry,
        HealthDocument,
        HealthRecord,
        StartupRecord,
        WithHealth,
    )
    from rootless.engine.spec.options import ContainerOptions

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
ACTIONS = ("none", "kill", "restart", "stop")
NANO = 1000000000


def parse(options: ContainerOptions, image: Json) -> HealthRecord | None:
    """Return the check of a new container as container.json keeps it, None without one; times in
    seconds.

    Raises UsageError.
    """
    given = [name for name in options.HEALTH if getattr(options, name) is not None]
    if options.no_healthcheck:
        if given:
            raise UsageError(f"--no-healthcheck contradicts {_flag(given[0])}")
        return None
    theirs = image.get("Healthcheck") or {}
    test = _test(options.health_cmd) if options.health_cmd else list(theirs.get("Test") or ())
    if not test or test[0] == "NONE":
        if given and options.health_cmd is None:
            raise UsageError(
                f"{_flag(given[0])} has nothing to check: neither the image nor --health-cmd says "
                "what", hint='as in --health-cmd "wget -qO- http://localhost/"',
            )  # fmt: skip
        return None

    def image_time(name: str, default: float) -> float:
        return float(theirs.get(name) or 0) / NANO or default

    interval = options.health_interval
    action = options.health_on_failure or "none"
    if action not in ACTIONS:
        raise UsageError(f'unknown --health-on-failure "{action}"', hint=", ".join(ACTIONS))
    if action == "restart" and options.rm:
        raise UsageError("--rm and --health-on-failure restart contradict each other")
    made: HealthRecord = {
        "test": test,
        "command": _command(test, image),
        # podman's value for checks by hand alone
        "interval": 0.0
        if interval == "disable"
        else _seconds(options, "health_interval", image_time("Interval", 30)),
        "timeout": _seconds(options, "health_timeout", image_time("Timeout", 30), least=1),
        "retries": _count(options, "health_retries", int(theirs.get("Retries") or 3), 1),
        "startPeriod": _seconds(
            options, "health_start_period", image_time("StartPeriod", 0), least=0
        ),
        "startInterval": _seconds(options, "health_start_interval", image_time("StartInterval", 5)),
        "onFailure": action,
        "startup": None,
        "destination": _destination(options.health_log_destination or "local"),
        "logCount": _count(options, "health_max_log_count", 5, 0),
        "logSize": _count(options, "health_max_log_size", 500, 0),
    }
    made["startup"] = _startup(options, image)
    return made


def _startup(options: ContainerOptions, image: Json) -> StartupRecord | None:
    if not options.health_startup_cmd:
        for name in options.HEALTH:
            if name.startswith("health_startup") and getattr(options, name) is not None:
                raise UsageError(f"{_flag(name)} needs --health-startup-cmd")
        return None
    test = _test(options.health_startup_cmd)
    return {
        "test": test,
        "command": _command(test, image),
        "interval": _seconds(options, "health_startup_interval", 30),
        "timeout": _seconds(options, "health_startup_timeout", 30, least=1),
        "retries": _count(options, "health_startup_retries", 0, 0),
        "success": _count(options, "health_startup_success", 0, 0),
    }


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _test(text: str | list[str]) -> list[str]:
    """Docker's form of a check: ["CMD-SHELL", TEXT], ["CMD", WORD...] or ["NONE"]."""
    if text == "none" or text == ["NONE"]:
        return ["NONE"]
    words: Json = text
    if isinstance(text, str) and text.lstrip().startswith("["):
        try:
            words = documents.loads(text)
        except ValueError:
            words = text  # the command [ of a shell
    if isinstance(words, list):
        if not words or not all(isinstance(word, str) for word in words):
            raise UsageError(f"invalid --health-cmd {text}", hint='as in ["CMD", "/bin/check"]')
        return words if words[0] in ("CMD", "CMD-SHELL", "NONE") else ["CMD", *words]
    return ["CMD-SHELL", str(text)]


def _command(test: list[str], image: Json) -> list[str]:
    """The command that is executed."""
    if len(test) < 2 or test[0] not in ("CMD", "CMD-SHELL"):
        raise UsageError(
            f"the health check {test} cannot be understood", hint='["CMD", WORD, ...] or a command'
        )
    if test[0] == "CMD":
        return test[1:]
    return [*(image.get("Shell") or ["/bin/sh", "-c"]), test[1]]


def _seconds(
    options: ContainerOptions, name: str, default: float, *, least: float = 0.001
) -> float:
    text = getattr(options, name)
    if text is None:
        return default
    from rootless.engine.common import times

    word = str(text).strip()
    # docker takes a bare 0, and the library bare seconds
    value = float(word) if word.replace(".", "", 1).isdigit() else times.duration(word)
    if value == 0 and least:
        return default  # docker's way to say so
    if value is None or value < least:
        raise UsageError(
            f'invalid {_flag(name)} "{text}"', hint=f"a time such as 30s or 1m30s, from {least:g}s"
        )
    return value


def _count(options: ContainerOptions, name: str, default: int, least: int) -> int:
    value = getattr(options, name)
    if value is None:
        return default
    if value < least:
        raise UsageError(f"{_flag(name)} {value} is less than {least}")
    return int(value)


def _destination(text: str) -> str:
    if text in ("local", "events_logger"):
        return text
    path = os.path.abspath(os.path.expanduser(text))
    if not os.path.isdir(path):
        raise UsageError(
            f"--health-log-destination {text} is not a directory",
            hint="local, events_logger or a directory that exists",
        )
    return path


def _number(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


_CHECKED = {"Start": str, "End": str, "ExitCode": int, "Output": str}
VERSION = 1
_KNOWN: Json = {
    "version?": int,
    "startedAt": _number,
    "status": frozenset((STARTING, HEALTHY, UNHEALTHY)),
    "failingStreak": _number,
    "log": [_CHECKED],
    "startup": {"passed": bool, "successes": _number, "failures": _number},
}


def logged(path: str) -> list[CheckedEntry]:
    """Return the checks in a log of --health-log-destination; none in what is no such log."""
    try:
        found = documents.read(path)
    except (OSError, ValueError):
        return []
    return list(found["log"]) if documents.fits(found, {"log": [_CHECKED]}) else []


def read(directory: str, wanted: HealthRecord, found: Life) -> HealthDocument:
    """Return what is known about the health of a container that runs or has run; fresh after each
    start.
    """
    try:
        known = documents.read(os.path.join(directory, "health"))
        # a damaged one is made anew by the next check, which says as much; so is one of another
        # version, which counts for this start alone
        if (
            documents.fits(known, _KNOWN)
            and known["startedAt"] == found.started
            and known.setdefault("version", VERSION) == VERSION
        ):
            document: HealthDocument = known
            return document
    except (OSError, ValueError):
        pass
    return {
        "version": VERSION,
        "startedAt": found.started,
        "status": STARTING,
        "failingStreak": 0,
        "log": [],
        "startup": {"passed": not wanted["startup"], "successes": 0, "failures": 0},
    }


def status(directory: str, record: WithHealth, found: Life) -> str:
    """Return healthy, unhealthy, starting, or none."""
    wanted = record.get("health")
    return str(read(directory, wanted, found)["status"]) if wanted else "none"


def in_words(directory: str, record: WithHealth, found: Life) -> str:
    """Return what `ps` adds to `Up 3 minutes`, as docker says it."""
    word = status(directory, record, found)
    if word == "none" or found.status != "running":
        return ""
    return " (health: starting)" if word == STARTING else f" ({word})"


def shown(directory: str, record: WithHealth, found: Life) -> Json:
    """Return `State.Health` of inspect, None without a check."""
    wanted = record.get("health")
    if not wanted:
        return None
    known = read(directory, wanted, found)
    return {
        "Status": known["status"],
        "FailingStreak": known["failingStreak"],
        "Log": known["log"],
    }


def configured(record: WithHealth) -> Json:
    """Return the keys of inspect's `Config` that say what is checked, in docker's and podman's
    names."""
    wanted = record.get("health")
    if not wanted:
        return {}
    table = {
        "Healthcheck": {
            "Test": wanted["test"],
            "Interval": int(wanted["interval"] * NANO),
            "Timeout": int(wanted["timeout"] * NANO),
            "StartPeriod": int(wanted["startPeriod"] * NANO),
            "StartInterval": int(wanted["startInterval"] * NANO),
            "Retries": wanted["retries"],
        },
        "HealthcheckOnFailureAction": wanted["onFailure"],
        "HealthLogDestination": wanted["destination"],
        "HealthcheckMaxLogCount": wanted["logCount"],
        "HealthcheckMaxLogSize": wanted["logSize"],
    }
    startup = wanted["startup"]
    if startup:
        table["StartupHealthCheck"] = {
            "Test": startup["test"],
            "Interval": int(startup["interval"] * NANO),
            "Timeout": int(startup["timeout"] * NANO),
            "Retries": startup["retries"],
            "Successes": startup["success"],
        }
    return table
