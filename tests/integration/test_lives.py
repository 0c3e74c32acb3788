"""Random lives of containers against a model, and the same lives led by podman (see lives.py)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from lives import Life, lives
from lives_bad_luck import FullDiskLife, OurLife
from lives_model import Tool, image_tar
from weaken import Change, launcher, program


def bounded(examples: int, steps: int, known: bool = True) -> settings:
    """`known`: the same lives each time, so that a run fails for a change and not by chance."""
    phases = [Phase.explicit, Phase.generate] if known else list(Phase)
    return settings(
        max_examples=examples, stateful_step_count=steps, derandomize=known, phases=phases,
        database=None, deadline=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@pytest.fixture(scope="session")
def life_tar(scratch: Path, busybox_tar: Path) -> Path:
    """The image of all lives."""
    return image_tar(scratch / "life.tar", busybox_tar)


@pytest.fixture
def ours(rootless: Command, life_tar: Path) -> Tool:
    """Our own engine, with the image."""
    rootless("import", "-q", life_tar, "life")
    return Tool("rootless", rootless.words, rootless.place.env, ["--network", "none"])


# root of the user's namespace, with cgroups that podman takes and nothing of the host's to write to
WORLD = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
for place in /run /var/cache /var/lib /dev/shm; do mount -t tmpfs none $place || exit 1; done
echo $$
exec sleep 100000
"""


@pytest.fixture
def podman(rootless: Command, life_tar: Path) -> Iterator[Tool]:
    """podman in namespaces of its own, with a store of this test, and the image."""
    words = ["unshare", "unshare", "--mount", "--cgroup", "sh", "-c", WORLD]
    world = rootless.start(*words, stdout=subprocess.PIPE)
    assert world.stdout is not None
    pid = world.stdout.readline().decode().strip()
    assert pid.isdigit()
    enter = ["nsenter", "-t", pid, "-U", "-m", "-C", "-S", "0", "-G", "0", "--", "podman"]
    options = ["--root", str(rootless.place.base / "podman"), "--runroot", "/run/podman",
               "--cgroup-manager", "cgroupfs", "--events-backend", "file"]  # fmt: skip
    # podman's own devpts names the group 5; what it may not do with cgroups it is not to try
    create = ["--network", "none", "--cgroups", "disabled", "--log-driver", "k8s-file"]
    env = {**rootless.place.env, "XDG_RUNTIME_DIR": "/run"}
    tool = Tool("podman", [*enter, *options], env, create)
    tool.text("import", "-q", str(life_tar), "life")
    yield tool
    tool.clear()


SMALL_DISK = """
mount -t tmpfs -o size=64m,mode=711 none "$SMALL" || exit 1
echo $$
exec sleep 100000
"""


class SmallDisk:
    """Our own engine on a file system of 64 MiB, as root of a namespace who may mount one."""

    def __init__(self, rootless: Command, tar: Path) -> None:
        small = rootless.place.work / "small"
        small.mkdir()
        words = ["unshare", "unshare", "--mount", "sh", "-c", SMALL_DISK]
        world = rootless.start(*words, stdout=subprocess.PIPE, env={"SMALL": str(small)})
        assert world.stdout is not None
        pid = world.stdout.readline().decode().strip()
        assert pid.isdigit()
        self.disk = Path(f"/proc/{pid}/root{small}")
        self.data = self.disk / "data"
        enter = ["nsenter", "-t", pid, "-U", "-m", "-S", "0", "-G", "0", "--", *rootless.words]
        env = {**rootless.place.env, "ROOTLESS_DATA_DIR": f"{small}/data"}
        self.tool = Tool("rootless", enter, env, ["--network", "none"])
        self.tool.text("import", "-q", str(tar), "life")


def test_lives(ours: Tool, place: Place) -> None:
    made = lives(OurLife, [ours], place.data, place.runtime)
    run_state_machine_as_test(made, settings=bounded(8, 16))


def test_lives_on_a_full_disk(rootless: Command, place: Place, life_tar: Path) -> None:
    small = SmallDisk(rootless, life_tar)
    made = lives(FullDiskLife, [small.tool], small.data, place.runtime, small.disk)
    run_state_machine_as_test(made, settings=bounded(6, 12))
    small.tool.clear()


def test_lives_beside_podman(ours: Tool, podman: Tool) -> None:
    made = lives(Life, [ours, podman])
    run_state_machine_as_test(made, settings=bounded(2, 12))


COPY_AT_EVERY_START = (
    Change(
        "helpers/launch/copy_up.c",
        'if (failed || (memcmp(word, "todo", WORD) != 0 && memcmp(word, "half", WORD) != 0)) {',
        "if (failed) {",
    ),
    Change(
        "helpers/launch/copy_up.c",
        'if (!half && memcmp(word, "todo", WORD) != 0)\n        return 0;',
        "half = 1;",
    ),
)


@pytest.mark.long
def test_lives_find_what_was_once_wrong(rootless: Command, ours: Tool, scratch: Path) -> None:
    """With the copying into a volume done at every start, as it was, a life soon shows it."""
    ours.words = launcher(program(scratch, COPY_AT_EVERY_START), "rootless.cli.main")
    # without kills at random moments: what fails once fails again
    made = lives(Life, [ours])
    with pytest.raises(AssertionError, match="/data is "):
        run_state_machine_as_test(made, settings=bounded(20, 16))
    ours.clear()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_lives(ours: Tool, place: Place) -> None:
    made = lives(OurLife, [ours], place.data, place.runtime)
    run_state_machine_as_test(made, settings=bounded(100, 40, known=False))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_lives_on_a_full_disk(rootless: Command, place: Place, life_tar: Path) -> None:
    small = SmallDisk(rootless, life_tar)
    made = lives(FullDiskLife, [small.tool], small.data, place.runtime, small.disk)
    run_state_machine_as_test(made, settings=bounded(50, 30, known=False))
    small.tool.clear()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_lives_beside_podman(ours: Tool, podman: Tool) -> None:
    made = lives(Life, [ours, podman])
    run_state_machine_as_test(made, settings=bounded(40, 30, known=False))
