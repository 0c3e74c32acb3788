"""Variables, quotes and escapes: what they come to, and what is refused."""

from __future__ import annotations

import json
import time

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile.expansion import ExpansionError, expand, expand_words
from rootless.build.dockerfile.source import DockerfileError

ROWS = tables.rows("expansion")
VARIABLES = 'ENV v=value e="" p=/usr/a.b/c.tar.gz q=aXbXc'
KNOWN = {"v": "value", "e": "", "p": "/usr/a.b/c.tar.gz", "q": "aXbXc", "s": "a  b", "nl": "a\nb"}


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_a_value_of_label_is_expanded(row: tables.Row) -> None:
    text = f"FROM scratch\n{VARIABLES}\nLABEL r={row.name}\n"
    if row.expected == ["refused"]:
        with pytest.raises(DockerfileError) as raised:
            tables.Image(tables.read(text))
        assert raised.value.place.first == 3 and raised.value.place.column >= 7
    else:
        labels = tables.Image(tables.read(text)).config["Labels"]
        assert labels == {"r": json.loads(row.expected[0])}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ("  a \t b ", ["a", "b"]),
        ("$s", ["a", "b"]),
        ('"$s"', ["a  b"]),
        ("x$s'y z'", ["x" + "a", "by z"]),
        ("a\\ b c", ["a b", "c"]),
        ("$u", []),
        ('""', []),
        ("'' x", ["x"]),
        ("${u:-c d}", ["c", "d"]),
        ("a\u00a0b", ["a", "b"]),
    ],
)
def test_words_split_outside_of_quotes(text: str, expected: list[str]) -> None:
    assert expand_words(text, KNOWN.get) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\"$v\" '$v' `x`", "\"value\" 'value' `x`"),
        ("\\$v \\n \\\\ '", "$v n \\ '"),
        ('"', '"'),
        # also the word of a modifier keeps its quotes there
        ("${u:-'q'}", "'q'"),
    ],
)
def test_quotes_are_text_in_here_documents(text: str, expected: str) -> None:
    assert expand(text, KNOWN.get, quotes=False) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`$v", "$v"),
        ("c:\\x\\$v", "c:\\x\\value"),
        ('"`$v`""', '$v"'),
        ("``", "`"),
    ],
)
def test_the_escape_character_may_be_another(text: str, expected: str) -> None:
    assert expand(text, KNOWN.get, escape="`") == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${", "a } is missing"),
        ("${v", "a } is missing"),
        ("${v:-a", "a } is missing"),
        ("${v/a", "a / is missing"),
        ("${v/a/b", "a } is missing"),
        ("${}", "no name"),
        ("${{v}}", "no name"),
        ("${:-a}", "no name"),
        ("${v=a}", 'unsupported modifier "="'),
        ("${v:=a}", 'unsupported modifier ":="'),
        ("${v:#a}", 'unsupported modifier ":#"'),
        ("${v^}", 'unsupported modifier "^"'),
        ("${v[0]}", 'unsupported modifier "["'),
        ("${v:", "a } is missing"),
        ("${v.x}", 'unsupported modifier "."'),
        ("${u?}", "u: the variable is not set"),
        ("${e:?}", "e: the variable is empty"),
        ("${u:?say so}", "u: say so"),
        ("'a", "the single quote is not closed"),
        ('"a', "the double quote is not closed"),
        ('"${u:-"}', "is not closed"),
        ("${v#\\q}", 'invalid escape "\\q"'),
        ("${v#a\\", "a } is missing"),
        ("${u:-" * 200 + "}" * 200, "within each other"),
    ],
)
def test_what_cannot_be_expanded_is_a_sentence(text: str, problem: str) -> None:
    with pytest.raises(ExpansionError) as raised:
        expand(text, KNOWN.get)
    assert problem in raised.value.message
    assert raised.value.word == text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("$u", ["u"]),
        ("${u}", ["u"]),
        ("$v", []),
        ("$e", []),
        ("${u:-d}${u-d}${u:+d}${u+d}", []),
        ("${v:-$u}", ["u"]),
        ("'$u'", []),
        ("\\$u", []),
        ("${u#x}${w/a/b}", ["u", "w"]),
        ("$$", ["$"]),
    ],
)
def test_variables_that_are_not_set_are_reported(text: str, names: list[str]) -> None:
    found: list[str] = []
    expand(text, KNOWN.get, unset=found.append)
    assert found == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${p#*}", "/usr/a.b/c.tar.gz"),
        ("${p##*}", ""),
        ("${p%*}", "/usr/a.b/c.tar.gz"),
        ("${p%%*}", ""),
        ("${p#???}", "r/a.b/c.tar.gz"),
        ("${p#x}", "/usr/a.b/c.tar.gz"),
        ("${p%/*}", "/usr/a.b"),
        ("${p%%/*}", ""),
        ("${q#a\\X}", None),
        ("${q//X}", None),
        ("${q//*/Z}", "Z"),
        ("${q/\\*/Z}", "aXbXc"),
        ("${q//?/-}", "-----"),
        ("${nl%%?b}", "a\nb"),
        ("${v#}", "value"),
        ("${v%%}", "value"),
        ("${q//(/x}${q//./x}${q//^/x}", "aXbXc" * 3),
    ],
)
def test_patterns(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ExpansionError):
            expand(text, KNOWN.get)
    else:
        assert expand(text, KNOWN.get) == expected


def test_a_pattern_of_many_stars_takes_no_longer_than_its_length() -> None:
    began = time.monotonic()
    expand("${x##" + "*a" * 30 + "b}", {"x": "a" * 2000}.get)
    assert time.monotonic() - began < 5


def test_a_value_cannot_grow_without_limit() -> None:
    with pytest.raises(ExpansionError, match="more than 16 MiB"):
        expand("$x" * 20, {"x": "a" * (1 << 20)}.get)
