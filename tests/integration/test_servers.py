"""Programs that serve a container's files: they come, go and die with it."""

from __future__ import annotations

import json
import os
import signal
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
    end = time.monotonic() + 20
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
    # killed by the monitor, or a moment earlier by SIGBUS, on a page of its own program
    assert rootless("wait", one).stdout in ("137\n", "135\n")
    log = (place.data / "containers" / one / "helpers.log").read_text()
    assert "a server of this container's files ended (signal 9)" in log
    # its files are whole, and it can be started again
    rootless("start", one)
    assert rootless("exec", one, "cat", "/etc/group").stdout.startswith("root:")
    rootless("rm", "-f", one)


def test_a_restart_policy_mends_it(
    rootless: Command, place: Place, running: Callable[..., str]
) -> None:
    one = running("--restart", "always")
    (pid,) = servers(place, one)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 30
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
    end = time.monotonic() + 20
    while not (seen := rootless("ps", "-a", "--format", "{{.Status}}").stdout).startswith("Exited"):
        assert time.monotonic() < end, seen
        time.sleep(0.05)
    assert seen.startswith("Exited (137)")
    rootless("rm", one)
