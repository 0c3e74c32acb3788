"""The encoding shared by Python and C: docs/dev/formats.md, "Records"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.runtime import plan_format

HEADER = Path(__file__).parents[2] / "helpers" / "lib" / "ops.h"


def numbers_of(prefix: str) -> dict[str, int]:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    found: dict[str, int] = {}
    number = 0
    for word in re.search(r"enum op \{(.*?)\}", text, re.S)[1].split(","):
        name, _, value = (part.strip() for part in word.partition("="))
        number = int(value) if value else number + 1
        if name.startswith(prefix) and not name.endswith("_LAST"):
            found[name.removeprefix(prefix).lower().replace("_", "-")] = number
    return found


def test_both_sides_use_the_same_numbers() -> None:
    assert numbers_of("OP_") == plan_format.OPERATIONS
    assert numbers_of("ORDER_") == plan_format.ORDERS


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(plan_format.OPERATIONS)),
            st.lists(st.binary(max_size=40), max_size=5),
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read_back(plan: list[tuple[str, list[bytes]]]) -> None:
    data = plan_format.encode(plan, plan_format.OPERATIONS)
    found = plan_format.decode(data, plan_format.OPERATIONS)
    assert found == [(name, tuple(arguments)) for name, arguments in plan]


def test_text_with_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        plan_format.encode([("hostname", ("a\0b",))], plan_format.OPERATIONS)


@pytest.mark.parametrize("cut", [3, 5, 11, 17])
def test_truncated_records_are_refused(cut: int) -> None:
    data = plan_format.encode([("hostname", ("name",))], plan_format.OPERATIONS)
    with pytest.raises(ValueError, match=r"malformed|not a plan"):
        plan_format.decode(data[:cut] + b"\xff" * 8, plan_format.OPERATIONS)
