"""The parser of the command line, and the descriptions that it, help and completion share."""

from __future__ import annotations

import re
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rootless.cli import help as cli_help
from rootless.cli import options as cli_options
from rootless.cli import table
from rootless.cli.options import FLAG, LIST, NUMBER, Option, Verb
from rootless.cli.table import ALIASES, GROUPS, VERBS
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

# what people write and what confuses parsers: empty, signs, dashes, equals, odd bytes
VALUES = some.one_of(
    some.sampled_from(
        ["", "a", "=", "a=b", "-", "--", "-1", "a b", "--rm", "-x", "7", "é", "\udc80"]
    ),
    some.text(min_size=1, max_size=4),
)
TRUTHS = {"true": True, "false": False, "1": True, "0": False, "T": True, "F": False}

# one use of an option: it, the arguments, the value they give
Use = tuple[Option, list[str], Any]


def verb_of(name: str) -> Verb:
    found: Verb = table.load(name).VERB
    return found


@some.composite
def uses(draw: some.DrawFn, options: list[Option]) -> Use:
    """An option in one of its spellings."""
    option = draw(some.sampled_from(options))
    name = draw(some.sampled_from(option.names))
    if option.kind == FLAG:
        word = draw(some.sampled_from(["", *TRUTHS]))
        return option, [f"{name}={word}" if word else name], TRUTHS.get(word, True)
    value = draw(some.integers(-99, 99).map(str) if option.kind == NUMBER else VALUES)
    if option.bare:
        # as docker's optional values: without = there is none
        if draw(some.booleans()):
            return option, [name], option.bare
        return option, [f"{name}={value}"], value
    forms = [[name, value], [f"{name}={value}"]]
    if len(name) == 2 and value and value[0] != "=":
        forms.append([name + value])
    if len(name) == 2 and value:
        # flags of one letter may stand before it
        letters = [n for o in options if o.kind == FLAG for n in o.names if len(n) == 2]
        if letters and draw(some.booleans()):
            flag = draw(some.sampled_from(letters))
            return option, [f"{flag}{name[1]}={value}"], (flag, value)
    return option, draw(some.sampled_from(forms)), value


def _expected(verb: Verb, found: list[Use]) -> dict[str, Any]:
    values = {option.dest: option.unset() for option in verb.options}
    names = {name: option for option in verb.options for name in option.names}
    for option, _, value in found:
        if isinstance(value, tuple):
            values[names[value[0]].dest] = True
            value = value[1]
        if option.kind == LIST:
            values[option.dest] = [*values[option.dest], value]
        else:
            values[option.dest] = int(value) if option.kind == NUMBER else value
    return values


@pytest.mark.parametrize("name", sorted(VERBS))
@settings(max_examples=25, deadline=None)
@given(data=some.data())
def test_every_spelling_gives_the_value(name: str, data: some.DataObject) -> None:
    verb = verb_of(name)
    plain = VALUES.filter(lambda one: one[:1] != "-" or one == "-")
    words = data.draw(some.lists(plain, max_size=3))
    found = data.draw(some.lists(uses(list(verb.options)), max_size=5)) if verb.options else []
    parts = [part for _, part, _ in found]
    if verb.stop_early:
        parts.append(data.draw(some.sampled_from([["--", *words], words])))
    else:
        # they may stand anywhere between options
        at = 0
        for word in words:
            at = data.draw(some.integers(at, len(parts)))
            parts.insert(at, [word])
            at += 1
    arguments = [word for part in parts for word in part]
    values, others = cli_options.parse(verb.options, arguments, stop_early=verb.stop_early)
    assert values == _expected(verb, found)
    assert others == words


@pytest.mark.parametrize("name", sorted(VERBS))
@settings(max_examples=25, deadline=None)
@given(data=some.data())
def test_whatever_is_written_is_parsed_or_refused(name: str, data: some.DataObject) -> None:
    verb = verb_of(name)
    spellings = [one for option in verb.options for one in option.names]
    pieces = some.one_of(
        VALUES,
        some.sampled_from(["--", "--no-such", "-Ω", "-~", "--help", *spellings]),
        some.tuples(some.sampled_from([*spellings, "-x"]), VALUES).map("".join),
        some.tuples(some.sampled_from([*spellings, "--x"]), VALUES).map("=".join),
    )
    arguments = data.draw(some.lists(pieces, max_size=6))
    try:
        values, others = cli_options.parse(verb.options, arguments, stop_early=verb.stop_early)
    except UsageError as error:
        assert error.message
        return
    assert set(values) == {option.dest for option in verb.options}
    # nothing is invented: what is left over was written so
    assert [one for one in others if one not in arguments] == []


@pytest.mark.parametrize("name", sorted(VERBS))
def test_click_knows_the_same_options(name: str) -> None:
    """Help and completion are made of the descriptions that the parser has."""
    verb = verb_of(name)
    command = cli_help.VerbCommand(verb)
    shown = {
        one.name: (one.opts, one.hidden) for one in command.params if isinstance(one, click.Option)
    }
    assert shown == {one.dest: (one.names, one.hidden) for one in verb.options}


@pytest.mark.parametrize("name", sorted(VERBS))
def test_options_of_a_verb_have_one_meaning_each(name: str) -> None:
    verb = verb_of(name)
    spellings = [one for option in verb.options for one in option.names]
    assert sorted(spellings) == sorted(set(spellings))
    assert all(option.help and not option.help.endswith(".") for option in verb.options)
    assert all(option.metavar or option.kind == FLAG for option in verb.options)
    assert all(option.help[0].isupper() for option in verb.options)
    shown = [option for _, options in verb.sections for option in options]
    assert shown == list(verb.options)
    assert verb.summary == VERBS[name][1]
    assert verb.name == name


# loaded at every start, or with a table of their own, so that they share nothing
APART = {"create", "run", "update", "exec", "ps", "start", "stop", "logs", "inspect", "images",
         "rm", "restart", "attach", "stats", "pull", "prune"}  # fmt: skip


def test_an_option_of_several_verbs_is_described_once() -> None:
    known: dict[tuple[str, ...], tuple[Option, str]] = {}
    for name in sorted(set(VERBS) - APART):
        for option in verb_of(name).options:
            if option.hidden or option.help.startswith("Output format:"):
                continue
            said = (*option.names, option.metavar, option.help)
            other, where = known.setdefault(said, (option, name))
            assert other is option, f"{option.names} of {name} and {where}"


def test_the_help_of_run_has_headings_and_hides_what_always_fails() -> None:
    shown = cli_help.text("run")
    headings = [line for line in shown.splitlines() if re.fullmatch(r"[A-Z].*options:", line)]
    assert [line.removesuffix(" options:") for line in headings] == [
        "Basic", "File system", "Network", "User, namespace and security", "Resource limit",
        "Health check", "Advanced",
    ]  # fmt: skip
    hidden = [option for option in verb_of("run").options if option.hidden]
    assert {option.dest for option in hidden} == set(ContainerOptions.REFUSED)
    for option in verb_of("run").options:
        pattern = rf"^  (-\w, )?(--[\w-]+, )?{option.names[-1]}\b"
        assert bool(re.search(pattern, shown, re.M)) != option.hidden, option.names


def test_every_alias_leads_to_a_verb() -> None:
    assert not [one for one in ALIASES.values() if one not in VERBS]
    assert not [one for one in [*VERBS, *ALIASES] if " " in one and one.split()[0] not in GROUPS]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name", "x", "i"], {"name": "x"}),
        (["--name=x", "i"], {"name": "x"}),
        (["--name=", "i"], {"name": ""}),
        (["--name", "--rm", "i"], {"name": "--rm"}),
        (["-it", "i"], {"interactive": True, "tty": True}),
        (["-itd", "--rm", "i"], {"interactive": True, "tty": True, "detach": True, "rm": True}),
        (["-ite", "A=b", "i"], {"interactive": True, "tty": True, "env": ["A=b"]}),
        (["-eA=b", "-e=C=d", "i"], {"env": ["A=b", "C=d"]}),
        (["--rm=false", "i"], {"rm": False}),
        (["-t=false", "-i", "i"], {"tty": False, "interactive": True}),
        (["--stop-timeout", "-1", "i"], {"stop_timeout": -1}),
        (["--rm", "i", "--name", "of-the-command"], {"rm": True}),
    ],
)
def test_the_spellings_of_docker(arguments: list[str], expected: dict[str, Any]) -> None:
    verb = verb_of("run")
    values, others = cli_options.parse(verb.options, arguments, stop_early=True)
    assert {name: value for name, value in values.items() if value not in (None, [])} == expected
    assert others[0] == "i"


def test_lists_are_never_shared_between_calls() -> None:
    verb = verb_of("run")
    first, _ = cli_options.parse(verb.options, ["-e", "A", "i"], stop_early=True)
    second, _ = cli_options.parse(verb.options, ["i"], stop_early=True)
    assert (first["env"], second["env"]) == (["A"], [])
    assert any(option.kind == LIST for option in verb.options)
