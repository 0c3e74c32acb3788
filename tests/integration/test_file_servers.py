"""Programs that serve a container's files: they come, go and die with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

FUSE = ("fuse-overlayfs", "python-fuse")


@pytest.fixture(params=FUSE)
def running(
    request: pytest.FixtureRequest, rootless: Command, busybox_image: str
) -> Callable[..., str]:
    """Starts a container whose files a program serves; its id."""

    def start(*words: str) -> str:
        return rootless(
            "--storage-driver", request.param, "run", "-d", "--network", "none", *words,
            busybox_image, "sleep", "100",
        ).stdout.strip()  # fmt: skip

    return start


def told(place: Place, identifier: str) -> dict[str, object]:
    """What the monitor wrote."""
    found: dict[str, object] = json.loads(
        (place.data / "containers" / identifier / "state").read_text()
    )
    return found


def servers(place: Place, identifier: str) -> list[int]:
    """Process ids of the servers."""
    found = told(place, identifier)["servers"]
    assert isinstance(found, list)
    return found


def gone(pid: int) -> bool:
    """Whether a process ends within a while."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_server_lives_as_long_as_its_container(
    rootless: Command, place: Place, running: Callable[..., str]
) -> None:
    one = running()
    (pid,) = servers(place, one)
    assert rootless("exec", one, "cat", "/etc/group").stdout.startswith("root:")
    assert not gone_now(pid)
    rootless("stop", "-t", "0", one)
    assert gone(pid)
    rootless("start", one)
    (again,) = servers(place, one)
    assert again != pid
    rootless("rm", "-f", one)
    assert gone(again)


def gone_now(pid: int) -> bool:
    """Whether there is no such process."""
    return not os.path.exists(f"/proc/{pid}")


def test_a_killed_server_ends_the_container_and_leaves_nothing(
    rootless: Command, place: Place, running: Callable[..., str]
) -> None:
    one = running()
    (pid,) = servers(place, one)
    os.kill(pid, signal.SIGKILL)
    assert rootless("wait", one).stdout == "137\n"
    state = rootless("inspect", one).json()[0]["State"]
    assert state["ExitCode"] == 137 and not state["OOMKilled"]
    assert "the program that serves this container's files ended" in state["Error"]
    log = (place.data / "containers" / one / "helpers.log").read_text()
    assert "a server of this container's files ended (signal 9)" in log
    # its files are whole, and it can be started again
    rootless("start", one)
    assert rootless("exec", one, "cat", "/etc/group").stdout.startswith("root:")
    assert rootless("inspect", one).json()[0]["State"]["Error"] == ""
    rootless("rm", "-f", one)


@pytest.mark.parametrize(
    "script",
    [
        "while true; do cat /bin/busybox >/dev/null; done",  # pages of its own program: SIGBUS
        "while /bin/true; do :; done; exit 3",  # what it calls is not found: a status of its own
        "while test -e /etc/group; do :; done; exit 0",  # a file that is not there any more
    ],
)
def test_the_end_is_the_same_whatever_the_program_makes_of_it(
    rootless: Command, place: Place, busybox_image: str, script: str
) -> None:
    """The kernel may have told the program of its lost files before the monitor killed it."""
    run = rootless.start(
        "--storage-driver", "fuse-overlayfs", "run", "--name", "c", "--network", "none",
        busybox_image, "sh", "-c", script, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 60
    while rootless("ps", "-q", "--filter", "name=c").stdout == "":
        assert time.monotonic() < end and run.poll() is None
        time.sleep(0.02)
    one = rootless("inspect", "-f", "{{.Id}}", "c").stdout.strip()
    for number in range(6):
        (pid,) = servers(place, one)
        os.kill(pid, signal.SIGKILL)
        assert rootless("wait", one).stdout == "137\n"
        if not number:
            said = run.communicate(timeout=100)[1].decode()
            assert run.returncode == 137
            assert "error: the program that serves this container's files ended" in said
        rootless("start", one)
    rootless("rm", "-f", one)


def test_a_restart_policy_mends_it(
    rootless: Command, place: Place, running: Callable[..., str]
) -> None:
    one = running("--restart", "always")
    (pid,) = servers(place, one)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = told(place, one)
        if found["restarts"] == 1 and found["status"] == "running":
            break
        time.sleep(0.05)
    assert rootless("exec", one, "cat", "/etc/group").stdout.startswith("root:")
    assert servers(place, one) != [pid]


def test_a_killed_monitor_takes_its_servers_with_it(
    rootless: Command, place: Place, running: Callable[..., str]
) -> None:
    one = running()
    (pid,) = servers(place, one)
    monitor = told(place, one)["monitor"]
    assert isinstance(monitor, int)
    os.kill(monitor, signal.SIGKILL)
    assert gone(pid)
    # the container's own process is killed by the kernel as well, which takes its moment
    end = time.monotonic() + 60
    while not (seen := rootless("ps", "-a", "--format", "{{.Status}}").stdout).startswith("Exited"):
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    assert seen.startswith("Exited (137)")
    rootless("rm", one)
