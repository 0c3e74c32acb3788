"""What is declared before the machine is booted anew is there afterwards.

tests/vm runs the first test, boots, and runs the second.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.test_systemd_units import call, fetch, shown, state, systemctl, until

pytestmark = [pytest.mark.systemd, pytest.mark.long]
WORK = Path("~/reboot-test").expanduser()


def status(name: str) -> str:
    """running, exited."""
    return call("rootless", "inspect", "--format", "{{.State.Status}}", name).strip()


def test_before(busybox_tar: Path) -> None:
    call("rootless", "import", busybox_tar, "localhost/busybox:1")
    run = ["rootless", "run", "-d", "--stop-timeout", "1"]
    sleep = ["localhost/busybox:1", "sleep", "1000"]
    for name, policy in (("always", "always"), ("kept", "unless-stopped"),
                         ("stopped", "unless-stopped"), ("plain", "no")):  # fmt: skip
        call(*run, "--name", name, "--restart", policy, *sleep)
    call("rootless", "stop", "stopped")
    call("rootless", "service", "enable", "restart")
    WORK.mkdir()
    (WORK / "web.container").write_text(
        "[Container]\nImage=localhost/busybox:1\nPublishPort=127.0.0.1:8102:8000\n"
        "Volume=web.volume:/www\n"
        "Exec=sh -c 'date >>/www/starts; exec httpd -f -p 8000 -h /www'\nStopTimeout=1\n"
        "[Install]\nWantedBy=default.target\n"
    )
    (WORK / "web.volume").write_text("[Volume]\n")
    call("rootless", "quadlet", "install", WORK)
    systemctl("start", "web.service")
    until("the page", lambda: len(fetch(8102, "starts").splitlines()) == 1)
    (WORK / "boot").write_text(Path("/proc/sys/kernel/random/boot_id").read_text())


def test_after() -> None:
    assert (WORK / "boot").read_text() != Path("/proc/sys/kernel/random/boot_id").read_text()
    try:
        until("the service", lambda: state("web.service") == "active", 120)
        # the volume has what the last boot wrote
        until("the page", lambda: len(fetch(8102, "starts").splitlines()) == 2)
        until("the unit", lambda: state("rootless-restart.service") == "active", 120)
        assert shown("rootless-restart.service", "Result") == {"Result": "success"}
        found = {name: status(name) for name in ("always", "kept", "stopped", "plain")}
        assert found == {
            "always": "running", "kept": "running", "stopped": "exited", "plain": "exited",
        }  # fmt: skip
        # the last end was recorded, not lost with the power
        assert "its monitor was killed" not in call("rootless", "ps", "--all")
    finally:
        call("rootless", "service", "disable", "restart", code=None)
        call("rootless", "quadlet", "rm", "--all", "--force", code=None)
        call("rootless", "rm", "--all", "--force", code=None)
        call("rootless", "volume", "prune", "--force", code=None)
    scopes = ("list-units", "--all", "--plain", "--no-legend", "rootless-*.scope")
    until("no scope", lambda: systemctl(*scopes).strip() == "")
