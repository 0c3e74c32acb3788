"""Build checks: what each rule of the reference finds, and where."""

from __future__ import annotations

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile.lint import Checks, check, read_checks, refuse
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.rules import RULES, slug
from rootless.build.dockerfile.source import DockerfileError, Warning_
from rootless.build.dockerfile.stages import stages

ROWS = tables.rows("lint")


def findings(text: str, **options: object) -> tuple[Warning_, ...]:
    dockerfile = parse(text.encode())
    return check(dockerfile, stages(dockerfile), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_what_the_rules_find(row: tables.Row) -> None:
    dockerfile = parse(row.text.encode())
    ignored = row.options.get("--ignored", [])
    found = stages(dockerfile, build_args=row.build_args)

    def run() -> tuple[Warning_, ...]:
        return check(
            dockerfile,
            found,
            ignored=lambda path: any((path + "/").startswith(part + "/") for part in ignored),
        )

    if row.expected == ["refused"]:
        with pytest.raises(DockerfileError):
            run()
        return
    written = [f"{w.rule} {w.place.first}:{w.place.column} {w.text}" for w in run()]
    assert written == [line for line in row.expected if line != "nothing"]


def test_each_rule_is_found_somewhere_and_has_an_address() -> None:
    named = {line.split()[0] for row in ROWS for line in row.expected}
    assert named - {"nothing", "refused"} == set(RULES)
    assert RULES["JSONArgsRecommended"].url == (
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    )
    assert slug("SecretsUsedInArgOrEnv") == "secrets-used-in-arg-or-env"
    assert slug("UndefinedArgInFrom") == "undefined-arg-in-from"


def test_what_a_base_image_sets_is_defined() -> None:
    text = "FROM python AS a\nLABEL v=$PYTHON_VERSION$PATH\nFROM other\nLABEL w=$x\n"
    known = {"python": ["PYTHON_VERSION"]}
    # of the second image nothing is known, so nothing is said of its variables
    assert findings(text, environments=known) == ()
    assert [w.place.first for w in findings(text, environments={"python": (), "other": ()})] == [
        2,
        4,
    ]
    assert [w.place.first for w in findings(text)] == [2, 4]


def test_stages_that_nobody_needs_are_looked_at_unless_told_otherwise() -> None:
    text = "FROM alpine AS a\nCMD x\nFROM alpine AS B\nLABEL a=1\n"
    assert [w.rule for w in findings(text)] == ["JSONArgsRecommended", "StageNameCasing"]
    assert [w.rule for w in findings(text, every=False)] == ["StageNameCasing"]


@pytest.mark.parametrize(
    ("directive", "passed", "expected"),
    [
        ("skip=all", None, Checks(skip=frozenset(["all"]))),
        ("skip=A , B ;error=true", None, Checks(frozenset("AB"), True)),
        (" error=FALSE; ", None, Checks()),
        ("error=1;experimental=all", None, Checks(frozenset(), True, frozenset(["all"]))),
        ("error=true", "skip=A", Checks(frozenset("A"))),
        (None, "error=true", Checks(error=True)),
        (None, None, Checks()),
    ],
)
def test_the_check_directive(directive: str | None, passed: str | None, expected: Checks) -> None:
    head = f"# check={directive}\n" if directive else ""
    assert read_checks(parse(f"{head}FROM a\n".encode()), passed) == expected


def test_a_wrong_check_that_was_passed_is_said_to_be_so() -> None:
    with pytest.raises(DockerfileError) as raised:
        read_checks(parse(b"FROM a\n"), "eror=true")
    assert raised.value.message == 'BUILDKIT_DOCKERFILE_CHECK:1: check has no option "eror"'


def test_findings_are_errors_if_the_file_says_so() -> None:
    found = findings("FROM alpine AS X\nMAINTAINER a\nMAINTAINER b\n")
    assert refuse(found, Checks()) is None
    assert refuse((), Checks(error=True)) is None
    error = refuse(found, Checks(error=True))
    assert error is not None
    assert error.message == (
        "Dockerfile:1: lint violation found for rules: MaintainerDeprecated, StageNameCasing"
    )
    assert str(found[0]) == "StageNameCasing: Stage name 'X' should be lowercase (line 1)"
