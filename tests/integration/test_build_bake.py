"""`bake`: several targets, and what one takes of another."""

from __future__ import annotations

import json

import pytest
from conftest import Command, Place
from test_build import Build, build

__all__ = ["build"]

pytestmark = pytest.mark.usefixtures("everyone")


def test_targets_and_what_they_take(build: Build, rootless: Command, place: Place) -> None:
    build.write("sub/f", "content")
    (build.context / "sub/Dockerfile").write_text(
        "FROM busybox:test\nARG word\nCOPY --from=tools /made /made\nRUN echo $word >/word\n"
    )
    (build.context / "docker-bake.json").write_text(
        json.dumps(
            {
                "variable": {"WORD": {"default": "said"}},
                "group": {"default": {"targets": ["app", "files"]}},
                "target": {
                    "tools": {
                        "dockerfile-inline": "FROM busybox:test\nRUN echo made >/made\n",
                        "tags": ["tools:1"],
                    },
                    "app": {
                        "context": "sub", "args": {"word": "${WORD}"}, "tags": ["app:1"],
                        "contexts": {"tools": "target:tools"},
                    },
                    "files": {
                        "context": "sub", "output": ["type=local,dest=out"],
                        "dockerfile-inline": "FROM scratch\nCOPY f /\n",
                    },
                },
            }
        )
    )  # fmt: skip
    told = place.work / "m.json"
    rootless("bake", "--var", "WORD=other", "--metadata-file", told, cwd=build.context)
    shown = rootless("run", "--rm", "--network", "none", "app:1", "cat", "/made", "/word").stdout
    assert shown == "made\nother\n"
    assert (build.context / "out/f").read_text() == "content"
    assert set(json.loads(told.read_text())) == {"app", "files"}
    # what was only taken from has no name
    rootless("image", "exists", "tools:1", code=1)
    printed = rootless("buildx", "bake", "--print", "--set", "app.tags=x", cwd=build.context).json()
    assert printed["group"]["default"]["targets"] == ["app", "files"]
    assert printed["target"]["app"]["tags"] == ["x"]
    assert printed["target"]["app"]["args"] == {"word": "said"}


def test_mistakes_of_bake_files(build: Build, rootless: Command) -> None:
    assert "docker-bake.json" in rootless("bake", cwd=build.context, code=125).stderr
    (build.context / "docker-bake.hcl").write_text('target "a" {}')
    assert "docker-bake.hcl" in rootless("bake", cwd=build.context, code=125).stderr
    assert "not JSON" in rootless("bake", "-f", "docker-bake.hcl", cwd=build.context,
                                  code=125).stderr  # fmt: skip
    (build.context / "docker-bake.json").write_text(
        json.dumps({"target": {"default": {"entitlements": ["network.host"], "context": "."}}})
    )
    told = rootless("bake", cwd=build.context, code=125).stderr
    assert "network.host" in told and "--allow" in told
    assert "no target x" in rootless("bake", "x", cwd=build.context, code=125).stderr
