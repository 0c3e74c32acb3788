"""How containers are chosen without their names, and how verbs end that found things in use."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from conftest import Command

OFFLINE = ("--network", "none")


def box(rootless: Command, image: str, name: str, *words: str) -> str:
    """A container that runs and has said so in its log; its id."""
    command = ("sh", "-c", "echo from-$HOSTNAME; exec sleep 1000")
    made = rootless("run", "-d", "--name", name, "--hostname", name, *OFFLINE, *words, image,
                    *command).stdout.strip()  # fmt: skip
    end = time.monotonic() + 60
    while not rootless("logs", name).stdout and time.monotonic() < end:
        time.sleep(0.05)
    return made


def states(rootless: Command) -> dict[str, str]:
    told = rootless("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout
    return dict(line.split() for line in told.splitlines())


def test_the_latest_container(rootless: Command, busybox_image: str) -> None:
    box(rootless, busybox_image, "old")
    new = box(rootless, busybox_image, "new")
    assert rootless("exec", "-l", "hostname").stdout == "new\n"
    assert rootless("exec", "--latest", "sh", "-c", "echo $1", "sh", "word").stdout == "word\n"
    assert rootless("inspect", "-l", "-f", "{{.Id}}").stdout.strip() == new
    assert "sleep 1000" in rootless("top", "-l").stdout
    assert rootless("port", "-l").stdout == ""
    assert rootless("diff", "-l").stdout == ""
    assert rootless("logs", "-l").stdout == "from-new\n"
    assert rootless("stats", "--no-stream", "-l", "--format", "{{.Name}}").stdout == "new\n"
    assert rootless("kill", "-l").stdout.strip() == new
    assert rootless("wait", "-l").stdout == "137\n"
    assert rootless("start", "-l").stdout.strip() == new
    assert rootless("stop", "-t", "0", "-l").stdout.strip() == new
    assert rootless("restart", "-t", "0", "-l").stdout.strip() == new
    assert states(rootless) == {"old": "running", "new": "running"}
    assert "contradict" in rootless("stop", "-l", "old", code=125).stderr
    rootless("exec", "-l", code=125)
    rootless("rm", "-f", "-l")
    assert states(rootless) == {"old": "running"}
    rootless("rm", "-f", "-l")
    assert "none is the latest" in rootless("rm", "-l", code=125).stderr


def test_containers_by_files_and_filters(
    rootless: Command, busybox_image: str, tmp_path: Path
) -> None:
    first = box(rootless, busybox_image, "first", "--label", "tier=front")
    second = box(rootless, busybox_image, "second")
    for identifier, file in ((first, "one"), (second, "two")):
        (tmp_path / file).write_text(identifier + "\n")
    one, two, none = (str(tmp_path / name) for name in ("one", "two", "none"))
    assert rootless("stop", "-t", "0", "--filter", "label=tier=front").stdout.strip() == first
    assert states(rootless) == {"first": "exited", "second": "running"}
    assert rootless("start", "--filter", "name=first", "first", "second").stdout.strip() == "first"
    assert rootless("kill", "--cidfile", one, "--cidfile", two).stdout.split() == [first, second]
    rootless("wait", "first", "second")
    rootless("restart", "-t", "0", "--filter", "name=second")
    assert states(rootless) == {"first": "exited", "second": "running"}
    assert "does not exist" in rootless("rm", "--cidfile", none, code=125).stderr
    rootless("rm", "-i", "--cidfile", none)
    rootless("rm", "--filter", "status=exited")
    assert states(rootless) == {"second": "running"}
    # all of them, running or not, as podman does
    rootless("create", "--name", "made", *OFFLINE, busybox_image, "sleep", "1000")
    rootless("restart", "-t", "0", "--running")
    assert states(rootless)["made"] == "created"
    assert len(rootless("restart", "-t", "0", "-a").stdout.split()) == 2
    assert states(rootless) == {"second": "running", "made": "running"}


def test_what_is_in_use_ends_with_two(rootless: Command, busybox_image: str) -> None:
    box(rootless, busybox_image, "box", "-v", "data:/data")
    rootless("rm", "box", code=2)
    rootless("rm", "-a", code=2)
    rootless("rmi", busybox_image, code=2)
    rootless("volume", "create", "free")
    rootless("volume", "rm", "data", code=2)
    assert rootless("volume", "rm", "-a", code=2).stdout == "free\n"
    rootless("volume", "rm", "data", "nosuch", code=1)
    # with a time podman's --force is meant: containers go first
    assert rootless("volume", "rm", "-f", "-t", "0", "data").stdout == "data\n"
    assert states(rootless) == {}
    rootless("rmi", "-a")
    assert rootless("images", "-q").stdout == ""


def test_containers_that_live_in_anothers_namespaces(rootless: Command, busybox_image: str) -> None:
    sleep = (busybox_image, "sleep", "1000")
    rootless("create", "--name", "base", *OFFLINE, *sleep)
    rootless("create", "--name", "inside", "--network", "container:base", *sleep)
    assert "not running" in rootless("start", "inside", code=125).stderr
    assert "not running" in rootless("run", "--network", "container:base", *sleep, code=125).stderr
    rootless("start", "base", "inside")
    rootless("run", "-d", "--name", "other", *OFFLINE, *sleep)
    assert len(rootless("rm", "-f", "--depend", "base").stdout.split()) == 2
    assert states(rootless) == {"other": "running"}


def test_logs_of_several(rootless: Command, busybox_image: str) -> None:
    command = (busybox_image, "sh", "-c", "echo out; echo err >&2")
    rootless("run", "--name", "a", *OFFLINE, *command)
    rootless("run", "--name", "b", "-e", "MODE=x", "--log-opt", "env=MODE", *OFFLINE, *command)
    told = rootless("logs", "--names", "a", "b")
    assert (told.stdout, told.stderr) == ("a out\nb out\n", "a err\nb err\n")
    short = rootless("ps", "-a", "-q", "--filter", "name=a").stdout.strip()
    assert f"{short} out" in rootless("logs", "a", "b").stdout
    assert rootless("logs", "--details", "b").stdout == "MODE=x out\n"
    assert rootless("logs", "--since", "-1h", "a").stdout == ""
    box(rootless, busybox_image, "live")
    # ends by itself, although the container goes on
    assert rootless("logs", "-f", "--until", "1s", "live").stdout == "from-live\n"
    followed = rootless("logs", "-f", "--names", "--until", "1s", "a", "live").stdout
    assert sorted(followed.splitlines()) == ["a out", "live from-live"]


def test_differences_of_two(rootless: Command, busybox_image: str) -> None:
    for name in ("one", "two"):
        rootless("run", "--name", name, *OFFLINE, busybox_image, "sh", "-c", f"echo >/{name}")
    assert rootless("diff", "one", "two").stdout == "A /one\nD /two\n"
    assert rootless("diff", "two", busybox_image).stdout == "A /two\n"
    told = json.loads(rootless("diff", "--format", "json", busybox_image, "two").stdout)
    assert told == {"deleted": ["/two"]}
    assert "json" in rootless("diff", "--format", "nosuch", "one", code=125).stderr


def test_copy_over_another_kind(rootless: Command, busybox_image: str, tmp_path: Path) -> None:
    rootless("run", "--name", "box", *OFFLINE, busybox_image, "sh", "-c",
             "mkdir -p /d/x/y; echo >/f")  # fmt: skip
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "x").write_text("a file\n")
    refused = rootless("cp", f"{tree}/.", "box:/d", code=125)
    assert "is a directory at the destination" in refused.stderr
    rootless("cp", "--overwrite", f"{tree}/.", "box:/d")
    rootless("cp", "--overwrite", str(tree), "box:/f")
    rootless("cp", "box:/f", str(tmp_path / "back"))
    assert (tmp_path / "back" / "x").read_text() == "a file\n"
    rootless("cp", "--overwrite", "box:/f", str(tree / "x"))
    assert (tree / "x" / "x").read_text() == "a file\n"


@pytest.mark.parametrize("verb", ["tag", "commit", "import"])
def test_names_of_images_made_here(
    rootless: Command, busybox_image: str, busybox_tar: Path, verb: str
) -> None:
    rootless("create", "--name", "box", *OFFLINE, busybox_image, "true")
    if verb == "tag":
        rootless("tag", busybox_image, "mine:1")
    elif verb == "commit":
        rootless("commit", "-q", "box", "mine:1")
    else:
        rootless("import", "-q", busybox_tar, "mine:1")
    names = rootless("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert "localhost/mine:1" in names
    for name in ("mine:1", "localhost/mine:1"):
        assert rootless("run", "--rm", *OFFLINE, name, "echo", "hi").stdout == "hi\n"
    assert "Untagged: localhost/mine:1" in rootless("rmi", "mine:1").stdout
    rootless("image", "exists", "mine:1", code=1)
    # a name with a registry stays what it is
    rootless("tag", busybox_image, "docker.io/library/mine:2")
    assert rootless("run", "--rm", *OFFLINE, "mine:2", "echo", "hi").stdout == "hi\n"
    rootless("tag", busybox_image, "mine:2")
    assert "Untagged: localhost/mine:2" in rootless("rmi", "mine:2").stdout
    assert "Untagged: mine:2" in rootless("rmi", "mine:2").stdout
