"""Verbs and their options, described once, and the parser of the command line.

Every verb is parsed here, because loading click takes twice the time in which `rootless run`
starts.  Help (help.py) and completion (completion.py) are made by click from the same descriptions.
The conventions are those of docker's own parser: `--name value`, `--name=value`, `-n value`,
`-nvalue`, `-n=value`, `-it`, `--flag=false`, `--`.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rootless.documents import Json
    from rootless.engine.engine import Engine
    from rootless.progress import Progress

FLAG, TEXT, LIST, NUMBER = "flag", "text", "list", "number"

_TRUE = ("true", "1", "t", "TRUE", "True", "T")
_FALSE = ("false", "0", "f", "FALSE", "False", "F")


class Option:
    """One option: its spellings, what it takes, the sentence of its help.

    `complete`: what its value names (container, image, volume, anything, file, directory), or
    choices as words with spaces between.  `hidden`: neither help nor completion shows it.
    `fails`: why it always fails, so that it is hidden.  `bare`: what it means without a value,
    which then can only be given with `=`.
    """

    __slots__ = ("bare", "complete", "dest", "fails", "help", "hidden", "kind", "metavar", "names")

    def __init__(
        self,
        kind: str,
        names: str,
        metavar: str,
        text: str,
        complete: str,
        dest: str,
        hidden: bool,
        fails: str = "",
    ) -> None:
        self.kind = kind
        self.hidden = hidden or fails != ""
        self.fails = fails
        self.bare = ""
        self.names = names.split()
        self.metavar = metavar
        self.help = text
        self.complete = complete
        self.dest = dest or self.names[-1].lstrip("-").replace("-", "_")

    def unset(self) -> Json:
        """The parsers' value when it is not given: `--flag=false` differs from no flag."""
        return [] if self.kind == LIST else None


def flag(names: str, text: str, *, dest: str = "", hidden: bool = False, fails: str = "") -> Option:
    """An option that is there or not."""
    return Option(FLAG, names, "", text, "", dest, hidden, fails)


def text(
    names: str,
    metavar: str,
    text: str,
    *,
    complete: str = "",
    dest: str = "",
    hidden: bool = False,
    bare: str = "",
) -> Option:
    """An option with a value; the last one given wins."""
    made = Option(TEXT, names, metavar, text, complete, dest, hidden)
    made.bare = bare
    return made


def several(
    names: str,
    metavar: str,
    text: str,
    *,
    complete: str = "",
    dest: str = "",
    hidden: bool = False,
    fails: str = "",
) -> Option:
    """An option that may be given several times."""
    return Option(LIST, names, metavar, text, complete, dest, hidden, fails)


def number(names: str, metavar: str, text: str, *, dest: str = "", hidden: bool = False) -> Option:
    """An option whose value is a whole number."""
    return Option(NUMBER, names, metavar, text, "", dest, hidden)


def output_format(
    example: str | None = None, *, table: bool = False, short: bool = False
) -> Option:
    """`--format`: json; with an `example` also a template, and with `table` a table of such."""
    words = "Output format: json" + (", table, table TEMPLATE" if table else "")
    if example is not None:
        words += ", or a Go template" + (f" as in {example}" if example else "")
    names = "-f --format" if short else "--format"
    return text(names, "FORMAT", words, complete="" if table else "json")


class Verb:
    """A command: what follows it, how many words at least and at most, its options.

    `stop_early`: options end at the first other word, which begins somebody else's command line.
    `complete`: what the words name, the last kind for all that follow.
    `sections`: the options under the headings of the help, instead of `options`.
    """

    __slots__ = (
        "complete",
        "examples",
        "maximum",
        "minimum",
        "name",
        "options",
        "sections",
        "stop_early",
        "summary",
        "text",
        "usage",
    )

    def __init__(
        self,
        name: str,
        usage: str,
        summary: str,
        options: Sequence[Option] = (),
        *,
        minimum: int = 0,
        maximum: int | None = None,
        stop_early: bool = False,
        text: str = "",
        examples: str = "",
        complete: Sequence[str] = (),
        sections: Sequence[tuple[str, Sequence[Option]]] = (),
    ) -> None:
        self.name = name
        self.usage = usage
        self.summary = summary
        self.options = options or [one for _, some in sections for one in some]
        self.sections = sections or (("Options", options),)
        self.minimum = minimum
        self.maximum = maximum
        self.stop_early = stop_early
        self.text = text
        self.examples = examples
        self.complete = complete


class NoSuchOption(UsageError):
    """An option that is not described; `option` is its name."""

    def __init__(self, option: str) -> None:
        super().__init__(f"no such option: {option}")
        self.option = option


class Call:
    """One use of a verb: `options` by destination name, `words` that are not options."""

    __slots__ = ("engine", "engine_with", "options", "words")

    def __init__(
        self,
        options: dict[str, Json],
        words: list[str],
        engine: Callable[[], Engine],
        engine_with: Callable[[Progress], Engine],
    ) -> None:
        """`engine` makes one that reports to the terminal, `engine_with` one that reports to a
        watcher."""
        self.options = options
        self.words = words
        self.engine = engine
        self.engine_with = engine_with


CGROUP_MANAGER = text(
    "--cgroup-manager", "NAME", "Cgroup manager to use: systemd, cgroupfs or disabled",
    complete="systemd cgroupfs disabled",
)  # fmt: skip
GLOBALS = (
    text("--root --data-dir", "DIR", "Directory for images, containers and volumes",
         complete="directory"),
    text("--storage-driver", "NAME",
         "Storage driver to use (default: the best that works; rootless info lists them)",
         complete="storage-driver"),
    several("--storage-opt", "NAME[=VALUE]", "Set an option of the storage driver"),
    CGROUP_MANAGER,
    text("--runtime", "NAME", "OCI runtime to use: rootless (built in), crun, runc or a path",
         complete="rootless crun runc"),
    flag("-D --debug", "Print a traceback for internal errors"),
    text("--log-level", "LEVEL", "Log level: debug is the same as --debug, others have no effect",
          complete="trace debug info warn warning error fatal panic"),
    text("--out", "FILE", "Write to a file instead of standard output", complete="file"),
    flag("--noout", "Write nothing to standard output"),
    text("--events-backend", "NAME", "Where events are kept: file", complete="file"),
    flag("--syslog", "Accepted for compatibility: messages are on standard error alone"),
    flag("--transient-store", "Accepted for compatibility: a boot ends containers anyway"),
    text("--runroot --tmpdir", "DIR",
         "Accepted for compatibility: what a reboot may forget is in XDG_RUNTIME_DIR",
         complete="directory"),
    flag("-v --version", "Print the version"),
    flag("-h --help", "Print this help"),
)  # fmt: skip


def parse(
    options: Sequence[Option],
    arguments: Sequence[str],
    *,
    stop_early: bool,
) -> tuple[dict[str, Json], list[str]]:
    """(values of all options by destination, other words).

    Raises UsageError; NoSuchOption for an option that is not described, `--help` among them.
    """
    values = {option.dest: option.unset() for option in options}
    table = {name: option for option in options for name in option.names}
    words: list[str] = []
    at = 0
    while at < len(arguments):
        word = arguments[at]
        at += 1
        if word == "--":
            words += arguments[at:]
            break
        if word[:1] != "-" or word == "-":
            words.append(word)
            if stop_early:
                words += arguments[at:]
                break
        elif word[:2] == "--":
            at = _long(table, values, word, arguments, at)
        else:
            at = _short(table, values, word, arguments, at)
    for option in options:
        # at the end, because the last one given wins, also over a mistake
        if option.kind == NUMBER and values[option.dest] is not None:
            values[option.dest] = whole(option.names[-1], values[option.dest])
    return values, words


def _long(
    table: dict[str, Option],
    values: dict[str, Json],
    word: str,
    arguments: Sequence[str],
    at: int,
) -> int:
    name, equals, value = word.partition("=")
    option = table.get(name)
    if option is None:
        raise NoSuchOption(name)
    if option.kind == FLAG:
        values[option.dest] = truth(name, value) if equals else True
        return at
    if not equals and option.bare:
        value = option.bare
    elif not equals:
        if at == len(arguments):
            raise UsageError(f"the option {name} needs a value")
        value = arguments[at]
        at += 1
    _keep(option, values, value)
    return at


def _short(
    table: dict[str, Option],
    values: dict[str, Json],
    word: str,
    arguments: Sequence[str],
    at: int,
) -> int:
    for position in range(1, len(word)):
        name = "-" + word[position]
        option = table.get(name)
        if option is None:
            raise NoSuchOption(name)
        rest = word[position + 1 :]
        if option.kind == FLAG:
            if rest[:1] == "=":
                values[option.dest] = truth(name, rest[1:])
                return at
            values[option.dest] = True
            continue
        if not rest:
            if at == len(arguments):
                raise UsageError(f"the option {name} needs a value")
            rest = arguments[at]
            at += 1
        else:
            rest = rest.removeprefix("=")
        _keep(option, values, rest)
        return at
    return at


def truth(name: str, value: str) -> bool:
    """The value of `--flag=VALUE`.  Raises UsageError."""
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise UsageError(f'the option {name} is true or false, not "{value}"')


def whole(name: str, value: str) -> int:
    """The value of an option that is a whole number.  Raises UsageError."""
    digits = value[1:] if value[:1] == "-" else value
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f'the option {name} needs a whole number, not "{value}"')
    return int(value)


def _keep(option: Option, values: dict[str, Json], value: str) -> None:
    if option.kind == LIST:
        values[option.dest].append(value)
    else:
        values[option.dest] = value


def check_count(verb: Verb, words: Sequence[str], *, latest: bool = False) -> None:
    """Raises UsageError when there are too few or too many words.

    `latest`: an option stands for the first of them.
    """
    least, most = verb.minimum, verb.maximum
    if latest and least:
        least -= 1
        most = most if most is None else most - 1
    if len(words) < least:
        raise UsageError(
            f"rootless {verb.name} needs {verb.usage or 'more words'}",
            hint=f"rootless {verb.name} --help",
        )
    if most is not None and len(words) > most:
        raise UsageError(
            f'rootless {verb.name} does not take "{words[most]}"',
            hint=f"rootless {verb.name} --help",
        )
