"""What the words about health come to, by docker's and podman's rules."""

from __future__ import annotations

import pytest

from rootless.engine.health import check as health_check
from rootless.engine.health import config as health_config
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

IMAGE = {
    "Healthcheck": {"Test": ["CMD-SHELL", "look"], "Interval": 5 * 10**9, "StartPeriod": 10**9},
    "Shell": ["/bin/ash", "-ec"],
}


def parse(image: dict[str, object] | None = None, **words: object) -> dict[str, object]:
    """The check of a container with these options."""
    made: dict[str, object] = health_config.parse(ContainerOptions("x", **words), image or {})
    return made


def test_the_image_alone() -> None:
    made = parse(IMAGE)
    assert made["command"] == ["/bin/ash", "-ec", "look"]
    assert (made["interval"], made["timeout"], made["retries"]) == (5, 30, 3)
    assert (made["startPeriod"], made["startInterval"]) == (1, 5)


def test_flags_replace_what_they_name() -> None:
    made = parse(IMAGE, health_interval="1m30s", health_retries=9)
    assert (made["interval"], made["retries"], made["test"]) == (90, 9, ["CMD-SHELL", "look"])
    assert parse(IMAGE, health_interval="0")["interval"] == 5
    assert parse(IMAGE, health_interval="disable")["interval"] == 0
    assert parse(IMAGE, health_cmd="other")["command"] == ["/bin/ash", "-ec", "other"]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("test -e /x", ["/bin/sh", "-c", "test -e /x"]),
        ('["/bin/check", "-v"]', ["/bin/check", "-v"]),
        ('["CMD", "/bin/check"]', ["/bin/check"]),
        ('["CMD-SHELL", "a && b"]', ["/bin/sh", "-c", "a && b"]),
        ("[ -e /x ]", ["/bin/sh", "-c", "[ -e /x ]"]),
        (["CMD", "a"], ["a"]),
    ],
)
def test_forms_of_a_command(text: str | list[str], command: list[str]) -> None:
    assert parse(health_cmd=text)["command"] == command


def test_no_check() -> None:
    assert parse(IMAGE, no_healthcheck=True) is None
    assert parse(IMAGE, health_cmd="none") is None
    assert parse({"Healthcheck": {"Test": ["NONE"]}}) is None
    assert parse() is None


def test_the_table_of_dockers_python_client() -> None:
    table = {"test": ["CMD", "a"], "interval": 2 * 10**9, "retries": 4, "timeout": 0}
    made = parse(healthcheck=table)
    assert (made["command"], made["interval"], made["retries"]) == (["a"], 2, 4)
    assert made["timeout"] == 30
    with pytest.raises(UsageError, match="colour"):
        parse(healthcheck={"test": ["CMD", "a"], "colour": 1})


def results(wanted: dict[str, object], *good: tuple[bool, float]) -> list[tuple[str, int, bool]]:
    """State, streak and whether a restart is due after each result; with the container's age."""
    known = {
        "status": health_config.STARTING, "failingStreak": 0,
        "startup": {"passed": not wanted["startup"], "successes": 0, "failures": 0},
    }  # fmt: skip
    found = []
    for one, age in good:
        again = health_check._note(known, wanted, one, age)
        found.append((str(known["status"]), int(str(known["failingStreak"])), again))
    return found


def test_failures_in_the_start_period_do_not_count() -> None:
    wanted = parse(health_cmd="x", health_retries=2, health_start_period="10s")
    assert results(wanted, (False, 1), (False, 2), (False, 11), (False, 12)) == [
        ("starting", 0, False), ("starting", 0, False), ("starting", 1, False),
        ("unhealthy", 2, False),
    ]  # fmt: skip
    # one success ends the period
    assert results(wanted, (True, 1), (False, 2), (False, 3), (True, 4)) == [
        ("healthy", 0, False), ("healthy", 1, False), ("unhealthy", 2, False),
        ("healthy", 0, False),
    ]  # fmt: skip


def test_startup_checks() -> None:
    wanted = parse(health_cmd="x", health_startup_cmd="y", health_startup_success=2,
                   health_startup_retries=3)  # fmt: skip
    assert results(wanted, (True, 1), (False, 2), (True, 3), (True, 4), (True, 5)) == [
        ("starting", 0, False), ("starting", 0, False), ("starting", 0, False),
        ("starting", 0, False), ("healthy", 0, False),
    ]  # fmt: skip
    assert [one[2] for one in results(wanted, (False, 1), (False, 2), (False, 3))] == [
        False, False, True,
    ]  # fmt: skip
