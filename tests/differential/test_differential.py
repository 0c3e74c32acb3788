"""The same command lines through podman and rootless: every difference is known, with a verdict.

The list is in commands/, the worlds that its lines start in are in worlds.py, the differences with
what is thought of each in differences.jsonl; table.py shows them and takes new ones in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from differential import compare, coverage, listing, table
from differential.answers import family_of
from differential.compare import Difference
from differential.fixtures import images as images
from differential.fixtures import podman as podman
from differential.fixtures import registry as registry
from differential.fixtures import rootless_tools as rootless_tools
from differential.listing import Line
from differential.tools import BrokenWorld, Podman, Recorded, Rootless, alone, lines_with_ports

LINES = listing.load()
ENTRIES = compare.load()
KNOWN: dict[tuple[str, str], list[compare.Entry]] = {}
for _entry in ENTRIES:
    KNOWN.setdefault((_entry.command, _entry.called), []).append(_entry)
# the names that rootless is called by; "podman" and "docker" join with the commands of that name
CALLED = ("rootless",)
RECORDED = Recorded("docker")


def parameters() -> list[object]:
    """The lines that there is an answer to: what docker says without podman must be recorded."""
    return [pytest.param(line, id=line.id, marks=() if line.daily else (pytest.mark.long,))
            for line in LINES
            if line.against != "docker" or RECORDED.answer(line)]  # fmt: skip


@pytest.mark.parametrize("line", parameters())
def test_every_difference_is_known(
    line: Line,
    podman: Podman,
    rootless_tools: Callable[[str], Rootless],
    request: pytest.FixtureRequest,
) -> None:
    recorded = RECORDED.answer(line) if line.against == "docker" else None
    ports = lines_with_ports(line.text)
    lock = Path(os.environ.get("ROOTLESS_TEST_SCRATCH", "/var/tmp"), "differential.ports")
    with alone(lock if ports else Path(os.devnull)):
        said = []
        theirs = None
        for called in CALLED:
            tool = rootless_tools(called)
            aspects = []
            try:
                tool.prepare(line.world)
            except BrokenWorld:
                aspects = [("world", "is there", "cannot be made")]
            else:
                if theirs is None:
                    theirs = recorded or podman.answer(line)
                    if ports:
                        podman.reset()
                aspects = list(compare.compare(theirs, tool.answer(line)))
                if ports:
                    tool.reset()
            found = [Difference(line.id, called, line.against, *one) for one in aspects]
            # for --junitxml, which table.py reads
            told = [[one.against, one.aspect, one.theirs, one.ours] for one in found]
            request.node.user_properties.append(
                ("differences", json.dumps([line.id, called, told]))
            )
            known = KNOWN.get((line.id, called), [])
            said += compare.complaints(known, found)
    assert not said, "\n".join(said)


def test_the_table_is_in_order() -> None:
    lines = {line.id for line in LINES}
    known = compare.reasons()
    wrong = [f"no such line in the list: {one.command}" for one in ENTRIES
             if one.command not in lines]  # fmt: skip
    wrong += [f"{one.command}: {one.aspect}: {why}" for one in ENTRIES
              if (why := compare.wrong(one, known))]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    keys = [entry.key for entry in ENTRIES]
    assert keys == sorted(set(keys)), "not sorted, or two entries for one aspect"
    used = {entry.reason for entry in ENTRIES}
    assert not set(known) - used, f"reasons that no entry has: {set(known) - used}"


def test_the_document_says_what_the_table_says() -> None:
    """Written by `table.py docs`."""
    assert table.DOCUMENT.read_text() == table.document()


def test_the_daily_run_has_every_verb_and_verdict() -> None:
    asked = [line for line in LINES if line.against == "podman"]
    daily = [line for line in asked if line.daily]
    assert len(daily) >= 120
    verbs = {family_of(verb) for line in asked for verb in line.verbs}
    assert not verbs - {family_of(verb) for line in daily for verb in line.verbs}
    mine = {line.id for line in daily}
    verdicts = {one.verdict for one in ENTRIES}
    assert verdicts == {one.verdict for one in ENTRIES if one.command in mine}


@pytest.mark.long
@pytest.mark.parametrize("tool", ["podman", "docker"])
def test_every_flag_is_tried(tool: str) -> None:
    assert len(LINES) >= 500
    missing = coverage.untried(tool, LINES)
    assert not missing, f"no line of the list tries {missing}"
