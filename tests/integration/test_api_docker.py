"""Docker's own client, as Debian has it, against our socket: what people type every day."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tarfile

import pytest
from conftest import Command
from integration.api import Service, until
from integration.api import service as service

pytestmark = pytest.mark.usefixtures("everyone")


def nothing_left(docker: Command) -> None:
    """A container that never ran is removed beside the answer to the client."""
    until(lambda: not docker("ps", "-aq").out, "a container was left")


def test_run_shows_what_it_writes_and_how_it_ends(service: Service, busybox_image: str) -> None:
    docker = service.docker
    for _ in range(3):
        done = docker("run", "--rm", busybox_image, "sh", "-c", "echo out; echo err >&2; exit 7",
                      code=7)  # fmt: skip
        # whoever has a single id is told so once, before it
        assert (done.out, done.err.splitlines()[-1]) == (b"out\n", b"err")
        assert done.err.count(b"\n") - done.err.count(b"WARNING: note: ") == 1
    assert docker("run", "--rm", "-i", busybox_image, "cat", input=b"typed\n").out == b"typed\n"
    nothing_left(docker)


def test_run_reports_commands_that_do_not_exist(service: Service, busybox_image: str) -> None:
    docker = service.docker
    done = docker("run", "--rm", busybox_image, "nosuch", code=127)
    assert "nosuch" in done.stderr and "executable file not found" in done.stderr
    docker("run", "--rm", busybox_image, "/etc", code=126)
    assert "No such image" in docker("image", "inspect", "nosuch", code=1).stderr
    nothing_left(docker)


def test_a_terminal_and_its_size(service: Service, busybox_image: str) -> None:
    terminal = service.docker.terminal("run", "-it", "--rm", busybox_image, "sh", rows=31, cols=99)
    terminal.expect("# ")
    terminal.type("tty; stty size; echo $TERM\n")
    seen = terminal.expect("xterm\r\n")
    assert b"/dev/" in seen
    assert b"31 99" in seen
    terminal.resize(50, 132)

    def resized() -> bool:
        terminal.type("stty size\n")
        terminal.expect("stty size\r\n")
        return b"50 132" in terminal.expect("# ")

    until(resized, "the size does not change")
    terminal.type("exit 9\n")
    assert terminal.wait() == 9


def test_a_day(service: Service, busybox_image: str) -> None:
    docker = service.docker
    name = docker("run", "-d", "--name", "c", "--label", "a=b", busybox_image,
                  "sh", "-c", "echo first; sleep 1000").stdout.strip()  # fmt: skip
    assert docker("ps", "-q", "--no-trunc", "--filter", "label=a=b").stdout.strip() == name
    assert docker("exec", "c", "echo", "in").out == b"in\n"
    docker("exec", "c", "sh", "-c", "exit 3", code=3)
    assert docker("exec", "-i", "c", "cat", input=b"x" * 300000).out == b"x" * 300000
    docker("exec", "c", "nosuch", code=127)
    assert b"sleep 1000" in docker("top", "c").out
    assert docker("logs", "c").out == b"first\n"
    docker("rename", "c", "d")
    assert json.loads(docker("inspect", "d").out)[0]["State"]["Running"] is True
    docker("stop", "-t", "0", "d")
    assert "Exited" in docker("ps", "-a", "--format", "{{.Status}}").stdout
    docker("start", "d")
    docker("restart", "-t", "0", "d")
    assert docker("logs", "--tail", "1", "d").out == b"first\n"
    docker("kill", "d")
    docker("wait", "d")
    docker("rm", "d")
    assert "No such container: d" in docker("inspect", "--type", "container", "d", code=1).stderr
    docker("run", "-d", "--name", "e", busybox_image, "sleep", "1000")
    assert "already in use by container" in docker("create", "--name", "e", busybox_image,
                                                   code=1).stderr  # fmt: skip
    assert "container is running" in docker("rm", "e", code=1).stderr
    docker("rm", "-f", "e")


def test_logs_are_followed_to_the_end(service: Service, busybox_image: str) -> None:
    docker = service.docker
    docker("run", "-d", "--name", "c", busybox_image, "sh", "-c",
           "i=0; while [ ! -e /go ]; do sleep 0.02; done; echo last")  # fmt: skip
    follower = docker.start("logs", "-f", "c", stdout=subprocess.PIPE)
    docker("exec", "c", "touch", "/go")
    assert follower.communicate(timeout=60)[0] == b"last\n"
    docker("rm", "c")


def test_a_second_client_attaches(service: Service, busybox_image: str) -> None:
    docker = service.docker
    docker("run", "-dit", "--name", "c", busybox_image, "sh")
    terminal = docker.terminal("attach", "c")
    terminal.type("echo he''re\n")
    terminal.expect("here")
    terminal.type("\x10\x11")
    assert terminal.wait() in (0, 1)
    assert docker("inspect", "-f", "{{.State.Running}}", "c").stdout.strip() == "true"
    docker("rm", "-f", "c")


def test_files_in_and_out(service: Service, busybox_image: str) -> None:
    docker = service.docker
    docker("run", "-d", "--name", "c", busybox_image, "sleep", "1000")
    place = service.rootless.place.work / "tree"
    (place / "sub").mkdir(parents=True)
    (place / "sub" / "file").write_text("text")
    (place / "link").symlink_to("sub/file")
    docker("cp", place, "c:/tmp/")
    assert docker("exec", "c", "cat", "/tmp/tree/link").out == b"text"
    docker("cp", "c:/tmp/tree/sub", service.rootless.place.work / "back")
    assert (service.rootless.place.work / "back" / "file").read_text() == "text"
    assert "c:/nosuch" in docker("cp", "c:/nosuch", ".", code=1).stderr
    assert docker("diff", "c").stdout.split("\n")[0] == "C /tmp"
    export = service.rootless.place.work / "export.tar"
    docker("export", "-o", export, "c")
    with tarfile.open(export) as archive:
        assert "tmp/tree/sub/file" in [one.removeprefix("./") for one in archive.getnames()]
    docker("rm", "-f", "c")


def test_images_and_volumes(service: Service, busybox_image: str) -> None:
    docker = service.docker
    docker("tag", busybox_image, "other:1")
    assert "other" in docker("images", "--format", "{{.Repository}}").stdout.split()
    assert docker("history", "-q", "other:1").stdout
    archive = service.rootless.place.work / "saved.tar"
    docker("save", "-o", archive, "other:1")
    docker("rmi", "other:1")
    assert "other:1" in docker("load", "-i", archive).stdout
    docker("volume", "create", "--label", "a=b", "v")
    docker("run", "--rm", "-v", "v:/data", "other:1", "touch", "/data/there")
    assert docker("run", "--rm", "-v", "v:/data", "other:1", "ls", "/data").out == b"there\n"
    assert json.loads(docker("volume", "inspect", "v").out)[0]["Labels"] == {"a": "b"}
    docker("create", "--name", "c", "-v", "v:/data", "other:1", "true")
    assert "in use" in docker("volume", "rm", "v", code=1).stderr
    docker("commit", "-m", "why", "c", "made:1")
    docker("rm", "c")
    docker("volume", "rm", "v")
    assert docker("system", "df").stdout.startswith("TYPE")
    assert "bridge" in docker("network", "ls", "--format", "{{.Name}}").stdout.split()
    docker("image", "prune", "-af")
    assert docker("images", "-q").out == b""


def test_a_build_by_the_classic_protocol(service: Service, busybox_image: str) -> None:
    context = service.rootless.place.work / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM {busybox_image}\nARG A=none\nRUN echo $A > /made\nCMD cat /made\n"
    )
    env = {"DOCKER_BUILDKIT": "0"}
    done = service.docker("build", "-t", "built", "--build-arg", "A=yes", context, env=env)
    assert "Successfully built" in done.stdout
    assert "Successfully tagged built:latest" in done.stdout
    assert service.docker("run", "--rm", "built").out == b"yes\n"
    (context / "Dockerfile").write_text(f"FROM {busybox_image}\nRUN exit 5\n")
    failed = service.docker("build", context, env=env, code=None)
    assert failed.code != 0 and "5" in failed.stderr


def test_events_tell_what_happened(service: Service, busybox_image: str) -> None:
    docker = service.docker
    # since the beginning: whoever asks later misses nothing
    follower = docker.start("events", "--since", "1", "--format", "{{.Action}}",
                            "--filter", "type=container", stdout=subprocess.PIPE)  # fmt: skip
    docker("run", "--rm", busybox_image, "true")
    assert follower.stdout is not None
    seen = [follower.stdout.readline().decode().strip()]
    while seen[-1] != "destroy":
        seen.append(follower.stdout.readline().decode().strip())
    assert [one for one in seen if one in ("create", "attach", "start", "die", "destroy")] == [
        "create", "attach", "start", "die", "destroy"
    ]  # fmt: skip


def test_the_socket_is_its_owners_alone(service: Service) -> None:
    status = os.stat(service.path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(service.path)).st_mode) == 0o700
    assert service.docker("version", "-f", "{{.Server.APIVersion}}").stdout.strip() == "1.51"


def test_nothing_of_the_service_gets_into_a_container(
    rootless: Command, busybox_image: str
) -> None:
    plain = rootless("run", "--rm", busybox_image, "sh", "-c", "ulimit -n; umask; env")
    rootless.place.env.update({"SECRET": "no", "TERM": "xterm-odd"})
    service = Service(rootless)
    try:
        script = "ulimit -n; umask; env"
        seen = service.docker("run", "--rm", busybox_image, "sh", "-c", script).stdout
        assert seen.split("\n")[:2] == plain.stdout.split("\n")[:2]
        assert "SECRET" not in seen and "xterm-odd" not in seen
        # a name alone is the client's variable for docker's client, and nothing of the service
        service.ask("POST", "/containers/create?name=c",
                    {"Image": busybox_image, "Cmd": ["env"], "Env": ["SECRET"]})  # fmt: skip
        assert "SECRET" not in service.docker("start", "-a", "c").stdout
        service.docker("rm", "c")
    finally:
        service.stop()


def test_killed_while_a_client_waits(service: Service, busybox_image: str) -> None:
    docker = service.docker
    client = docker.start("run", "--name", "c", busybox_image, "sh", "-c",
                          "echo up; sleep 1000", stdout=subprocess.PIPE)  # fmt: skip
    assert client.stdout is not None and client.stdout.readline() == b"up\n"
    service.process.kill()
    service.process.wait()
    assert client.wait(60) != 0
    # the container goes on without the service, and the next one finds it
    service.start()
    assert docker("ps", "--format", "{{.Names}}").stdout.strip() == "c"
    assert docker("exec", "c", "echo", "there").out == b"there\n"
    docker("rm", "-f", "c")


def test_it_ends_when_nobody_asks(rootless: Command) -> None:
    service = Service(rootless, "--time", "5")
    idle = service.connect()
    idle.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(1000).startswith(b"HTTP/1.1 200 OK")
    # a connection that is kept open asks for nothing
    assert service.process.wait(60) == 0
    assert not os.path.exists(service.path)
    idle.close()
    second = Service(rootless)
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(60) == 0


def test_a_container_with_the_socket_asks_the_service(
    service: Service, debian_image: str, everyone: str
) -> None:
    """As testcontainers' Ryuk and programs in CI do, whatever they call the socket."""
    script = (
        "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => '/var/run/docker.sock') "
        'or die "no: $!"; print $s "GET /_ping HTTP/1.0\\r\\n\\r\\n"; print <$s>;'
    )
    for source in (service.path, "/var/run/docker.sock"):
        words = ("run", "--rm", "--network", "none", "-v", f"{source}:/var/run/docker.sock")
        said = service.docker(*words, debian_image, "perl", "-e", script)
        assert said.stdout.startswith("HTTP/1.1 200 OK") and said.stdout.endswith("OK")
        if everyone == "single":
            continue  # all ids of a container are the user
        refused = service.docker(*words, "-u", "5", debian_image, "perl", "-e", script, code=None)
        assert refused.code != 0 or not refused.stdout
