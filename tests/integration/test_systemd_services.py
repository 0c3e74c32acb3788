"""Services that a person writes by hand, and how systemd supervises them: in the virtual machine of
tests/vm."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from integration.test_systemd_units import (
    PYTHON,
    call,
    environment,
    shown,
    state,
    systemctl,
    until,
    write,
)
from integration.test_systemd_units import home as home
from integration.test_systemd_units import image as image

pytestmark = pytest.mark.systemd

# tells that it is ready, and that it is well until somebody makes the file `hang`
WATCHED = """\
import os, signal, socket, sys, time
# a first process that does nothing about it would not hear of `stop` either
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
out.connect(os.environ["NOTIFY_SOCKET"])
assert int(os.environ["WATCHDOG_USEC"]) == 8000000, os.environ
with open("/data/lives", "a") as file:
    file.write("x")
out.send(b"READY=1")
while not os.path.exists("/data/hang"):
    out.send(b"WATCHDOG=1")
    time.sleep(0.5)
os.unlink("/data/hang")
print("hangs", flush=True)
time.sleep(1000)
"""


def test_a_container_that_hangs_is_started_anew(image: str, home: Path) -> None:
    write(home / "watched.py", WATCHED)
    write(
        home / "web.container",
        f"[Container]\nImage={image}\nNetwork=none\nNotify=yes\nStopTimeout=1000\n"
        f"Volume=%h/units-test:/data\n{PYTHON}Exec=/usr/bin/python3 -u /data/watched.py\n"
        "[Service]\nWatchdogSec=8\nRestart=on-watchdog\nTimeoutStopSec=1200\n",
    )
    call("rootless", "quadlet", "install", home / "web.container")
    systemctl("start", "web.service")
    assert (home / "lives").read_text() == "x"
    first = shown("web.service", "MainPID")["MainPID"]
    (home / "hang").touch()
    until("another life", lambda: (home / "lives").read_text() == "xx", 120)
    until("readiness", lambda: state("web.service") == "active")
    found = shown("web.service", "NRestarts", "MainPID")
    assert found["NRestarts"] == "1"
    assert found["MainPID"] != first
    assert not os.path.exists(f"/proc/{first}")
    journal = call("journalctl", "--user", "-u", "web", "-o", "cat")
    assert "hangs" in journal
    assert "Watchdog timeout" in journal
    # it was told to end and did: nothing was killed after a time
    assert "SIGKILL" not in journal
    systemctl("stop", "web.service")
    assert shown("web.service", "Result", "ActiveState") == {
        "Result": "success", "ActiveState": "inactive",
    }  # fmt: skip


@pytest.mark.long
def test_a_service_that_forks(image: str, home: Path) -> None:
    """As older tools write them: the command returns, a file names the main process."""
    directory = Path(environment()["HOME"]) / ".config/systemd/user"
    directory.mkdir(parents=True, exist_ok=True)
    path = write(
        directory / "webfork.service",
        "[Service]\nType=forking\nPIDFile=%t/webfork.pid\nDelegate=yes\nRestart=on-failure\n"
        "ExecStart=/usr/local/bin/rootless run --detach --replace --rm --name web --network none "
        f"--cgroups split --stop-timeout 1 --conmon-pidfile %t/webfork.pid {image} sleep 1000\n"
        "ExecStop=/usr/local/bin/rootless stop --ignore web\n"
        "ExecStopPost=/usr/local/bin/rootless rm --force --ignore web\n",
    )
    try:
        systemctl("daemon-reload")
        systemctl("start", "webfork.service")
        found = shown("webfork.service", "ActiveState", "MainPID", "ControlGroup")
        assert found["ActiveState"] == "active"
        pid = Path(environment()["XDG_RUNTIME_DIR"], "webfork.pid").read_text().strip()
        assert found["MainPID"] == pid
        assert Path(f"/proc/{pid}/comm").read_text().startswith("rootless-monit")
        group = Path("/sys/fs/cgroup" + found["ControlGroup"])
        inside = call("rootless", "inspect", "--format", "{{.State.Pid}}", "web").strip()
        assert (group / "ctr/cgroup.procs").read_text().split() == [inside]
        # the container's end is the service's
        os.kill(int(inside), signal.SIGKILL)
        until("a restart", lambda: shown("webfork.service", "NRestarts")["NRestarts"] == "1")
        until("another life", lambda: state("webfork.service") == "active")
        assert shown("webfork.service", "MainPID")["MainPID"] != pid
        systemctl("stop", "webfork.service")
        assert shown("webfork.service", "Result", "ActiveState") == {
            "Result": "success", "ActiveState": "inactive",
        }  # fmt: skip
        assert call("rootless", "ps", "--all", "--quiet") == ""
        assert not group.exists()
    finally:
        systemctl("stop", "webfork.service", code=None)
        path.unlink()
        systemctl("daemon-reload")
