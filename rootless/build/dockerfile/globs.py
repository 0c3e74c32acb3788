"""Patterns of `${name#pattern}` and its kin: `?`, `*` and backslashes, everything else literal.

A pattern is a list of elements that are matched side by side, so that none takes longer than the
product of both lengths.  Scope: pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    _Element = tuple[Literal["literal", "any", "star"], str]
    Pattern = tuple[_Element, ...]


def compile_pattern(text: str) -> Pattern:
    """Read a pattern.  Raises ValueError for a backslash before anything but `* ? \\ } /`."""
    elements: list[_Element] = []
    characters = iter(text)
    for ch in characters:
        if ch == "*":
            if not elements or elements[-1][0] != "star":
                elements.append(("star", ""))
            continue
        if ch == "?":
            elements.append(("any", ""))
            continue
        if ch == "\\":
            ch = next(characters, "")
            if ch not in ("*", "?", "\\", "}", "/"):
                raise ValueError(f'invalid escape "\\{ch}" in a pattern')
        elements.append(("literal", ch))
    return tuple(elements)


def strip_start(pattern: Pattern, value: str, *, longest: bool) -> str:
    """Remove what matches at the start: the shortest match, or the longest."""
    end = _match(pattern, value, 0, longest)
    return value if end is None else value[end:]


def strip_end(pattern: Pattern, value: str, *, longest: bool) -> str:
    """Remove what matches at the end: the shortest match, or the longest."""
    end = _match(pattern[::-1], value[::-1], 0, longest)
    return value if end is None else value[: len(value) - end]


def replace(pattern: Pattern, replacement: str, value: str, *, every: bool) -> str:
    """Replace the first match, the longest of those that begin there, or every match."""
    result: list[str] = []
    at = copied = 0
    last = -1
    while at <= len(value):
        end = _match(pattern, value, at, True)
        if end is None or (end == at == last):
            at += 1
            continue
        result += [value[copied:at], replacement]
        copied = last = end
        if not every:
            break
        at = end if end > at else at + 1
    result.append(value[copied:])
    return "".join(result)


def _match(pattern: Pattern, value: str, begin: int, longest: bool) -> int | None:
    """Return where a match that begins at `begin` ends, or None."""
    states = _closed({0}, pattern)
    found = None
    at = begin
    while states:
        if len(pattern) in states:
            found = at
            if not longest:
                break
        if at == len(value):
            break
        ch = value[at]
        after = set()
        for state in states:
            if state == len(pattern):
                continue
            kind, text = pattern[state]
            # as with regular expressions, a line end is matched by nothing but itself
            if kind == "star" and ch != "\n":
                after.add(state)
            elif (kind == "any" and ch != "\n") or (kind == "literal" and ch == text):
                after.add(state + 1)
        states = _closed(after, pattern)
        at += 1
    return found


def _closed(states: set[int], pattern: Pattern) -> set[int]:
    """Add the states that are reached without a character: past a star."""
    for state in tuple(states):
        if state < len(pattern) and pattern[state][0] == "star":
            states.add(state + 1)
    return states
