"""Whom a signal reaches, and what a killed command leaves: a pid that was written down may be
somebody else's by now, and a process that nobody wrote down must not stay."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Place, _processes
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)
from weaken import Change, Variant, variant  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("everyone")


def rewrite(runtime: Runtime, name: str, **fields: Any) -> None:  # noqa: F811
    """The state of a container, as if it had been written down at another time."""
    path = runtime.root / name / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_pid_that_is_another_containers_by_now(runtime: Runtime) -> None:  # noqa: F811
    runtime.create("other", "sleep", "1000")
    runtime("start", "other")
    other = json.loads((runtime.root / "other/state.json").read_text())
    runtime.create("ended", "true")
    runtime("start", "ended")
    runtime.wait("ended", "stopped")
    # of this boot the start time tells, of another boot neither
    same = {name: other[name] for name in ("pid", "pidStart")}
    for told in ({"pid": other["pid"]}, {**same, "boot": "another"}):
        rewrite(runtime, "ended", **told)
        assert runtime.state("ended")["status"] == "stopped"
        runtime("kill", "--all", "ended", "KILL")
        assert "stopped" in runtime("kill", "ended", "KILL", code=1).stderr
        assert "stopped" in runtime("exec", "ended", "true", code=1).stderr
        assert runtime.state("other")["status"] == "running"
    runtime("delete", "--force", "ended")
    assert runtime.state("other")["status"] == "running"
    # and all of a container that is in another's pid namespace are not all that are there
    for kind in ("pid", "user"):
        for one in runtime.config["linux"]["namespaces"]:
            if one["type"] == kind:
                one["path"] = f"/proc/{other['pid']}/ns/{kind}"
    for name in ("uidMappings", "gidMappings"):
        runtime.config["linux"].pop(name)
    runtime.create("joined", "sleep", "1000")
    runtime("start", "joined")
    runtime("kill", "--all", "joined", "KILL")
    runtime.wait("joined", "stopped")
    assert runtime.state("other")["status"] == "running"


def nobody(place: Place) -> None:
    """Until no process has to do with this test's place."""
    end = time.monotonic() + 10
    while left := list(_processes(place)):
        assert time.monotonic() < end, left
        time.sleep(0.02)


class Hung:
    """A command whose createContainer hook waits until it is let go."""

    def __init__(self, runtime: Runtime, verb: str) -> None:  # noqa: F811
        self.fifo = runtime.bundle / "fifo"
        os.mkfifo(self.fifo)
        # for both, so that what is written waits for a reader
        self.word = os.open(self.fifo, os.O_RDWR)
        reached = runtime.bundle / "reached"
        script = f"echo >{reached}; read word <{self.fifo}"
        hook = {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}
        runtime.config["hooks"] = {"createContainer": [hook]}
        runtime.config["process"]["args"] = ["sleep", "1000"]
        runtime.write()
        self.process = runtime.command.start(
            "--root", runtime.root, verb, "-b", runtime.bundle, "k"
        )
        while not reached.exists():
            time.sleep(0.01)

    def go(self) -> None:
        """Let the hook end, if it is there, also if it has not come to reading yet."""
        os.write(self.word, b"go\n")


@pytest.mark.parametrize(
    ("verb", "number"),
    [("create", signal.SIGTERM), ("create", signal.SIGKILL), ("run", signal.SIGKILL)],
)
def test_a_command_that_is_ended_leaves_no_process(
    runtime: Runtime,  # noqa: F811
    place: Place,
    verb: str,
    number: int,
) -> None:
    """What it has made ends by itself, although nobody has written down where it is."""
    hung = Hung(runtime, verb)
    hung.process.send_signal(number)
    code = hung.process.wait(20)
    hung.go()
    nobody(place)
    if number == signal.SIGTERM:
        assert code == 143
        assert not (runtime.root / "k").exists()
    else:
        assert runtime.state("k")["status"] == "creating"
        runtime("delete", "k")


def test_a_container_that_is_being_created_is_not_deleted(
    runtime: Runtime,  # noqa: F811
    place: Place,
) -> None:
    """Only by force, which ends the command that is at work on it."""
    hung = Hung(runtime, "create")
    assert 'container "k" is being created' in runtime("delete", "k", code=1).stderr
    assert runtime.state("k")["status"] == "creating"
    runtime("delete", "--force", "k")
    assert hung.process.wait(20) == -signal.SIGKILL
    hung.go()
    nobody(place)


def test_killed_at_any_moment(runtime: Runtime, place: Place, tmp_path: Path) -> None:  # noqa: F811
    """Afterwards the state tells the truth, and `delete --force` leaves nothing."""
    runtime.config["process"]["args"] = ["sleep", "1000"]
    runtime.write()
    words = ("--root", runtime.root, "create", "-b", runtime.bundle, "k")
    with open(tmp_path / "output", "wb") as output:
        for turn in range(12):
            process = runtime.command.start(*words, stdout=output, stderr=output)
            # each a little later than the one before: no moment is meant
            time.sleep(0.008 * turn)
            process.kill()
            process.wait(20)
            found = runtime("state", "k", code=None)
            if found.code == 0 and found.json()["status"] == "created":
                assert runtime("start", "k").code == 0
            runtime("delete", "--force", "k")
            nobody(place)


def test_a_helper_that_is_killed_takes_its_process_along(
    variant: Variant,  # noqa: F811
    place: Place,
) -> None:
    """Before its pid is written down, and afterwards, when `run` removes the container."""
    early = Change(
        "helpers/programs/create.c", "    tell('R', &pid, 4);\n", "    kill(getpid(), SIGKILL);\n"
    )
    runtime = variant(early)  # noqa: F811
    runtime.config["process"]["args"] = ["sleep", "1000"]
    runtime.write()
    for words in ((), ("--detach",)):
        runtime("run", *words, "-b", runtime.bundle, "k", code=1)
        nobody(place)
    words = ("--root", str(runtime.root), "run", "-b", str(runtime.bundle), "k")
    process = variant().command.start(*words)
    while runtime("state", "k", code=None).code:
        assert process.poll() is None
        time.sleep(0.02)
    runtime.wait("k", "running")
    helper = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(helper), signal.SIGKILL)
    assert process.wait(20) == 137
    nobody(place)
    assert runtime("list", "-q").stdout == ""
