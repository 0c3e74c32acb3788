"""Health checks where no systemd has timers for them: the monitor starts each one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


def wait_for(what: str, condition: object, seconds: float = 60) -> None:
    """Until the condition holds; fails with `what` and the last answer."""
    end = time.monotonic() + seconds
    while not (found := condition()):  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: {found!r}"
        time.sleep(0.1)


def health(rootless: Command, name: str) -> dict[str, Any]:
    """What inspect shows."""
    found: dict[str, Any] = rootless("inspect", "-f", "{{json .State.Health}}", name).json()
    return found


def status(rootless: Command, name: str) -> str:
    """The state of health."""
    return str(health(rootless, name)["Status"])


def events(rootless: Command, *words: str) -> list[str]:
    """The states of health that were told."""
    form = "{{.Attributes.health_status}}"
    return rootless("events", "--no-stream", "--filter", "event=health_status", "--format", form,
                    *words).stdout.split()  # fmt: skip


@pytest.mark.slow
def test_from_starting_to_unhealthy_and_back(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "web", "--health-cmd", "echo looking; test -e /tmp/well",
             "--health-interval", "300ms", "--health-retries", "2", "--health-start-period", "1m",
             "--health-start-interval", "200ms", "--network", "none", busybox_image,
             "sleep", "1000")  # fmt: skip
    assert "(health: starting)" in rootless("ps").stdout
    assert rootless("ps", "-q", "--filter", "health=starting").stdout
    # failures in the start period do not count, however many there are
    wait_for("some checks", lambda: len(health(rootless, "web")["Log"]) > 2)
    assert status(rootless, "web") == "starting"
    waiting = rootless.start("wait", "--condition", "healthy", "web", stdout=subprocess.PIPE)
    rootless("exec", "web", "touch", "/tmp/well")
    assert waiting.communicate(timeout=100)[0] == b"-1\n"
    assert "(healthy)" in rootless("ps").stdout
    assert rootless("ps", "-q", "--filter", "health=unhealthy").stdout == ""
    rootless("exec", "web", "rm", "/tmp/well")
    rootless("wait", "--condition", "unhealthy", "--condition", "exited", "--interval", "50", "web")
    found = health(rootless, "web")
    assert found["Status"] == "unhealthy"
    assert found["FailingStreak"] >= 2
    last = found["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (1, "looking\n")
    assert last["Start"] <= last["End"]
    assert len(found["Log"]) <= 5
    assert events(rootless) == ["healthy", "unhealthy"]
    docker = rootless("events", "--no-stream", "--filter", "event=health_status",
                      "--format", "{{.Action}}").stdout  # fmt: skip
    assert docker == "health_status: healthy\nhealth_status: unhealthy\n"
    # nothing of it goes on when the container does not
    rootless("stop", "-t", "0", "web")
    before = health(rootless, "web")
    time.sleep(1)
    assert health(rootless, "web") == before
    # a new life begins anew
    rootless("start", "web")
    assert health(rootless, "web")["FailingStreak"] == 0


def test_by_hand(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "h", "--health-cmd", '["test", "-e", "/tmp/well"]',
             "--health-interval", "disable", "--health-retries", "1", "--health-max-log-count", "2",
             "--health-max-log-size", "7", busybox_image, "sleep", "1000")  # fmt: skip
    assert rootless("healthcheck", "run", "h", code=1).stdout == "unhealthy\n"
    assert rootless("healthcheck", "run", "--ignore-result", "h").stdout == "unhealthy\n"
    rootless("exec", "h", "touch", "/tmp/well")
    assert rootless("healthcheck", "run", "h").stdout == ""
    found = health(rootless, "h")
    assert found["Status"] == "healthy"
    assert [one["ExitCode"] for one in found["Log"]] == [1, 0]
    config = rootless("inspect", "-f", "{{json .Config.Healthcheck}}", "h").json()
    assert config["Test"] == ["CMD", "test", "-e", "/tmp/well"]
    assert (config["Interval"], config["Retries"], config["Timeout"]) == (0, 1, 30 * 10**9)
    rootless("stop", "-t", "0", "h")
    assert "is not running" in rootless("healthcheck", "run", "h", code=125).stderr
    rootless("create", "--name", "none", busybox_image, "true")
    assert "has no health check" in rootless("healthcheck", "run", "none", code=125).stderr
    found2 = rootless("wait", "--condition", "healthy", "none", code=125)
    assert "it never becomes healthy" in found2.stderr
    assert "ended before it was" in rootless("wait", "--condition", "unhealthy", "h",
                                             code=125).stderr  # fmt: skip
    rootless("healthcheck", "run", "nobody", code=125)


@pytest.mark.slow
def test_a_check_that_hangs(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("run", "-d", "--name", "h", "--health-cmd", "echo begun; sleep 3210 & sleep 3210",
             "--health-timeout", "1s", "--health-interval", "disable", "--health-retries", "1",
             "--health-log-destination", str(place.work), busybox_image,
             "sleep", "1000")  # fmt: skip
    assert rootless("healthcheck", "run", "h", code=1).stdout == "unhealthy\n"
    (entry,) = health(rootless, "h")["Log"]
    assert entry["ExitCode"] == -1
    assert entry["Output"] == "Health check exceeded timeout (1s)"
    identifier = rootless("inspect", "-f", "{{.Id}}", "h").stdout.strip()
    kept = json.loads((place.work / f"{identifier}-healthcheck.log").read_text())
    assert kept["log"] == [entry]
    assert "sleep 3210 & sleep" not in rootless("top", "h").stdout
    rootless("rm", "-f", "-t", "0", "h")


@pytest.mark.slow
@pytest.mark.parametrize("action", ["none", "kill", "stop", "restart"])
def test_what_is_done_on_failure(
    rootless: Command, busybox_image: str, place: Place, action: str
) -> None:
    rootless("run", "-d", "--name", "a", "-v", f"{place.work}:/w:ro", "--health-cmd",
             "test -e /w/well", "--health-retries", "1", "--health-interval", "500ms",
             "--health-on-failure", action, "--network", "none", "--stop-timeout", "0",
             busybox_image, "sleep", "1000")  # fmt: skip
    wait_for("unhealthy", lambda: events(rootless))

    def state() -> str:
        return rootless("inspect", "-f", "{{.State.Status}}", "a").stdout.strip()

    if action == "none":
        assert state() == "running"
    elif action in ("kill", "stop"):
        wait_for("the end", lambda: state() == "exited")
        assert rootless("wait", "a").stdout == "137\n"
    else:
        (place.work / "well").touch()
        again = ("events", "--no-stream", "--filter", "event=restart")
        wait_for("another life", lambda: rootless(*again).stdout)
        rootless("wait", "--condition", "healthy", "a")
    rootless("rm", "-f", "a")


@pytest.mark.slow
def test_startup_checks_come_first(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "s", "--health-startup-cmd", "test -e /tmp/up",
             "--health-startup-interval", "200ms", "--health-startup-success", "2",
             "--health-cmd", "true", "--health-interval", "300ms", busybox_image,
             "sleep", "1000")  # fmt: skip
    wait_for("some checks", lambda: len(health(rootless, "s")["Log"]) > 1)
    assert status(rootless, "s") == "starting"
    rootless("exec", "s", "touch", "/tmp/up")
    assert rootless("wait", "--condition", "healthy", "s").stdout == "-1\n"
    rootless("run", "-d", "--replace", "--name", "s", "--health-startup-cmd", "false",
             "--health-startup-interval", "200ms", "--health-startup-retries", "2",
             "--health-cmd", "true", "--stop-timeout", "0", busybox_image,
             "sleep", "1000")  # fmt: skip
    first = rootless("inspect", "-f", "{{.State.Pid}}", "s").stdout
    wait_for(
        "a restart",
        lambda: rootless("inspect", "-f", "{{.State.Pid}}", "s").stdout not in (first, "0\n"),
    )
    rootless("rm", "-f", "-t", "0", "s")


def test_a_container_that_is_removed_meanwhile(rootless: Command, busybox_image: str) -> None:
    """Checks close together, while --rm removes what they write to."""
    for _ in range(4):
        rootless("run", "--rm", "--network", "none", "--health-cmd", "true", "--health-interval",
                 "1ms", busybox_image, "sleep", "0.4")  # fmt: skip
    assert rootless("ps", "-aq").stdout == ""


def test_the_image_says_how(rootless: Command, busybox_image: str, place: Place) -> None:
    """Docker's own form, in an OCI archive that another tool made."""
    archive = place.work / "image.tar"
    rootless("save", "-o", archive, busybox_image)
    layout = place.work / "layout"
    subprocess.run(["skopeo", "copy", "-q", f"docker-archive:{archive}", f"oci:{layout}:x"],
                   check=True, env={**os.environ, "HOME": str(place.home)})  # fmt: skip
    changed = _with_healthcheck(layout, {
        "Test": ["CMD-SHELL", "test $FLAG = up"], "Interval": 10**9 * 90, "Retries": 7,
    })  # fmt: skip
    rootless("load", "-i", changed)
    name = "checked:1"
    rootless("run", "-d", "--name", "h", "-e", "FLAG=up", name, "sleep", "100")
    found = rootless("inspect", "-f", "{{json .Config.Healthcheck}}", "h").json()
    assert found["Test"] == ["CMD-SHELL", "test $FLAG = up"]
    assert (found["Interval"], found["Retries"]) == (90 * 10**9, 7)
    rootless("healthcheck", "run", "h")
    assert "(healthy)" in rootless("ps").stdout
    rootless("run", "-d", "--name", "other", "--health-retries", "2", name, "sleep", "100")
    other = rootless("inspect", "-f", "{{.Config.Healthcheck.Retries}}", "other").stdout
    assert other == "2\n"
    rootless("run", "-d", "--name", "off", "--no-healthcheck", name, "sleep", "100")
    assert "has no health check" in rootless("healthcheck", "run", "off", code=125).stderr
    rootless("run", "-d", "--name", "off2", "--health-cmd", "none", name, "sleep", "100")
    assert "has no health check" in rootless("healthcheck", "run", "off2", code=125).stderr


def _with_healthcheck(layout: Path, check: dict[str, Any]) -> Path:
    """Change the configuration in an OCI layout, and pack it."""
    import hashlib

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    def put(value: Any) -> dict[str, Any]:
        data = json.dumps(value).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        blob(digest).write_bytes(data)
        return {"digest": digest, "size": len(data)}

    index = json.loads((layout / "index.json").read_text())
    entry = index["manifests"][0]
    manifest = json.loads(blob(entry["digest"]).read_text())
    config = json.loads(blob(manifest["config"]["digest"]).read_text())
    config["config"]["Healthcheck"] = check
    manifest["config"].update(put(config))
    entry.update(put(manifest))
    entry["annotations"] = {"org.opencontainers.image.ref.name": "checked:1"}
    (layout / "index.json").write_text(json.dumps(index))
    packed = layout.parent / "changed.tar"
    subprocess.run(["tar", "-C", layout, "-cf", packed, "."], check=True)
    return packed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--health-interval", "soon", "--health-cmd", "true"], 'invalid --health-interval "soon"'),
        (["--health-timeout", "1ms", "--health-cmd", "true"], 'invalid --health-timeout "1ms"'),
        (["--health-retries", "0", "--health-cmd", "true"], "--health-retries 0 is less than 1"),
        (["--health-retries", "2"], "--health-retries has nothing to check"),
        (["--health-on-failure", "dance", "--health-cmd", "true"], 'unknown --health-on-failure'),
        (["--health-cmd", "[]"], "invalid --health-cmd []"),
        (["--health-cmd", '["CMD"]'], "cannot be understood"),
        (["--no-healthcheck", "--health-cmd", "true"], "--no-healthcheck contradicts"),
        (["--health-startup-retries", "1", "--health-cmd", "true"], "needs --health-startup-cmd"),
        (["--health-log-destination", "/no/such", "--health-cmd", "true"], "is not a directory"),
        (["--rm", "--health-on-failure", "restart", "--health-cmd", "true"], "contradict"),
        (["--timeout", "-3"], "--timeout -3 is no number of seconds"),
    ],
)  # fmt: skip
def test_mistakes(rootless: Command, busybox_image: str, words: list[str], said: str) -> None:
    found = rootless("run", *words, busybox_image, "true", code=125)
    assert said in found.stderr
    assert rootless("ps", "-aq").stdout == ""


def test_a_limited_run(rootless: Command, busybox_image: str) -> None:
    began = time.monotonic()
    rootless("run", "--name", "long", "--timeout", "1", busybox_image, "sleep", "1000", code=137)
    assert time.monotonic() - began >= 1
    assert rootless("inspect", "-f", "{{.Config.Timeout}}", "long").stdout == "1\n"
    rootless("run", "--rm", "--timeout", "100", busybox_image, "true")


def test_waiting_for_one_of_several(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "w", busybox_image, "sleep", "1000")
    assert rootless("wait", "--condition", "created", "w").stdout == "-1\n"
    waiting = rootless.start("wait", "--condition", "running", "--condition", "removed", "w",
                             stdout=subprocess.PIPE)  # fmt: skip
    rootless("start", "w")
    assert waiting.communicate(timeout=100)[0] == b"-1\n"
    removed = rootless.start("wait", "--condition", "removed", "w", stdout=subprocess.PIPE)
    following = rootless.start("wait", "--condition", "next-exit", "w", stdout=subprocess.PIPE)
    time.sleep(0.5)
    rootless("kill", "-s", "9", "w")
    assert following.communicate(timeout=100)[0] == b"137\n"
    rootless("rm", "w")
    assert removed.communicate(timeout=100)[0] == b"137\n"
    assert rootless("wait", "--ignore", "w").stdout == "-1\n"
    assert 'unknown --condition "tired"' in rootless("wait", "--condition", "tired", "w",
                                                     code=125).stderr  # fmt: skip
    assert 'invalid --interval "x"' in rootless("wait", "--interval", "x", "w", code=125).stderr


def configured(rootless: Command) -> dict[str, Any]:
    """What is checked, in docker's words and nanoseconds."""
    shown = rootless("inspect", "-f", "{{json .Config}}", "c").json()
    table: dict[str, Any] = shown["Healthcheck"]
    return table


@pytest.mark.slow
def test_other_checks_for_a_container_that_runs(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "c", "--health-cmd", "test -e /tmp/a", "--health-interval",
             "200ms", "--health-retries", "7", "--health-on-failure", "none", "--network", "none",
             busybox_image, "sh", "-c", "touch /tmp/b; exec sleep 1000")  # fmt: skip
    wait_for("a check", lambda: health(rootless, "c")["FailingStreak"] > 0)
    rootless("update", "--health-cmd", "test -e /tmp/b", "c")
    rootless("wait", "--condition", "healthy", "c")
    second = 1000000000
    assert configured(rootless) == {
        "Test": ["CMD-SHELL", "test -e /tmp/b"], "Interval": second // 5, "Timeout": 30 * second,
        "StartPeriod": 0, "StartInterval": 5 * second, "Retries": 7,
    }  # fmt: skip
    # longer times from the next check on, and what a person makes in between is a check as well
    rootless("update", "--health-interval", "1h", "--health-retries", "1", "c")
    assert configured(rootless)["Interval"] == 3600 * second
    wait_for("the last of the old ones", lambda: _quiet(rootless))
    rootless("exec", "c", "rm", "/tmp/b")
    rootless("healthcheck", "run", "c", code=1)
    assert status(rootless, "c") == "unhealthy"
    # it is kept for the next life
    rootless("restart", "-t", "0", "c")
    assert configured(rootless)["Retries"] == 1
    rootless("update", "--no-healthcheck", "c")
    assert "health" not in rootless("ps").stdout
    found = rootless("healthcheck", "run", "c", code=125)
    assert "has no health check" in found.stderr
    found = rootless("update", "--health-retries", "3", "c", code=125)
    assert "the container c has no health check that could be changed" in found.stderr
    found = rootless("update", "--no-healthcheck", "--health-retries", "3", "c", code=125)
    assert "--no-healthcheck contradicts --health-retries" in found.stderr
    found = rootless("update", "--health-cmd", "true", "--health-interval", "soon", "c", code=125)
    assert 'invalid --health-interval "soon"' in found.stderr
    rootless("update", "--health-cmd", "true", "c")
    assert "(health: starting)" in rootless("ps").stdout
    rootless("rm", "-f", "c")


def _quiet(rootless: Command) -> bool:
    """No check is made for a while."""
    before = health(rootless, "c")["Log"]
    time.sleep(1)
    return bool(health(rootless, "c")["Log"] == before)
