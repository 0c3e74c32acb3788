"""What people who come from docker and podman type in their first minutes, and their scripts."""

from __future__ import annotations

import pytest
from conftest import Command

OFFLINE = ("--network", "none")


def test_exit_status_of_what_does_not_exist(rootless: Command, busybox_image: str) -> None:
    """docker and podman both end with 1, podman also where something else is in use."""
    rootless("rm", "nobody", code=1)
    rootless("rmi", "nothing", code=1)
    rootless("volume", "rm", "nowhere", code=1)
    rootless("rm", "nobody", "nobody-else", code=1)
    rootless("run", "-d", "--name", "live", *OFFLINE, busybox_image, "sleep", "1000")
    for words in (("nobody", "live"), ("live", "nobody")):
        told = rootless("rm", *words, code=1)
        assert 'no such container: "nobody"' in told.stderr and "is running" in told.stderr
    # and with -f there is nothing to complain of
    for verb in ("rm", "rmi"):
        assert rootless(verb, "-f", "nobody").stdout == ""
    for verb in ("inspect", "logs", "stop", "start"):
        rootless(verb, "nobody", code=125)


@pytest.mark.parametrize(
    "words, said, hint",
    [
        (["compose", "up", "-d"], "no command compose:", ".container"),
        (["context", "use", "x"], "no command context use:", "leave it out"),
        (["kube", "play", "x"], "no command kube:", "rootless run"),
        (["swarm", "init"], "no command swarm:", "rootless run"),
        (["nosuchverb"], 'unknown command "nosuchverb"', "rootless --help"),
        (["imags"], 'unknown command "imags"', "did you mean images"),
        (["-H", "tcp://h:2375", "ps"], "no such option: -H", "there is no daemon"),
        (["--context", "default", "ps"], "no such option: --context", "there is no daemon"),
        (["run", "--gpus", "all", "bb"], "no such option: --gpus", "--device /dev/"),
        (["run", "--link", "a:b", "bb"], "no such option: --link", "--network container:"),
    ],
)
def test_what_is_elsewhere(rootless: Command, words: list[str], said: str, hint: str) -> None:
    """One sentence, and what to do instead."""
    told = rootless(*words, code=125)
    assert told.stderr.startswith(f"error: {said}")
    assert hint in told.stderr.splitlines()[1]
    assert told.stdout == ""


def test_the_words_of_scripts(rootless: Command, busybox_image: str) -> None:
    """Templates and options that are common in scripts for docker."""
    assert rootless("version", "--format", "{{.Server.Version}}").stdout == (
        rootless("version", "--format", "{{.Client.Version}}").stdout
    )
    template = "{{.OSType}} {{.ServerVersion}} {{.CgroupVersion}} {{.NCPU}} {{.DockerRootDir}}"
    words = rootless("info", "-f", template).stdout.split()
    assert words[0] == "linux" and words[2] in "12"
    assert words[4] == str(rootless.place.data)
    run = rootless("-D", "--log-level", "error", "run", "-dit", "--name", "web", *OFFLINE,
                   busybox_image, "sleep", "1000")  # fmt: skip
    assert len(run.stdout.strip()) == 64
    env = {"DOCKER_HOST": "tcp://192.0.2.1:2375", "CONTAINER_HOST": "tcp://192.0.2.1:1"}
    assert rootless("ps", "--format", "{{.Names}}", env=env).stdout == "web\n"
    assert rootless("images", "-n", "-q").stdout
    assert "IMAGE ID" not in rootless("images", "-n").stdout
    pid = rootless("inspect", "-f", "{{.State.Pid}}", "web").stdout.strip()
    for columns in (["-eo", "pid,comm"], ["-o", "pid,comm"], ["hpid,comm"], ["hpid", "comm"]):
        top = rootless("top", "web", *columns).stdout
        head, *rest = [line.split() for line in top.replace("HPID", "PID").splitlines()]
        assert head == ["PID", "COMMAND"] and rest == [[pid, "sleep"]]
    assert rootless("top", "web", "aux").stdout.startswith("USER")
    assert rootless("top", "web", "-ef").stdout.split()[:2] == ["UID", "PID"]
    resident = rootless("top", "web", "-o", "rss=KB").stdout.split()
    assert resident[0] == "KB" and int(resident[1]) > 0
    told = rootless("top", "web", "-o", "colour", code=125)
    assert 'top has no column "colour"' in told.stderr and "pid" in told.stderr
    assert "no option" in rootless("top", "web", "--forest", code=125).stderr
    assert "working directory /nosuch" in rootless("exec", "-w", "/nosuch", "web", "true",
                                                   code=125).stderr  # fmt: skip
    assert rootless("image", "inspect", "-f", "{{.Config.Cmd}}{{.Config.Labels}}{{.Config.User}}",
                    busybox_image).stdout == "[]map[]\n"  # fmt: skip
    told = rootless("ps", "--filter", "status=nosuch", code=125)
    assert 'no container can have the status "nosuch"' in told.stderr
    assert "running" in told.stderr.splitlines()[1]
    # docker ps -aq | xargs docker rm -f; docker rmi $(docker images -q)
    rootless("rm", "-f", *rootless("ps", "-aq").stdout.split())
    rootless("rmi", *rootless("images", "-q").stdout.split())
    assert rootless("images", "-q").stdout == ""


def test_a_read_only_mount_over_etc(rootless: Command, busybox_image: str) -> None:
    """resolv.conf and its like are bound where the mount has them, else left out and told."""
    run = ("run", "--rm", *OFFLINE)
    told = rootless(*run, "-v", "new:/etc:ro", busybox_image, "ls", "/etc")
    # what the image has there is copied into a new volume, also for one who may only read it
    assert told.stdout == "group\npasswd\n"
    assert "no /etc/resolv.conf in the container" in told.stderr
    mine = rootless.place.work / "etc"
    mine.mkdir()
    for name in ("resolv.conf", "hosts", "passwd"):
        (mine / name).write_text("mine\n")
    told = rootless(
        *run,
        "--hostname",
        "box",
        "-v",
        f"{mine}:/etc:ro",
        busybox_image,
        "sh",
        "-c",
        "cat /etc/passwd; grep -c box /etc/hosts; ls /etc; touch /etc/x",
        code=1,
    )
    assert told.stdout.startswith("mine\n1\nhosts\npasswd\nresolv.conf\n")
    assert "no /etc/hostname in the container" in told.stderr
    assert "Read-only file system" in told.stderr
    # the person's own files are as they were
    assert (mine / "hosts").read_text() == "mine\n"
