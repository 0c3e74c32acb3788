"""Whole builds on plain directories: what runs, what is found in the cache, what comes out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plain_protocols import NotedSteps, PlainImages, PlainLayers

from rootless.build import executor
from rootless.build.contexts import Context
from rootless.build.dockerfile.platforms import Platform
from rootless.build.dockerfile.source import DockerfileError
from rootless.build.ignore import Patterns
from rootless.build.options import BuildOptions
from rootless.build.progress import Progress
from rootless.build.protocols import BaseImage
from rootless.build.stage import StepFailed

BASE = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2020-01-01T00:00:00Z",
    "config": {"Env": ["PATH=/bin", "BASE=1"], "Cmd": ["basecmd"], "OnBuild": ["ENV ONB=1"]},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [],
}


class World:
    """A context directory, and the protocols."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        self.context = tmp_path / "context"
        self.context.mkdir()
        (tmp_path / "layers").mkdir()
        self.layers = PlainLayers(str(tmp_path / "layers"))
        self.steps = NotedSteps()
        self.images = PlainImages({"base": BaseImage("0" * 64, "base", BASE, ())})
        self.events: list[object] = []

    def build(self, text: str, *, ignore: str = "", **options: object) -> executor.Outcome:
        context = Context(str(self.context), text.encode(), "Dockerfile")
        if ignore:
            context.ignore = Patterns.parse(ignore)
        given = BuildOptions(**options)  # type: ignore[arg-type]
        plan = executor.read(context, given, Platform())
        self.events = []
        return executor.Executor(
            plan,
            context,
            given,
            images=self.images,
            layers=self.layers,
            steps=self.steps,
            scratch=str(self.context.parent),
            progress=Progress(self.events.append),
        ).run()

    def states(self) -> list[str]:
        return [one.state for one in self.events if hasattr(one, "state")]  # type: ignore[attr-defined]

    def files(self, outcome: executor.Outcome) -> dict[str, str]:
        top = self.layers.path(outcome.layers)
        found = {}
        for base, names, files in os.walk(top):
            for name in [*names, *files]:
                path = os.path.join(base, name)
                inner = path[len(top) :]
                if os.path.islink(path):
                    found[inner] = "-> " + os.readlink(path)
                elif os.path.isdir(path):
                    found[inner] = "/"
                else:
                    found[inner] = Path(path).read_text()
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_a_copy_is_found_again_until_its_content_changes(world: World) -> None:
    (world.context / "f").write_text("one")
    text = "FROM scratch\nCOPY f /o\n"
    first = world.build(text)
    assert world.files(first) == {"/o": "one"}
    os.utime(world.context / "f", (1, 1))
    second = world.build(text)
    assert world.states() == ["cached"]
    assert second.layers == first.layers
    assert second.config.history == first.config.history
    (world.context / "f").write_text("two")
    third = world.build(text)
    assert world.files(third) == {"/o": "two"}


def test_the_same_size_and_time_is_not_the_same_content(world: World) -> None:
    file = world.context / "f"
    file.write_text("one")
    os.utime(file, (5, 5))
    text = "FROM scratch\nCOPY f /o\n"
    world.build(text)
    file.write_text("two")
    os.utime(file, (5, 5))
    assert world.files(world.build(text)) == {"/o": "two"}


def test_what_changes_while_it_is_copied_is_not_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the content of a moment would be given to whoever has the other one."""
    file = world.context / "f"
    file.write_text("first")
    work, ran = world.layers.work, len(world.steps.ran)

    def changing(function: str, *words: object, **more: object) -> object:
        if function.endswith(":copy_worker"):
            file.write_text("other")
        return work(function, *words, **more)  # type: ignore[arg-type]

    text = "FROM base\nCOPY f /f\nRUN of f\n"
    with monkeypatch.context() as patched:
        patched.setattr(world.layers, "work", changing)
        world.build(text)
    assert any("were changed" in getattr(one, "text", "") for one in world.events)
    for content in ("first", "other"):
        file.write_text(content)
        world.build(text)
        cached = [one for one in world.events if getattr(one, "state", "") == "cached"]
        assert [getattr(one, "name", "") for one in cached] == ["FROM base"]
    assert len(world.steps.ran) == ran + 3


def test_instructions_about_the_configuration_make_no_layer(world: World) -> None:
    outcome = world.build('FROM base\nENV A=1\nLABEL l=$A\nCMD ["x"]\nUSER u\nEXPOSE 80\n')
    assert outcome.layers == ()
    assert outcome.config.inner["Env"] == ["PATH=/bin", "BASE=1", "ONB=1", "A=1"]
    assert outcome.config.inner["Labels"] == {"l": "1"}
    assert "OnBuild" not in outcome.config.inner
    assert all(entry["empty_layer"] for entry in outcome.config.history)


def test_run_gets_its_environment_user_and_directory(world: World) -> None:
    world.build(
        "FROM base\nARG v=1\nENV E=2\nUSER 5:6\nWORKDIR /w\nRUN echo $v\n",
        build_args={"HTTP_PROXY": "secret-proxy"},
    )
    (process,) = world.steps.ran
    assert process.argv == ["/bin/sh", "-c", "echo $v"]
    assert process.environment["v"] == "1"
    assert process.environment["E"] == "2"
    assert process.environment["HTTP_PROXY"] == "secret-proxy"
    assert (process.user, process.cwd) == ("5:6", "/w")


def test_a_step_depends_on_what_it_sees_and_on_nothing_else(world: World) -> None:
    world.build("FROM base\nENV A=1\nRUN x\nRUN y\n")
    assert len(world.steps.ran) == 2
    world.build("FROM base\nLABEL q=1\nENV A=1\nRUN x\nCMD z\nRUN y\n")
    assert len(world.steps.ran) == 2
    world.build("FROM base\nENV A=2\nRUN x\nRUN y\n")
    assert len(world.steps.ran) == 4


def test_a_proxy_is_in_no_key_and_no_history(world: World) -> None:
    text = "FROM base\nRUN x\n"
    world.build(text, build_args={"http_proxy": "one"})
    outcome = world.build(text, build_args={"http_proxy": "two"})
    assert len(world.steps.ran) == 1
    assert "one" not in str(outcome.config.history)


def test_only_what_the_target_needs_runs(world: World) -> None:
    text = "FROM base AS a\nRUN a\nFROM base AS b\nRUN b\nFROM base\nCOPY --from=a /ran1 /o\n"
    world.build(text)
    assert [process.argv[-1] for process in world.steps.ran] == ["a"]


def test_copy_from_a_stage_follows_its_content(world: World) -> None:
    text = "FROM base AS a\nRUN {}\nFROM scratch\nCOPY --from=a /f /o\n"
    (world.context / "f").write_text("same")
    first = world.build("FROM scratch AS a\nCOPY f /f\nFROM scratch\nCOPY --from=a /f /o\n")
    calls = len(world.layers.calls)
    # another stage that holds the same file
    again = world.build(
        "FROM scratch AS a\nWORKDIR /x\nCOPY f /f\nFROM scratch\nCOPY --from=a /f /o\n"
    )
    assert again.layers == first.layers
    assert world.layers.calls[calls:].count("rootless.build.copying:copy_worker") == 1
    assert text


def test_a_failing_step_has_its_place_and_is_not_kept(world: World) -> None:
    world.steps.status = 7
    with pytest.raises(StepFailed, match=r"Dockerfile:2: RUN x ended with status 7"):
        world.build("FROM base\nRUN x\n")
    assert world.states()[-1] == "failed"
    assert world.layers.known == {}


def test_what_looks_like_an_address_and_is_none(world: World) -> None:
    world.build("FROM base\nRUN of http://[x http://u:secret@[x\n")
    names = [getattr(one, "name", "") for one in world.events]
    assert any("http://[x" in name for name in names)
    assert not any("secret" in name for name in names)


def test_a_missing_source_is_pointed_at(world: World) -> None:
    with pytest.raises(DockerfileError, match='Dockerfile:2: COPY: "/nope" was not found'):
        world.build("FROM scratch\nCOPY nope /o\n")


def test_ignored_files_are_not_there(world: World) -> None:
    (world.context / "f").write_text("f")
    (world.context / "g").write_text("g")
    outcome = world.build("FROM scratch\nCOPY . /o/\n", ignore="f")
    assert world.files(outcome) == {"/o": "/", "/o/g": "g"}
    with pytest.raises(DockerfileError, match="not found") as raised:
        world.build("FROM scratch\nCOPY f /o\n", ignore="f")
    assert "ignore" in raised.value.hint


def test_a_secret_is_in_no_key_and_nothing_that_is_kept(world: World) -> None:
    secret = b"a-very-secret-thing"
    text = "FROM base\nRUN --mount=type=secret,id=s,env=S x\n"
    outcome = world.build(text, secrets={"s": lambda: secret})
    (process,) = world.steps.ran
    assert process.secrets == {"S": secret}
    kept = repr([outcome.config.document, world.layers.known, world.events, outcome.key])
    assert "very-secret" not in kept
    world.build(text, secrets={"s": lambda: b"another"})
    assert len(world.steps.ran) == 1


def test_the_context_as_a_mount_has_what_is_not_ignored(world: World) -> None:
    (world.context / "f").write_text("f")
    (world.context / "g").write_text("g")
    world.build("FROM base\nRUN --mount=target=/m x\n", ignore="f")
    (mount,) = world.steps.ran[0].mounts
    assert (mount.kind, mount.target, mount.read_only) == ("tree", "/m", True)
    assert os.listdir(os.path.join(world.layers.path(mount.chain), mount.source)) == ["g"]


def test_network_host_has_to_be_allowed(world: World) -> None:
    text = "FROM base\nRUN --network=host x\n"
    with pytest.raises(DockerfileError, match=r"network\.host"):
        world.build(text)
    world.build(text, allow=frozenset(("network.host",)))
    assert world.steps.ran[0].network == "host"


def test_no_cache_runs_again(world: World) -> None:
    world.build("FROM base AS s\nRUN x\n")
    world.build("FROM base AS s\nRUN x\n", no_cache=True)
    world.build("FROM base AS s\nRUN x\n", no_cache_filter=frozenset(("s",)))
    assert len(world.steps.ran) == 3


def test_link_makes_a_layer_that_needs_none_below(world: World) -> None:
    (world.context / "f").write_text("f")
    world.build("FROM base\nRUN a\nCOPY --link f /o\n")
    calls = len(world.layers.calls)
    world.build("FROM base\nRUN b\nCOPY --link f /o\n")
    assert len(world.layers.calls) == calls
    assert world.states().count("cached") == 2
