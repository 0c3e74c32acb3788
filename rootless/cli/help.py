"""Help, made by click from the descriptions in options.py and the table of verbs.

The commands that are built here are read by completion.py as well; no command line is parsed with
them.  Source: https://click.palletsprojects.com/
"""

from __future__ import annotations

import click

from rootless.cli import options as cli_options
from rootless.cli.headings import HEADINGS, heading
from rootless.cli.options import FLAG, LIST, Option, Verb
from rootless.cli.table import ALIASES, GROUPS, VERBS, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.shell_completion import CompletionItem

    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
    # what the words of a verb, or the one value of an option, name -> how to complete them
    Completers = Callable[[Sequence[str]], Completer]


def _option(option: Option, completers: Completers | None) -> click.Option:
    names = [*option.names, option.dest]
    if option.kind == FLAG:
        return click.Option(
            names,
            is_flag=True,
            flag_value=True,
            default=None,
            help=option.help,
            hidden=option.hidden,
        )
    completes = completers and option.complete
    return click.Option(
        names,
        metavar=option.metavar,
        multiple=option.kind == LIST,
        help=option.help,
        hidden=option.hidden,
        shell_complete=completers([option.complete]) if completers and completes else None,
    )


class VerbCommand(click.Command):
    """A verb as a click command."""

    def __init__(self, verb: Verb, completers: Completers | None = None) -> None:
        self.verb = verb
        parameters: list[click.Parameter] = [_option(one, completers) for one in verb.options]
        parameters.append(
            click.Argument(
                ["words"],
                nargs=-1,
                required=False,
                shell_complete=completers(verb.complete) if completers else None,
            )
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


class _Commands(click.Group):
    """Commands by name, made when asked for."""

    def __init__(
        self, name: str, prefix: str, text: str, completers: Completers | None = None
    ) -> None:
        super().__init__(name, help=text, no_args_is_help=False, invoke_without_command=True)
        self.prefix = prefix
        self.completers = completers

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
            return _Commands(cmd_name, full + " ", GROUPS[full] + ".", self.completers)
        name = ALIASES.get(full, full)
        if name not in VERBS:
            return None
        return VerbCommand(load(name).VERB, self.completers)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without loading a module for each line."""
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in HEADINGS}
        for one in self.list_commands(ctx):
            full = self.prefix + one
            name = ALIASES.get(full, full)
            text = GROUPS[full] if full in GROUPS else VERBS[name][1]
            rows["Commands" if self.prefix else heading(one)].append((one, text))
        for title, lines in rows.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)


def root(completers: Completers | None = None) -> click.Group:
    """The whole command line."""
    group = _Commands(
        "rootless",
        "",
        "Manage containers and images without root and without a daemon.",
        completers,
    )
    # it is one of the options
    group.add_help_option = False
    group.params += [_option(one, completers) for one in cli_options.GLOBALS]
    return group


def text(name: str) -> str:
    """The help of a verb or a group of verbs; of the whole without a name."""
    command: click.Command
    if not name:
        command = root()
    elif name in GROUPS:
        command = _Commands(name, name + " ", GROUPS[name] + ".")
    else:
        command = VerbCommand(load(name).VERB)
    words = ("rootless", name) if name else ("rootless",)
    context = click.Context(command, info_name=" ".join(words), max_content_width=100)
    return command.get_help(context) + "\n"
