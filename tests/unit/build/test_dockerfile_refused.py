"""Dockerfiles that are wrong: one sentence each, with the line and the place, and a hint."""

from __future__ import annotations

import re

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile.lint import check
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.source import DockerfileError, Place, nearest
from rootless.build.dockerfile.stages import stages
from rootless.errors import UsageError

ROWS = tables.rows("refused")


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_a_wrong_dockerfile_is_one_sentence_at_its_place(row: tables.Row) -> None:
    with pytest.raises(DockerfileError) as raised:
        found = stages(parse(row.text.encode(), "web/Dockerfile"))
        check(parse(row.text.encode(), "web/Dockerfile"), found)
        tables.Image(found)
    error = raised.value
    expected, _, hint = row.expected[0].partition(" | ")
    assert f"{error.place.first}:{error.place.column} {error.sentence}" == expected
    assert error.hint == hint
    assert error.message == f"web/Dockerfile:{error.place.first}: {error.sentence}"
    assert error.exit_code == 125
    assert "\n" not in error.message
    lines = row.text.split("\n")
    report = error.report().split("\n")
    assert report[0] == error.message
    if error.text:
        assert report[1] == f"{error.place.first} | {lines[error.place.first - 1]}"
    if error.place.column:
        mark = report[2]
        begin = mark.index("^")
        assert re.fullmatch(r" +\| [ \t]*\^~*", mark)
        marked = report[1][begin : len(mark)]
        # what is marked is what the sentence is about, or the flag that it names
        assert marked.strip() and len(marked) == len(mark) - begin


def test_there_are_a_hundred_of_them() -> None:
    assert len(ROWS) > 100


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        ("FROM scratch\n".encode("utf-16"), 1, "the file is UTF-16, not UTF-8"),
        (b"FROM scratch\nRUN a\0b\n", 2, "there is a NUL byte in the file"),
        (b"\x7fELF\x02\x01\x01\0\0", 1, "there is a NUL byte in the file"),
        (b"\n\n", 2, "there is no instruction in the file"),
        (b"", 1, "there is no instruction in the file"),
    ],
)
def test_a_file_that_is_no_text(data: bytes, line: int, problem: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        parse(data)
    assert raised.value.message == f"Dockerfile:{line}: {problem}"


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("biuld", "did you mean build?"),
        ("0", "there are build run"),
        ("x", "there are build run"),
    ],
)
def test_a_target_that_is_not_there(target: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        tables.read("FROM a AS build\nFROM b AS run\n", target=target)
    assert raised.value.message == f'no stage "{target}" in Dockerfile'
    assert raised.value.hint == hint


def test_the_mark_stands_below_its_place_after_tabs() -> None:
    error = DockerfileError("wrong", Place("f", 3, 3, 3), text="\t\tab cd", width=2)
    assert error.excerpt == "3 | \t\tab cd\n  | \t\t^~"


def test_a_long_line_is_cut_in_messages() -> None:
    error = DockerfileError("wrong", Place("f", 3, 3, 500), text="x" * 1000, width=2)
    assert error.excerpt == "3 | " + "x" * 160


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    with pytest.raises(DockerfileError) as raised:
        parse(b"FROM a\n\x1b[2J\x07" + b"x" * 1000)
    error = raised.value
    assert error.message.isprintable() and len(error.message) < 450
    assert error.text.isprintable() and error.place.column == 1
    found = parse(b"FROM a AS B\x9b\nMAINTAINER b\n")
    with pytest.raises(DockerfileError) as raised:
        stages(found)
    assert raised.value.report().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("word", "options", "expected"),
    [
        ("CPOY", ["COPY", "CMD"], "COPY"),
        ("a", ["b", "c"], ""),
        ("ab", ["xy"], ""),
        ("target", ["target"], "target"),
        ("x" * 100, ["x" * 99], ""),
    ],
)
def test_the_nearest_word(word: str, options: list[str], expected: str) -> None:
    assert nearest(word, options) == expected
