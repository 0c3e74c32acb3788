"""Patterns of .dockerignore: which paths of a context are left out.

The last pattern that matches decides, and a pattern that matches a directory matches all below it.
`!` brings back, also what is below a directory that is left out; that directory is then there, too.
`*` and `?` do not cross a `/`, `**/` is any number of directories, none included.

Scope: pure.  The patterns are a stranger's: no number of stars makes matching slow.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterable

from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.source import DockerfileError, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

# what was decided for a directory, pattern by pattern
_Matches = tuple[bool, ...]
_CACHE_MAX = 20_000


class Pattern(Frozen):
    """One pattern.  `text` is without `!` and made simple, `include`: there was a `!`."""

    text: str
    include: bool
    kind: Literal["exact", "prefix", "suffix", "expression"]
    expression: re.Pattern[str] | None = None

    def matches(self, path: str) -> bool:
        """Tell whether the pattern matches this path itself."""
        if self.expression is not None:
            return self.expression.fullmatch(path) is not None
        if self.kind == "exact":
            return path == self.text
        if self.kind == "prefix":
            return path.startswith(self.text[:-2])
        rest = self.text[2:]
        return path.endswith(rest) or (rest.startswith("/") and path == rest[1:])

    @property
    def written(self) -> str:
        """The pattern as a regular expression, to be matched from end to end."""
        if self.expression is not None:
            return self.expression.pattern
        if self.kind == "exact":
            return re.escape(self.text)
        if self.kind == "prefix":
            return re.escape(self.text[:-2]) + ".*"
        rest = self.text[2:]
        return "(?:.*/)?" + re.escape(rest[1:]) if rest[:1] == "/" else ".*" + re.escape(rest)


class Patterns:
    """The patterns of one file, in their order."""

    def __init__(self, patterns: Iterable[Pattern] = ()) -> None:
        self.patterns = tuple(patterns)
        self._none: _Matches = (False,) * len(self.patterns)
        self._directories: dict[str, tuple[bool, _Matches]] = {}
        # whether any pattern without ! matches, in one question: of most files none does
        leaving_out = [pattern.written for pattern in self.patterns if not pattern.include]
        self._any = re.compile("|".join(leaving_out) or r"(?!)", re.DOTALL)

    @classmethod
    def parse(cls, text: str | bytes, name: str = ".dockerignore") -> Patterns:
        """Read a file.  `name` is for messages.  Raises DockerfileError for a wrong pattern."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        found = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            # a # that is not the first character of its line is a pattern
            if line.startswith("#"):
                continue
            try:
                pattern = read_pattern(line)
            except ValueError as error:
                shown = line.rstrip("\r")
                raise DockerfileError(
                    str(error),
                    Place(name, number, number, len(shown) - len(shown.lstrip()) + 1),
                    text=shown,
                    width=len(shown.strip()),
                ) from None
            if pattern is not None:
                found.append(pattern)
        return cls(found)

    @classmethod
    def of(cls, lines: Iterable[str]) -> Patterns:
        """Make patterns of lines that are no file's.  Raises ValueError for a wrong pattern."""
        return cls(pattern for line in lines if (pattern := read_pattern(line)) is not None)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def excludes(self, path: str, is_dir: bool = False) -> bool:
        """Tell whether `path`, relative to the context, is left out.

        A directory that is left out is there all the same if something below it is brought back:
        see `may_include_below`.
        """
        if not self.patterns or path in ("", "."):
            return False
        parent = posixpath.dirname(path)
        above = self._directory(parent) if parent else self._none
        return self._decide(path, above)[0]

    def may_include_below(self, path: str) -> bool:
        """Tell whether anything below a directory may be in the context.

        False is certain, so that nobody need look there; True is not.
        """
        if not self.excludes(path, True):
            return True
        parts = path.split("/")
        return any(
            pattern.include and _may_match_below(pattern.text.split("/"), parts)
            for pattern in self.patterns
        )

    def _directory(self, path: str) -> _Matches:
        """Return what was decided for a directory and, with it, for all above."""
        known = self._directories.get(path)
        if known is not None:
            return known[1]
        above, name = self._none, ""
        for part in path.split("/"):
            name = f"{name}/{part}" if name else part
            known = self._directories.get(name)
            if known is None:
                known = self._decide(name, above)
                if len(self._directories) >= _CACHE_MAX:
                    self._directories.clear()
                self._directories[name] = known
            above = known[1]
        return above

    def _decide(self, path: str, above: _Matches) -> tuple[bool, _Matches]:
        """Go through the patterns: (whether the path is left out, which of them matched)."""
        if above == self._none and self._any.fullmatch(path) is None:
            return False, self._none
        matched = False
        matches = []
        for pattern, inherited in zip(self.patterns, above, strict=True):
            # a pattern that would change nothing is not asked
            match = inherited or (pattern.include == matched and pattern.matches(path))
            matches.append(match)
            if match:
                matched = not pattern.include
        return matched, tuple(matches)


def read_pattern(line: str) -> Pattern | None:
    """Read one line; None if there is nothing in it.  Raises ValueError for a wrong pattern."""
    text = line.strip()
    if not text:
        return None
    include = text.startswith("!")
    if include:
        text = text[1:].strip()
        if not text:
            raise ValueError('there is no pattern after "!"')
    text = _simple(text)
    return _compiled(text, include)


def _simple(text: str) -> str:
    """Take `.` and `..` and needless slashes away."""
    simple = posixpath.normpath(text)
    # // at the beginning is special to POSIX, and to nobody else
    simple = "/" + simple.lstrip("/") if simple.startswith("/") else simple
    return simple[1:] if len(simple) > 1 and simple.startswith("/") else simple


@functools.lru_cache(maxsize=1024)
def _compiled(text: str, include: bool) -> Pattern:
    elements = _elements(text)
    kinds = {kind for kind, _ in elements}
    if kinds <= {"text"}:
        return Pattern(text, include, "exact")
    if kinds <= {"text", "deep"}:
        deep = [index for index, (kind, _) in enumerate(elements) if kind == "deep"]
        if deep == [0]:
            return Pattern(text, include, "suffix")
        if deep == [len(elements) - 1] and text.endswith("**"):
            return Pattern(text, include, "prefix")
    return Pattern(text, include, "expression", re.compile(_expression(elements), re.DOTALL))


def _elements(text: str) -> list[tuple[str, str]]:
    """Cut a pattern: text, star, deep (`**` and a `/` after it), one (an expression)."""
    elements: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        ch = text[at]
        at += 1
        if ch == "*" and text.startswith("*", at):
            at += 1
            at += text.startswith("/", at)
            elements.append(("deep", ""))
        elif ch == "*":
            elements.append(("star", ""))
        elif ch == "?":
            elements.append(("one", "[^/]"))
        elif ch == "[":
            expression, at = _class(text, at)
            elements.append(("one", expression))
        elif ch == "\\":
            if at == len(text):
                raise ValueError(f'nothing follows the last \\ in the pattern "{text}"')
            elements.append(("one", re.escape(text[at])))
            at += 1
        else:
            elements.append(("text", ch))
    return elements


def _class(text: str, at: int) -> tuple[str, int]:
    """Read a class of characters after its `[`: (expression, where it ends)."""
    wrong = ValueError(f'the class of characters is not well formed in the pattern "{text}"')
    inside = ["[^" if text.startswith("^", at) else "["]
    at += len(inside[0]) - 1

    def one() -> str:
        nonlocal at
        if at >= len(text) or text[at] in "-]":
            raise wrong
        if text[at] == "\\":
            at += 1
            if at >= len(text):
                raise wrong
        at += 1
        return text[at - 1]

    while not (text.startswith("]", at) and len(inside) > 1):
        low = one()
        high = low
        if text.startswith("-", at):
            at += 1
            high = one()
        if high < low:
            raise wrong
        inside.append(f"\\{low}-\\{high}" if low != high else f"\\{low}")
    # no class has a / in it, whatever its range or its negation would say
    return "(?!/)" + "".join(_safe(part) for part in inside) + "]", at + 1


def _safe(part: str) -> str:
    """Take the backslash from letters and digits, where it would mean something."""
    return re.sub(r"\\([A-Za-z0-9_]|[^\x00-\x7f])", r"\1", part)


def _expression(elements: list[tuple[str, str]]) -> str:
    """Write a regular expression.

    The first place where what follows a star fits is as good as any later one if another star
    comes next, so there is no going back to it: `(?>…)`.
    """
    parts: list[list[tuple[str, str]]] = [[]]
    for element in elements:
        if element[0] == "deep":
            parts.append([])
        else:
            parts[-1].append(element)
    written = [_part(parts[0])]
    for index, part in enumerate(parts[1:], 1):
        last = index == len(parts) - 1
        if last and not part:
            written.append(".*")
            continue
        inside = "(?:.*?/)??" + _part(part)
        bounded = not last and part and part[-1] == ("text", "/")
        written.append(f"(?>{inside})" if bounded else inside)
    return "".join(written)


def _part(elements: list[tuple[str, str]]) -> str:
    """Write what is between two `**`."""
    chunks: list[list[str]] = [[]]
    for kind, text in elements:
        if kind == "star":
            chunks.append([])
        else:
            chunks[-1].append(re.escape(text) if kind == "text" else text)
    written = ["".join(chunks[0])]
    for index, chunk in enumerate(chunks[1:], 1):
        inside = "[^/]*?" + "".join(chunk)
        written.append(f"(?>{inside})" if index < len(chunks) - 1 else "[^/]*" + "".join(chunk))
    return "".join(written)


def _may_match_below(pattern: list[str], directory: list[str]) -> bool:
    """Tell whether a pattern could match something below a directory."""
    for index, part in enumerate(pattern):
        if "**" in part:
            return True
        if index == len(directory):
            return True
        if not _compiled(part, True).matches(directory[index]):
            return False
    return False
