"""The lean road and the click road parse alike: both are made from the same descriptions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from rootless.cgroups import limits
from rootless.cli import help as cli_help
from rootless.cli import main as cli_main
from rootless.cli import options as cli_options
from rootless.cli.options import FLAG, LIST, NUMBER, Option, Verb
from rootless.cli.table import ALIASES, GROUPS, VERBS
from rootless.errors import UsageError

# what people write and what confuses parsers: empty, signs, dashes, equals, odd bytes
VALUES = some.one_of(
    some.sampled_from(
        ["", "a", "=", "a=b", "-", "--", "-1", "a b", "--rm", "-x", "7", "é", "\udc80"]
    ),
    some.text(min_size=1, max_size=4),
)
TRUTHS = some.sampled_from(["true", "false", "1", "0", "T", "F", "maybe", ""])


def verb_of(name: str) -> Verb:
    found: Verb = cli_main.load(name).VERB
    return found


def _value(option: Option) -> some.SearchStrategy[str]:
    if option.kind == NUMBER:
        return some.one_of(some.integers(-99, 99).map(str), VALUES)
    return VALUES


@some.composite
def _option(draw: some.DrawFn, options: list[Option]) -> list[str]:
    option = draw(some.sampled_from(options))
    name = draw(some.sampled_from(option.names))
    if option.kind == FLAG:
        return [draw(some.sampled_from([name, f"{name}={draw(TRUTHS)}"]))]
    value = draw(_value(option))
    forms = [[name, value], [f"{name}={value}"], [name]]
    if len(name) == 2 and value:
        forms += [[name + value]]
    return draw(some.sampled_from(forms))


@some.composite
def _bundle(draw: some.DrawFn, options: list[Option]) -> list[str]:
    letters = [n for o in options for n in o.names if len(n) == 2]
    if not letters:
        return []
    chosen = draw(some.lists(some.sampled_from(letters), min_size=1, max_size=4))
    return [
        "-" + "".join(one[1] for one in chosen) + draw(some.sampled_from(["", "v", "=v", "=0"]))
    ]


def command_lines(verb: Verb) -> some.SearchStrategy[list[str]]:
    """Words after a verb: options in every spelling, other words, and mistakes."""
    options = list(verb.options)
    parts = [
        VALUES.map(lambda one: [one]),
        some.sampled_from([["--"], ["--no-such"], ["-Ω"], ["-~"]]),
    ]
    if options:
        parts += [_option(options), _option(options), _bundle(options)]
    return some.lists(some.one_of(parts), max_size=6).map(lambda groups: sum(groups, []))


def _outcome(parse: str, verb: Verb, arguments: list[str]) -> Any:
    try:
        if parse == "lean":
            return cli_options.parse(verb.options, arguments, stop_early=verb.stop_early)
        return cli_help.parse(verb, arguments)
    except UsageError:
        return "refused"


@pytest.mark.parametrize("name", sorted(VERBS))
@settings(max_examples=60, deadline=None)
@given(data=some.data())
def test_both_roads_understand_the_same(name: str, data: some.DataObject) -> None:
    verb = verb_of(name)
    arguments = data.draw(command_lines(verb))
    if "--help" in arguments or any(one.startswith("--help=") for one in arguments):
        return  # only click answers that
    assert _outcome("lean", verb, arguments) == _outcome("click", verb, arguments)


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


def test_the_help_of_run_has_headings_and_hides_what_always_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli_help.main(["run", "--help"]) == 0
    shown = capsys.readouterr().out
    headings = [line for line in shown.splitlines() if re.fullmatch(r"[A-Z].*options:", line)]
    assert [line.removesuffix(" options:") for line in headings] == [
        "Basic", "File system", "Network", "User, namespace and security", "Resource limit",
        "Health check", "Advanced",
    ]  # fmt: skip
    hidden = [option for option in verb_of("run").options if option.hidden]
    assert {option.dest for option in hidden} == set(limits.NOT_IN_V2)
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
    assert cli_help.parse(verb, arguments) == (values, others)


def test_lists_are_never_shared_between_calls() -> None:
    verb = verb_of("run")
    first, _ = cli_options.parse(verb.options, ["-e", "A", "i"], stop_early=True)
    second, _ = cli_options.parse(verb.options, ["i"], stop_early=True)
    assert (first["env"], second["env"]) == (["A"], [])
    assert any(option.kind == LIST for option in verb.options)
