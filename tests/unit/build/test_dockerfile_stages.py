"""Stages: where each begins, what the target needs, and the variables of each."""

from __future__ import annotations

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile.instructions import Run
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.platforms import Platform
from rootless.build.dockerfile.source import DockerfileError
from rootless.build.dockerfile.stages import (
    ContextOrigin,
    ImageOrigin,
    Scratch,
    StageOrigin,
    Stages,
    dependencies,
    stages,
)

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def read(text: str, **options: object) -> Stages:
    return stages(parse(text.encode()), **options)  # type: ignore[arg-type]


def labels(found: Stages) -> list[str]:
    return [stage.label for stage in found.needed]


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("FROM a\nFROM b", "", ["stage-1"]),
        ("FROM a AS x\nFROM x AS y\nFROM c", "y", ["x", "y"]),
        ("FROM a AS x\nFROM b\nCOPY --from=x f f", "", ["x", "stage-1"]),
        ("FROM a AS x\nFROM b\nCOPY --from=0 f f", "", ["x", "stage-1"]),
        ("FROM a AS x\nFROM b\nCOPY --from=X f f", "", ["x", "stage-1"]),
        ("FROM a AS x\nFROM b\nRUN --mount=from=x,target=/m true", "", ["x", "stage-1"]),
        ("FROM a AS x\nFROM b\nRUN --mount=target=/m,FROM=x true", "", ["x", "stage-1"]),
        ("FROM a AS x\nFROM b\nCOPY --from=y f f", "", ["stage-1"]),
        # COPY may name a stage below, FROM may not
        ("FROM a AS x\nCOPY --from=y f f\nFROM b AS y", "x", ["y", "x"]),
        ("FROM y AS x\nFROM b AS y", "x", ["x"]),
        ("FROM a AS x\nFROM b AS x\nFROM x", "", ["x", "stage-2"]),
        ("FROM a AS s\nFROM b AS t\nONBUILD COPY --from=s f f\nFROM t", "", ["t", "s", "stage-2"]),
        ("FROM a AS x\nFROM a AS y\nFROM x\nCOPY --from=y f f\nCOPY --from=x f f", "", None),
    ],
)
def test_what_the_target_needs(text: str, target: str, expected: list[str] | None) -> None:
    found = read(text, target=target)
    assert labels(found) == (expected or ["x", "y", "stage-2"])
    assert found.needed[-1] is found.target


def test_of_two_stages_of_one_name_the_last_counts() -> None:
    found = read("FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x f f")
    assert found.find("X") is found.all[1]
    assert [stage.index for stage in found.needed] == [1, 2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", StageOrigin(0)),
        ("ONE", StageOrigin(0)),
        ("0", StageOrigin(0)),
        ("1", StageOrigin(1)),
        ("9", ImageOrigin("9", AMD64)),
        ("scratch", Scratch()),
        ("debian:12", ImageOrigin("debian:12", AMD64)),
        ("docs", ContextOrigin("docs")),
        ("docker.io/library/docs:latest", ContextOrigin("docs")),
        ("docs:1", ImageOrigin("docs:1", AMD64)),
    ],
)
def test_what_a_name_is(name: str, expected: object) -> None:
    found = read("FROM a AS one\nFROM b", contexts=["docs"])
    assert found.resolve(name, found.target) == expected


def test_from_knows_no_numbers() -> None:
    found = read("FROM scratch AS a\nFROM 0\n")
    assert found.target.origin == ImageOrigin("0", AMD64)


def test_a_stage_may_be_named_scratch() -> None:
    found = read("FROM busybox AS scratch\nFROM scratch\n")
    assert found.target.origin == StageOrigin(0)
    assert read("FROM scratch").target.origin == Scratch()


def test_contexts_come_before_images_and_stages() -> None:
    found = read("FROM debian AS a\nRUN x\nFROM a\nFROM debian", contexts=["a", "debian"])
    assert [stage.origin for stage in found.all] == [
        ContextOrigin("a"),
        ContextOrigin("a"),
        ContextOrigin("debian"),
    ]
    # a context of a stage's own name stands in for all of it
    assert found.all[0].instructions == ()


def test_platforms() -> None:
    text = (
        "FROM --platform=$BUILDPLATFORM go AS build\nFROM build AS more\nFROM run\n"
        "FROM --platform=linux/arm other AS other\nFROM other\n"
    )
    found = read(text, platform=ARM64, build_platform=AMD64)
    assert [str(stage.platform) for stage in found.all] == [
        "linux/amd64",
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v7",
        "linux/arm/v7",
    ]
    assert found.all[0].origin == ImageOrigin("go", AMD64)
    scope = found.global_scope
    assert (scope["TARGETARCH"], scope["BUILDARCH"], scope["TARGETOS"]) == (
        "arm64",
        "amd64",
        "linux",
    )
    assert scope["TARGETSTAGE"] == "default"
    assert read("FROM a AS B").global_scope["TARGETSTAGE"] == "b"
    assert read("FROM a AS b\nFROM c", target="B").global_scope["TARGETSTAGE"] == "b"


def test_predefined_variables_can_be_passed() -> None:
    found = read("FROM a:$TARGETARCH", build_args={"TARGETARCH": "x"})
    assert found.target.from_.image == "a:x"


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ({"zz": "1"}, ("zz",)),
        ({"g": "1", "s": "1", "t": "1"}, ()),
        ({"unneeded": "1"}, ("unneeded",)),
        ({"http_proxy": "1", "TARGETARCH": "x", "SOURCE_DATE_EPOCH": "1"}, ()),
        ({"BUILDKIT_INLINE_CACHE": "1"}, ()),
    ],
)
def test_arguments_that_nobody_asked_for(passed: dict[str, str], expected: tuple[str, ...]) -> None:
    text = "ARG g\nFROM a AS x\nARG unneeded\nFROM a AS b\nARG s\nONBUILD ARG t\nFROM b\n"
    assert read(text, build_args=passed).unconsumed() == expected


def test_arguments_in_order_with_their_values() -> None:
    text = "ARG g=1\nFROM a\nARG x\nARG g\nARG y=${g}2 z\nENV x=3\nARG y\nRUN true\n"
    image = tables.Image(read(text, build_args={"z": "9"}))
    assert image.variables.declared == {"x": None, "g": "1", "y": "12", "z": "9"}
    [(_, environment)] = image.runs
    assert environment == {"g": "1", "y": "12", "z": "9", "x": "3"}


def test_a_stage_takes_over_the_arguments_of_its_base() -> None:
    image = tables.Image(read("FROM a AS x\nARG p=1\nENV q=2\nFROM x\nRUN true\n"))
    assert image.runs[-1][1] == {"p": "1", "q": "2"}
    assert image.variables.declared == {"p": "1"}
    other = tables.Image(read("FROM a AS x\nARG p=1\nFROM a\nRUN true\n"))
    assert other.runs[-1][1] == {}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_proxies_are_in_commands_alone_until_they_are_declared(name: str) -> None:
    image = tables.Image(read("FROM a\nLABEL a=$HTTP_PROXY\nRUN true\n", build_args={name: "u:1"}))
    assert image.config["Labels"] == {"a": ""}
    assert image.runs[0][1] == {"HTTP_PROXY": "u:1", "http_proxy": "u:1"}
    assert image.variables.declared == {}
    image = tables.Image(read(f"FROM a\nARG {name}\nRUN true\n", build_args={name: "u:1"}))
    assert image.variables.declared == {name: "u:1"}


def test_source_date_epoch_is_a_variable_of_commands_once_declared() -> None:
    passed = {"SOURCE_DATE_EPOCH": "1000000000"}
    image = tables.Image(read("FROM a\nARG SOURCE_DATE_EPOCH\nRUN true\n", build_args=passed))
    assert image.runs[0][1] == passed
    assert tables.Image(read("FROM a\nRUN true\n", build_args=passed)).runs[0][1] == {}


def test_triggers_run_once() -> None:
    found = read("FROM busybox AS a\nONBUILD RUN echo x\nONBUILD LABEL z=1\nFROM a\nFROM a AS b\n")
    assert [t.keyword for t in found.all[1].triggers] == ["RUN", "LABEL"]
    again = read("FROM busybox AS a\nONBUILD LABEL z=1\nFROM a AS b\nFROM b\n")
    assert again.target.triggers == ()


def test_dependencies_name_the_instruction() -> None:
    found = read(
        "FROM a AS x\nFROM b\nCOPY --from=x f f\nCOPY --from=img:1 f f\n"
        "RUN --mount=type=cache,target=/c --mount=from=x,target=/m true\n"
    )
    taken = [(i.line.place.first, origin) for i, origin in dependencies(found.all, found.target)]
    assert taken == [
        (2, ImageOrigin("b", AMD64)),
        (3, StageOrigin(0)),
        (4, ImageOrigin("img:1", AMD64)),
        (5, StageOrigin(0)),
    ]


def test_many_stages_and_long_chains() -> None:
    text = "FROM scratch AS s0\n" + "".join(
        f"FROM s{number} AS s{number + 1}\n" for number in range(2000)
    )
    assert len(read(text).needed) == 2001


def test_a_chain_of_stages_that_need_each_other_is_refused() -> None:
    text = "FROM a AS x\nCOPY --from=z f f\nFROM x AS y\nFROM y AS z\n"
    with pytest.raises(DockerfileError, match="need each other"):
        read(text)
    # the target does not need them
    assert labels(read(text + "FROM b")) == ["stage-3"]


def test_shell_and_variables_of_run_are_left_alone() -> None:
    image = tables.Image(read("FROM a\nENV v=1\nRUN echo $v \\$v '$v'\n"))
    run, environment = image.runs[0]
    assert isinstance(run, Run)
    assert run.shell_text == "echo $v \\$v '$v'" and environment == {"v": "1"}
