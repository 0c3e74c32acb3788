"""The host's verbs on what a container controls: each bait is a column, each verb a row.

The baits and the verbs are in tests/ways_in/verbs.py; the table is printed at the end of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from ways_in import verbs
from ways_in.stage import Stage, build, image
from ways_in.ways import House
from weaken import Change, Engine, engine  # noqa: F401  (fixtures)

Record = Callable[[str, object], None]


@pytest.fixture
def house(
    rootless: Command, oci_entry: list[str], scratch: Path, busybox_tar: Path, place: Place
) -> Iterator[House]:
    programs = build(scratch)
    tar = image(programs, busybox_tar)
    rootless("import", "-q", tar, "busybox:test")
    stage = Stage(place, programs)
    made = House(stage, rootless, oci_entry, "busybox:test", tar)
    yield made
    made.close()
    stage.close()


SAMPLE = ("link to a directory", "deep", "control characters", "exchanged all the time")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SAMPLE else (pytest.mark.long,))
        for name in verbs.BAITS
    ],
)
def test_a_verb_is_not_misled(house: House, record_property: Record, name: str) -> None:
    look = verbs.Looker(house, verbs.BAITS[name])
    look.lay_out()
    column = look.column(verbs.VERBS)
    cells = {verb: [cell.outcome, cell.why] for verb, cell in column.items()}
    record_property("baits", {"way": name, "cells": cells})
    broke = {verb: cell.why for verb, cell in column.items() if cell.outcome == "broke"}
    assert not broke, broke


TRANSFER = "rootless/storage/rootfs/archive_copy.py"
FOLLOWS = (
    Change(TRANSFER, 'fd = kernel.calls.openat2(root.fd, request["get"], flags, resolve=_INSIDE)',
           'fd = os.open(request["get"].lstrip("/"), flags, dir_fd=root.fd)'),
    Change(TRANSFER, "fd = kernel.calls.openat2(root.fd, path, flags, resolve=_INSIDE)",
           'fd = os.open(path.lstrip("/"), flags, dir_fd=root.fd)'),
)  # fmt: skip
OBEYS = (
    Change("rootless/cli/output.py", "def harmless(text: str) -> str:\n",
           "def harmless(text: str) -> str:\n    return text\n"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("bait", "changes", "verb"),
    [
        ("link to a directory", FOLLOWS, "cp out, below"),
        pytest.param("control characters", OBEYS, "top", marks=pytest.mark.long),
    ],
)
def test_a_verb_without_its_protection_is_misled(
    house: House,
    engine: Engine,  # noqa: F811
    bait: str,
    changes: tuple[Change, ...],
    verb: str,
) -> None:
    house.command = engine(*changes)
    look = verbs.Looker(house, verbs.BAITS[bait])
    look.lay_out()
    found = look.column({verb: verbs.VERBS[verb]})
    assert found[verb].outcome == "broke"
