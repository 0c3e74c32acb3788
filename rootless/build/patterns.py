"""Names with wildcards in COPY and ADD.  Source: Go's path/filepath.Match, which Docker documents.

`*` and `?` never match a slash, `[^…]` is a set of what must not be there, a backslash takes the
meaning of the next character.  `**` stands for any number of directories, where that is asked for.
"""

from __future__ import annotations

import re

from rootless.errors import UsageError


def has_wildcards(text: str) -> bool:
    """Whether it has to be matched; a backslash alone is enough."""
    return any(one in text for one in "*?[\\")


def compile_component(pattern: str) -> re.Pattern[str]:
    """One component of a path.  Raises UsageError."""
    return re.compile(_translate(pattern, pattern), re.DOTALL)


def _translate(pattern: str, whole: str) -> str:
    made = ""
    at = 0
    while at < len(pattern):
        one = pattern[at]
        at += 1
        if one == "*":
            made += "[^/]*"
        elif one == "?":
            made += "[^/]"
        elif one == "\\":
            if at == len(pattern):
                raise _bad(whole)
            made += re.escape(pattern[at])
            at += 1
        elif one == "[":
            text, at = _set(pattern, at, whole)
            made += text
        else:
            made += re.escape(one)
    return made


def _set(pattern: str, at: int, whole: str) -> tuple[str, int]:
    negated = at < len(pattern) and pattern[at] == "^"
    at += negated
    ranges: list[str] = []
    while True:
        if at >= len(pattern):
            raise _bad(whole)
        if pattern[at] == "]" and ranges:
            at += 1
            break
        low, at = _character(pattern, at, whole)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _character(pattern, at + 1, whole)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    inner = "".join(ranges)
    if not inner:
        return ("[^/]" if negated else "(?!)"), at
    return f"(?!/)[{'^' if negated else ''}{inner}]", at


def _character(pattern: str, at: int, whole: str) -> tuple[str, int]:
    if at >= len(pattern) or pattern[at] in "-]":
        raise _bad(whole)
    if pattern[at] == "\\":
        at += 1
        if at >= len(pattern):
            raise _bad(whole)
    return pattern[at], at + 1


def _bad(pattern: str) -> UsageError:
    return UsageError(
        f'"{pattern}" is no pattern: a [ has no ], or a backslash is its last character',
        hint="write \\[ for the character itself",
    )
