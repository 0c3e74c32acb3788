"""The ways in that only systemd has: a unit's container, its restart, a check by a timer.

What is tried inside and the table are those of tests/ways_in; see test_ways_in.py there.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Place
from integration.test_systemd_health import timers
from integration.test_systemd_units import call, environment, shown, systemctl, write
from integration.test_systemd_units import home as home
from ways_in.allowed import reason
from ways_in.stage import DEFAULT_CAPABILITIES, Column, Stage, Told, image, names
from ways_in.test_ways_in import Record, keep
from ways_in.test_ways_in import house as house
from ways_in.test_ways_in import programs as programs
from ways_in.ways import NET, House

pytestmark = pytest.mark.systemd
PIDS = 64
# nobody's terminal is there
NOBODY = Told(window=(33, 77))


def judge(record: Record, name: str, column: Column, programs: Path,
          theirs: Column | None = None) -> None:  # fmt: skip
    """Keep it for the table, and fail if the host was reached, and `theirs` held."""
    keep(record, name, column)
    assert list(column) == names(programs)
    broke = {attempt: cell.why for attempt, cell in column.items()
             if cell.outcome == "broke" and not reason(attempt, name)
             and not (theirs and theirs[attempt].outcome == "broke")}  # fmt: skip
    assert not broke, broke
    # asked for, except of podman: here are control groups
    limited = column["processes-without-end"]
    assert theirs or limited.outcome == "held", limited


@pytest.fixture
def stage(home: Path, programs: Path, busybox_tar: Path) -> Iterator[Stage]:
    """A stage in the person's own directories, which systemd starts containers with."""
    call("rootless", "import", "-q", image(programs, busybox_tar), "localhost/ways:in")
    base = home / "place"
    base.mkdir()
    place = Place(base, Path(f"/run/user/{os.getuid()}"))
    place.env = environment()
    place.data = Path(os.path.expanduser("~/.local/share/rootless"))
    made = Stage(place, programs)
    yield made
    made.close()
    for name in ("ways-in.sock", "ways-in-notify"):
        (made.runtime / name).unlink()
    call("rootless", "rmi", "--force", "localhost/ways:in", code=None)


def unit(stage: Stage, words: list[str], more: str = "", service: str = "") -> None:
    """Install a unit whose container has these words, and start it."""
    volumes = "".join(f"Volume={one}\n" for one in stage.mounts() if one != "-v")
    path = write(
        stage.base / "web.container",
        f"[Container]\nImage=localhost/ways:in\nNetwork=none\nPidsLimit={PIDS}\nStopTimeout=0\n{volumes}"
        f"{more}Exec={shlex.join(words)}\n[Service]\n{service}",
    )
    call("rootless", "quadlet", "install", path)
    systemctl("start", "web.service")


def started(stage: Stage) -> Told:
    """By `systemctl start`; the service says itself when it is ready."""
    # which is one of the attempts
    words = ["sh", "-c", f"{shlex.join(attack(stage))}; exec sleep 1000"]
    unit(stage, words, "Notify=yes\n")
    stage.out(120)
    assert shown("web.service", "ActiveState")["ActiveState"] == "active"
    systemctl("stop", "web.service")
    return NOBODY


def restarted(stage: Stage) -> Told:
    """By systemd, when the first life has failed."""
    once = "/results/once"
    script = f"if [ -e {once} ]; then {shlex.join(attack(stage))}; exec sleep 1000; fi; "
    unit(stage, ["sh", "-c", f"{script}sleep 1; : >{once}; exit 1"],
         service="Restart=on-failure\nRestartSec=100ms\n")  # fmt: skip
    stage.out(120)
    assert shown("web.service", "NRestarts")["NRestarts"] == "1"
    systemctl("stop", "web.service")
    return NOBODY


def checked(stage: Stage) -> Told:
    """By the monitor of a unit's container: there is no scope that a timer could be bound to."""
    unit(stage, stage.lurk(), f"HealthCmd={shlex.join(attack(stage))}\nHealthInterval=1s\n"
         "HealthTimeout=60s\n")  # fmt: skip
    stage.out(120)
    systemctl("stop", "web.service")
    return NOBODY


def attack(stage: Stage) -> list[str]:
    """The program's words."""
    return stage.attack(caps=DEFAULT_CAPABILITIES, pids=PIDS)


UNITS: dict[str, Callable[[Stage], Told]] = {
    "quadlet": started,
    "quadlet, restarted by systemd": restarted,
    "quadlet, health check": checked,
}


@pytest.mark.parametrize(
    "name", ["quadlet", *(pytest.param(one, marks=pytest.mark.long) for one in list(UNITS)[1:])]
)
def test_a_unit_reaches_nothing_of_the_host(
    stage: Stage, programs: Path, record_property: Record, name: str
) -> None:
    column = stage.column(UNITS[name], lurking=UNITS[name] is checked)
    judge(record_property, name, column, programs)


def test_a_check_by_a_timer_reaches_nothing_of_the_host(
    house: House, programs: Path, record_property: Record
) -> None:
    def way(house: House) -> Told:
        stage = house.stage
        told = house.lead("run", "-d", "--name", "box", *NET, "--pids-limit", str(PIDS),
                          *stage.mounts(), "--health-cmd", shlex.join(attack(stage)),
                          "--health-interval", "1s", "--health-timeout", "60s", house.image,
                          *stage.lurk())  # fmt: skip
        stage.out(120)
        assert timers()
        return told

    judge(record_property, "health check by a timer", house.column(way, lurking=True), programs)
