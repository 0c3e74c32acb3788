"""The command line as a person meets it: help, mistakes, completion, settings, lists."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys

import pytest
from conftest import Command, Place

from rootless.cli.table import ALIASES, GROUPS, VERBS

# ------------------------------------------------- help


def test_without_words_it_shows_what_there_is(rootless: Command) -> None:
    found = rootless()
    assert found.stdout == rootless("--help").stdout == rootless("help").stdout
    for name in [*VERBS, *GROUPS]:
        if " " not in name:
            assert re.search(rf"^  {name} +\S", found.stdout, re.M), name


@pytest.mark.parametrize("name", sorted([*VERBS, "container ls", "image rm", "system prune"]))
def test_the_help_of_each_verb_stands_alone(rootless: Command, name: str) -> None:
    found = rootless(*name.split(), "--help")
    assert found.stderr == ""
    first = found.stdout.split("\n", 1)[0]
    assert first.startswith(f"Usage: rootless {ALIASES.get(name, name)}")
    assert VERBS[ALIASES.get(name, name)][1] + "." in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 100
    assert rootless("help", *name.split()).stdout == found.stdout


def test_a_group_without_a_verb_shows_its_verbs(rootless: Command) -> None:
    for group in GROUPS:
        found = rootless(*group.split())
        assert found.stdout.startswith(f"Usage: rootless {group}"), group
        assert found.stdout == rootless(*group.split(), "--help").stdout
        for name in VERBS:
            if name.startswith(f"{group} ") and " " not in name[len(group) + 1 :]:
                assert re.search(rf"^  {name[len(group) + 1 :]} +\S", found.stdout, re.M), name


def test_the_data_directory_may_lie_in_a_directory_of_roots(
    rootless: Command, place: Place
) -> None:
    """/tmp, and what an administrator makes for each user below a directory of his."""
    assert os.stat("/tmp").st_uid != os.getuid()
    data = f"/tmp/rootless-test-{place.base.name}"
    try:
        assert rootless("--root", data, "info", "-f", "{{.DataDir}}").stdout == f"{data}\n"
        assert stat.S_IMODE(os.stat(data).st_mode) == 0o700
    finally:
        shutil.rmtree(data, ignore_errors=True)
    refused = rootless("--root", "/etc/nothing", "info", code=125)
    assert "/etc/nothing" in refused.stderr


def test_the_version(rootless: Command) -> None:
    short = rootless("--version").stdout
    assert re.fullmatch(r"rootless version \d+\.\d+\S*\n", short)
    assert rootless("version", "--format", "{{.Client.Version}}").stdout.strip() in short
    assert json.loads(rootless("version", "--format", "json").stdout)["Client"]["Version"] in short


# ------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["rn"], 'unknown command "rn"', "did you mean"),
        (["xyzzy"], 'unknown command "xyzzy"', "rootless --help"),
        (["image", "lss"], 'unknown command "image lss"', "image ls"),
        (["run", "--nmae", "x", "i"], "no such option: --nmae", "--name"),
        (["run"], "rootless run needs IMAGE", "rootless run --help"),
        (["run", "--name"], "--name", "rootless run --help"),
        (["rm"], "no container is named", "--all"),
        (["tag", "one"], "rootless tag needs", "--help"),
        # -D before the verb is --debug, after it nothing; a mistake is no internal error
        (["ps", "-D"], "no such option: -D", "rootless ps --help"),
        (["-D", "ps", "--colour"], "no such option: --colour", "rootless ps --help"),
        (["rename", "a", "b", "c"], 'does not take "c"', "--help"),
        (["ps", "--all=perhaps"], 'true or false, not "perhaps"', ""),
        (["stop", "-t", "soon", "x"], 'whole number, not "soon"', ""),
        (["ps", "--filter", "status"], 'invalid filter "status"', "KEY=VALUE"),
        (["ps", "--filter", "colour=red"], 'unknown filter "colour"', "status"),
        (["images", "--filter", "colour=red"], 'unknown filter "colour"', "dangling"),
        (["ps", "--format", "{{.Names"], "invalid template", "{{.Name}}"),
        (["--no-such", "ps"], "no such option: --no-such", ""),
        (["completion", "tcsh"], 'no completion for the shell "tcsh"', "bash, zsh or fish"),
        (["inspect", "nobody"], '"nobody"', ""),
        (["logs", "nobody"], 'no such container: "nobody"', "rootless ps -a"),
    ],
)
def test_a_mistake_gets_a_sentence_and_a_hint(
    rootless: Command, words: list[str], said: str, hint: str
) -> None:
    found = rootless(*words, code=None)
    assert found.code in (1, 125), found
    lines = found.stderr.splitlines()
    assert lines[0].startswith("error: "), found
    assert said in lines[0], found
    assert hint in "".join(lines[1:]), found
    assert len(lines) <= 2, found


def test_inspecting_what_is_not_there(rootless: Command) -> None:
    for name in ("x", "..", "/", "a/b"):
        for kind in ((), ("volume",), ("image",), ("container",)):
            found = rootless(*kind, "inspect", name, code=125)
            assert "error: " in found.stderr and "internal" not in found.stderr, found


def test_each_of_many_words_is_tried(rootless: Command, busybox_image: str) -> None:
    for name in ("one", "two"):
        rootless("create", "--name", name, busybox_image, "true")
    found = rootless("rm", "one", "missing", "two", code=None)
    assert found.code != 0
    assert found.stdout.split() == ["one", "two"]
    assert 'no such container: "missing"' in found.stderr
    assert rootless("ps", "-aq").stdout == ""


def test_output_that_nobody_reads_is_no_error(rootless: Command, busybox_image: str) -> None:
    for number in range(3):
        rootless("create", "--name", f"c{number}", busybox_image, "true")
    read, write = os.pipe()
    os.close(read)
    process = rootless.start("ps", "-a", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, errors = process.communicate(timeout=100)
    assert errors == b""
    assert process.returncode == 141


def test_colours_only_on_a_terminal_that_wants_them(rootless: Command) -> None:
    assert "\x1b" not in rootless("logs", "nobody", code=125).stderr
    terminal = rootless.terminal("logs", "nobody")
    assert terminal.wait() == 125
    assert b"\x1b[1;31merror:\x1b[0m" in terminal.seen


# ------------------------------------------------- output for scripts


def test_lists_for_scripts(rootless: Command, busybox_image: str) -> None:
    first = rootless("create", "--name", "first", "--label", "team=a", busybox_image, "true")
    rootless("create", "--name", "second", "--label", "team=b", busybox_image, "echo", "x" * 40)
    assert rootless("ps").stdout.count("\n") == 1
    rows = rootless("ps", "-a", "--format", "json").json()
    assert [row["Names"] for row in rows] == [["second"], ["first"]]
    identifier = first.stdout.strip()
    assert rootless("ps", "-aq", "--no-trunc", "-f", "name=first").stdout == identifier + "\n"
    assert rootless("ps", "-aq", "-f", "name=first").stdout == identifier[:12] + "\n"

    def names(*words: str) -> list[str]:
        return rootless("ps", "-a", *words, "--format", "{{.Names}}").stdout.split()

    assert names("--filter", "label=team=a") == ["first"]
    assert names("--filter", "label=team") == ["second", "first"]
    assert names("--filter", "label=team=a", "--filter", "label=team=b") == []
    assert names("--filter", "name=fir", "--filter", "name=sec") == ["second", "first"]
    assert names("--filter", "status=created") == ["second", "first"]
    assert names("--filter", "status=exited") == []
    assert names("--filter", f"ancestor={busybox_image}") == ["second", "first"]
    assert names("--filter", "before=second") == ["first"]
    assert names("--filter", "since=first") == ["second"]
    assert names("--filter", f"id={identifier[:6]}") == ["first"]
    assert names("-n", "1") == names("-l") == ["second"]
    table = rootless("ps", "-a", "--format", "table {{.Names}}\\t{{.Status}}").stdout
    assert table.splitlines()[0].split() == ["NAMES", "STATUS"]
    assert "\u2026" in rootless("ps", "-a").stdout
    assert "x" * 40 in rootless("ps", "-a", "--no-trunc").stdout
    bad = rootless("ps", "-a", "--format", "{{.Nane}}", code=125)
    assert 'no field "Nane"' in bad.stderr
    assert "Names" in bad.stderr


def test_inspect_for_scripts(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "web", "-e", "A=b", "-p", "127.0.0.1::80", busybox_image, "true")
    found = rootless("inspect", "web", busybox_image).json()
    assert found[0]["Name"] == "/web"
    assert "RootFS" in found[1]
    only = "{{.State.Status}} {{.Config.Hostname}} {{len .Config.Env}}"
    status, hostname, count = rootless("inspect", "-f", only, "web").stdout.split()
    assert status == "created"
    assert hostname == found[0]["Id"][:12]
    assert int(count) == len(found[0]["Config"]["Env"])
    assert rootless("inspect", "--type", "image", "web", code=None).code != 0
    assert rootless("image", "inspect", busybox_image).json()[0]["Id"] == found[1]["Id"]
    assert rootless("inspect", "-f", "{{json .Config.Cmd}}", "web").stdout == '["true"]\n'
    # what is not there is told, but for keys that are data and what docker leaves out
    wrong = rootless("inspect", "-f", "{{.State.Statsu}}", "web", code=125)
    assert 'no field "Statsu"' in wrong.stderr
    assert "hint: did you mean Status?" in wrong.stderr
    assert wrong.stdout == ""
    fine = "{{if .State.Health}}checked{{end}}{{.Config.Labels.none}}"
    fine += "{{range .Mounts}}{{.Name}}{{end}}{{.HostConfig.LogConfig.Config.none}}"
    assert rootless("inspect", "-f", fine, "web").stdout == "<no value><no value>\n"


# ------------------------------------------------- completion


def _ask_bash(rootless: Command, place: Place, entry: list[str], line: str) -> list[str]:
    """What a bash with our script offers after this line."""
    program = place.home / "rootless"
    quoted = " ".join(f"'{word}'" for word in entry)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(stat.S_IRWXU)
    words = line.split(" ")
    asked = (
        f"PATH={place.home}:$PATH\n"
        'source <("rootless" completion bash)\n'
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}\n"
        "compopt() { echo compopt $*; }\n"
        "complete -p rootless >/dev/null || exit 1\n"
        '_rootless_completion rootless\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    found = subprocess.run(
        ["bash", "--norc", "-c", asked], env=place.env, cwd=place.work,
        capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr.decode()
    assert found.stderr == b"", found.stderr.decode()
    return found.stdout.decode().split("\n")[:-1]


def test_bash_completes(
    rootless: Command, place: Place, entry: list[str], busybox_image: str
) -> None:
    rootless("create", "--name", "finished", busybox_image, "true")
    rootless("run", "-d", "--name", "running", busybox_image, "sleep", "100")
    rootless("volume", "create", "papers")

    def offered(line: str) -> list[str]:
        return _ask_bash(rootless, place, entry, line)

    assert offered("rootless re") == ["rename", "restart"]
    assert offered("rootless image in") == ["inspect"]
    assert offered("rootless exec ") == ["running"]
    assert offered("rootless start ") == ["finished"]
    assert sorted(offered("rootless rm -f ")) == ["finished", "running"]
    assert offered("rootless run --rm bus") == ["busybox:test"]
    assert offered("rootless run --rm local") == ["localhost/busybox:test"]
    assert offered("rootless run --pul") == ["--pull"]
    assert sorted(offered("rootless run --pull ")) == ["always", "missing", "never", "newer"]
    assert offered("rootless volume rm ") == ["papers"]
    rootless("manifest", "create", "several", busybox_image)
    assert offered("rootless manifest push ") == ["several"]
    passwords = place.runtime / "containers/auth.json"
    passwords.parent.mkdir()
    passwords.write_text('{"auths": {"quay.example": {"auth": "YTpi"}}}')
    assert offered("rootless logout q") == ["quay.example"]
    assert offered("rootless load -i ") == ["compopt -o default", ""]
    # what follows the image is another program's business
    assert "running" not in offered(f"rootless run {busybox_image} ")
    rootless("rm", "-f", "running")
    rootless("volume", "rm", "papers")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(rootless: Command, shell: str) -> None:
    script = rootless("completion", shell).stdout
    assert f"_ROOTLESS_COMPLETE={shell}_complete" in script


# ------------------------------------------------- settings


def test_settings_are_defaults_that_words_beat(
    rootless: Command, place: Place, busybox_image: str
) -> None:
    directory = place.home / ".config/rootless"
    directory.mkdir(parents=True)
    file = directory / "config.toml"
    file.write_text(
        '[run]\nnetwork = "none"\nrm = true\nenv = ["COLOUR=blue"]\nhostname = "set"\n'
        "stop-timeout = 3\n[ps]\nnoheading = true\n"
    )
    assert (
        rootless("run", busybox_image, "sh", "-c", "echo $COLOUR $(hostname)").stdout
        == "blue set\n"
    )
    assert rootless("ps", "-a").stdout == ""
    rootless("run", "--rm=false", "--name", "kept", "--hostname", "word", busybox_image, "true")
    found = rootless("inspect", "kept").json()[0]
    assert found["Config"]["Hostname"] == "word"
    assert found["HostConfig"]["NetworkMode"] == "none"
    assert found["Config"]["StopTimeout"] == 3
    # a changed file is read again
    file.write_text('[run]\nhostname = "other"\n')
    assert rootless("run", "--rm", busybox_image, "hostname").stdout == "other\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run\n", "config.toml"),
        ('[run]\nnmae = "x"\n', "has no option nmae"),
        ('[engine]\ncolour = "x"\n', 'unknown key "colour"'),
        ('name = "x"\n', "outside of a table"),
        ('[run]\nrm = "yes"\n', "rm is true or false"),
        ("[run]\nstop-timeout = 1.5\n", "stop-timeout is a whole number"),
    ],
)
def test_wrong_settings_name_the_file(
    rootless: Command, place: Place, text: str, said: str
) -> None:
    directory = place.home / ".config/rootless"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(text)
    found = rootless("run", "x", "true", code=125)
    assert str(directory / "config.toml") in found.stderr, found
    assert said in found.stderr, found
    (directory / "config.toml").unlink()


# ------------------------------------------------- the library's import


def test_importing_the_library_costs_no_more_than_what_is_used() -> None:
    code = (
        "import sys; before = set(sys.modules); import rootless; rootless.Engine;"
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=100
    )
    loaded = set(found.stdout.decode().split())
    assert not loaded & {"click", "rich", "http", "ssl", "platformdirs", "subprocess", "asyncio"}
