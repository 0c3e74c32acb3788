"""What callers of the library give: lists, commands and filters, where a string is no list.

A string is a sequence of strings as well, so a list that is made of one has a letter in each
place, and nothing complains.  Whatever the library takes as a list goes through here first.
The meanings are those of docker's Python client.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    Strings = list[str]


def words(name: str, value: object) -> Strings:
    """A list of strings; one string is a list of one.  Raises UsageError."""
    if value is None:
        return []
    if isinstance(value, (str, os.PathLike)):
        return [word(name, value)]
    if isinstance(value, (list, tuple)):
        return [word(name, one) for one in value]
    raise UsageError(f"{name} is a list of strings, not {value!r}")


def word(name: str, value: object) -> str:
    """One string; numbers and paths are as good.  Raises UsageError."""
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return path if isinstance(path, str) else os.fsdecode(path)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{name} has strings in it, not {value!r}")


def command(value: object, name: str = "the command") -> Strings:
    """The words of a command: a list as it is, a string taken apart as a shell would.

    No shell is asked, so neither `;` nor `$` means anything, as with docker's Python client.
    Raises UsageError.
    """
    if not isinstance(value, str):
        return words(name, value)
    import shlex

    try:
        return shlex.split(value)
    except ValueError as error:
        raise UsageError(
            f"{name} {value!r} cannot be taken apart: {str(error).lower()}",
            hint="a list of words is taken as it is",
        ) from None


def filters(table: object) -> dict[str, Strings]:
    """Filters as tables of lists: one value stands for itself, several are a list, True is `true`.

    Raises UsageError.
    """
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise UsageError(
            f"filters are a table, not {table!r}", hint='as in filters={"status": "exited"}'
        )
    made = {}
    for key, value in table.items():
        several = value if isinstance(value, (list, tuple)) else [value]
        made[str(key)] = [
            str(one).lower() if isinstance(one, bool) else word(f'the filter "{key}"', one)
            for one in several
        ]
    return made


def pairs(name: str, value: object) -> dict[str, str]:
    """A table of strings, of a table or of NAME=VALUE words.  Raises UsageError."""
    if isinstance(value, dict):
        return {
            word(name, key): "" if one is None else word(name, one) for key, one in value.items()
        }
    made = {}
    for one in words(name, value):
        key, _, text = one.partition("=")
        if not key:
            raise UsageError(f"{name} has names, not {one!r}", hint="NAME=VALUE")
        made[key] = text
    return made
