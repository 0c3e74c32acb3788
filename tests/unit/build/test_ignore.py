"""Patterns of .dockerignore: tables, and docker-py's matcher as another opinion."""

from __future__ import annotations

import json
import posixpath
import time

import dockerfile_tables as tables
import e2b_dockerfile_utils
import pytest
from docker.utils import build
from hypothesis import given, settings
from hypothesis import strategies as st

from rootless.build.dockerfile.source import DockerfileError
from rootless.build.ignore import Patterns

ROWS = tables.rows("ignore")
TREE = {
    "": "f g a1 a2 b1 ro su x.sh .hid ln dl dang hard t.tar t.tgz t.tbz noext z.zip gz.gz "
    "bad.tar.gz Dockerfile star*x",
    "d": "up x",
    "d/y": "z",
    "d2": "i.md",
    "d2/e": "h.txt",
    "d2/e/f": "g.txt",
    "empty": "",
    "hl": "1 2",
}
DIRECTORIES = [directory for directory in TREE if directory]
FILES = ["sp ace"] + [
    posixpath.join(directory, name) for directory, files in TREE.items() for name in files.split()
]


def present(patterns: Patterns) -> set[str]:
    """Walk as a context does: a directory is there with what is below it."""
    found: set[str] = set()

    def walk(directory: str) -> None:
        for path in [*FILES, *DIRECTORIES]:
            if posixpath.dirname(path) != directory:
                continue
            if not patterns.excludes(path, path in DIRECTORIES):
                found.add(path)
                parent = directory
                while parent:
                    found.add(parent)
                    parent = posixpath.dirname(parent)
            if path in DIRECTORIES and patterns.may_include_below(path):
                walk(path)

    walk("")
    return found


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_what_is_left_of_the_context(row: tables.Row) -> None:
    kind, _, paths = row.expected[0].partition(" ")
    found = present(Patterns.parse(row.text))
    if kind == "missing":
        assert sorted({*FILES, *DIRECTORIES} - found) == sorted(json.loads(paths))
    else:
        assert sorted(found) == json.loads(paths)


@pytest.mark.parametrize(
    "text", ["\ufefff\n", b"\xef\xbb\xbff", "f\r\n\r\n", b"f\n\xff\xfe*.x\n", "/f//\n", "//f"]
)
def test_forms_of_a_file(text: str | bytes) -> None:
    patterns = Patterns.parse(text)
    assert patterns.excludes("f") and not patterns.excludes("g")


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("x[a", 1, 1, 'the class of characters is not well formed in the pattern "x[a"'),
        ("f\n  [", 2, 3, 'the class of characters is not well formed in the pattern "["'),
        ("[]a]", 1, 1, 'the class of characters is not well formed in the pattern "[]a]"'),
        ("[a-]", 1, 1, 'the class of characters is not well formed in the pattern "[a-]"'),
        ("[z-a]", 1, 1, 'the class of characters is not well formed in the pattern "[z-a]"'),
        ("[\\", 1, 1, 'the class of characters is not well formed in the pattern "[\\"'),
        ("a\\", 1, 1, 'nothing follows the last \\ in the pattern "a\\"'),
        ("# c\n!", 2, 1, 'there is no pattern after "!"'),
        ("!  ", 1, 1, 'there is no pattern after "!"'),
    ],
)
def test_a_wrong_pattern_has_its_place(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        Patterns.parse(text, "a/.dockerignore")
    assert raised.value.message == f"a/.dockerignore:{line}: {problem}"
    assert raised.value.place.column == column
    assert raised.value.excerpt.startswith(f"{line} | ")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a-c]x", ["dx"], ["ax", "/x"]),
        ("[\\]x]", ["]", "x"], ["\\"]),
        ("[[]a", ["[a"], ["a"]),
        ("[a&&b]~[|-|]", ["&~|", "a~|"], ["b|"]),
        ("\\*a", ["*a"], ["ba"]),
        ("\\d", ["d"], ["1"]),
        ("a.b+c(d)", ["a.b+c(d)"], ["axb+c(d)"]),
        ("a^$b*", ["a^$bc"], ["ab"]),
        ("é?", ["éé"], ["é"]),
        ("a**b", ["ab", "a/b", "axx/b", "a/c/b"], ["axb"]),
        ("a**b*", ["ab", "a/bc", "ax/y/b"], ["axb"]),
        ("**/a/**/b", ["a/b", "x/a/y/z/b", "a/x/b"], ["ab", "xa/b"]),
        ("**/*a*/b*", ["xay/b", "q/xay/bb"], ["xy/b"]),
        ("x*y**z", ["xyyz", "xayb/z", "xy/q/z"], ["xyaz"]),
        ("*a*/*b", ["xay/zb", "a/b"], ["xy/zb", "a/q/b"]),
        ("**foo", ["foo", "xfoo", "a/xfoo"], ["foox"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
    ],
)
def test_one_pattern(pattern: str, yes: list[str], no: list[str]) -> None:
    found = Patterns.of([pattern])
    assert [path for path in yes if not found.excludes(path)] == []
    assert [path for path in no if found.excludes(path)] == []


@pytest.mark.parametrize(
    ("lines", "directory", "expected"),
    [
        (["*"], "d", False),
        (["*", "!d/y"], "d", True),
        (["*", "!d/y"], "d2", False),
        (["*", "!*/y"], "d", True),
        (["*", "!**/y"], "d/e/f", True),
        (["*", "!d"], "d", True),
        (["d", "!d2/x"], "d", False),
        (["d", "!d/a/x"], "d/b", False),
        (["d", "!d/[a-c]/x"], "d/b", True),
        ([], "d", True),
    ],
)
def test_where_nobody_need_look(lines: list[str], directory: str, expected: bool) -> None:
    assert Patterns.of(lines).may_include_below(directory) is expected


def test_no_number_of_stars_makes_matching_slow() -> None:
    began = time.monotonic()
    for pattern in ("*a" * 40 + "*b", "**/a/" * 20 + "b", "**/*a*/" * 12 + "b"):
        found = Patterns.of([pattern])
        found.excludes("a" * 250)
        found.excludes("a/" * 400 + "c")
        found.excludes("xax/" * 200 + "c")
    assert time.monotonic() - began < 5


def test_many_directories_are_remembered_and_forgotten() -> None:
    found = Patterns.of(["*", "!**/keep"])
    for number in range(25_000):
        assert found.excludes(f"d{number}/x")
    assert not found.excludes("d1/keep")


PARTS = st.text("ab.*?", min_size=1, max_size=3).filter(
    lambda part: part.strip(".") and "**" not in part
)
PATHS = st.lists(
    st.text("ab.", min_size=1, max_size=3).filter(lambda part: part.strip(".")),
    min_size=1,
    max_size=4,
).map("/".join)


WORDS = st.lists(st.one_of(PARTS, st.just("**")), min_size=1, max_size=3).map("/".join)
SIMPLE = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
ANY = st.builds(lambda sign, words: sign + words, st.sampled_from(["", "", "!"]), WORDS)


@settings(max_examples=300, deadline=None)
@given(WORDS, PATHS)
def test_docker_py_agrees_on_a_pattern(pattern: str, path: str) -> None:
    [mine] = Patterns.of([pattern]).patterns
    assert mine.matches(path) == build.Pattern(pattern).match(path)


@settings(max_examples=300, deadline=None)
@given(st.lists(SIMPLE, min_size=1, max_size=4), PATHS)
def test_docker_py_agrees_on_a_list(patterns: list[str], path: str) -> None:
    # without ** and !, where it looks at parents differently from BuildKit
    assert Patterns.of(patterns).excludes(path) == build.PatternMatcher(patterns).matches(path)


@settings(max_examples=400, deadline=None)
@given(st.lists(ANY, min_size=1, max_size=5), PATHS)
def test_a_port_of_the_original_agrees(patterns: list[str], path: str) -> None:
    peer = e2b_dockerfile_utils.PatternMatcher(patterns)
    mine = Patterns.of(patterns)
    assert mine.excludes(path) == peer.matches(path)
    if not mine.may_include_below(path):
        assert all(peer.matches(f"{path}/{below}") for below in ("a", "b/a.b", "a/a/a"))


def test_a_name_that_is_brought_back_does_not_bring_back_what_is_left_out_below() -> None:
    # nothing is left out yet when the directory is decided, so the second line is not asked there
    patterns = Patterns.of(["a/secret", "!a"])
    assert not patterns.excludes("a", True) and patterns.excludes("a/secret")
