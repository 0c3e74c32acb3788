"""How verbs print, and what `--filter` understands."""

from __future__ import annotations

from typing import Any

import pytest

from rootless.cli import output
from rootless.errors import UsageError

ROWS: list[dict[str, Any]] = [
    {"ID": "1", "Names": "first", "Labels": {"a": "b"}},
    {"ID": "22", "Names": "x", "Labels": {}},
]
TITLES = {"ID": "CONTAINER ID", "Names": "NAMES", "Labels": "LABELS"}


def shown(format: str | None, *, heading: bool = True) -> str:
    return output.rows(ROWS, format, ("ID", "Names"), TITLES, heading=heading)


def test_a_plain_table_is_as_wide_as_its_widest_entry() -> None:
    assert shown(None) == "CONTAINER ID   NAMES\n1              first\n22             x\n"
    assert shown("table") == shown(None)
    assert shown(None, heading=False) == "1    first\n22   x\n"


def test_json_is_one_object_on_each_line() -> None:
    lines = shown("json").splitlines()
    assert lines[0] == '{"ID":"1","Names":"first","Labels":{"a":"b"}}'
    assert len(lines) == 2


def test_a_template_is_applied_to_each_row() -> None:
    assert shown("{{.ID}}:{{.Names}}") == "1:first\n22:x\n"
    # typed in a shell, \t is two letters
    assert shown("{{.ID}}\\t{{.Names}}") == "1\tfirst\n22\tx\n"


def test_a_table_of_a_template_has_the_headings_of_its_fields() -> None:
    assert shown("table {{.Names}}\\t{{.ID}}") == ("NAMES   CONTAINER ID\nfirst   1\nx       22\n")
    assert shown("table {{.Names}}", heading=False) == "first\nx\n"


def test_nothing_to_show_is_a_heading() -> None:
    assert output.rows([], None, ("ID",), TITLES) == "CONTAINER ID\n"
    assert output.rows([], "json", ("ID",), TITLES) == ""
    assert output.rows([], "{{.ID}}", ("ID",), TITLES) == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1234, "1.23kB"), (97_344_512, "97.3MB"),
     (5_000_000_000, "5GB"), (999_999, "1000kB"), (3.2e15, "3200TB")],
)  # fmt: skip
def test_sizes_are_decimal_as_docker_prints_them(count: float, text: str) -> None:
    assert output.human_size(count) == text


def test_filters_are_collected_by_key() -> None:
    assert output.filters(["label=a=b", "label=c", "status=exited"]) == {
        "label": ["a=b", "c"],
        "status": ["exited"],
    }
    for word in ("status", "=x", ""):
        with pytest.raises(UsageError, match="invalid filter"):
            output.filters([word])
