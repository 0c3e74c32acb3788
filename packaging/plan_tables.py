#!/usr/bin/env python3
"""Write what is made of the tables in rootless/runtime/operations.py and orders.py.

    packaging/plan_tables.py

That is helpers/lib/ops.h, their C side, and the tables in docs/dev/formats.md; a test says when one
of them is older.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
HEADER = TREE / "helpers" / "lib" / "ops.h"
FORMATS = TREE / "docs" / "dev" / "formats.md"
WIDTH = 110

_BEGIN = """\
/* Op codes of launch plans (1..) and of monitor orders (100..), with their arguments.
 * Made by packaging/plan_tables.py from rootless/runtime/{operations,orders}.py: change those. */
#ifndef ROOTLESS_OPS_H
#define ROOTLESS_OPS_H
enum op {
"""


def _entries(table: str) -> list[tuple[str, str]]:
    """Name and description of each line."""
    found: list[tuple[str, str]] = []
    for line in table.strip().split("\n"):
        if line[0] == " ":
            name, text = found.pop()
            found.append((name, f"{text} {line.strip()}"))
        else:
            name, text = line.split(None, 1)
            found.append((name, text.strip()))
    return found


def _constants(prefix: str, first: int, table: str) -> list[str]:
    lines = []
    for number, (name, text) in enumerate(_entries(table), first):
        constant = f"{prefix}_{name.replace('-', '_').upper()}"
        begin = f"    {f'{constant} = {number},':28} /* "
        words = text.split()
        line = begin
        for at, word in enumerate(words):
            if len(line) + len(word) > WIDTH and at:
                lines.append(line.rstrip())
                line = " " * (len(begin) - 3) + " * "
            line += word + " "
        lines.append(line + "*/")
    lines.append(f"    {prefix}_LAST,")
    return lines


def header() -> str:
    """The text of the file."""
    sys.path.insert(0, str(TREE))
    from rootless.runtime import operations, orders

    lines = [*_constants("OP", 1, operations.TABLE), ""]
    lines += _constants("ORDER", orders.FIRST, orders.TABLE)
    each = []
    for name, _ in _entries(operations.TABLE):
        word = name.replace("-", "_")
        each.append(f"    X({word.upper()}, {word})")
    return (
        _BEGIN
        + "\n".join(lines)
        + "\n};\n\n/* X(NUMBER, function): each operation is carried out by op_FUNCTION */\n"
        + "#define EACH_OPERATION(X) \\\n"
        + " \\\n".join(each)
        + "\n#endif\n"
    )


def _rows(first: int, table: str) -> str:
    made = []
    for number, (name, text) in enumerate(_entries(table), first):
        if text[0] == "-":
            text = text.replace("-", "none", 1) if len(text) > 1 else ""
        text = re.sub(
            r"\b(?:OP|ORDER)_([A-Z_]+)",
            lambda found: f"`{found[1].lower().replace('_', '-')}`",
            text,
        )
        made.append(f"| {number} | `{name}` |{' ' + text if text else ''} |")
    return "\n".join(made) + "\n"


def formats() -> str:
    """The text of docs/dev/formats.md with the tables as they are."""
    sys.path.insert(0, str(TREE))
    from rootless.runtime import operations, orders

    text = FORMATS.read_text()
    for heading, rows in (
        ("Operation", _rows(1, operations.TABLE)),
        ("Order", _rows(orders.FIRST, orders.TABLE)),
    ):
        head = f"| | {heading} | Arguments |\n| --- | --- | --- |\n"
        before, _, rest = text.partition(head)
        text = before + head + rows + rest[rest.index("\n\n") + 1 :]
    return text


if __name__ == "__main__":
    HEADER.write_text(header())
    FORMATS.write_text(formats())
