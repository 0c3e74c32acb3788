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
from differential import compare, listing
from differential.compare import Difference
from differential.fixtures import images as images
from differential.fixtures import podman as podman
from differential.fixtures import registry as registry
from differential.fixtures import rootless_tools as rootless_tools
from differential.listing import Line
from differential.tools import Podman, Recorded, Rootless, alone, lines_with_ports

LINES = listing.load()
ENTRIES = compare.load()
# the names that rootless is called by; "podman" and "docker" join with the commands of that name
CALLED = ("rootless",)
RECORDED = Recorded("docker")


def parameters() -> list[object]:
    return [pytest.param(line, id=line.id, marks=() if line.daily else (pytest.mark.long,))
            for line in LINES]  # fmt: skip


@pytest.mark.parametrize("line", parameters())
def test_every_difference_is_known(
    line: Line,
    podman: Podman,
    rootless_tools: Callable[[str], Rootless],
    request: pytest.FixtureRequest,
) -> None:
    if line.against == "docker":
        recorded = RECORDED.answer(line)
        if recorded is None:
            pytest.skip("no answer of docker was recorded")
    ports = lines_with_ports(line.text)
    lock = Path(os.environ.get("ROOTLESS_TEST_SCRATCH", "/var/tmp"), "differential.ports")
    with alone(lock if ports else Path(os.devnull)):
        if line.against == "docker":
            theirs = recorded
        else:
            theirs = podman.answer(line)
            if ports:
                podman.reset()
        assert theirs
        said = []
        for called in CALLED:
            tool = rootless_tools(called)
            ours = tool.answer(line)
            if ports:
                tool.reset()
            found = [Difference(line.id, called, line.against, *one)
                     for one in compare.compare(theirs, ours)]  # fmt: skip
            # for --junitxml, which table.py reads
            told = [[one.against, one.aspect, one.theirs, one.ours] for one in found]
            request.node.user_properties.append(
                ("differences", json.dumps([line.id, called, told]))
            )
            known = [
                entry for entry in ENTRIES if (entry.command, entry.called) == (line.id, called)
            ]
            said += compare.complaints(known, found)
    assert not said, "\n".join(said)


def test_the_table_is_in_order() -> None:
    lines = {line.id for line in LINES}
    for entry in ENTRIES:
        assert entry.command in lines, f"no such line in the list: {entry.command}"
        assert entry.verdict in compare.VERDICTS, entry
        assert entry.reason or entry.verdict not in compare.EXPLAINED, f"no reason: {entry}"
    keys = [entry.key for entry in ENTRIES]
    assert keys == sorted(set(keys)), "not sorted, or two entries for one aspect"
