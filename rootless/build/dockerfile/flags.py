"""Flags of instructions: `--name`, `--name=value`, told from each other by the instruction.

Scope: pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.source import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    # "list" may be given more than once
    Kind = Literal["text", "bool", "list"]

TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class Flags:
    """The flags of one instruction, checked against those that it has."""

    def __init__(self, line: Line, known: Mapping[str, Kind]) -> None:
        self._values: dict[str, list[str]] = {}
        for written in line.flags:
            name, equals, value = written[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                raise line.error(
                    f'{line.keyword} has no flag "--{name}"',
                    near=f"--{name}",
                    hint=_hint(name, known),
                )
            if name in self._values and kind != "list":
                raise line.error(f"{line.keyword}: --{name} is given twice", near=f"--{name}")
            if kind == "bool" and not equals:
                value = "true"
            elif not equals or (kind == "bool" and not value):
                raise line.error(
                    f"{line.keyword}: --{name} needs a value",
                    near=f"--{name}",
                    hint=f"--{name}=…, with = and no space",
                )
            if kind == "bool" and value not in ("true", "false"):
                raise line.error(
                    f'{line.keyword}: --{name} is true or false, not "{value}"', near=written
                )
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """The value of a flag, or nothing."""
        return self._values.get(name, [""])[0]

    def true(self, name: str) -> bool | None:
        """The value of a flag that is true or false; None if it is not given."""
        return self.text(name) == "true" if name in self._values else None

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a flag that may be given more than once."""
        return tuple(self._values.get(name, ()))

    def __contains__(self, name: str) -> bool:
        return name in self._values


def _hint(name: str, known: Mapping[str, Kind]) -> str:
    if not known:
        return "it has none; -- in front ends the flags"
    meant = did_you_mean(name, known)
    if meant:
        return meant.replace("mean ", "mean --")
    return "there are " + " ".join(f"--{flag}" for flag in known)
