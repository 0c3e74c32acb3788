"""What --check and --call print of a Dockerfile."""

from __future__ import annotations

import base64
import json

from rootless.build.dockerfile import outline, report
from rootless.build.dockerfile.lint import check
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.rules import RULES
from rootless.build.dockerfile.source import DockerfileError
from rootless.build.dockerfile.stages import Stages, stages

DATA = b"""# base has the tools
FROM alpine AS Base
RUN true

CMD echo \\
  hello
"""

WITH_ARGS = b"""# IMAGE is what everything begins from
ARG IMAGE=debian TAG=12
ARG NAME=${IMAGE}:${TAG}
ARG UNUSED=1

# build compiles the source
# with all its parts
FROM $NAME AS build
# LEVEL of warnings
ARG LEVEL=3
ARG IMAGE
ENV DIR=/c
RUN --mount=type=cache,target=$DIR --mount=type=secret,id=token --mount=type=ssh true
RUN --mount=type=secret,target=/a/token,required --mount=type=cache,target=/c,id=x true

FROM scratch AS other
ARG OTHER
FROM --platform=$TARGETPLATFORM build
"""


def read(data: bytes, target: str = "") -> Stages:
    return stages(parse(data), target=target)


def test_findings_with_the_lines_around_them() -> None:
    dockerfile = parse(DATA, "web/Dockerfile")
    found = check(dockerfile, stages(dockerfile))
    assert report.text(found, dockerfile) == (
        "Check complete, 2 warnings have been found!\n\n"
        "WARNING: StageNameCasing - "
        "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n"
        "Stage name 'Base' should be lowercase\n"
        "web/Dockerfile:2\n"
        "--------------------\n"
        "   1 |     # base has the tools\n"
        "   2 | >>> FROM alpine AS Base\n"
        "   3 |     RUN true\n"
        "   4 |\n"
        "--------------------\n\n"
        "WARNING: JSONArgsRecommended - "
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n"
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals\n"
        "web/Dockerfile:5\n"
        "--------------------\n"
        "   3 |     RUN true\n"
        "   4 |\n"
        "   5 | >>> CMD echo \\\n"
        "   6 | >>>   hello\n"
        "--------------------\n"
    )


def test_nothing_found_and_an_error() -> None:
    dockerfile = parse(b"FROM a\n")
    assert report.text((), dockerfile) == "Check complete, no warnings found.\n"
    error = dockerfile.lines[0].error("wrong", near="a")
    assert report.text((), dockerfile, error).endswith(
        "\n\nERROR: Dockerfile:1: wrong\n1 | FROM a\n  |      ^\n"
    )
    assert report.summary(check(parse(DATA), read(DATA))[:1]).startswith(
        "Check complete, 1 warning"
    )


def test_a_long_here_document_is_not_shown_whole() -> None:
    data = b"FROM a\nMAINTAINER b\nRUN <<E \\\n\n\n" + b"x\n" * 50 + b"E\n"
    dockerfile = parse(data)
    [_, empty] = check(dockerfile, stages(dockerfile))
    shown = report.text([empty], dockerfile)
    assert empty.rule == "NoEmptyContinuation" and shown.count(">>>") == 10


def test_the_document_of_findings() -> None:
    dockerfile = parse(DATA)
    found = check(dockerfile, stages(dockerfile))
    error = DockerfileError("wrong", found[1].place)
    made = json.loads(json.dumps(report.results(found, dockerfile, DATA, error)))
    rule = RULES["JSONArgsRecommended"]
    assert made["warnings"][1] == {
        "ruleName": rule.name,
        "description": rule.description,
        "url": rule.url,
        "detail": rule.text.format("CMD"),
        "location": {"ranges": [{"start": {"line": 5}, "end": {"line": 6}}]},
    }
    assert base64.b64decode(made["sources"][0]["data"]) == DATA
    assert made["sources"][0]["filename"] == "Dockerfile"
    assert made["buildError"]["message"] == "wrong"
    assert "buildError" not in report.results(found, dockerfile, DATA)


def test_targets() -> None:
    listed = outline.targets(read(WITH_ARGS))
    assert [
        {key: value for key, value in target.items() if key != "location"}
        for target in listed["targets"]
    ] == [
        {"name": "build", "description": "compiles the source", "base": "$NAME"},
        {"name": "other", "base": "scratch"},
        {"name": "", "default": True, "base": "build", "platform": "$TARGETPLATFORM"},
    ]
    assert outline.targets_text(listed) == (
        "TARGET      DESCRIPTION\nbuild       compiles the source\nother\n(default)\n"
    )


def test_an_outline() -> None:
    made = outline.outline(read(WITH_ARGS))
    assert [(a["name"], a.get("value"), a.get("description")) for a in made["args"]] == [
        ("IMAGE", "debian", "is what everything begins from"),
        ("TAG", "12", None),
        ("NAME", "debian:12", None),
        ("LEVEL", "3", "of warnings"),
    ]
    assert [(s["name"], s.get("required", False)) for s in made["secrets"]] == [("token", True)]
    assert [s["name"] for s in made["ssh"]] == ["default"]
    assert [c["ID"] for c in made["cache"]] == ["/c", "x"]
    assert outline.outline_text(made) == (
        "TARGET:      default\n"
        "\n"
        "BUILD ARG   VALUE       DESCRIPTION\n"
        "IMAGE       debian      is what everything begins from\n"
        "TAG         12\n"
        "NAME        debian:12\n"
        "LEVEL       3           of warnings\n"
        "\n"
        "SECRET   REQUIRED\n"
        "token    true\n"
        "\n"
        "SSH       REQUIRED\n"
        "default\n"
        "\n"
        "CACHE\n"
        "/c\n"
        "x\n"
    )


def test_an_outline_of_a_named_target() -> None:
    made = outline.outline(read(WITH_ARGS, "other"))
    assert made["name"] == "other"
    assert [a["name"] for a in made["args"]] == ["OTHER"]
    built = outline.outline(read(WITH_ARGS, "build"))
    assert outline.outline_text(built).startswith(
        "TARGET:      build\nDESCRIPTION: compiles the source\n"
    )
