"""Tests that take a defence out of the program name its text: it must be there, once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]


def changes() -> list[tuple[str, str, str]]:
    """(where it is named, file, text) of every Change that is written down in full."""
    found = []
    for path in sorted((TREE / "tests").rglob("*.py")):
        text = path.read_text()
        if "Change(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Change"):
                file, old = node.args[:2] if len(node.args) > 1 else (None, None)
                if isinstance(file, ast.Constant) and isinstance(old, ast.Constant):
                    where = f"{path.relative_to(TREE)}:{node.lineno}"
                    found.append((where, str(file.value), str(old.value)))
    return found


@pytest.mark.parametrize(("where", "file", "old"), changes(), ids=lambda value: value[:60])
def test_what_a_test_takes_out_is_there(where: str, file: str, old: str) -> None:
    count = (TREE / file).read_text().count(old)
    assert count == 1, f"{where}: {file} has {count} times: {old}"


def test_some_are_found() -> None:
    assert len(changes()) > 40
