"""Bake files: what targets come to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rootless.build import bake
from rootless.errors import UsageError


def read(*documents: Any, overrides: tuple[str, ...] = (), **environment: str) -> bake.Definition:
    files = [(f"{number}.json", json.dumps(one).encode()) for number, one in enumerate(documents)]
    return bake.read(files, environment, overrides)


FILE = {
    "variable": {"TAG": {"default": "latest"}, "FULL": {"default": "x:${TAG}"}},
    "group": {"default": {"targets": ["web", "all"]}, "all": {"targets": ["web", "job"]}},
    "target": {
        "base": {
            "args": {"a": "1", "b": "${TAG}"}, "platforms": ["linux/amd64"],
            "cache-from": [{"type": "registry", "ref": "c"}], "labels": {"l": "$${TAG}"},
        },
        "web": {"inherits": ["base"], "tags": ["${FULL}"], "args": {"a": "2"},
                "cache-from": ["type=local,src=d"], "contexts": {"tools": "target:job"}},
        "job": {"dockerfile": "Job", "no-cache": True},
    },
}  # fmt: skip


def test_groups_inheritance_and_variables() -> None:
    found = read(FILE)
    assert found.chosen([]) == ["web", "job"]
    assert found.ordered(["web"]) == ["job", "web"]
    assert found.resolved("web") == {
        "args": {"a": "2", "b": "latest"}, "platforms": ["linux/amd64"], "tags": ["x:latest"],
        "cache-from": ["type=registry,ref=c", "type=local,src=d"], "labels": {"l": "${TAG}"},
        "contexts": {"tools": "target:job"},
    }  # fmt: skip
    assert read(FILE, TAG="2").resolved("web")["tags"] == ["x:2"]
    more = {"target": {"web": {"tags": ["other"]}}, "variable": {"TAG": {"default": "3"}}}
    later = read(FILE, more).resolved("web")
    assert later["tags"] == ["other"] and later["args"]["b"] == "3"


def test_overrides() -> None:
    words = ("*.platform=a", "web.platform=b", "*.platform=c", "web.args.a=3", "job.tags+=t",
             "job.no-cache=false", "b*.args.b=4")  # fmt: skip
    found = read(FILE, overrides=words)
    assert found.resolved("web")["platforms"] == ["a", "b", "c"]
    assert found.resolved("job")["platforms"] == ["a", "c"]
    assert found.resolved("web")["args"] == {"a": "3", "b": "4"}
    assert found.resolved("job")["tags"] == ["t"] and found.resolved("job")["no-cache"] is False


def test_a_matrix() -> None:
    target = {
        "name": "app-${os}-${v}", "matrix": {"os": ["a", "b"], "v": ["1", "2"]},
        "args": {"V": "${v}"}, "tags": ["x:${os}"],
    }  # fmt: skip
    found = read({"target": {"app": target}})
    assert found.chosen(["app"]) == ["app-a-1", "app-a-2", "app-b-1", "app-b-2"]
    assert found.resolved("app-b-1") == {"args": {"V": "1"}, "tags": ["x:b"]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "object"),
        ({"function": {}}, "function"),
        ({"target": {"a b": {}}}, "a b"),
        ({"target": {"a": {"nonsense": 1}}}, "nonsense"),
        ({"target": {"a": {"tags": "x"}}}, "a.tags"),
        ({"target": {"a": {"args": ["x"]}}}, "a.args"),
        ({"target": {"a": {"context": "${upper(x)}"}}}, "upper"),
        ({"target": {"a": {"context": "${NO}"}}}, "NO"),
        ({"target": {"a": {"inherits": ["b"]}, "b": {"inherits": ["a"]}}}, "inherits from itself"),
        ({"target": {"a": {"inherits": ["c"]}}}, "c"),
        ({"target": {"a": {"contexts": {"x": "target:a"}}}}, "needs itself"),
        ({"target": {"a": {"contexts": {"x": "target:z"}}}}, "z"),
        ({"target": {"a": {"matrix": {"x": "y"}, "name": "n"}}}, "matrix"),
        ({"group": {"default": {"targets": ["default"]}}}, "part of itself"),
        ({"group": {"default": {"targets": "a"}}}, "default"),
    ],
)
def test_mistakes(document: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        found = read(document)
        for name in found.chosen(["a"] if "target" in document else []):
            found.ordered([name])
    assert said in caught.value.message


@pytest.mark.parametrize(
    "word", ["web", "web.tags", "no.tags=x", "web.args=x", "web.tags.a=x", "web.inherits=base",
             "web.nonsense=1"]
)  # fmt: skip
def test_overrides_that_mean_nothing(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(FILE, overrides=(word,))
    assert word in caught.value.message
