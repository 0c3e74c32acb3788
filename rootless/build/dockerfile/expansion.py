"""Replacement of variables, quotes and escapes, by the rules of Dockerfiles.

`expand` makes one word of a word, `expand_words` splits at white space outside of quotes, also at
white space that a variable brings in.  The modifiers are `:-` `-` `:+` `+` `:?` `?` `#` `##` `%`
`%%` `/` and `//`; everything else in `${}` is refused.  Unlike in a shell, `\\n` in single quotes
is two characters, `$$`, `$@`, `$1` and their kind are variables that are never set, and nothing
runs: `$(id)` stays as it is.

Scope: pure.  The text is a stranger's: the depth of nesting is limited and patterns are matched
without backtracking.
"""

from __future__ import annotations

from collections.abc import Callable

from rootless.build.dockerfile import globs
from rootless.errors import UsageError

Lookup = Callable[[str], "str | None"]
Unset = Callable[[str], None]

_DEPTH_MAX = 100
_SIZE_MAX = 16 << 20
_SPECIAL = frozenset("@*#?-$!0")
_END = ""


class ExpansionError(UsageError):
    """A word cannot be expanded.  `word`: the whole of it."""

    def __init__(self, message: str, word: str = "", *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.word = word


def expand(
    text: str,
    lookup: Lookup,
    *,
    escape: str = "\\",
    quotes: bool = True,
    unset: Unset | None = None,
) -> str:
    """Expand `text` to one word.

    `lookup` has the value of a variable, or None where it is not set.  `quotes`: False leaves
    quotes as they are and expands between them, as in a here-document.  `unset` is called with
    each variable that is used, is not set and has no modifier that provides for that.
    Raises ExpansionError.
    """
    return _Expansion(text, lookup, escape, quotes=quotes, unset=unset).run()[0]


def expand_words(
    text: str,
    lookup: Lookup,
    *,
    escape: str = "\\",
    raw: bool = False,
    raw_escapes: bool | None = None,
    keep_unset: bool = False,
    unset: Unset | None = None,
) -> list[str]:
    """Expand `text` and split it at white space outside of quotes.

    `raw` keeps the quotes, `raw_escapes` (like `raw` if not given) the escape characters.
    `keep_unset` leaves variables that are not set as they were written.
    """
    expansion = _Expansion(text, lookup, escape, unset=unset)
    expansion.raw = raw
    expansion.raw_escapes = raw if raw_escapes is None else raw_escapes
    expansion.keep_unset = keep_unset
    return expansion.run()[1]


def is_space(ch: str) -> bool:
    """Tell whether a character is white space (the four separators of ASCII are not)."""
    return ch.isspace() and not "\x1c" <= ch <= "\x1f"


class _Words:
    """Collects words: what is quoted or escaped never splits."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._parts: list[str] = []

    def plain(self, text: str) -> None:
        for ch in text:
            if is_space(ch):
                self.end()
            else:
                self._parts.append(ch)

    def whole(self, text: str) -> None:
        if text:
            self._parts.append(text)

    def end(self) -> None:
        if self._parts:
            self.done.append("".join(self._parts))
            self._parts = []


class _Expansion:
    """One pass over one text."""

    def __init__(
        self,
        text: str,
        lookup: Lookup,
        escape: str,
        *,
        quotes: bool = True,
        unset: Unset | None = None,
    ) -> None:
        self.text = text
        self.at = 0
        self.lookup = lookup
        self.escape = escape
        self.quotes = quotes
        self.unset = unset
        self.raw = False
        self.raw_escapes = False
        self.keep_unset = False
        self.depth = 0
        self.room = _SIZE_MAX

    def run(self) -> tuple[str, list[str]]:
        return self._until(_END, self.raw_escapes)

    def _error(self, problem: str, hint: str = "") -> ExpansionError:
        return ExpansionError(
            f'cannot expand "{_short(self.text)}": {problem}', self.text, hint=hint
        )

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else _END

    def _next(self) -> str:
        ch = self._peek()
        self.at += 1
        return ch

    def _until(self, stop: str, raw_escapes: bool) -> tuple[str, list[str]]:
        """Read to `stop`, outside of quotes, and past it; to the end if it is empty."""
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise self._error(f"more than {_DEPTH_MAX} expansions within each other")
        result: list[str] = []
        words = _Words()
        # what is within, in double quotes for example, is read in the same way
        outside, self.raw_escapes = self.raw_escapes, raw_escapes
        while (ch := self._peek()) != _END:
            if stop and ch == stop:
                self.at += 1
                break
            if ch == "$":
                value = self._dollar()
                result.append(value)
                words.plain(value)
            elif self.quotes and ch in "'\"":
                value = self._single() if ch == "'" else self._double()
                result.append(value)
                words.whole(value)
            elif ch == self.escape:
                self.at += 1
                if raw_escapes:
                    result.append(ch)
                    words.whole(ch)
                escaped = self._next()
                result.append(escaped)
                words.whole(escaped)
            else:
                self.at += 1
                result.append(ch)
                words.plain(ch)
        else:
            if stop:
                raise self._error(_unended(stop))
        words.end()
        self.depth -= 1
        self.raw_escapes = outside
        return "".join(result), words.done

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise self._error("the single quote is not closed")
        inner = self.text[self.at + 1 : end]
        self.at = end + 1
        return f"'{inner}'" if self.raw else inner

    def _double(self) -> str:
        result = ['"'] if self.raw else []
        self.at += 1
        while (ch := self._peek()) != '"':
            if ch == _END:
                raise self._error("the double quote is not closed")
            if ch == "$":
                result.append(self._dollar())
                continue
            self.at += 1
            if ch == self.escape:
                if self.raw_escapes:
                    result.append(ch)
                # before any other character the escape is a character like others
                if (after := self._peek()) == _END:
                    continue
                if after in ('"', "$", self.escape):
                    ch = self._next()
            result.append(ch)
        self.at += 1
        if self.raw:
            result.append('"')
        return "".join(result)

    def _name(self) -> str:
        """Read a name, a number or one special character; nothing if there is none."""
        first = self._peek()
        begin = self.at
        if first.isdecimal():
            while self._peek().isdecimal():
                self.at += 1
        elif first in _SPECIAL and first:
            self.at += 1
        else:
            while (ch := self._peek()) and (ch.isalpha() or ch.isdecimal() or ch == "_"):
                self.at += 1
        return self.text[begin : self.at]

    def _value(self, name: str) -> str | None:
        value = self.lookup(name)
        if value is not None:
            self.room -= len(value)
            if self.room < 0:
                raise self._error(f"it comes to more than {_SIZE_MAX >> 20} MiB")
        return value

    def _plain(self, name: str, written: str) -> str:
        value = self._value(name)
        if value is not None:
            return value
        if self.keep_unset:
            return written
        if self.unset is not None:
            self.unset(name)
        return ""

    def _dollar(self) -> str:
        self.at += 1
        if self._peek() != "{":
            name = self._name()
            return self._plain(name, "$" + name) if name else "$"
        self.at += 1
        if self._peek() == _END:
            raise self._error("a } is missing")
        if self._peek() in "{}:":
            raise self._error(f"no name of a variable in ${{{self._peek()}")
        name = self._name()
        ch = self._next()
        if ch == "}":
            return self._plain(name, f"${{{name}}}")
        if ch == "/":
            return self._replaced(name)
        colon = ch == ":"
        if colon:
            ch = self._next()
        modifier = ":" * colon + ch
        if ch == _END or ch in "'\"" or is_space(ch):
            raise self._error("a } is missing")
        if ch not in "+-?#%" or (colon and ch in "#%"):
            raise self._error(
                f'unsupported modifier "{modifier}"',
                "there are :- - :+ + :? ? # ## % %% / and //",
            )
        word = self._until("}", ch in "#%")[0]
        value = self._value(name)
        if value is None and self.keep_unset:
            return f"${{{name}{modifier}{word}}}"
        missing = value is None or (colon and not value)
        if ch == "-":
            return word if missing else value or ""
        if ch == "+":
            return "" if missing else word
        if ch == "?":
            if missing:
                state = "not set" if value is None else "empty"
                raise self._error(f"{name}: {word or 'the variable is ' + state}")
            return value or ""
        greedy = word.startswith(ch)
        # a pattern that is wrong is refused whether it is needed or not
        pattern = self._pattern(word[greedy:])
        if value is None:
            return self._plain(name, "")
        cut = globs.strip_start if ch == "#" else globs.strip_end
        return cut(pattern, value, longest=greedy)

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        self.at += every
        word = self._until("/", True)[0]
        replacement = self._until("}", True)[0]
        value = self._value(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{word}/{replacement}}}"
        pattern = self._pattern(word)
        if value is None:
            return self._plain(name, "")
        replaced = globs.replace(pattern, replacement, value, every=every)
        if len(replaced) > _SIZE_MAX:
            raise self._error(f"it comes to more than {_SIZE_MAX >> 20} MiB")
        return replaced

    def _pattern(self, word: str) -> globs.Pattern:
        try:
            return globs.compile_pattern(word)
        except ValueError as error:
            raise self._error(str(error)) from None


def _unended(stop: str) -> str:
    return "a / is missing in ${}" if stop == "/" else "a } is missing"


def _short(text: str, most: int = 60) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= most and first == text else first[:most] + "…"
