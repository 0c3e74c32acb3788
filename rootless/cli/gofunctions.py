"""Values and functions of templates: how Go shows them, and what `gotemplate` can call.

Sources: https://pkg.go.dev/text/template (Functions), https://pkg.go.dev/fmt, and docker's own
functions and the method `Label` of its rows.
"""

from __future__ import annotations

import re

from rootless import documents
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json


class Missing:
    """What a path leads to when nothing is there."""

    def __str__(self) -> str:
        return "<no value>"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


def true(value: Json) -> bool:
    """Whether `if` takes the first branch."""
    return bool(value)


def shown(value: Json) -> str:
    """A value as Go's print shows it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{shown(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def _json(value: Json) -> str:
    return "null" if value is MISSING else documents.dumps(value)


def _index(value: Json, *keys: Json) -> Json:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, MISSING)
        elif isinstance(value, (list, str)) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise UsageError(f"index {key} is out of range: there are {len(value)}")
            value = value[key]
        elif value is MISSING or value is None:
            return MISSING
        else:
            raise TypeError
    return value


def _printf(form: str, *values: Json) -> str:
    given = iter(values)

    def one(found: re.Match[str]) -> str:
        if found[2] == "%":
            return "%"
        value = next(given, MISSING)
        if found[2] == "q":
            return documents.dumps(shown(value))
        if found[2] == "v":
            return format(shown(value), _width(found[1]))
        if found[2] == "s":
            return ("%" + found[1] + "s") % shown(value)
        if value is MISSING or isinstance(value, str):
            return f"%!{found[2]}({shown(value)})"
        return ("%" + found[1] + found[2]) % value

    return re.sub(r"%([-+0-9. #]*)([a-zA-Z%])", one, form)


def _width(text: str) -> str:
    digits = text.strip("-+ #")
    return ("<" if text.startswith("-") else ">") + digits if digits else ""


def _equal(first: Json, *others: Json) -> bool:
    return any(first == other for other in others)


def _and(*values: Json) -> Json:
    for value in values:
        if not true(value):
            return value
    return values[-1]


def _or(*values: Json) -> Json:
    for value in values:
        if true(value):
            return value
    return values[-1]


def _slice(value: Json, begin: int = 0, end: int | None = None) -> Json:
    return value[begin:end]


def _truncate(value: Json, width: int) -> str:
    # docker's order of operands: {{truncate .ID 12}}
    return shown(value)[:width]


def _label(row: Json, name: Json) -> Json:
    for pair in str(row.get("Labels", "")).split(",") if isinstance(row, dict) else ():
        key, _, value = pair.partition("=")
        if key == name:
            return value
    return ""


METHODS: dict[str, Callable[[Json, Json], Json]] = {"Label": _label}

FUNCTIONS: dict[str, Callable[..., Json]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not true(value),
    "eq": _equal,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "len": lambda value: 0 if value is MISSING or value is None else len(value),
    "index": _index,
    "slice": _slice,
    "json": _json,
    "join": lambda values, separator: separator.join(map(shown, values)),
    "split": lambda value, separator: shown(value).split(separator),
    "upper": lambda value: shown(value).upper(),
    "lower": lambda value: shown(value).lower(),
    "title": lambda value: shown(value)[:1].upper() + shown(value)[1:],
    "pad": lambda value, before, after: " " * before + shown(value) + " " * after,
    "truncate": _truncate,
    "print": lambda *values: "".join(map(shown, values)),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "printf": _printf,
}
