"""Scopes go when their containers go, however slow systemd is and whatever happens at once: in the
virtual machine of tests/vm."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import Command
from integration.test_systemd import (
    as_user,
    cgroup_of,
    properties,
    scopes,
    wait_for,
)
from integration.test_systemd import nothing_left as nothing_left

pytestmark = pytest.mark.systemd


@contextlib.contextmanager
def systemd_stands_still() -> Iterator[None]:
    """The user's systemd does nothing meanwhile, as on a host that has much else to do."""
    uid = os.getuid()
    pid = int(as_user("root", f"systemctl show -P MainPID user@{uid}.service").stdout)
    assert pid > 1, "the user's systemd does not run"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Both processors are busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


@pytest.mark.long
def test_systemd_hears_late_of_the_end(rootless: Command, busybox_image: str) -> None:
    """Everything of the container has gone when systemd looks."""
    for name in ("first", "second"):
        rootless("run", "-d", "--name", name, "--network", "none", busybox_image, "sleep", "1000")
    paths = [cgroup_of(rootless, name).parent for name in ("first", "second")]
    with systemd_stands_still():
        rootless("rm", "-f", "first")
        rootless("rm", "-f", "second")
    wait_for("the scopes to go", lambda: not scopes())
    assert [path for path in paths if path.exists()] == []


def test_a_scope_that_stayed_is_ended_by_the_next_start(
    rootless: Command, busybox_image: str
) -> None:
    """Somebody removed its directory, so systemd has not heard of its end."""
    rootless("run", "-d", "--name", "k", "--network", "none", busybox_image, "sleep", "1000")
    path = cgroup_of(rootless, "k")
    scope = path.parent
    with systemd_stands_still():
        rootless("kill", "k")
        rootless("wait", "k")
        supervisors = scope / "sup/cgroup.procs"
        wait_for("the monitor to go", lambda: not supervisors.read_text())
        for one in (path, scope / "sup", scope):
            one.rmdir()
    rootless("start", "k")
    assert properties(scope.name, "ActiveState") == {"ActiveState": "active"}
    assert len((cgroup_of(rootless, "k") / "cgroup.procs").read_text().split()) == 1
    rootless("rm", "-f", "k")


@pytest.mark.long
def test_restart_and_removal_on_a_busy_host(rootless: Command, busybox_image: str) -> None:
    """Restart by hand meets restart by policy, and removal meets both."""
    with load():
        for round in range(2):
            name = f"r{round}"
            # it ends by itself all the time, so that a command finds it between two lives
            rootless("run", "-d", "--name", name, "--network", "none", "--restart", "always",
                     busybox_image, "sh", "-c", "usleep 300000")  # fmt: skip
            rootless("restart", "-t", "0", name)
            if round % 2:
                rootless("stop", "-t", "1", name)
                assert rootless("ps", "-q").stdout == ""
                rootless("start", name)
            rootless("rm", "-f", name)
        wait_for("the scopes to go", lambda: not scopes(), 60)
    assert rootless("ps", "-aq").stdout == ""
