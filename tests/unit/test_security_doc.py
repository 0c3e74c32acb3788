"""docs/security.md and the tests speak of the same published escapes."""

from __future__ import annotations

import re
from pathlib import Path

TREE = Path(__file__).parent.parent.parent
DOCUMENT = (TREE / "docs/security.md").read_text()
NUMBER = re.compile(r"\b(20(?:1[6-9]|2\d)[-_]\d{4,7})\b")


def numbers(text: str) -> set[str]:
    return {found.replace("_", "-") for found in NUMBER.findall(text)}


def in_tests() -> dict[str, str]:
    """Number -> file, of names of tests and of the values that they are run with."""
    found = {}
    for path in (TREE / "tests/integration").glob("test_*.py"):
        text = path.read_text()
        names = re.findall(r"def (test_cve_\w+)", text)
        values = re.findall(r'"(20\d\d_\d{4,7})"', text)
        found.update(dict.fromkeys(numbers(" ".join(values)), path.name))
        for name in names:
            start = re.match(r"test_cve_(20\d\d_\d{4,7})", name)
            if start:
                found[start[1].replace("_", "-")] = path.name
    return found


def test_each_line_of_the_table_has_a_test_that_is_named_there() -> None:
    table = DOCUMENT.split("## Published escapes")[1].split("These belong to what")[0]
    rows = [line for line in table.splitlines() if line.startswith("| 20")]
    assert len(rows) > 40
    wrong = []
    has = in_tests()
    for row in rows:
        for number in numbers(row.split("|")[1]):
            if number not in has:
                wrong.append(f"{number}: no test has it in its name")
            elif "see above" not in row and has[number] not in row:
                wrong.append(f"{number}: is tested by {has[number]}, which the row does not name")
    assert not wrong, wrong


def test_each_number_of_a_test_is_in_the_document() -> None:
    missing = set(in_tests()) - numbers(DOCUMENT)
    assert not missing, missing
