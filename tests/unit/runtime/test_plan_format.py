"""The encoding shared by Python and C: docs/dev/formats.md, "Records"."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.runtime import operations, orders, plan_format

if TYPE_CHECKING:
    from rootless.runtime.plan_format import Record

TREE = Path(__file__).parents[3]


def test_header_and_document_are_made_from_the_tables() -> None:
    spec = importlib.util.spec_from_file_location("made", TREE / "packaging" / "plan_tables.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.HEADER.read_text() == made.header(), "run packaging/plan_tables.py"
    assert made.FORMATS.read_text() == made.formats(), "run packaging/plan_tables.py"


# what a constructor is called with: something of each kind that it takes
VALUES = {"int": 7, "str": "text", "bytes": b"text", "bool": True, "int | None": 7}


def arguments_of(function: Callable[..., Record]) -> tuple[list[Any], dict[str, Any]]:
    places, named = [], {}
    for name, one in inspect.signature(function).parameters.items():
        kind = str(one.annotation)
        value: Any = VALUES.get(kind)
        if kind.startswith("tuple[int"):
            value = (7, 8)
        elif kind.startswith("tuple[str"):
            value = ("text", "more")
        elif kind.startswith(("Iterable", "Sequence")):
            value = [7, 8] if "int" in kind else ["text", "more"]
        assert value is not None, f"{function.__name__}({name}: {kind})"
        if one.kind is one.VAR_POSITIONAL:
            places += [value] * 2
        elif one.kind is one.KEYWORD_ONLY:
            named[name] = value
        else:
            places.append(value)
    return places, named


@pytest.mark.parametrize("table", [operations, orders])
def test_every_line_of_a_table_has_a_constructor(table: Any) -> None:
    for name in table.NUMBERS:
        word = name.replace("-", "_")
        function = getattr(table, word, None) or getattr(table, word + "_")
        places, named = arguments_of(function)
        made = function(*places, **named)
        assert made[0] == name
        assert all(isinstance(one, str | bytes) for one in made[1]), made
        plan_format.encode([made], table.NUMBERS)


def test_numbers_that_are_on_disks_stay() -> None:
    assert operations.NUMBERS["root-ids"] == 1 and operations.NUMBERS["host-proc"] == 58
    assert orders.NUMBERS["id"] == 100 and orders.NUMBERS["outer"] == 131


def test_a_record_is_as_short_as_it_can_be() -> None:
    plain = ("/a", "/b", "auto", "0", "0", "")
    assert operations.bind("/a", "/b") == ("bind", plain)
    assert operations.bind("/a", "/b", clear=2)[1] == (*plain, "", "2")
    assert operations.bind("/a", "/b", recursive=True, maps=("m", ""))[1] == (
        *plain[:4], "1", "", "", "", "", "m",
    )  # fmt: skip
    assert operations.mount("a", "/b", "c")[1] == ("a", "/b", "c", "0", "", "0")
    assert operations.mount("a", "/b", "c", propagation="4")[1][6:] == ("", "4")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(operations.NUMBERS)),
            st.lists(st.binary(max_size=40), max_size=5),
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read_back(plan: list[tuple[str, list[bytes]]]) -> None:
    data = plan_format.encode(plan, operations.NUMBERS)
    found = plan_format.decode(data, operations.NUMBERS)
    assert found == [(name, tuple(arguments)) for name, arguments in plan]


def test_text_with_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        plan_format.encode([("hostname", ("a\0b",))], operations.NUMBERS)


@pytest.mark.parametrize("cut", [3, 5, 11, 17])
def test_truncated_records_are_refused(cut: int) -> None:
    data = plan_format.encode([("hostname", ("name",))], operations.NUMBERS)
    with pytest.raises(ValueError, match=r"malformed|not a plan"):
        plan_format.decode(data[:cut] + b"\xff" * 8, operations.NUMBERS)
