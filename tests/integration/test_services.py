"""Containers as services, without systemd: sd_notify, the watchdog, sockets, the monitor's end.

The test plays systemd: it listens at NOTIFY_SOCKET and passes listening sockets from descriptor 3
on, as sd_notify(3) and sd_listen_fds(3) say.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command

# A service by the manual pages: `say TEXT` tells systemd, `accept` serves descriptor 3.
PROGRAM = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    if (argc == 3) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        const char *path = getenv("NOTIFY_SOCKET");
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        strncpy(to.sun_path, path ? path : "", sizeof to.sun_path - 1);
        return sendto(fd, argv[2], strlen(argv[2]), 0, (void *)&to, sizeof to) < 0;
    }
    for (;;) {
        int fd = accept(3, NULL, NULL);
        if (fd < 0 || write(fd, "hello from inside\n", 18) != 18)
            return 1;
        close(fd);
    }
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """It, static, so that it runs in any root file system."""
    directory = tmp_path_factory.mktemp("service")
    for one in (directory, directory.parent):
        one.chmod(0o755)
    (directory / "service.c").write_text(PROGRAM)
    subprocess.run(
        ["cc", "-static", "-o", directory / "service", directory / "service.c"], check=True
    )
    yield directory / "service"


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: str) -> None:
        self.address = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.env = {"NOTIFY_SOCKET": path}

    def hear(self, seconds: float = 60) -> dict[str, str]:
        """The next message as a table; empty when none comes."""
        self.socket.settimeout(seconds)
        try:
            text = self.socket.recv(8192).decode()
        except TimeoutError:
            return {}
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture
def systemd(rootless: Command) -> Iterator[Systemd]:
    """It listens in the test's own directory."""
    listener = Systemd(f"{rootless.place.env['XDG_RUNTIME_DIR']}/n")
    yield listener
    listener.socket.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(listener.address)


def until(what: str, condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def monitor_of(rootless: Command, name: str) -> int:
    """The pid of the monitor, from the file that it writes."""
    identifier = rootless("inspect", "--format", "{{.Id}}", name).stdout.strip()
    state = rootless.place.data / "containers" / identifier / "state"
    return int(json.loads(state.read_text())["monitor"])


def test_ready_as_soon_as_it_runs(
    rootless: Command, busybox_image: str, systemd: Systemd, tmp_path: Path
) -> None:
    pid_file = rootless.place.work / "monitor.pid"
    rootless(
        "run", "-d", "--name", "web", "--sdnotify", "conmon", "--conmon-pidfile", pid_file,
        busybox_image, "sleep", "1000", env=systemd.env,
    )  # fmt: skip
    told = systemd.hear()
    monitor = monitor_of(rootless, "web")
    assert told == {"MAINPID": str(monitor), "READY": "1"}
    assert pid_file.read_text() == f"{monitor}\n"
    # nothing of it is the container's business
    assert "NOTIFY" not in rootless("exec", "web", "env").stdout
    rootless("rm", "-f", "web")
    # at its next start as well
    rootless("create", "--name", "two", "--sdnotify", "conmon", busybox_image, "sleep", "1000")
    assert systemd.hear(0.2) == {}
    rootless("start", "two", env=systemd.env)
    assert systemd.hear() == {"MAINPID": str(monitor_of(rootless, "two")), "READY": "1"}
    rootless("rm", "-f", "two")


def test_the_container_tells_by_itself(
    rootless: Command, busybox_image: str, systemd: Systemd, program: Path
) -> None:
    # `container` is the default where there is a socket, as podman's
    message = r"READY=1\nMAINPID=1\nSTATUS=serving\nFDSTORE=1\nFDNAME=x\nNOTIFYACCESS=all"
    script = (
        "echo $NOTIFY_SOCKET $WATCHDOG_USEC $WATCHDOG_PID; id -u;"
        f'/service say "$(printf "{message}")"; /service say WATCHDOG=1; exec sleep 1000'
    )
    env = {**systemd.env, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}
    # as another user inside: it may write there too
    run = ["run", "-d", "--name", "web", "--user", "5", "-v", f"{program}:/service"]
    rootless(*run, busybox_image, "sh", "-c", script, env=env)
    heard = [systemd.hear() for _ in range(3)]
    # ours may come later than the container's first
    main = heard.pop(next(at for at, one in enumerate(heard) if "MAINPID" in one))
    assert main == {"MAINPID": str(monitor_of(rootless, "web"))}
    # the pid means nothing outside, descriptors stay here, and nobody else may speak
    assert heard == [{"READY": "1", "STATUS": "serving"}, {"WATCHDOG": "1"}]
    assert rootless("logs", "web").stdout == "/run/notify/notify.sock 3000000\n5\n"
    assert systemd.hear(0.3) == {}
    rootless("rm", "-f", "web")


def test_an_abstract_socket_and_a_foreground_run(
    rootless: Command, busybox_image: str, program: Path
) -> None:
    other = Systemd(f"@rootless-test-{os.getpid()}")
    try:
        script = "/service say READY=1; sleep 0.2; exit 7"
        run = ["run", "--rm", "-v", f"{program}:/service", busybox_image]
        rootless(*run, "sh", "-c", script, env=other.env, code=7)
        # whoever stays is the service's main process already
        assert other.hear() == {"READY": "1"}
    finally:
        other.socket.close()


def test_the_monitor_answers_the_watchdog(
    rootless: Command, busybox_image: str, systemd: Systemd
) -> None:
    rootless(
        "run", "-d", "--name", "web", "--sdnotify", "conmon", busybox_image, "sleep", "1000",
        env={**systemd.env, "WATCHDOG_USEC": "200000"},
    )  # fmt: skip
    heard = [systemd.hear() for _ in range(4)]
    assert heard.count({"WATCHDOG": "1"}) >= 3
    pid = monitor_of(rootless, "web")
    os.kill(pid, signal.SIGSTOP)
    while systemd.hear(0.5):
        pass
    assert systemd.hear(1) == {}, "a monitor that hangs says nothing"
    os.kill(pid, signal.SIGCONT)
    assert systemd.hear() == {"WATCHDOG": "1"}
    rootless("rm", "-f", "web")


def test_ready_when_healthy(rootless: Command, busybox_image: str, systemd: Systemd) -> None:
    gate = rootless.place.work / "gate"
    run = ["run", "-d", "--name", "web", "--sdnotify", "healthy"]
    found = rootless(*run, busybox_image, "sleep", "9", env=systemd.env, code=125)
    assert "--sdnotify healthy has no health check to wait for" in found.stderr
    gate.mkdir()
    check = ["--health-cmd", "test -e /gate/open", "--health-interval", "200ms"]
    volume = ["-v", f"{gate}:/gate"]
    process = rootless.start(
        *run, *check, *volume, busybox_image, "sleep", "1000", env=systemd.env,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert systemd.hear() == {"MAINPID": str(monitor_of(rootless, "web"))}
    assert systemd.hear(0.5) == {}
    (gate / "open").touch()
    assert systemd.hear() == {"READY": "1"}
    assert process.wait(60) == 0
    rootless("rm", "-f", "web")
    # it ends before it is healthy: no service, and nothing left behind
    (gate / "open").unlink()
    found = rootless(
        *run, *check, *volume, busybox_image, "sh", "-c", "sleep 0.3; exit 4", env=systemd.env,
        code=125,
    )  # fmt: skip
    assert "ended with status 4 before it was healthy" in found.stderr
    assert rootless("ps", "-aq").stdout == ""


def test_bad_words(rootless: Command, busybox_image: str, systemd: Systemd) -> None:
    run = ["run", "--rm", "--name", "x"]
    found = rootless(*run, "--sdnotify", "perhaps", busybox_image, "true", code=125)
    assert 'unknown --sdnotify "perhaps"' in found.stderr
    assert "healthy" in found.stderr
    found = rootless(*run, "--preserve-fds", "2", busybox_image, "true", code=125)
    assert "--preserve-fds 2: descriptor 3 is not open" in found.stderr
    found = rootless(*run, "--preserve-fds", "5000", busybox_image, "true", code=125)
    assert "5000 is not between" in found.stderr
    # systemd is gone: an error, and nothing left behind
    found = rootless(
        *run, "-d", "--sdnotify", "conmon", busybox_image, "sleep", "100",
        env={"NOTIFY_SOCKET": "/nonexistent/socket"}, code=125,
    )  # fmt: skip
    assert "/nonexistent/socket of NOTIFY_SOCKET does not answer" in found.stderr
    assert rootless("ps", "-aq").stdout == ""


def activated(rootless: Command, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command as systemd does for a socket unit: (process, port)."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)

    def prepare() -> None:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        os.environ["LISTEN_PID"] = str(os.getpid())

    # the pid is known to the child alone, so a shell writes it
    shell = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *rootless.words, *words]
    process = subprocess.Popen(
        shell,
        preexec_fn=prepare,
        close_fds=False,
        env={**rootless.place.env, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"},
        cwd=rootless.place.work,
        stdout=subprocess.PIPE,
    )
    port = int(listener.getsockname()[1])
    listener.close()
    return process, port


@pytest.mark.parametrize("more", [[], ["--init"]], ids=["first", "init"])
def test_a_socket_of_systemd_answers_without_a_network(
    rootless: Command, busybox_image: str, program: Path, more: list[str]
) -> None:
    server = "env | sed -n 's/^LISTEN_//p' | sort; echo me=$$; exec /service accept"
    process, port = activated(
        rootless, "run", "-d", "--name", "web", "--network", "none", *more,
        "-v", f"{program}:/service", busybox_image, "sh", "-c", server,
    )  # fmt: skip
    assert process.wait(60) == 0
    assert process.stdout is not None
    process.stdout.close()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        assert client.recv(100) == b"hello from inside\n"
    until("output", lambda: "me=" in rootless("logs", "web").stdout)
    number = "2" if more else "1"
    assert rootless("logs", "web").stdout.splitlines() == [
        "FDNAMES=web", "FDS=1", f"PID={number}", f"me={number}",
    ]  # fmt: skip
    # it answers after a restart by its policy as well: the monitor keeps the socket
    rootless("update", "--restart", "always", "web")
    before = rootless("inspect", "--format", "{{.State.StartedAt}}", "web").stdout
    os.kill(int(rootless("inspect", "--format", "{{.State.Pid}}", "web").stdout), signal.SIGKILL)
    until(
        "a new start",
        lambda: rootless("inspect", "--format", "{{.State.StartedAt}}", "web").stdout != before,
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        assert client.recv(100) == b"hello from inside\n"
    # a start by hand has no sockets to give
    rootless("stop", "-t", "0", "web")
    found = rootless("start", "web", code=125)
    assert "wants 1 descriptors, and descriptor 3 is not open" in found.stderr
    rootless("rm", "-f", "web")


def test_descriptors_of_the_shell(rootless: Command, busybox_image: str) -> None:
    file = rootless.place.work / "data"
    file.write_text("from a file\n")
    words = [*rootless.words, "run", "--rm", "--preserve-fds", "2", busybox_image, "sh", "-c",
             "cat <&3; echo written >&4; ls /proc/self/fd | tr '\\n' ' '"]  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 3<data 4>out 5</etc/passwd', "sh", *words],
        env=rootless.place.env, cwd=rootless.place.work, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # 5 is not the container's; the last number is ls's own
    assert (done.stdout, done.stderr) == ("from a file\n0 1 2 3 4 5 ", "")
    assert (rootless.place.work / "out").read_text() == "written\n"


def test_the_monitor_is_told_to_end(rootless: Command, busybox_image: str) -> None:
    """What systemd does to a scope at logout: the container is stopped, and stays declared."""
    script = "trap 'echo got it; exit 3' INT; echo up; while :; do sleep 0.1; done"
    rootless(
        "run", "-d", "--name", "web", "--restart", "always", "--stop-signal", "INT",
        busybox_image, "sh", "-c", script,
    )  # fmt: skip
    until("output", lambda: rootless("logs", "web").stdout)
    pid = monitor_of(rootless, "web")
    os.kill(pid, signal.SIGTERM)
    until("the end", lambda: not os.path.exists(f"/proc/{pid}"))
    assert rootless("logs", "web").stdout == "up\ngot it\n"
    state = rootless("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web")
    assert state.stdout == "exited 3\n"
    rootless("rm", "web")
    # one that does not listen is killed after its time
    rootless("run", "-d", "--name", "deaf", "--stop-timeout", "1", busybox_image, "sleep", "1000")
    pid = monitor_of(rootless, "deaf")
    os.kill(pid, signal.SIGTERM)
    until("the end", lambda: not os.path.exists(f"/proc/{pid}"))
    state = rootless("inspect", "--format", "{{.State.ExitCode}}", "deaf")
    assert state.stdout == "137\n"
    rootless("rm", "deaf")


def test_a_watchdog_ends_it(rootless: Command, busybox_image: str) -> None:
    """SIGABRT, as systemd sends it when nothing was heard for too long."""
    words = ["--stop-timeout", "1000", "--network", "none", busybox_image, "sh", "-c"]
    script = "trap 'echo a trace; exit 6' ABRT; echo up; while :; do sleep 0.1; done"
    for name, command, code, output in (
        ("traces", script, 6, "up\na trace\n"),
        # the kernel hides the signal from a first process that does nothing about it
        ("deaf", "echo up; exec sleep 1000", 137, "up\n"),
    ):
        rootless("run", "-d", "--name", name, "--restart", "always", *words, command)
        until("output", lambda name=name: rootless("logs", name).stdout)
        pid = monitor_of(rootless, name)
        os.kill(pid, signal.SIGABRT)
        until("the end", lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
        assert rootless("logs", name).stdout == output
        state = rootless("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name)
        assert state.stdout == f"exited {code}\n"
        rootless("rm", name)


def test_a_creation_that_fails_leaves_no_sockets(rootless: Command, busybox_image: str) -> None:
    """The limit is looked at when the directory of the socket is there already."""
    found = rootless(
        "create", "--sdnotify", "container", "--memory", "1x", busybox_image, "true", code=125
    )
    assert "1x" in found.stderr
    # the fixture `place` looks into the runtime directory
