"""Commands that find a container between two lives, which its policy gives it."""

from __future__ import annotations

import subprocess

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("everyone")
# so short a life that a command comes between two of them as often as into one
RUN = ["run", "-d", "--network", "none", "--restart", "always"]
LIFE = ["sh", "-c", "usleep 20000; exit 3"]


def test_it_stays_ended_when_that_is_asked_for(rootless: Command, busybox_image: str) -> None:
    for round in range(4):
        rootless(*RUN, "--name", "c", busybox_image, *LIFE)
        rootless("stop", "c")
        state = rootless("inspect", "--format", "{{json .State}}", "c").json()
        assert (state["Status"], state["Running"], state["Restarting"]) == ("exited", False, False)
        # one life more, begun by hand, has its own sockets whatever the last one still removes
        rootless("restart", "-t", "0", "c")
        rootless("exec", "c", "true", code=None)
        if round % 2:
            rootless("kill", "c", code=None)
            rootless("wait", "--condition", "exited", "c")
            rootless("rm", "c")
        else:
            rootless("rm", "-f", "c")
        assert rootless("ps", "-aq").stdout == ""


def test_a_start_right_after_the_end_can_be_attached_to(
    rootless: Command, busybox_image: str
) -> None:
    rootless("create", "--name", "c", "-i", "--network", "none", busybox_image, "cat")
    for _ in range(6):
        rootless("start", "c")
        found = rootless("attach", "c", input="hello\n")
        assert found.stdout == "hello\n"
    rootless("rm", "-f", "c")


def test_a_life_that_the_policy_gave_is_as_good_as_the_first(
    rootless: Command, busybox_image: str
) -> None:
    lives = ["sh", "-c", "mkdir /tmp/ended && exit 3; echo again; exec sleep 1000"]
    rootless(*RUN, "--name", "c", busybox_image, *lives)
    log = rootless.start("logs", "-f", "c", stdout=subprocess.PIPE)
    assert log.stdout is not None
    assert log.stdout.readline() == b"again\n"
    # its monitor writes the state before the first line of the log
    assert rootless("ps", "--format", "{{.Names}}").stdout == "c\n"
    assert rootless("exec", "c", "echo", "inside").stdout == "inside\n"
    rootless("stop", "-t", "0", "c")
    assert log.wait() == 0
    assert rootless("inspect", "--format", "{{.State.Status}}", "c").stdout == "exited\n"
