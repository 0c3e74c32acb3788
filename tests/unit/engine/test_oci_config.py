"""Image configuration and options -> process: users, commands, environment, mounts."""

from __future__ import annotations

import pytest

from rootless.engine.common import humanize, signals
from rootless.engine.containers import attach as container_attach
from rootless.engine.containers import names as container_names
from rootless.engine.spec import oci_config
from rootless.engine.spec import user as spec_user
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/srv:/bin/sh\nbroken\n1000:x:7:8::/odd:\n"
GROUP = b"root:x:0:\nstaff:x:50:www,other\nadm:x:4:www\n"


def account(text: str, groups: list[str] | None = None) -> tuple[int, int, list[int], str]:
    """What a user specification comes to in the image above."""
    files = {"/etc/passwd": PASSWD, "/etc/group": GROUP}
    found = spec_user.account(text, groups or [], files.get)
    return found.uid, found.gid, found.groups, found.home


# the first group is among the supplementary ones as well: a process that gives it up with
# setgid(2) shall not escape a file's refusal to that group (CVE-2022-2989)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0, [0], "/root")),
        ("root", (0, 0, [0], "/root")),
        ("www", (33, 34, [34, 50, 4], "/srv")),
        ("33", (33, 34, [34, 50, 4], "/srv")),
        ("33:0", (33, 0, [0], "/srv")),
        ("www:staff", (33, 50, [50], "/srv")),
        ("4711", (4711, 0, [0], "/")),
        ("4711:12", (4711, 12, [12], "/")),
        # digits are an id, also where somebody has them for a name (CVE-2016-3697)
        ("1000", (1000, 0, [0], "/")),
    ],
)
def test_users(text: str, expected: tuple[int, int, list[int], str]) -> None:
    assert account(text) == expected


def test_further_groups() -> None:
    assert account("www", ["99", "adm"])[2] == [34, 50, 4, 99]


@pytest.mark.parametrize("text", ["nobody", "www:nogroup"])
def test_names_the_image_does_not_know(text: str) -> None:
    with pytest.raises(UsageError, match="the image has no"):
        account(text)


def test_an_image_without_passwd() -> None:
    found = spec_user.account("", [], lambda path: None)
    assert (found.uid, found.gid, found.home) == (0, 0, "/")


@pytest.mark.parametrize(
    ("image", "words", "entrypoint", "expected"),
    [
        ({"Cmd": ["sh"]}, [], None, ["sh"]),
        ({"Cmd": ["sh"]}, ["ls"], None, ["ls"]),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, [], None, ["e", "c"]),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, ["x"], None, ["e", "x"]),
        # an entry point of one's own takes the image's command away
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, [], "mine", ["mine"]),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, ["x"], "mine", ["mine", "x"]),
        ({"Entrypoint": ["e"], "Cmd": ["c"]}, ["x"], '["a","b"]', ["a", "b", "x"]),
        ({"Entrypoint": ["e"]}, ["x"], "", ["x"]),
    ],
)
def test_commands(
    image: dict[str, list[str]], words: list[str], entrypoint: str | None, expected: list[str]
) -> None:
    options = ContainerOptions("i", command=words, entrypoint=entrypoint)
    assert oci_config.command(options, image) == expected


def test_no_command_at_all() -> None:
    with pytest.raises(UsageError, match="no command given"):
        oci_config.command(ContainerOptions("i"), {})


def test_the_environment_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL_HAS", "this")
    monkeypatch.delenv("SHELL_HAS_NOT", raising=False)
    options = ContainerOptions(
        "i", env=["A=2", "SHELL_HAS", "SHELL_HAS_NOT", "E="], unsetenv=["GONE"]
    )
    image = {"Env": ["A=1", "B=1", "GONE=1", "PATH=/image"]}
    found = oci_config.environment(options, image, "host", "/home")
    table = dict(word.split("=", 1) for word in found)
    assert table["A"] == "2"
    assert table["B"] == "1"
    assert table["PATH"] == "/image"
    assert table["SHELL_HAS"] == "this"
    assert table["E"] == ""
    assert table["HOSTNAME"] == "host"
    assert table["HOME"] == "/home"
    assert "GONE" not in table
    assert "SHELL_HAS_NOT" not in table


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\0\x1b\x1f"),
        ("none", b""),
        ("", b""),
        ("CTRL-A,x", b"\x01x"),
    ],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert container_attach.parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "ctrl-p,", "é"])
def test_detach_keys_that_nobody_can_type(text: str) -> None:
    with pytest.raises(UsageError):
        container_attach.parse_keys(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("term", 15), ("9", 9), (9, 9), ("RTMIN+3", 37)],
)
def test_signals(text: str | int, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize("text", ["", "FLY", "0", "99", "-1", "SIG", "RTMIN+x"])
def test_signals_that_do_not_exist(text: str) -> None:
    with pytest.raises(UsageError):
        signals.number(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (150, "2 minutes"), (3600, "About an hour"), (7300, "2 hours"), (172800, "2 days"),
        (86400 * 20, "2 weeks"), (86400 * 70, "2 months"), (86400 * 800, "2 years"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert humanize.duration(seconds) == text


@pytest.mark.parametrize("name", ["a", "a.b-c_d", "9lives", "A" * 200])
def test_names(name: str) -> None:
    assert container_names.check(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "a:b"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="invalid container name"):
        container_names.check(name)
