"""`build`: images from Dockerfiles, as both kinds of users, read by an independent reader."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import image_reader
import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


class Build:
    """Builds in the work directory of a test."""

    def __init__(self, rootless: Command, place: Place) -> None:
        self.rootless = rootless
        self.place = place
        self.context = place.work / "context"
        self.context.mkdir()

    def write(self, name: str, text: str = "", mode: int = 0o644) -> Path:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
        path.chmod(mode)
        return path

    def __call__(self, dockerfile: str, *words: str, code: int = 0, **more: object) -> str:
        (self.context / "Dockerfile").write_text(dockerfile)
        result = self.rootless("build", *words, self.context, code=code, **more)  # type: ignore[arg-type]
        return result.stdout.strip() if "-q" in words else result.stderr

    def image(self, dockerfile: str, *words: str) -> image_reader.Read:
        self(dockerfile, "-q", "-t", "made", *words)
        path = self.place.work / "made.tar"
        self.rootless("save", "--format", "oci-archive", "-o", path, "made")
        return image_reader.read(path)


@pytest.fixture
def build(rootless: Command, place: Place, busybox_image: str) -> Build:
    return Build(rootless, place)


def test_a_build_from_nothing_and_from_an_image(build: Build, rootless: Command) -> None:
    build.write("f", "content\n")
    text = """FROM busybox:test
ENV GREETING=hello
WORKDIR /srv/app
RUN echo "$GREETING" >said && pwd >>said && mkdir -m 700 private
COPY f sub/copied
USER 5:6
CMD ["cat", "/srv/app/said"]
"""
    image = build.image(text)
    config = image.config["config"]
    assert config["Env"] == ["GREETING=hello"]
    assert config["WorkingDir"] == "/srv/app"
    assert config["User"] == "5:6"
    assert image.files["/srv/app/said"].content == b"hello\n/srv/app\n"
    assert image.files["/srv/app/private"].mode == 0o700
    assert image.files["/srv/app/sub/copied"].content == b"content\n"
    # nothing of what the engine mounts is in a layer
    made = {name for layer in image.layers[1:] for name in (one.name for one in layer)}
    assert not {one for one in made if one.startswith(("proc", "sys", "dev", "etc", "run"))}
    assert rootless("run", "--rm", "--network", "none", "made").stdout == "hello\n/srv/app\n"
    scratch = build.image("FROM scratch\nCOPY f /o\n")
    assert set(scratch.files) == {"/o"}


def test_the_second_time_everything_is_there(build: Build) -> None:
    build.write("f")
    text = "FROM busybox:test\nRUN date +%N >/when\nCOPY f /f\nRUN cat /f /when >/both\n"
    first = build(text, "-q", "-t", "made")
    assert build(text, "-q", "-t", "made") == first
    told = build(text, "-t", "made")
    assert told.count("CACHED") == 3 + 1
    build.write("f", "changed")
    changed = build.image(text)
    assert changed.files["/both"].content.startswith(b"changed")
    assert "CACHED" in build(text, "--no-cache-filter", "other", "-t", "made")
    assert build(text, "-q", "--no-cache", "-t", "made") != first


def test_a_step_that_fails(build: Build) -> None:
    told = build("FROM busybox:test\nRUN echo seen; exit 7\n", code=1)
    assert "seen" in told
    assert "Dockerfile:2: RUN echo seen; exit 7 ended with status 7" in told
    assert build("FROM busybox:test\nRUN true\nRUN nothing-of-this-name\n", "-q", code=1) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM busybox:test\nRNU x\n", "RNU"),
        ("FROM busybox:test\nCOPY missing /o\n", '"/missing" was not found'),
        ("FROM busybox:test\nRUN --mount=type=bnid x\n", "bnid"),
        ("FROM busybox:test\nCOPY --chown=nobody-here Dockerfile /o\n", "nobody-here"),
        ("FROM busybox:test\nRUN --network=host true\n", "network.host"),
    ],
)
def test_a_mistake_in_the_dockerfile(build: Build, text: str, said: str) -> None:
    told = build(text, code=125)
    assert said in told
    assert "Dockerfile:2" in told
    assert "2 | " in told or "nobody-here" in told


def test_stages_and_what_they_give(build: Build) -> None:
    build.write("f")
    text = """FROM busybox:test AS one
RUN mkdir /d && echo 1 >/d/a && ln -s a /d/l && chmod 4711 /d/a
FROM busybox:test AS unused
RUN exit 9
FROM scratch
COPY --from=one /d /o
COPY --from=busybox:test /etc/passwd /pw
COPY --from=0 /d/l /followed
"""
    files = build.image(text).files
    assert set(files) == {"/o", "/o/a", "/o/l", "/pw", "/followed"}
    assert files["/o/a"].mode == 0o4711
    assert files["/o/l"].link == "a"
    assert files["/followed"].content == b"1\n"
    target = build.image(text, "--target", "one")
    assert "/d/a" in target.files


def test_owners(build: Build) -> None:
    """Owners are in the image also where a single id is mapped here."""
    build.write("f")
    build.write("d/x")
    text = """FROM busybox:test
COPY --chown=5:6 --chmod=640 f /a
COPY --chown=guest d /b/
USER 7:8
WORKDIR /c/d
"""
    files = build.image(text).files
    assert (files["/a"].owner, files["/a"].mode) == ((5, 6), 0o640)
    assert (files["/b"].owner, files["/b/x"].owner) == ((1000, 1000), (1000, 1000))
    assert (files["/c"].owner, files["/c/d"].owner) == ((7, 8), (7, 8))


def test_mounts_leave_nothing(build: Build) -> None:
    build.write("d/x")
    text = """FROM busybox:test AS s
RUN echo s >/of-stage
FROM busybox:test
RUN --mount=type=bind,source=d,target=/m/ctx --mount=type=bind,from=s,target=/m/stage \\
    --mount=type=tmpfs,target=/m/tmp --mount=type=cache,target=/m/cache,id=c,mode=0711 \\
    cat /m/ctx/x /m/stage/of-stage >/o && echo t >/m/tmp/t && echo c >/m/cache/c && \\
    stat -c %a /m/cache >>/o && ! touch /m/ctx/new 2>/dev/null
RUN --mount=type=cache,target=/elsewhere,id=c cat /elsewhere/c >/again
RUN --mount=type=bind,target=/rw,rw echo x >/rw/new && ls /rw >/listed
"""
    files = build.image(text).files
    assert files["/o"].content == b"d/xs\n711\n"
    assert files["/again"].content == b"c\n"
    assert b"new\n" in files["/listed"].content
    assert not {"/m", "/elsewhere", "/rw"} & set(files)
    assert not (build.context / "new").exists()


def test_a_secret_is_nowhere_but_in_its_step(build: Build, place: Place) -> None:
    secret = "fe51-the-very-secret-of-this-test"
    (place.work / "token").write_text(secret)
    text = """FROM busybox:test
RUN --mount=type=secret,id=token,mode=0444 cat /run/secrets/token | tr a-z A-Z >/upper
RUN --mount=type=secret,id=token,env=TOKEN test "${#TOKEN}" = 33
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
"""
    image = build.image(text, "--secret", f"id=token,src={place.work / 'token'}")
    assert image.files["/upper"].content.decode() == secret.upper()
    build(text + "RUN false\n", "--secret", f"id=token,src={place.work / 'token'}", code=1)
    needle = secret.encode()
    found = [
        path
        for top in (place.data, place.home, place.runtime)
        for base, _, names in os.walk(top)
        for path in (os.path.join(base, name) for name in names)
        if os.path.isfile(path) and os.access(path, os.R_OK) and needle in Path(path).read_bytes()
    ]
    assert found == []
    assert all(needle not in blob for blob in image.blobs.values())
    assert not any(name.startswith("/run") for name in image.files)
    build("FROM busybox:test\nRUN --mount=type=secret,id=none,required x\n", code=125)


def test_here_documents(build: Build) -> None:
    text = """FROM busybox:test
ENV v=val
COPY <<a <<"b" /d/
is $v
a
is $v
b
RUN <<E
echo "$v" >/run1
echo two >>/run1
E
RUN <<E
#!/bin/busybox sh
basename "$0" >/run2
E
"""
    files = build.image(text).files
    assert files["/d/a"].content == b"is val\n"
    assert files["/d/b"].content == b"is $v\n"
    assert files["/run1"].content == b"val\ntwo\n"
    assert files["/run2"].content == b"E\n"


def test_add_unpacks_archives(build: Build) -> None:
    build.write("tree/a", "a")
    build.write("tree/sub/b", "b")
    subprocess.run(
        ["tar", "-C", build.context / "tree", "--owner=7", "--group=8", "-czf",
         build.context / "t.tgz", "."], check=True,
    )  # fmt: skip
    build.write("no.tar", "no archive")
    text = """FROM busybox:test
RUN mkdir -m 700 -p /o/sub
ADD t.tgz no.tar /o/
ADD --unpack=false t.tgz /kept.tgz
"""
    files = build.image(text).files
    assert files["/o/a"].content == b"a"
    assert files["/o/sub"].mode == 0o700
    assert files["/o/sub/b"].content == b"b"
    assert files["/o/no.tar"].content == b"no archive"
    assert files["/kept.tgz"].content[:2] == b"\x1f\x8b"


def test_outputs(build: Build, place: Place) -> None:
    build.write("f")
    text = "FROM busybox:test AS b\nRUN echo x >/x\nFROM scratch\nCOPY --from=b /x /d/x\nCOPY f /\n"
    out = place.work / "out"
    build(text, "-o", str(out))
    assert (out / "d/x").read_text() == "x\n"
    assert (out / "f").read_text() == "f"
    build(text, "-o", f"type=tar,dest={place.work}/o.tar")
    listed = subprocess.run(
        ["tar", "-tf", place.work / "o.tar"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"d/", "d/x", "f"} <= set(listed)
    build(text, "-t", "named", "-o", f"type=oci,dest={place.work}/i.tar")
    assert set(image_reader.read(place.work / "i.tar").files) == {"/d", "/d/x", "/f"}
    build(
        text, "-t", "named", "--iidfile", f"{place.work}/id", "--metadata-file", f"{place.work}/m"
    )
    identity = (place.work / "id").read_text()
    metadata = json.loads((place.work / "m").read_text())
    assert metadata["containerimage.config.digest"] == identity


def test_the_same_image_from_two_trees(build: Build, rootless: Command, place: Place) -> None:
    """With --timestamp, whatever the files' times, order and inodes."""
    text = "FROM busybox:test\nCOPY . /o/\nRUN echo x >/x; mkdir /y\nLABEL a=1\n"
    made = []
    for name, order in (("one", ("a", "b", "c")), ("two", ("c", "b", "a"))):
        tree = place.work / name
        tree.mkdir()
        for number, file in enumerate(order):
            (tree / file).write_text(file)
            os.utime(tree / file, (number * 100 + len(name), number * 100))
        (tree / "Dockerfile").write_text(text)
        words = ("-q", "--no-cache", "--timestamp", "1000000000", "-t", name)
        made.append(rootless("build", *words, tree).stdout)
    assert made[0] == made[1]


def test_a_build_that_is_killed_loses_no_finished_step(build: Build, rootless: Command) -> None:
    text = "FROM busybox:test\nRUN echo one >/one\nRUN touch /started; sleep 600\n"
    (build.context / "Dockerfile").write_text(text)
    process = rootless.start(
        "build",
        "--progress",
        "plain",
        build.context,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b"sleep 600" in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = build("FROM busybox:test\nRUN echo one >/one\nRUN true\n")
    assert told.count("CACHED") == 2


def test_ctrl_c_ends_it(build: Build, rootless: Command) -> None:
    text = "FROM busybox:test\nRUN echo started; sleep 600\n"
    (build.context / "Dockerfile").write_text(text)
    process = rootless.start("build", build.context, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if b"started\n" in line and b"echo" not in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_standard_input_and_other_places(build: Build, rootless: Command, place: Place) -> None:
    rootless("build", "-q", "-t", "a", "-", input="FROM busybox:test\nLABEL a=1\n")
    build.write("f")
    (build.context / "Dockerfile").write_text("FROM scratch\nCOPY f /\n")
    archive = subprocess.run(
        ["tar", "-C", build.context, "-cz", "."], capture_output=True, check=True
    ).stdout
    rootless("build", "-q", "-t", "b", "-", input=archive)
    build.write(".dockerignore", "Dockerfile\nkey\n.*\n")
    build.write("key", "secret")
    rootless("build", "-q", "-t", "c", "-f", "-", build.context,
             input="FROM scratch\nCOPY f /g\nCOPY . /\n")  # fmt: skip
    (place.work / "other").write_text("FROM scratch\nCOPY f /h\n")
    (place.work / "other.dockerignore").write_text("Dockerfile\n")
    rootless("build", "-q", "-t", "d", "-f", place.work / "other", build.context)
    for name, expected in (("b", {"/f"}), ("c", {"/f", "/g"}), ("d", {"/h"})):
        path = place.work / f"{name}.tar"
        rootless("save", "--format", "oci-archive", "-o", path, name)
        assert set(image_reader.read(path).files) == expected


def test_an_archive_with_directories_that_nobody_may_write(
    build: Build, rootless: Command, place: Place
) -> None:
    """They come before what is in them, and keep their modes in the image."""
    path = place.work / "context.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, mode, data in (
            ("Dockerfile", tarfile.REGTYPE, 0o644, b"FROM scratch\nCOPY . /o\n"),
            ("d", tarfile.DIRTYPE, 0o555, b""),
            ("d/e", tarfile.DIRTYPE, 0o500, b""),
            ("d/e/f", tarfile.REGTYPE, 0o444, b"content"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.size = kind, mode, len(data)
            archive.addfile(member, io.BytesIO(data))
    rootless("build", "-q", "-t", "made", "-", input=path.read_bytes())
    # what the first one could not remove does not stay
    rootless("build", "-q", "-t", "made", path)
    rootless("build", "-q", "-t", "other", "-", input="FROM scratch\nLABEL a=1\n")
    saved = place.work / "made.tar"
    rootless("save", "--format", "oci-archive", "-o", saved, "made")
    files = image_reader.read(saved).files
    assert (files["/o/d"].mode, files["/o/d/e"].mode) == (0o555, 0o500)
    assert files["/o/d/e/f"].content == b"content"


def test_what_is_not_offered_is_named(build: Build) -> None:
    for word in ("--cw=x", "--sbom=true", "--userns=host", "--isolation=hyperv", "--stdin"):
        told = build("FROM scratch\nLABEL a=1\n", word, code=125)
        assert word.partition("=")[0] in told


def test_removing_the_image_leaves_the_cache(build: Build, rootless: Command) -> None:
    text = "FROM busybox:test\nRUN echo x >/x\n"
    build(text, "-q", "-t", "made")
    rootless("rmi", "made")
    told = build(text, "-t", "made")
    assert told.count("CACHED") == 2
    rootless("run", "--rm", "--network", "none", "made", "cat", "/x")


def test_contexts_with_names(build: Build, place: Place) -> None:
    build.write("f")
    other = place.work / "other"
    other.mkdir()
    (other / "g").write_text("of another place")
    (other / ".dockerignore").write_text("h\n")
    (other / "h").write_text("left out")
    text = """FROM base
COPY --from=more . /m/
RUN --mount=from=more,target=/t ls /t >/listed
"""
    words = ("--build-context", f"more={other}")
    files = build.image(text, *words, "--build-context", "base=docker-image://busybox:test").files
    assert files["/m/g"].content == b"of another place"
    assert "/m/h" not in files
    assert b"h\n" not in files["/listed"].content


def test_what_is_said_without_building(build: Build, rootless: Command) -> None:
    text = "ARG v=1\nFROM busybox:test as one\nFROM one AS two\nMAINTAINER me\n"
    (build.context / "Dockerfile").write_text(text)
    checked = rootless("build", "--check", build.context, code=1).stdout
    assert "FromAsCasing" in checked and "MaintainerDeprecated" in checked
    found = rootless("build", "--call", "check,format=json", build.context, code=1).json()
    assert {one["ruleName"] for one in found["warnings"]} >= {"FromAsCasing"}
    assert "two (default)" in rootless("build", "--call=targets", build.context).stdout
    graph = rootless("build", "--print", "graph", build.context).json()
    assert [stage["needs"] for stage in graph["stages"]] == [[], [0]]
    assert rootless("images", "-q").stdout.count("\n") == 1


def test_stages_run_side_by_side(build: Build, place: Place) -> None:
    """Each waits for the other by a cache mount: one after the other would never end."""
    stage = """FROM busybox:test AS {0}
RUN --mount=type=cache,id=meet,target=/m touch /m/{0}; \\
    while ! test -e /m/{1}; do sleep 0.05; done; echo {0} >/{0}
"""
    text = stage.format("a", "b") + stage.format("b", "a")
    text += "FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    assert set(build.image(text).files) == {"/a", "/b"}


def test_two_builds_share_a_cache(build: Build, rootless: Command) -> None:
    text = "FROM busybox:test\nRUN echo 1 >/1\nCOPY Dockerfile /d\nRUN cat /d /1 >/2\n"
    (build.context / "Dockerfile").write_text(text)
    running = [
        rootless.start("build", "-q", "-t", f"n{number}", build.context, stdout=subprocess.PIPE)
        for number in range(3)
    ]
    assert [one.wait(120) for one in running] == [0, 0, 0]
    for number in range(3):
        shown = rootless("run", "--rm", "--network", "none", f"n{number}", "cat", "/2").stdout
        assert shown == text + "1\n"


def test_pruning_the_cache(build: Build, rootless: Command) -> None:
    text = "FROM busybox:test AS a\nRUN echo unused >/x\nFROM busybox:test\nCOPY --from=a /x /y\n"
    build(text, "-q", "-t", "made")
    assert len(rootless("builder", "du").stdout.splitlines()) == 3
    gone = rootless("builder", "prune", "-f").stdout.splitlines()
    assert len(gone) == 2 and gone[-1].startswith("Total:")
    rootless("builder", "prune", "-af")
    assert len(rootless("builder", "du").stdout.splitlines()) == 1
    # the image keeps its layer
    rootless("run", "--rm", "--network", "none", "made", "cat", "/y")
    assert "CACHED" in build(text, "-t", "made")
    rootless("run", "--rm", "--network", "none", "made", "cat", "/y")


def test_a_file_of_another_user_in_a_layer(build: Build) -> None:
    """What a step wrote for nobody else to read is read by the steps after it, and packed."""
    text = """FROM busybox:test
RUN echo hidden >/s && chmod 600 /s && mkdir -m 700 /p && echo x >/p/x
RUN cat /s /p/x >/seen && chmod 700 /
COPY --chown=1000 --chmod=700 Dockerfile /q/r
"""
    image = build.image(text)
    assert image.files["/seen"].content == b"hidden\nx\n"
    assert image.files["/q/r"].owner == (1000, 1000)
