"""Reading logs: times, tails, rotation, damaged lines."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rootless.engine.common import times
from rootless.engine.logs import reader as log_reader
from rootless.errors import Conflict, UsageError


def line(second: int, text: str, stream: str = "stdout", mark: str = "F") -> str:
    """One line of the k8s-file format."""
    return f"2024-05-01T10:00:{second:02}.000000001Z {stream} {mark} {text}\n"


def read(path: Path, **options: object) -> list[tuple[str, bytes]]:
    """All entries of a log that nobody writes any more."""
    return list(log_reader.read(str(path), "k8s-file", alive=lambda: False, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1700000000.0),
        ("1700000000.5", 1700000000.5),
        ("2023-11-14T22:13:20Z", 1700000000.0),
        ("2023-11-14T23:13:20+01:00", 1700000000.0),
        ("2023-11-14T22:13:20.250000000Z", 1700000000.25),
    ],
)
def test_moments(text: str, seconds: float) -> None:
    assert times.moment(text) == seconds


@pytest.mark.parametrize(
    ("text", "ago"), [("10s", 10), ("2m", 120), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400)]
)
def test_times_ago(text: str, ago: int) -> None:
    assert abs(time.time() - times.moment(text) - ago) < 5


@pytest.mark.parametrize("text", ["", "tea time", "10", "h", "1h30", "5x", "2024-13-01"])
def test_what_is_no_time(text: str) -> None:
    if text == "10":
        assert times.moment(text) == 10
        return
    with pytest.raises(UsageError):
        times.moment(text)


def test_the_streams_and_partial_lines(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(line(1, "one") + line(2, "err", "stderr") + line(3, "half", mark="P"))
    assert read(path) == [("stdout", b"one\n"), ("stderr", b"err\n"), ("stdout", b"half")]


def test_times_are_put_before_lines_not_before_pieces(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(line(1, "begin ", mark="P") + line(2, "end") + line(3, "next"))
    text = b"".join(data for _, data in read(path, timestamps=True))
    assert text == (
        b"2024-05-01T10:00:01.000000001Z begin end\n2024-05-01T10:00:03.000000001Z next\n"
    )


def test_since_and_until(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text("".join(line(second, str(second)) for second in range(10)))
    begin = times.moment("2024-05-01T10:00:03.000000001Z")
    end = times.moment("2024-05-01T10:00:05.000000001Z")
    found = read(path, since=begin, until=end)
    assert [data for _, data in found] == [b"3\n", b"4\n", b"5\n"]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 100])
def test_a_tail_reaches_into_older_files(tmp_path: Path, count: int) -> None:
    path = tmp_path / "ctr.log"
    (tmp_path / "ctr.log.2").write_text(line(1, "1") + line(2, "2"))
    (tmp_path / "ctr.log.1").write_text(line(3, "3") + line(4, "4") + line(5, "5"))
    path.write_text(line(6, "6"))
    expected = [b"1\n", b"2\n", b"3\n", b"4\n", b"5\n", b"6\n"]
    found = [data for _, data in read(path, tail=count)]
    assert found == (expected[-count:] if count else [])


@pytest.mark.parametrize("wide", [1, 40_000])
def test_a_tail_counts_lines_and_not_the_pieces_they_were_written_in(
    tmp_path: Path, wide: int
) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(
        line(1, "whole")
        + line(2, "a" * wide, mark="P")
        + line(3, "wrong ", "stderr", "P")
        + line(4, "b" * wide, mark="P")
        + line(5, "again", "stderr")
        + line(6, "c\rd")
        + line(7, "unfinished", mark="P")
    )
    last = ("stdout", b"unfinished")
    middle = [("stdout", b"b" * wide), ("stdout", b"c\rd\n")]
    assert read(path, tail=1) == [last]
    assert read(path, tail=2) == [("stdout", b"a" * wide), *middle, last]
    wrong = [("stderr", b"wrong "), ("stderr", b"again\n")]
    third = [("stdout", b"a" * wide), wrong[0], middle[0], wrong[1], middle[1], last]
    assert read(path, tail=3) == third
    assert read(path, tail=4) == [("stdout", b"whole\n"), *third] == read(path)


def test_a_tail_of_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text("".join(line(1, str(number) + "x" * 70000) for number in range(5)))
    found = [data[:1] for _, data in read(path, tail=2)]
    assert found == [b"3", b"4"]


def test_a_damaged_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(line(1, "one") + "\0\0\0\n" + "cut o\n" + line(2, "two") + "2024-05-01T10")
    assert [data for _, data in read(path)] == [b"one\n", b"two\n"]


def test_following_goes_on_in_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(line(1, "1"))
    steps = iter(["rotate twice", "add", "end"])

    def alive() -> bool:
        step = next(steps, "end")
        if step == "rotate twice":
            for text in ("2", "3"):
                for number in (2, 1):
                    if (tmp_path / f"ctr.log.{number}").exists():
                        os.rename(
                            tmp_path / f"ctr.log.{number}", tmp_path / f"ctr.log.{number + 1}"
                        )
                os.rename(path, tmp_path / "ctr.log.1")
                path.write_text(line(int(text), text))
        elif step == "add":
            with open(path, "a") as file:
                file.write(line(4, "4"))
        return step != "end"

    reading = log_reader.read(str(path), "k8s-file", follow=True, tail=1, alive=alive)
    assert [data for _, data in reading] == [b"1\n", b"2\n", b"3\n", b"4\n"]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "ctr.log"
    path.write_text(
        '{"log":"a\\u00e4\\n","stream":"stdout","time":"2024-05-01T10:00:01.5Z"}\n{"log":"cut'
    )
    found = list(log_reader.read(str(path), "json-file", alive=lambda: False))
    assert found == [("stdout", "aä\n".encode())]


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []


def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="keeps no log"):
        log_reader.read(str(tmp_path), "none", alive=lambda: False)
