"""Places in a Dockerfile, and the errors and warnings that point at them.

An error's message is one sentence that begins with `FILE:LINE:`; `report()` adds the line itself
with a mark under the place.  Scope: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rootless.build.dockerfile.frozen import Frozen
from rootless.errors import RootlessError

_EXCERPT_MAX = 160
_SENTENCE_MAX = 400


class Place(Frozen):
    """Where something is: lines count from 1; column from 1 on line `first`, 0 for no column."""

    file: str
    first: int
    last: int
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.first}"


class DockerfileError(RootlessError):
    """A Dockerfile cannot be understood.

    `place`: where; `text`: the line itself; `width`: how many characters the mark has (0 when there
    is no column to point at); `sentence`: the message without its place.
    """

    def __init__(
        self, sentence: str, place: Place, *, text: str = "", width: int = 0, hint: str = ""
    ) -> None:
        sentence = printable(sentence, _SENTENCE_MAX)
        super().__init__(f"{place}: {sentence}", hint=printable(hint, _SENTENCE_MAX))
        self.sentence = sentence
        self.place = place
        self.text = printable(text, tabs=True)
        self.width = width

    @property
    def mark(self) -> str:
        """The line below the text: `   ^~~~`, or nothing where no column is known."""
        if not self.place.column:
            return ""
        # tabs are kept, so that the mark stands below the place on any terminal
        before = self.text[: self.place.column - 1]
        indent = "".join("\t" if ch == "\t" else " " for ch in before)
        return indent + "^" + "~" * (self.width - 1)

    @property
    def excerpt(self) -> str:
        """The line with its number and the mark under the place; empty if there is no line."""
        if not self.text:
            return ""
        number = str(self.place.first)
        shown = f"{number} | {self.text[:_EXCERPT_MAX]}"
        mark = self.mark
        if mark and self.place.column <= _EXCERPT_MAX:
            shown += f"\n{' ' * len(number)} | {mark[:_EXCERPT_MAX]}"
        return shown

    def report(self) -> str:
        """The sentence, the line, the mark and the hint, each on lines of its own."""
        return "\n".join(part for part in (self.message, self.excerpt, self.hint) if part)


class Warning_(Frozen):
    """Something that a rule found.  `rule`: its name as in the reference, `text`: what it found."""

    rule: str
    text: str
    place: Place
    url: str = ""
    description: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.text} (line {self.place.first})"


def printable(text: str, most: int = 0, *, tabs: bool = False) -> str:
    """Return text for a terminal, of `most` characters (0: of any number).

    What is written in a Dockerfile is a stranger's: an escape sequence in it would otherwise move
    the cursor, or hide the lines around.
    """
    shown = text if not most or len(text) <= most else text[:most] + "…"
    if shown.isprintable():
        return shown
    return "".join(
        ch if ch.isprintable() or (tabs and ch == "\t") else "\N{REPLACEMENT CHARACTER}"
        for ch in shown
    )


def locate(lines: Sequence[str], first: int, near: str, skip: int = 0) -> tuple[int, int]:
    """Find `near` in `lines`, of which the first has number `first`: (line, column).

    `skip`: characters of the first line to pass over.  (first, 0) if it is not there, as after
    an expansion.
    """
    if near:
        for index, text in enumerate(lines):
            at = text.find(near, skip if index == 0 else 0)
            if at >= 0:
                return first + index, at + 1
    return first, 0


def distance(one: str, other: str) -> int:
    """Count the steps from one word to the other.

    A step inserts, deletes or replaces a letter, or swaps two that stand beside each other.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one):
        following = [i + 1]
        for j, right in enumerate(other):
            least = min(row[j + 1] + 1, following[j] + 1, row[j] + (left != right))
            if i and j and left == other[j - 1] and one[i - 1] == right:
                least = min(least, before[j - 1] + 1)
            following.append(least)
        before, row = row, following
    return row[-1]


def nearest(word: str, options: Iterable[str], *, fold: bool = False) -> str:
    """Return the option that `word` may have been meant to be, or nothing.

    At most two steps apart, one for words of up to three letters.  `fold`: case is no difference.
    """
    if len(word) > 80:
        return ""
    wanted = word.lower() if fold else word
    best, least = "", 3 if len(word) > 3 else 2
    for option in options:
        if abs(len(option) - len(wanted)) >= least:
            continue
        apart = distance(wanted, option.lower() if fold else option)
        if apart < least and apart < len(wanted):
            best, least = option, apart
    return best


def did_you_mean(word: str, options: Iterable[str], *, fold: bool = True) -> str:
    """Return `did you mean X?` for the nearest option, or nothing."""
    found = nearest(word, options, fold=fold)
    return f"did you mean {found}?" if found else ""
