"""The road through click: help, completion, error messages, and the verbs that need no hurry.

Commands are built from the descriptions in `rootless.cli.options`, when their help or they
themselves are asked for.  Source: https://click.palletsprojects.com/
"""

from __future__ import annotations

import difflib
import os

import click

from rootless.cli import main as cli_main
from rootless.cli import options as cli_options
from rootless.cli.options import FLAG, LIST, NUMBER, Option, Verb
from rootless.cli.table import ALIASES, GROUPS, INSPECTS, VERBS
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.documents import Json


def spelled_out(options: Sequence[Option], arguments: Sequence[str], stop_early: bool) -> list[str]:
    """docker's spellings that click has not: `--flag=false` and `-n=value`.

    Flags get a hidden twin, `--no-flag:NAME`; nothing else is changed.
    """
    table = {name: option for option in options for name in option.names}
    made: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" or ((word[:1] != "-" or word == "-") and stop_early):
            return [*made, word, *rest]
        if word[:1] != "-" or word == "-":
            made.append(word)
            continue
        if word[:2] == "--":
            name, equals, value = word.partition("=")
            option = table.get(name)
            if option and option.kind == FLAG and equals:
                made.append(name if cli_options.truth(name, value) else _twin(option))
                continue
            made.append(word)
            if option and option.kind != FLAG and not equals and rest:
                made.append(rest.pop(0))
            continue
        made += _short(table, word, rest)
    return made


def _twin(option: Option) -> str:
    return "--no-flag:" + option.dest


def _short(table: dict[str, Option], word: str, rest: list[str]) -> list[str]:
    for position in range(1, len(word)):
        option = table.get("-" + word[position])
        after = word[position + 1 :]
        if option is None:
            return [word]
        if option.kind == FLAG:
            if after[:1] != "=":
                continue
            value = cli_options.truth("-" + word[position], after[1:])
            head = [word[:position]] if position > 1 else []
            return [*head, "-" + word[position] if value else _twin(option)]
        if after[:1] == "=":
            return [word[: position + 1], after[1:]]
        if not after and rest:
            return [word, rest.pop(0)]
        return [word]
    return [word]


class _Words(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A completion type: names that the engine knows, or files."""

    name = "word"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """See click.ParamType."""
        from rootless.cli import completion as cli_completion

        shared = ctx.find_root().obj or {}
        return [
            click.shell_completion.CompletionItem(value, type=kind, help=text)
            for value, kind, text in cli_completion.candidates(
                self.kind, incomplete, shared, ctx.params
            )
        ]


def _parameter(option: Option) -> list[click.Option]:
    if option.kind == FLAG:
        # the twin comes from `spelled_out`, the last of both wins
        names = [*option.names, option.dest]
        shown = click.Option(
            names,
            is_flag=True,
            flag_value=True,
            default=None,
            help=option.help,
            hidden=option.hidden,
        )
        twin = click.Option(
            [_twin(option), option.dest], is_flag=True, flag_value=False, default=None, hidden=True
        )
        return [shown, twin]
    kind: click.ParamType = click.STRING  # type: ignore[type-arg,unused-ignore]
    if option.kind == NUMBER:
        kind = _Whole()
    elif option.complete:
        kind = _Words(option.complete)
    return [
        click.Option(
            [*option.names, option.dest],
            type=kind,
            metavar=option.metavar,
            multiple=option.kind == LIST,
            help=option.help,
            hidden=option.hidden,
        )
    ]


class _Whole(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "integer"

    def convert(
        self, value: Json, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value is None or isinstance(value, int):
            return value
        return cli_options.whole(param.opts[-1] if param else "", str(value))


class VerbCommand(click.Command):
    """A verb as a click command; `plain(ctx)` gives what the lean road would have given."""

    def __init__(self, verb: Verb) -> None:
        self.verb = verb
        parameters: list[click.Parameter] = []
        for option in verb.options:
            parameters += _parameter(option)
        parameters.append(
            click.Argument(["words"], nargs=-1, required=False, type=_Argument(verb.complete))
        )
        super().__init__(
            verb.name.rpartition(" ")[2],
            params=parameters,
            help=_long_help(verb),
            short_help=verb.summary,
            options_metavar="[OPTION...]" if verb.options else "",
            callback=None,
        )
        self.allow_interspersed_args = not verb.stop_early

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line in the verb's own words."""
        pieces = [self.options_metavar or ""] if self.verb.options else []
        return [*pieces, self.verb.usage]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """As click's, in the style of the others."""
        return _plain_help(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under their headings."""
        records = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                records[parameter.name] = record
        last = records.pop("help", None)
        for title, options in self.verb.sections:
            rows = [records[option.dest] for option in options if option.dest in records]
            if last and title == self.verb.sections[0][0]:
                rows.append(last)
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, with docker's spellings."""
        ctx.allow_interspersed_args = not self.verb.stop_early
        if not ctx.resilient_parsing:
            args = spelled_out(self.verb.options, args, self.verb.stop_early)
        return super().parse_args(ctx, args)


class _Argument(_Words):
    """The words of a verb: what each names."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__("")
        self.kinds = kinds

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """See click.ParamType."""
        given = len(ctx.params.get("words") or ())
        if self.kinds:
            self.kind = self.kinds[min(given, len(self.kinds) - 1)]
        return super().shell_complete(ctx, param, incomplete)


def plain(verb: Verb, parameters: dict[str, Json]) -> tuple[dict[str, Json], list[str]]:
    """click's result in the shape of `words.parse`."""
    values = {}
    for option in verb.options:
        value = parameters[option.dest]
        if option.kind == LIST:
            value = list(value or ())
        values[option.dest] = value
    return values, list(parameters["words"] or ())


def parse(verb: Verb, arguments: Sequence[str]) -> tuple[dict[str, Json], list[str]]:
    """As `words.parse`, by click.  Raises UsageError."""
    command = VerbCommand(verb)
    try:
        context = command.make_context("rootless", list(arguments))
    except click.UsageError as error:
        raise UsageError(error.format_message()) from None
    return plain(verb, context.params)


def _long_help(verb: Verb) -> str:
    parts = [verb.summary + "."]
    if verb.text:
        parts.append(verb.text)
    if verb.examples:
        # \b keeps click from filling the lines
        parts.append("\b\nExamples:\n" + "\n".join("  " + one for one in verb.examples.split("\n")))
    return "\n\n".join(parts)


def _plain_help(option: click.Option | None) -> click.Option | None:
    if option:
        option.help = "Print this help"
    return option


# headings of `rootless --help`, in this order; a verb that is not named here is one of the system
_HEADINGS: dict[str, tuple[str, ...]] = {
    "Commands": (),
    "Container commands": tuple(
        """attach commit cp create diff exec explain export kill logs pause port ps rename restart
        rm run start stats stop top unpause update wait""".split()
    ),
    "Image commands": tuple(
        "copy history images import load pull push rmi save search tag untag".split()
    ),
    "Registry commands": ("login", "logout"),
    "System commands": (),
    "Management commands": (),
}


class _Commands(click.Group):
    """Commands by name, made when asked for."""

    def __init__(self, name: str, prefix: str, help: str) -> None:
        super().__init__(name, help=help, no_args_is_help=False, invoke_without_command=True)
        self.prefix = prefix

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """As click's, in the style of the others."""
        return _plain_help(super().get_help_option(ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click.Group."""
        names = [*VERBS, *ALIASES, *GROUPS]
        mine = [one[len(self.prefix) :] for one in names if one.startswith(self.prefix)]
        return sorted({one for one in mine if " " not in one})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """See click.Group."""
        full = self.prefix + cmd_name
        if full in GROUPS:
            return _Commands(cmd_name, full + " ", GROUPS[full] + ".")
        name = ALIASES.get(full, full)
        if name not in VERBS:
            return None
        return VerbCommand(cli_main.load(name).VERB)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without loading a module for each line."""
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in _HEADINGS}
        for one in self.list_commands(ctx):
            full = self.prefix + one
            name = ALIASES.get(full, full)
            text = GROUPS[full] if full in GROUPS else VERBS[name][1]
            rows[self._heading(one)].append((one, text))
        for title, lines in rows.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)

    def _heading(self, name: str) -> str:
        if self.prefix:
            return "Commands"
        if name in GROUPS:
            return "Management commands"
        found = [title for title, names in _HEADINGS.items() if name in names]
        return found[0] if found else "System commands"


def root() -> click.Group:
    """The whole command line."""
    group = _Commands(
        "rootless", "", "Manage containers and images without root and without a daemon."
    )
    for option in cli_options.GLOBALS:
        group.params += _parameter(option)
    group.params.append(click.Option(["-v", "--version"], is_flag=True, help="Print the version"))
    return group


def main(arguments: list[str]) -> int:
    """Run the command line; its exit status.  Raises RootlessError."""
    group = root()
    if "_ROOTLESS_COMPLETE" in os.environ:
        from rootless.cli import completion as cli_completion

        return cli_completion.answer(group)
    try:
        shared, rest = cli_options.parse(cli_options.GLOBALS, arguments, stop_early=True)
    except UsageError:
        return _through_click(group, arguments)
    if not rest:
        click.echo(_help(group, "rootless"))
        return 0
    if rest[0] == "help":
        rest = [*rest[1:], "--help"]
        if rest == ["--help"]:
            click.echo(_help(group, "rootless"))
            return 0
    return _dispatch(rest, shared)


def _help(command: click.Command, name: str) -> str:
    return command.get_help(click.Context(command, info_name=name, max_content_width=100))


def _through_click(group: click.Group, arguments: list[str]) -> int:
    """Words before the verb that the lean parser did not like: --help, --version, mistakes."""
    if "--help" in arguments[:1] or "-h" in arguments[:1]:
        click.echo(_help(group, "rootless"))
        return 0
    if arguments[:1] in (["--version"], ["-v"]):
        from rootless import __version__

        click.echo(f"rootless version {__version__}")
        return 0
    try:
        cli_options.parse(cli_options.GLOBALS, arguments, stop_early=True)
    except UsageError as error:
        from rootless.cli import unsupported

        name = error.message.removeprefix("no such option: ")
        raise UsageError(error.message, hint=unsupported.option(name) or error.hint) from None
    return 125


def _dispatch(rest: list[str], shared: dict[str, Json]) -> int:
    name, arguments = rest[0], rest[1:]
    while name in GROUPS:
        group = _Commands(name, name + " ", GROUPS[name] + ".")
        if not arguments or arguments[0] in ("--help", "-h"):
            click.echo(_help(group, f"rootless {name}"))
            return 0
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    full, name = name, ALIASES.get(name, name)
    if name not in VERBS:
        raise _unknown(name)
    module = cli_main.load(name)
    verb: Verb = module.VERB
    command = VerbCommand(verb)
    try:
        context = command.make_context(f"rootless {name}", list(arguments), max_content_width=100)
    except click.exceptions.Exit:
        return 0
    except click.UsageError as error:
        raise UsageError(_sentence(error), hint=_hint(error, verb, name)) from None
    options, others = plain(verb, context.params)
    cli_options.check_count(verb, others)
    if full in INSPECTS:
        options["type"] = INSPECTS[full]
    return cli_main.perform(module, options, others, shared)


def _sentence(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"no such option: {error.option_name}"
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:]


def _hint(error: click.UsageError, verb: Verb, name: str) -> str:
    if isinstance(error, click.NoSuchOption):
        from rootless.cli import unsupported

        if instead := unsupported.option(error.option_name):
            return instead
        known = [
            one
            for option in verb.options
            for one in option.names
            if one.startswith("--") and not option.hidden
        ]
        near = difflib.get_close_matches(error.option_name, known)
        if near:
            return f"did you mean {' or '.join(near)}?"
    return f"rootless {name} --help"


def _unknown(name: str) -> UsageError:
    from rootless.cli import unsupported

    if found := unsupported.verb(name):
        return found
    near = difflib.get_close_matches(name, [*VERBS, *ALIASES, *GROUPS])
    hint = f"did you mean {' or '.join(near)}?" if near else "rootless --help lists the commands"
    return UsageError(f'unknown command "{name}"', hint=hint)


def script(shell: str) -> str:
    """The completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f'no completion for the shell "{shell}"', hint="bash, zsh or fish")
    source = found(root(), {}, "rootless", "_ROOTLESS_COMPLETE")
    return str(source.source_template % source.source_vars())
