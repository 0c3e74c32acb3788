"""The syntax of unit files: sections, assignments, continued lines, quoted words.

Source: systemd.syntax(7); systemd.service(5), "Command lines", for quoting and escapes.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SPACE = " \t\n\r"
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
            "\\": "\\", '"': '"', "'": "'", "s": " "}  # fmt: skip
_TRUE = ("1", "yes", "y", "true", "t", "on")
_FALSE = ("0", "no", "n", "false", "f", "off")


class Entry:
    """One assignment, and where it was written."""

    __slots__ = ("key", "line", "path", "value")

    def __init__(self, key: str, value: str, path: str, line: int) -> None:
        self.key = key
        self.value = value
        self.path = path
        self.line = line

    def wrong(self, what: str, *, hint: str = "") -> UsageError:
        """Return the error that names the file and the line."""
        return UsageError(f"{self.path}:{self.line}: {what}", hint=hint)

    def truth(self) -> bool:
        """Return the value as systemd's boolean.  Raises UsageError."""
        text = self.value.lower()
        if text in _TRUE:
            return True
        if text in _FALSE or not text:
            return False
        raise self.wrong(f"{self.key}={self.value} is neither yes nor no")

    def words(self) -> list[str]:
        """Return the value split at spaces, quotes and escapes resolved.  Raises UsageError."""
        try:
            return split(self.value)
        except ValueError as error:
            raise self.wrong(f"{self.key}={self.value}: {error}") from None


class Sections:
    """A unit file's sections in their order; each a list of entries in theirs."""

    def __init__(self) -> None:
        self.table: dict[str, list[Entry]] = {}

    def get(self, name: str) -> list[Entry]:
        """Return entries of a section; none if it is not there."""
        return self.table.get(name, [])

    def all(self, section: str, key: str) -> list[Entry]:
        """Return all assignments of a key; an empty one takes back those before it."""
        found: list[Entry] = []
        for entry in self.get(section):
            if entry.key == key:
                found = [*found, entry] if entry.value else []
        return found

    def last(self, section: str, key: str) -> Entry | None:
        """Return the assignment that counts where there can be one value."""
        found = self.all(section, key)
        return found[-1] if found else None


def parse(text: str, path: str, into: Sections) -> None:
    """Read one file; a drop-in is read into the sections of its unit.  Raises UsageError."""
    section = ""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at].strip(_SPACE)
        at += 1
        if not line or line[0] in "#;":
            continue
        while line.endswith("\\"):
            # a comment between continued lines is left out, as systemd does
            while at < len(lines) and lines[at].lstrip(_SPACE)[:1] in ("#", ";"):
                at += 1
            line = line[:-1] + " " + (lines[at].strip(_SPACE) if at < len(lines) else "")
            at += 1
        if line[0] == "[":
            if not line.endswith("]") or len(line) < 3:
                raise UsageError(f"{path}:{number}: the section {line} is not closed")
            section = line[1:-1]
            into.table.setdefault(section, [])
            continue
        key, equals, value = line.partition("=")
        key, value = key.rstrip(_SPACE), value.strip(_SPACE)
        if not equals or not key:
            raise UsageError(
                f'{path}:{number}: "{line}" is not an assignment',
                hint="KEY=VALUE, or # and a comment",
            )
        if not section:
            raise UsageError(f"{path}:{number}: {key}= stands before the first section")
        into.table[section].append(Entry(key, value, path, number))


def split(text: str) -> list[str]:
    """Return words of a value.  Raises ValueError for a quote that is not closed."""
    found: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if at >= len(text):
            return found
        word, at = _word(text, at)
        found.append(word)


def _word(text: str, at: int) -> tuple[str, int]:
    word, quote = "", ""
    while at < len(text):
        one = text[at]
        at += 1
        if one == "\\":
            part, at = _escape(text, at)
            word += part
        elif quote:
            if one == quote:
                quote = ""
            else:
                word += one
        elif one in "\"'":
            quote = one
        elif one in _SPACE:
            break
        else:
            word += one
    if quote:
        raise ValueError("a quote is not closed")
    return word, at


def _escape(text: str, at: int) -> tuple[str, int]:
    """What follows a backslash; an escape that is not known stays as it is, as with systemd."""
    one = text[at : at + 1]
    if one in _ESCAPES:
        return _ESCAPES[one], at + 1
    digits = {"x": 2, "u": 4, "U": 8}.get(one, 0)
    base, begin = 16, at + 1
    if one.isdigit():
        digits, base, begin = 3, 8, at
    number = text[begin : begin + digits]
    try:
        if digits and len(number) == digits:
            return chr(int(number, base)), begin + digits
    except (ValueError, OverflowError):
        pass
    return "\\", at


def quote(word: str) -> str:
    """Return a word as it must stand on a line of a unit; `%` and `$` keep their meaning for
    systemd."""
    plain = word and not any(one in _SPACE + "\"'\\;" or ord(one) < 32 for one in word)
    if plain:
        return word
    made = ""
    for one in word:
        if one in '"\\':
            made += "\\" + one
        elif one == "\n":
            made += "\\n"
        elif one == "\t":
            made += "\\t"
        elif ord(one) < 32:
            made += f"\\x{ord(one):02x}"
        else:
            made += one
    return f'"{made}"'


def command(words: Iterable[str]) -> str:
    """Return words as a line that systemd splits into the same words."""
    return " ".join(quote(word) for word in words)
