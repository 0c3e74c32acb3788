"""Here-documents, and what flags and arguments of COPY, ADD and RUN come to."""

from __future__ import annotations

import json
from typing import Any

import dockerfile_tables as tables
import pytest

from rootless.build.dockerfile import modes, values
from rootless.build.dockerfile.instructions import (
    Add,
    Copy,
    Copying,
    Device,
    Instruction,
    Mount,
    Onbuild,
    Run,
    read,
    read_trigger,
)
from rootless.build.dockerfile.parser import parse, parse_heredoc, read_json
from rootless.build.dockerfile.platforms import Platform, parse_platform
from rootless.build.dockerfile.references import is_image_name
from rootless.build.dockerfile.source import DockerfileError

ROWS = tables.rows("heredocs")
VARIABLES = {"v": "value", "t": "/mnt", "o": "5:6", "m": "600", "s": "f"}


def one(text: str, *, expand: bool = True) -> Any:
    """Read one instruction."""
    instruction = read(parse(text.encode()).lines[0])
    return instruction.expanded(VARIABLES.get) if expand else instruction


@pytest.mark.parametrize("row", ROWS, ids=tables.names(ROWS))
def test_here_documents(row: tables.Row) -> None:
    image = tables.Image(tables.read(row.text))
    expected = json.loads(row.expected[0])
    if isinstance(expected, dict):
        assert image.files == expected
    else:
        [(run, _)] = image.runs
        assert run.shell_text == expected and run.shebang is None and run.argv is None


def test_a_script_may_name_its_interpreter() -> None:
    run = one("RUN <<E\n#!/bin/ash\necho $0\nE\n")
    assert run.shebang is not None
    assert (run.shebang.name, run.shebang.content) == ("E", "#!/bin/ash\necho $0\n")
    # as the input of another command it is no script of its own
    assert one("RUN cat <<E\n#!/bin/ash\nE\n").shebang is None
    assert one("RUN <<-E\n\t#!/bin/ash\n\tE\n").shebang is None


def test_no_here_document_in_exec_form_and_in_other_instructions() -> None:
    assert one('RUN ["cat", "<<E"]').argv == ("cat", "<<E")
    assert one("CMD <<E").shell == "<<E"
    assert one('COPY ["<<E", "/o"]').sources == ("<<E",)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("<<E", ("E", True, False, 0)),
        ("<<-E", ("E", True, True, 0)),
        ("3<<E", ("E", True, False, 3)),
        ("<<'E'", ("E", False, False, 0)),
        ('<<"E"F', ("EF", False, False, 0)),
        ("<<\\E", ("E", False, False, 0)),
        ("<<$x", ("$x", True, False, 0)),
        ("<<${x:-y}", ("${x:-y}", True, False, 0)),
        ("<<", None),
        ("<<<E", None),
        ("<E", None),
        ("a<<E", None),
        ('<<""', None),
    ],
)
def test_names_of_here_documents(word: str, expected: tuple[object, ...] | None) -> None:
    found = parse_heredoc(word)
    assert (found and (found.name, found.expand, found.chomp, found.descriptor)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY f /o", {"sources": ("f",), "destination": "/o"}),
        ("COPY f g /o/", {"sources": ("f", "g"), "destination": "/o/"}),
        ('COPY ["sp ace", "/o x"]', {"sources": ("sp ace",), "destination": "/o x"}),
        ('COPY ["$s","/$v"]', {"sources": ("f",), "destination": "/value"}),
        ("COPY $s /$v", {"sources": ("f",), "destination": "/value"}),
        ("COPY star\\*x /o", {"sources": ("star*x",)}),
        ("COPY sp\\ ace /o", {"sources": ("sp", "ace")}),
        ("COPY --chown=$o --chmod=$m f /o", {"chown": "5:6", "chmod": "600"}),
        ("COPY --chown=:2 f /o", {"chown": ":2"}),
        ("COPY --chown=daemon:mail f /o", {"chown": "daemon:mail"}),
        ("COPY --chmod=u=rwX,go=rX f /o", {"chmod": "u=rwX,go=rX"}),
        ("COPY --link f /o", {"link": True, "parents": None}),
        ("COPY --link=false --parents f /o", {"link": False, "parents": True}),
        ("COPY --parents=true ./a/./b /o", {"parents": True, "sources": ("./a/./b",)}),
        ("COPY --exclude=*.md --exclude=$v d /o", {"exclude": ("*.md", "value")}),
        ("COPY --from=A1 /f /o", {"from_": "A1"}),
        ("COPY -- --from=x /o", {"sources": ("--from=x",), "from_": ""}),
        ("ADD t.tar /o", {"unpack": None, "keep_git_dir": None, "checksum": ""}),
        ("ADD --unpack=false t.tar /o/", {"unpack": False}),
        ("ADD --unpack --keep-git-dir u /o/", {"unpack": True, "keep_git_dir": True}),
        (f"ADD --checksum=sha256:{'a' * 64} u /o", {"checksum": "sha256:" + "a" * 64}),
        ("ADD --checksum=be1f38e u /o", {"checksum": "be1f38e"}),
        ("ADD http://h/a%20b?x=1#y /o/", {"sources": ("http://h/a%20b?x=1#y",)}),
    ],
)
def test_copy_and_add(text: str, expected: dict[str, object]) -> None:
    found = one(text)
    assert isinstance(found, Copy if text.startswith("COPY") else Add)
    assert isinstance(found, Copying)
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("target=/m", Mount(target="/m")),
        ("type=bind,source=d,target=/m", Mount(source="d", target="/m")),
        ("type=bind,src=d,dst=$t,rw", Mount(source="d", target="/mnt", read_only=False)),
        ("target=/m,rw=false", Mount(target="/m")),
        ("destination=mp,readwrite=1", Mount(target="mp", read_only=False)),
        ("from=s,source=/ff,target=/x", Mount(from_="s", source="/ff", target="/x")),
        ("type=cache,target=/c", Mount("cache", "/c", read_only=False)),
        ("type=cache,target=/c,ro", Mount("cache", "/c")),
        (
            "TYPE=cache,target=/c,id=x,uid=5,gid=6,mode=0710,sharing=locked",
            Mount("cache", "/c", "", "", False, "x", "locked", mode=0o710, uid=5, gid=6),
        ),
        (
            "type=cache,target=/c,id=x,from=s,source=/dd",
            Mount("cache", "/c", "/dd", "s", False, "x"),
        ),
        # without a target it is the working directory
        ("from=binaries", Mount(from_="binaries")),
        (
            "type=cache,id=x,sharing=LOCKED",
            Mount("cache", id="x", sharing="locked", read_only=False),
        ),
        ("type=secret,id=x,ro", Mount("secret", id="x")),
        ("type=bind,target=/m,id=x", Mount("bind", "/m", id="x")),
        ("type=cache,target=/c,mode=0000755", Mount("cache", "/c", read_only=False, mode=0o755)),
        ("type=tmpfs,target=/t", Mount("tmpfs", "/t", read_only=False)),
        ("type=tmpfs,target=/t,size=64m", Mount("tmpfs", "/t", read_only=False, size=64 << 20)),
        ("type=secret,id=s1", Mount("secret", id="s1")),
        (
            "type=secret,id=s1,target=/x/y,mode=0444,uid=3,required",
            Mount("secret", "/x/y", id="s1", mode=0o444, uid=3, required=True),
        ),
        ("type=secret,id=s1,env=S1", Mount("secret", id="s1", env="S1")),
        ("type=secret,target=/a/b", Mount("secret", "/a/b")),
        ("type=ssh", Mount("ssh")),
        ("type=ssh,id=k,required=true,mode=0600", Mount("ssh", id="k", required=True, mode=0o600)),
        ('type=cache,"target=/a,b"', Mount("cache", "/a,b", read_only=False)),
        ("type=bind,target=${u:-/d}", Mount(target="/d")),
    ],
)
def test_mounts(flags: str, expected: Mount) -> None:
    # a comma or quotes within a field need a pair of quotes that the line's reader leaves
    written = flags.replace('"', '\\"')
    found = one(f"RUN --mount={written} true")
    assert found.mounts == (expected,)
    assert found.shell == "true"


def test_run() -> None:
    found = one(
        "RUN --mount=type=tmpfs,target=/a --network=none --security=insecure --mount=target=/b "
        "--device=vendor.com/gpu=all,required --device=name=$v,required=false a  b"
    )
    assert isinstance(found, Run)
    assert [mount.target for mount in found.mounts] == ["/a", "/b"]
    assert (found.network, found.security, found.shell) == ("none", "insecure", "a  b")
    assert found.devices == (Device("vendor.com/gpu=all", True), Device("value"))
    plain = one('RUN ["/bin/sh", "-c", "echo $0"]')
    assert plain.argv == ("/bin/sh", "-c", "echo $0") and plain.shell_text == ""
    assert (plain.network, plain.security) == ("default", "sandbox")


def test_fields_are_as_written_before_expansion() -> None:
    found = one("RUN --mount=type=$t,target=$v true", expand=False)
    assert found.mount_flags == ("type=$t,target=$v",) and found.mounts == ()
    assert one("ENV $v=$v", expand=False).pairs == (("$v", "$v"),)
    for text in ("ENV a=b", "COPY a b", "RUN x", "EXPOSE 80", "ARG a=$v", "WORKDIR $v"):
        found = one(text, expand=False)
        assert all(hasattr(found, name) for name in type(found).expands)
        assert isinstance(found, Instruction)


@pytest.mark.parametrize(
    ("text", "keyword"),
    [("RUN echo x", "RUN"), ("COPY --from=s /f /o", "COPY"), ("ENV a=1 b=2", "ENV")],
)
def test_triggers_of_an_image(text: str, keyword: str) -> None:
    assert read_trigger(text, "debian").keyword == keyword


def test_a_trigger_keeps_its_here_document() -> None:
    found = one("ONBUILD  run <<E\na\nE\n", expand=False)
    assert isinstance(found, Onbuild)
    assert found.trigger == "run <<E\na\nE"
    again = read_trigger(found.trigger, "x")
    assert isinstance(again, Run) and again.shell_text == "a\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM a", "x:1: ONBUILD cannot be followed by FROM"),
        ("RUN a\nRUN b", "x:2: a trigger of ONBUILD is one instruction"),
        ("RNU a", 'x:1: unknown instruction "RNU"'),
    ],
)
def test_wrong_triggers_of_an_image(text: str, problem: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        read_trigger(text, "x")
    assert raised.value.message == problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        (".5s", 5 * 10**8),
        ("1.s", 10**9),
        ("0", 0),
        ("+1ms", 10**6),
        ("2us3µs", 5000),
        ("1h1h", 7200 * 10**9),
        ("", None),
        ("1", None),
        ("s", None),
        (".s", None),
        ("1d", None),
        ("1s ", None),
        ("-1s", None),
        ("9999999h", None),
        ("١s", None),
    ],
)
def test_times(text: str, expected: int | None) -> None:
    assert values.duration(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("512", 512),
        ("64m", 64 << 20),
        ("64MB", 64 << 20),
        ("1.5g", 3 << 29),
        ("1 KiB", 1024),
        ("", None),
        ("-1", None),
        ("m", None),
        ("1x", None),
    ],
)
def test_sizes(text: str, expected: int | None) -> None:
    assert values.size(text) == expected


@pytest.mark.parametrize(
    ("text", "old", "directory", "expected"),
    [
        ("600", 0o644, False, 0o600),
        ("0755", 0o644, True, 0o755),
        ("4755", 0o644, False, 0o4755),
        ("0000755", 0o644, False, 0o755),
        ("4711", 0o600, False, 0o4711),
        ("+t", 0o777, True, 0o1777),
        ("g=u,o=", 0o640, False, 0o660),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("go-rwx", 0o755, True, 0o700),
        ("g=u,o=", 0o644, False, 0o660),
        ("a=rX,u+w", 0o755, True, 0o755),
        ("a=rX,u+w", 0o644, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("a+X", 0o600, False, 0o600),
        ("a+X", 0o700, False, 0o711),
        ("u+s,+t", 0o755, False, 0o5755),
        ("g-s", 0o2755, True, 0o755),
        ("o=g-x", 0o754, False, 0o754),
        ("u=", 0o4755, False, 0o055),
        ("a=", 0o7777, False, 0),
        ("ug=o", 0o751, False, 0o111),
    ],
)
def test_modes(text: str, old: int, directory: bool, expected: int) -> None:
    mode = modes.parse(text)
    assert mode is not None
    assert oct(mode.apply(old, directory=directory)) == oct(expected)


@pytest.mark.parametrize(
    "text", ["", "rw", "u", "u+q", "8", "10000", "77777", "u+x,", "z+x", "+x "]
)
def test_what_is_no_mode(text: str) -> None:
    assert modes.parse(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/arm64/v8", "linux/arm64"),
        ("Linux/X86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armhf", "linux/arm/v7"),
        ("windows", "windows/amd64"),
        ("macos/arm64", "darwin/arm64"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/amd64/v1", "linux/amd64"),
        ("bogus", None),
        ("", None),
        ("linux/", None),
        ("linux/a b", None),
        ("a/b/c/d", None),
    ],
)
def test_platforms(text: str, expected: str | None) -> None:
    found = parse_platform(text, Platform("linux", "amd64"))
    assert (str(found) if found else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian", True),
        ("debian:12", True),
        ("localhost:5000/a/b:c", True),
        ("[::1]:5000/a", True),
        ("a@sha256:" + "0" * 64, True),
        ("a:b@sha256:" + "0" * 64, True),
        ("Debian", False),
        ("a:", False),
        ("", False),
        (":x", False),
        ("a/", False),
        ("a b", False),
        ("0" * 64, False),
        ("a" * 300, False),
        ("a" * 2000, False),
        ("a@sha256:12", False),
    ],
)
def test_names_of_images(text: str, expected: bool) -> None:
    assert is_image_name(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["a"]', ("a",)),
        (' [ "a" , "b" ] ', ("a", "b")),
        ("[]", ()),
        ('["a",]', None),
        ('["a"] b', None),
        ("['a']", None),
        ("[NaN]", None),
        ('{"a": 1}', None),
        ('"a"', None),
        ("[" * 5000, None),
        ('["\\u00e9"]', ("é",)),
    ],
)
def test_arrays(text: str, expected: tuple[object, ...] | None) -> None:
    assert read_json(text) == expected


def test_values_are_frozen_and_compare_by_what_they_hold() -> None:
    mount = Mount("cache", target="/c")
    assert mount == Mount("cache", "/c") and hash(mount) == hash(Mount("cache", "/c"))
    assert mount != Mount("cache", "/d") and mount != Device("cache")
    assert mount.replace(uid=5) == Mount("cache", "/c", uid=5)
    assert repr(Device("a")) == "Device(name='a', required=False)"
    for change in (lambda: setattr(mount, "uid", 1), lambda: delattr(mount, "uid")):
        with pytest.raises(AttributeError):
            change()
    wrong: list[tuple[Any, dict[str, Any]]] = [
        ((), {}),
        (("a", True, 1), {}),
        (("a",), {"name": "b"}),
        (("a",), {"other": 1}),
    ]
    for words, named in wrong:
        with pytest.raises(TypeError):
            Device(*words, **named)
    # fields of the base come first, and a class may have defaults of its own
    line = parse(b"ADD a b").lines[0]
    assert Add(line).sources == () and Add._fields[:2] == ("line", "sources")
