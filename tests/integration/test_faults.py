"""Bad luck: processes killed at any moment, many starts at once, what is left afterwards."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Command, Place, leftovers

pytestmark = pytest.mark.usefixtures("everyone")


def processes(rootless: Command, name: str) -> dict[str, int]:
    """Host pids by role: monitor, container, slirp4netns."""
    found = {}
    for row in rootless("explain", "--format", "json", name).json()["Processes"]:
        if row["Role"]:
            found[row["Role"]] = row["Pid"]
        elif "slirp4netns" in row["Command"]:
            found["slirp4netns"] = row["Pid"]
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text[text.rindex(")") + 2] in "ZX"


def wait_until_gone(*pids: int) -> None:
    """Wait for processes to end."""
    end = time.monotonic() + 60
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < end, f"still there: {[pid for pid in pids if not gone(pid)]}"
        time.sleep(0.02)


def wait_until_clean(rootless: Command, place: Place) -> None:
    """Until looking has removed everything that the killed ones left.

    What was killed between two system calls is told from what begins by its age, two seconds.
    """
    end = time.monotonic() + 60
    while rootless("ps", "-aq").stdout or leftovers(place):
        assert time.monotonic() < end, (rootless("ps", "-a").stdout, leftovers(place))
        time.sleep(0.2)


def test_the_command_is_killed_and_the_container_goes_on(
    rootless: Command, busybox_image: str
) -> None:
    front = rootless.start("run", "--name", "c", busybox_image, "sh", "-c",
                           "echo started; sleep 1000", stdout=subprocess.PIPE)  # fmt: skip
    assert front.stdout is not None
    assert front.stdout.readline() == b"started\n"
    front.kill()
    front.wait()
    assert rootless("inspect", "-f", "{{.State.Running}}", "c").stdout == "true\n"
    assert rootless("exec", "c", "echo", "alive").stdout == "alive\n"
    rootless("rm", "-f", "c")


def test_the_monitor_is_killed(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", busybox_image, "sleep", "1000")
    pids = processes(rootless, "c")
    os.kill(pids["monitor"], signal.SIGKILL)
    wait_until_gone(pids["monitor"], pids["container"])
    state = rootless("inspect", "c").json()[0]["State"]
    assert state["Status"] == "exited"
    assert state["ExitCode"] == 137
    assert "monitor" in rootless("ps", "-a", "--format", "{{.Status}}").stdout
    assert rootless("ps", "-q").stdout == ""
    rootless("start", "c")
    assert rootless("inspect", "-f", "{{.State.Running}}", "c").stdout == "true\n"
    pids = processes(rootless, "c")
    os.kill(pids["monitor"], signal.SIGKILL)
    rootless("rm", "-f", "c")
    wait_until_gone(*pids.values())


def test_the_network_program_is_killed(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", busybox_image, "sleep", "1000")
    pids = processes(rootless, "c")
    os.kill(pids["slirp4netns"], signal.SIGKILL)
    time.sleep(0.1)
    assert rootless("ps", "--format", "{{.State}}").stdout == "running\n"
    rootless("rm", "-f", "c")
    wait_until_gone(*pids.values())


def test_all_are_killed_at_once(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--rm", "--name", "c", busybox_image, "sleep", "1000")
    pids = processes(rootless, "c")
    for pid in pids.values():
        # the death of one may have been the end of another already
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until_gone(*pids.values())
    assert "running" not in rootless("ps", "-a", "--format", "{{.State}}").stdout
    rootless("rm", "-f", "c")
    assert rootless("ps", "-aq").stdout == ""


def test_a_command_killed_at_any_moment_leaves_nothing_behind_for_good(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    choice = random.Random(7)
    for number in range(12):
        front = rootless.start("run", "--rm", "--name", f"k{number}", busybox_image, "sleep", "0.1",
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(choice.uniform(0, 0.09))
        front.kill()
        front.wait()
    end = time.monotonic() + 60
    while rootless("ps", "-q").stdout:
        assert time.monotonic() < end
        time.sleep(0.1)
    # the names are free, whatever became of their first owners
    for number in range(12):
        rootless("run", "--rm", "--replace", "--name", f"k{number}", "--network", "none",
                 busybox_image, "true")  # fmt: skip
    wait_until_clean(rootless, place)


@pytest.mark.slow
def test_fifty_at_once_on_one_image(rootless: Command, busybox_image: str, place: Place) -> None:
    count = 50
    choice = random.Random(11)
    started = [
        rootless.start(
            "run",
            "--rm",
            "--network",
            "none",
            busybox_image,
            "sh",
            "-c",
            f"echo {number}; hostname",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        for number in range(count)
    ]
    victims = set(choice.sample(range(count), 10))
    time.sleep(0.3)
    for number in victims:
        started[number].kill()
    hosts = []
    for number, process in enumerate(started):
        out, err = process.communicate(timeout=200)
        if number in victims:
            continue
        assert process.returncode == 0, err.decode()
        lines = out.decode().split()
        assert lines[0] == str(number)
        hosts.append(lines[1])
    assert len(set(hosts)) == count - len(victims)
    wait_until_clean(rootless, place)


@pytest.mark.slow
def test_many_want_one_name(rootless: Command, busybox_image: str) -> None:
    started = [
        rootless.start(
            "create",
            "--name",
            "wanted",
            busybox_image,
            "true",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        for _ in range(12)
    ]
    codes = []
    for process in started:
        _, err = process.communicate(timeout=100)
        codes.append(process.returncode)
        if process.returncode:
            assert b"already in use" in err
    assert sorted(codes) == [0] + [125] * 11
    assert len(rootless("ps", "-aq").stdout.split()) == 1


def test_two_hundred_containers_share_the_layers(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    rootless("create", "--name", "first", busybox_image, "true")

    def size(path: Path) -> int:
        return sum(one.stat().st_blocks for one in path.rglob("*") if not one.is_symlink())

    layers = size(place.data / "layers")
    for _ in range(5):
        rootless("create", busybox_image, "true")
    assert size(place.data / "layers") == layers
    assert size(place.data / "containers") < layers


def test_an_interrupted_run_ends_at_once(rootless: Command, busybox_image: str) -> None:
    front = rootless.start("run", "--rm", "--name", "c", busybox_image, "sh", "-c",
                           "trap 'exit 130' INT; echo started; while :; do sleep 0.05; done",
                           stdout=subprocess.PIPE)  # fmt: skip
    assert front.stdout is not None
    assert front.stdout.readline() == b"started\n"
    front.send_signal(signal.SIGINT)
    assert front.wait(60) == 130


def test_a_full_disk_is_told(rootless: Command, busybox_tar: Path, place: Place) -> None:
    # a file system of one megabyte, mounted where only this command sees it
    small = place.work / "small"
    small.mkdir()
    script = (
        f"mount -t tmpfs -o size=1m,mode=711 none {small} && "
        f'exec "$@" --root {small}/data import {busybox_tar} busybox'
    )
    words = [*rootless.words]
    found = rootless("unshare", "sh", "-c", script, "sh", *words, code=125)
    assert "error: " in found.stderr
    assert "space" in found.stderr
