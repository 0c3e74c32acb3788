"""Lines of a Dockerfile: directives, continuation, comments, flags, JSON, here-documents.

`parse` knows which words are instructions and in which form their arguments come, and nothing of
what the arguments mean: that is `instructions`.

Scope: pure.  The bytes are a stranger's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from rootless.build.dockerfile import expansion
from rootless.build.dockerfile.expansion import ExpansionError, is_space
from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.source import DockerfileError, Place, did_you_mean, locate

KEYWORDS = (
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL",
    "MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
)  # fmt: skip
DIRECTIVES = ("syntax", "escape", "check")
JSON_FORMS = frozenset("ADD CMD COPY ENTRYPOINT HEALTHCHECK RUN SHELL VOLUME".split())
HEREDOCS = frozenset(("ADD", "COPY", "RUN"))

_SPACES = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)", re.ASCII)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
# byte order marks of encodings that somebody's editor may have chosen
_FOREIGN_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Heredoc(Frozen):
    """A here-document.  `text`: as it stands in the file; `content` is without leading tabs."""

    name: str
    text: str
    expand: bool = True
    chomp: bool = False
    descriptor: int = 0

    @property
    def content(self) -> str:
        """The text as the command sees it: `<<-` takes tabs away at the start of lines."""
        return _LEADING_TABS.sub("", self.text) if self.chomp else self.text


class Directive(Frozen):
    """A parser directive at the top of the file."""

    name: str
    value: str
    place: Place


class Line(Frozen):
    """An instruction as it was written.

    `keyword`: in capital letters, `word`: as written; `flags`: `--name[=value]` in front of the
    arguments, without quotes; `text`: the arguments, continuation lines joined; `json`: the
    strings, where the arguments are a JSON array in an instruction that has this form;
    `original`: the whole instruction, joined; `physical`: the lines of the file, here-documents
    included; `comments`: comments directly above; `gaps`: there are empty lines within it.
    """

    keyword: str
    flags: tuple[str, ...]
    text: str
    json: tuple[str, ...] | None
    heredocs: tuple[Heredoc, ...]
    place: Place
    original: str
    word: str = ""
    escape: str = "\\"
    physical: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    gaps: bool = False
    # characters of the first physical line that belong to ONBUILD
    offset: int = 0

    def at(self, near: str = "") -> Place:
        """Return the place of `near` in this instruction; the whole of it if it is not there."""
        number, column = locate(self.physical, self.place.first, near, self.offset)
        last = self.place.last if number == self.place.first else number
        return Place(self.place.file, number, last, column)

    def error(self, sentence: str, *, near: str = "", hint: str = "") -> DockerfileError:
        """Make an error at the place of `near` in this instruction, or at its first line."""
        place = self.at(near)
        return DockerfileError(
            sentence,
            place,
            text=self.physical[place.first - self.place.first] if self.physical else self.original,
            width=len(near.partition("\n")[0]),
            hint=hint,
        )


class Dockerfile(Frozen):
    """A file that has been read: its directives by name, its instructions, its lines."""

    name: str
    lines: tuple[Line, ...]
    directives: dict[str, Directive]
    physical: tuple[str, ...] = ()

    @property
    def escape(self) -> str:
        """The character that escapes, and continues lines."""
        directive = self.directives.get("escape")
        return directive.value if directive else "\\"


def parse(data: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile.  `name` is for messages.  Raises DockerfileError."""
    return _Parser(_decoded(data, name), name).run()


def parse_heredoc(word: str) -> Heredoc | None:
    """Read `<<NAME`, `<<-NAME`, `3<<"NAME"`; None for what is no here-document."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    plain = expansion.expand_words(match[3], _nothing, keep_unset=True)
    raw = expansion.expand_words(match[3], _nothing, keep_unset=True, raw=True)
    if len(plain) != 1 or len(raw) != 1:
        return None
    number = int(match[1]) if match[1] and len(match[1]) < 10 else 0
    # any quote or escape in the name says that the text is not to be expanded
    return Heredoc(plain[0], "", plain == raw, match[2] == "-", number)


def read_json(text: str) -> tuple[object, ...] | None:
    """Read a JSON array that is all of `text`; None for anything else."""
    stripped = text.lstrip()
    if not stripped.startswith("["):
        return None
    try:
        found = json.loads(stripped, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return tuple(found) if isinstance(found, list) else None


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Split at white space outside of quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    characters = iter(text)
    for ch in characters:
        if not quote and is_space(ch):
            if word:
                words.append("".join(word))
                word = []
            continue
        if quote:
            quote = "" if ch == quote else quote
        elif ch in "'\"":
            quote = ch
        if ch == escape and quote != "'":
            after = next(characters, "")
            if not after:
                break
            word.append(ch)
            ch = after
        word.append(ch)
    if word:
        words.append("".join(word))
    return words


def split_spaces(text: str) -> list[str]:
    """Split at white space, whatever quotes there are."""
    return [word for word in _SPACES.split(text) if word]


def _nothing(name: str) -> str | None:
    return None


def _refuse_constant(text: str) -> object:
    # NaN and Infinity are Python's, not JSON's
    raise ValueError(text)


def _decoded(data: bytes, name: str) -> str:
    place = Place(name, 1, 1)
    if data.startswith(_FOREIGN_MARKS):
        raise DockerfileError("the file is UTF-16, not UTF-8", place, hint="save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    zero = data.find(b"\0")
    if zero >= 0:
        number = data.count(b"\n", 0, zero) + 1
        raise DockerfileError(
            "there is a NUL byte in the file",
            Place(name, number, number),
            hint="is it a Dockerfile, in UTF-8?",
        )
    # other bytes that are not UTF-8 are kept: a comment in Latin-1 hurts nobody
    return data.decode("utf-8", "surrogateescape")


class _Parser:
    """Goes through the lines of one file."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.raw = _lines(text)
        self.physical = tuple(line.rstrip("\r\n") for line in self.raw)
        self.at = 0
        self.directives: dict[str, Directive] = {}
        self.escape = "\\"
        self.comments: list[str] = []

    def run(self) -> Dockerfile:
        self._read_directives()
        lines = []
        while self.at < len(self.raw):
            line = self._instruction()
            if line is not None:
                lines.append(line)
        if not lines:
            count = max(len(self.raw), 1)
            raise DockerfileError(
                "there is no instruction in the file",
                Place(self.name, count, count),
                hint="a Dockerfile begins with FROM",
            )
        return Dockerfile(self.name, tuple(lines), self.directives, self.physical)

    def _error(
        self, sentence: str, number: int, near: str = "", hint: str = "", last: int = 0
    ) -> DockerfileError:
        lines = self.physical[number - 1 : max(self.at, number)]
        found, column = locate(lines, number, near)
        text = lines[found - number] if lines else ""
        place = Place(self.name, found, max(last, found), column)
        return DockerfileError(sentence, place, text=text, width=len(near), hint=hint)

    def _read_directives(self) -> None:
        """Read directives to the first line that is none; a comment ends them as well."""
        for number, line in enumerate(self.physical, 1):
            stripped = _left(line)
            written, equals, value = stripped[1:].partition("=")
            written, value = written.strip(), value.strip()
            name = written.lower()
            if not (stripped.startswith("#") and equals and value and name in DIRECTIVES):
                return
            self.at = number
            if name in self.directives:
                raise self._error(
                    f"the directive {name} is given twice",
                    number,
                    written,
                    f"the first is in line {self.directives[name].place.first}",
                )
            column = line.find(value, line.find("=")) + 1
            self.directives[name] = Directive(name, value, Place(self.name, number, number, column))
            if name == "escape":
                if value not in ("\\", "`"):
                    raise self._error(
                        f'the escape character cannot be "{value}"',
                        number,
                        value,
                        "there are two: \\ and `",
                    )
                self.escape = value

    def _continued(self, text: str) -> tuple[str, bool]:
        """Take the escape character from the end of a line: (line, whether there was one)."""
        stripped = text.rstrip(" \t")
        if not stripped.endswith(self.escape):
            return text, False
        before = stripped[:-1]
        # two of them are one that is meant
        if before.endswith(self.escape):
            return text, False
        return before, True

    def _instruction(self) -> Line | None:
        text = _left(self.physical[self.at])
        self.at += 1
        first = self.at
        if text.startswith("#"):
            comment = text[1:].strip()
            if comment:
                self.comments.append(comment)
            else:
                self.comments.clear()
            return None
        text, more = self._continued(text)
        if not text and not more:
            self.comments.clear()
            return None
        parts = [text]
        gaps = False
        while more and self.at < len(self.physical):
            following = self.physical[self.at]
            self.at += 1
            stripped = _left(following)
            if stripped.startswith("#"):
                continue
            if not stripped:
                gaps = True
                continue
            following, more = self._continued(following)
            parts.append(following)
        comments, self.comments = tuple(self.comments), []
        joined = "".join(parts)
        if not joined.strip():
            raise self._error(f"there is nothing but {self.escape} in the line", first, self.escape)

        def error(sentence: str, near: str, hint: str) -> DockerfileError:
            return self._error(sentence, first, near, hint)

        keyword, flags, rest, array = _split(joined, error)
        heredocs: tuple[Heredoc, ...] = ()
        if "<<" in joined and array is None and self._may_have_heredocs(keyword, rest):
            heredocs = self._heredocs(joined, first)
        return Line(
            keyword,
            flags,
            rest,
            array,
            heredocs,
            Place(self.name, first, self.at),
            joined.strip(),
            word=_SPACES.split(joined.strip(), maxsplit=1)[0],
            escape=self.escape,
            physical=self.physical[first - 1 : self.at],
            comments=comments,
            gaps=gaps,
        )

    def _may_have_heredocs(self, keyword: str, rest: str) -> bool:
        if keyword == "ONBUILD":
            inner, *others = _SPACES.split(rest, maxsplit=1)
            return inner.upper() in HEREDOCS and read_json("".join(others)) is None
        return keyword in HEREDOCS

    def _heredocs(self, joined: str, first: int) -> tuple[Heredoc, ...]:
        """Read the here-documents that an instruction names, from the lines below it."""
        try:
            words = expansion.expand_words(joined, _nothing, raw=True, keep_unset=True)
        except ExpansionError:
            # quotes that do not match are the shell's business
            return ()
        documents = []
        for word in words:
            try:
                document = parse_heredoc(word)
            except ExpansionError as error:
                raise self._error(str(error), first, word, error.hint) from None
            if document is not None:
                documents.append(self._body(document, first, word))
        return tuple(documents)

    def _body(self, document: Heredoc, first: int, word: str) -> Heredoc:
        begin = self.at
        while self.at < len(self.physical):
            line = self.physical[self.at]
            self.at += 1
            if (line.lstrip("\t") if document.chomp else line) == document.name:
                text = "".join(self.raw[begin : self.at - 1])
                return Heredoc(
                    document.name, text, document.expand, document.chomp, document.descriptor
                )
        raise self._error(
            f'the here-document "{document.name}" does not end',
            first,
            word,
            f"a line with {document.name} alone ends it, without spaces",
            len(self.physical),
        )


def _split(
    joined: str, error: Callable[[str, str, str], DockerfileError]
) -> tuple[str, tuple[str, ...], str, tuple[str, ...] | None]:
    """Split an instruction: (keyword, flags, arguments, the array that they are)."""
    word, *others = _SPACES.split(joined.strip(), maxsplit=1)
    keyword = word.upper()
    if keyword not in KEYWORDS:
        hint = did_you_mean(word, KEYWORDS) or _hint_for(word)
        raise error(f'unknown instruction "{word}"', word, hint)
    flags, rest = split_flags(others[0]) if others else ([], "")
    rest = rest.strip()
    # of HEALTHCHECK the form is that of what follows CMD
    found = read_json(_after_word(rest) if keyword == "HEALTHCHECK" else rest)
    if found is None or keyword not in JSON_FORMS:
        return keyword, tuple(flags), rest, None
    strings = []
    for item in found:
        if not isinstance(item, str):
            written = json.dumps(item)
            raise error(
                f"{keyword}: {written[:40]} in the array is not a string",
                written,
                "write numbers and words of a JSON array in double quotes",
            )
        if "\0" in item:
            # it can be written as \u0000, and no argument, path or variable can hold it
            raise error(f"{keyword}: there is a NUL in a string of the array", "\\u0000", "")
        # half a surrogate pair is nothing that can be written anywhere
        strings.append(item.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return keyword, tuple(flags), rest, tuple(strings)


def inner_line(line: Line) -> Line:
    """Read the instruction that follows ONBUILD.  Raises DockerfileError."""
    joined = _after_word(line.original)
    first = line.physical[0]
    offset = first.find(line.word) + len(line.word)

    def error(sentence: str, near: str, hint: str) -> DockerfileError:
        return line.replace(offset=offset).error(sentence, near=near, hint=hint)

    keyword, flags, rest, array = _split(joined, error)
    return line.replace(
        keyword=keyword,
        flags=flags,
        text=rest,
        json=array,
        original=joined,
        word=_SPACES.split(joined, maxsplit=1)[0],
        comments=(),
        gaps=False,
        offset=offset,
    )


def split_flags(text: str) -> tuple[list[str], str]:
    """Take `--name[=value]` from the start of arguments: (flags, rest).

    Quotes and backslashes are taken away.  `--` alone ends the flags.
    """
    flags: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and is_space(text[at]):
            at += 1
        if not text.startswith("--", at):
            return flags, text[at:]
        word: list[str] = []
        quote = ""
        while at < end and (quote or not is_space(text[at])):
            ch = text[at]
            at += 1
            if quote and ch == quote:
                quote = ""
                continue
            if not quote and ch in "'\"":
                quote = ch
                continue
            if ch == "\\":
                if at == end:
                    break
                ch = text[at]
                at += 1
            word.append(ch)
        if word == ["-", "-"]:
            return flags, text[at:]
        flags.append("".join(word))


def _lines(text: str) -> list[str]:
    """Cut into lines, each with its end; a last empty one is none."""
    found = [line + "\n" for line in text.split("\n")]
    last = found.pop()[:-1]
    return [*found, last] if last else found


def _left(text: str) -> str:
    """Take white space from the start."""
    return text.lstrip()


def _after_word(text: str) -> str:
    return "".join(_SPACES.split(text, maxsplit=1)[1:])


def _hint_for(word: str) -> str:
    if word.startswith("--") or word.endswith((";", "&&")):
        return "is a line above missing its \\ at the end?"
    if word.startswith("//") or word.startswith("/*"):
        return "a comment begins with #"
    return "is a line above missing its \\ at the end, or a comment its #?"
