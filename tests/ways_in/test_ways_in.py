"""Ways in × attempts: what a process in a container reaches of the host, however it came in.

The program is attack.c, the ways are in ways.py, what is known to get through is in allowed.py.
The table is printed at the end of the run; docs/security.md says how to read it.  A part of it runs
daily, the whole under tests/run --all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from ways_in import hosts, peers, ways
from ways_in.allowed import reason
from ways_in.stage import Column, Stage, Told, build, image, names
from ways_in.ways import House

Record = Callable[[str, object], None]


@pytest.fixture(scope="session")
def programs(scratch: Path) -> Path:
    return build(scratch)


@pytest.fixture
def stage(place: Place, programs: Path) -> Iterator[Stage]:
    made = Stage(place, programs)
    yield made
    made.close()


@pytest.fixture
def house(
    rootless: Command, oci_entry: list[str], programs: Path, busybox_tar: Path, place: Place
) -> Iterator[House]:
    tar = image(programs, busybox_tar)
    rootless("import", "-q", tar, "ways:in")
    stage = Stage(place, programs)
    made = House(stage, rootless, oci_entry, "ways:in", tar)
    yield made
    made.close()
    stage.close()


def keep(record: Record, name: str, column: Column) -> None:
    """For the table at the end, see tests/conftest.py."""
    cells = {attempt: [cell.outcome, cell.why] for attempt, cell in column.items()}
    record("ways-in", {"way": name, "cells": cells})


def parameters() -> Iterator[object]:
    for name in ways.WAYS:
        marks = () if name in ways.SAMPLE else (pytest.mark.long,)
        yield pytest.param(name, "", id=name, marks=marks)
        if name in ways.SINGLE:
            yield pytest.param(name, "single id: ", id=f"{name}-single",
                               marks=(pytest.mark.single, *marks))  # fmt: skip


@pytest.mark.parametrize(("name", "who"), list(parameters()))
def test_nothing_reaches_the_host(
    house: House, programs: Path, record_property: Record, name: str, who: str
) -> None:
    column = house.column(ways.WAYS[name], lurking=name in ways.LURKING)
    keep(record_property, who + name, column)
    assert list(column) == names(programs)
    broke = {attempt: cell.why for attempt, cell in column.items()
             if cell.outcome == "broke" and not reason(attempt, who + name)}  # fmt: skip
    assert not broke, broke


UNPROTECTED: dict[str, Callable[[Stage], Told]] = {
    "no container": ways.plain,
    "no container, yes to all": lambda stage: ways.plain(stage, pretend=True),
    "no container, root of a host": hosts.root_of_a_host,
}


def test_each_attempt_can_fail(stage: Stage, programs: Path, record_property: Record) -> None:
    """Without a container everything works that a user may do; what only the host's root may do
    works on a host that the test made, or with a kernel that says yes and stand-ins for files."""
    held = {one: [""] for one in names(programs)}
    for name, way in UNPROTECTED.items():
        column = stage.column(way, lurking=way is hosts.root_of_a_host)
        keep(record_property, name, column)
        held = {attempt: [*why, column[attempt].why] for attempt, why in held.items()
                if column[attempt].outcome != "broke"}  # fmt: skip
    assert not held, "\n".join(f"{attempt}: {why}" for attempt, why in held.items())


GROUPS = sorted({peers.like(name) for name in ways.WAYS})


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS, ids=" and ".join)
def test_no_cell_is_worse_than_the_best_peers(
    house: House, record_property: Record, group: tuple[str, ...]
) -> None:
    """What one of them holds, as installed, is held here by each way that is like it."""
    theirs: list[Column] = []
    for name in group:
        theirs.append(house.column(peers.PEERS[name], lurking=name in peers.LURKING))
        keep(record_property, name, theirs[-1])
    worse = {}
    for name in (one for one in ways.WAYS if peers.like(one) == group):
        for attempt, cell in house.column(ways.WAYS[name], lurking=name in ways.LURKING).items():
            if cell.outcome == "broke" and any(one[attempt].outcome == "held" for one in theirs):
                worse[f"{name}: {attempt}"] = cell.why
    assert not worse, worse
