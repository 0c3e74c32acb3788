"""Options of `build`: what an image says of itself, what steps see, what is done meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from conftest import Command, Place
from test_build import Build, build

__all__ = ["build"]

pytestmark = pytest.mark.usefixtures("everyone")


def test_squashing(build: Build) -> None:
    """One layer for what is new, which also removes what the base image has."""
    text = """FROM busybox:test
RUN mkdir /gone /kept && echo 1 >/gone/a && echo 1 >/kept/a && chown 5:6 /kept/a
RUN rm -r /gone && echo 2 >/kept/b && rm /etc/group && rm -r /bin/sh && ln -s busybox /bin/sh
COPY --chown=7:8 Dockerfile /d/
"""
    plain = build.image(text)
    squashed = build.image(text, "--squash")
    whole = build.image(text, "--squash-all")
    assert [len(one.manifest["layers"]) for one in (plain, squashed, whole)] == [4, 2, 1]
    for one in (squashed, whole):
        assert set(one.files) == set(plain.files)
        for path in ("/kept/a", "/kept/b", "/d/Dockerfile", "/bin/sh"):
            assert (one.files[path].owner, one.files[path].mode, one.files[path].link) == (
                plain.files[path].owner, plain.files[path].mode, plain.files[path].link,
            )  # fmt: skip
        made = [entry for entry in one.config["history"] if not entry.get("empty_layer")]
        assert len(made) == len(one.manifest["layers"])
    names = {member.name for member in squashed.layers[1]}
    assert "etc/.wh.group" in names and not any("gone" in name for name in names)
    assert build.image(text, "--layers=false").manifest["layers"] == squashed.manifest["layers"]


def test_what_an_image_says_of_itself(build: Build, rootless: Command, place: Place) -> None:
    base = "FROM busybox:test\nLABEL from=base\nENV A=1 B=2\n"
    build(base, "-q", "-t", "base")
    text = "FROM base\nLABEL own=1\n"
    words = ("--annotation", "a.b=c:d=e", "--annotation", "manifest:x=y", "--annotation", "no=1",
             "--unsetannotation", "no", "--created-annotation")  # fmt: skip
    image = build.image(text, *words)
    notes = image.manifest["annotations"]
    assert notes.pop("org.opencontainers.image.created") == image.config["created"]
    assert notes == {"a.b": "c:d=e", "x": "y"}
    assert image.config["config"]["Labels"] == {"from": "base", "own": "1"}
    words = ("--inherit-labels=false", "--identity-label", "true", "--label", "more=2",
             "--unsetenv", "A", "--env", "C=3", "--os-version", "1.2", "--os-feature", "f",
             "--omit-history")  # fmt: skip
    config = build.image(text, *words).config
    assert set(config["config"]["Labels"]) == {"own", "more", "io.rootless.version"}
    assert config["config"]["Env"] == ["B=2", "C=3"]
    assert (config["os.version"], config["os.features"]) == ("1.2", ["f"])
    assert "history" not in config
    assert "--format" in build(text, "--annotation", "a=b", "--format=docker", code=125)
    assert "index:a" in build(text, "--annotation", "index:a=b", code=125)
    config = build.image("FROM nothing-of-this-name\nLABEL a=1\n", "--from", "base").config
    assert config["config"]["Labels"] == {"a": "1", "from": "base"}
    log = place.work / "log"
    assert build(text, "--logfile", log) == ""
    assert "LABEL" not in log.read_text() and "FROM base" in log.read_text()


def test_what_steps_see_of_the_host(build: Build, place: Place) -> None:
    shown = place.work / "shown"
    shown.mkdir(mode=0o755)
    (shown / "f").write_text("of the host\n")
    text = """FROM busybox:test
RUN cat /v/f >/seen && ! touch /v/g 2>/dev/null
RUN id -G >/groups; ulimit -n >/files; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 >/shm
RUN test -c /dev/fuse || test -c /dev/of-host
RUN echo "$http_proxy" >/proxy
"""
    build.rootless.place.env["http_proxy"] = "http://proxy.test:1"
    image = build.image(
        text, "-v", f"{shown}:/v:ro", "--ulimit", "nofile=100:100", "--shm-size", "1m",
        "--device", "/dev/zero:/dev/of-host", "--http-proxy",
    )  # fmt: skip
    assert image.files["/seen"].content == b"of the host\n"
    assert image.files["/files"].content == b"100\n"
    assert image.files["/shm"].content == b"1024\n"
    assert image.files["/proxy"].content == b"http://proxy.test:1\n"
    assert "/v" not in image.files and "proxy.test" not in json.dumps(image.config)
    for words, said in (
        (("-v", f"{shown}/no:/v"), "--volume"),
        (("-v", "name:/v"), "--volume"),
        (("--device", "/dev/nothing-here"), "--device"),
        (("--memory", "lots"), "lots"),
        (("--memory-swap", "1g"), "--memory-swap"),
    ):
        assert said in build(text, *words, code=125)
    assert not build(text, "--no-cache", "-v", f"{shown}:/v:ro", "-q", code=1)


def test_limits_of_steps_are_there_or_refused(build: Build, rootless: Command) -> None:
    """Never passed over: a host without cgroups says so before anything is built."""
    text = "FROM busybox:test\nRUN cat /sys/fs/cgroup/memory.max >/limit\n"
    (build.context / "Dockerfile").write_text(text)
    words = ("--memory", "64m", "-t", "limited", build.context)
    told = rootless("build", *words, code=None)
    if told.code:
        assert told.code == 125 and "RUN" not in told.stderr
        assert "cannot be applied" in told.stderr or "not delegated" in told.stderr
    else:
        shown = rootless("run", "--rm", "--network", "none", "limited", "cat", "/limit").stdout
        assert shown == "67108864\n"


def test_an_ssh_agent(build: Build, place: Place) -> None:
    """A real one: what the step sees is its socket, for as long as the step runs."""
    key, socket = place.work / "key", place.runtime / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None and b"SSH_AUTH_SOCK" in agent.stdout.readline()
        where = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", key], env=where, check=True, capture_output=True)
        # the host's own program and what it is linked with
        shown = [path for path in ("/usr", "/lib", "/lib64") if os.path.isdir(path)]
        volumes = [word for path in shown for word in ("-v", f"{path}:{path}:ro")]
        text = """FROM busybox:test
RUN --mount=type=ssh,required ssh-add -l >/keys
RUN test -z "$SSH_AUTH_SOCK" && test ! -e /run/buildkit
"""
        image = build.image(text, *volumes, "--ssh", f"default={socket}")
        assert b"(ED25519)" in image.files["/keys"].content
        assert "SSH_AUTH_SOCK" not in json.dumps(image.config["config"])
        assert "--ssh default" in build(text, "--no-cache", *volumes, code=125)
    finally:
        agent.terminate()
        agent.communicate()


def test_a_shell_where_a_step_failed(build: Build, rootless: Command) -> None:
    text = """FROM busybox:test
ENV SAID=word
ARG given=argument
WORKDIR /w
RUN echo before >/w/file
RUN echo lost >/lost; exit 3
"""
    (build.context / "Dockerfile").write_text(text)
    words = ("build", "--network", "none", "--on-failure=shell", build.context)
    told = rootless(*words, input='cat file; echo "$SAID $given"; ls /lost\n', code=1)
    assert told.stdout == "before\nword argument\n"
    assert "ended with status 3" in told.stderr and "/lost" in told.stderr
    # nothing of it stays
    assert rootless("images", "-aq").stdout.count("\n") == 1
    assert rootless("ps", "-aq").stdout == ""
    told = rootless("build", "--on-failure=shell", "-q", "-t", "fine", "-", input="FROM scratch\n")
    assert told.stderr == ""


def test_building_again_when_something_changes(build: Build, rootless: Command) -> None:
    build.write("f", "one\n")
    build.write(".dockerignore", "ignored\n")
    text = "FROM busybox:test\nCOPY f /f\nRUN cat /f\n"
    (build.context / "Dockerfile").write_text(text)
    process = rootless.start(
        "build", "--progress=plain", "--watch", "-t", "w", build.context, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    seen: list[bytes] = []

    def until(end: bytes) -> bytes:
        seen.clear()
        for line in process.stderr or ():
            seen.append(line)
            if end in line:
                break
        return b"".join(seen)

    def put(name: str, text: str) -> None:
        # in one step: a build in between would see half of it
        made = build.place.work / "made"
        made.write_text(text)
        os.replace(made, build.context / name)

    assert b"one" in until(b"waiting for changes")
    put("ignored", "x")
    put("f", "two\n")
    told = until(b"waiting for changes")
    assert b"changed: f\n" in told and b"two" in told and b"FROM busybox:test\n#1 CACHED" in told
    put("Dockerfile", "FROM busybox:test\nRNU x\n")
    assert b"RNU" in until(b"waiting for changes")
    put("Dockerfile", "FROM busybox:test\nRUN exit 7\n")
    assert b"status 7" in until(b"waiting for changes")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "--watch" in build(text, "--watch", "-f", "-", code=125, input=text)
