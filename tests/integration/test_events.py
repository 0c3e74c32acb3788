"""`events`: what happened, told in docker's and in podman's words, kept without a daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


def told(rootless: Command, *words: str) -> list[dict[str, Any]]:
    """What has happened, as JSON."""
    lines = rootless("events", "--no-stream", "--format", "json", *words).stdout.splitlines()
    return [json.loads(line) for line in lines]


def actions(rootless: Command, *words: str) -> list[str]:
    """The actions alone, by docker's names."""
    return [one["Action"] for one in told(rootless, *words)]


def test_the_life_of_a_container(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "one", "--label", "team=a", "--label", "x=a\n2026 b",
             "-v", "kept:/k", busybox_image,
             "sleep", "100")  # fmt: skip
    rootless("start", "one")
    assert rootless("exec", "one", "sh", "-c", "exit 7", code=7).stdout == ""
    rootless("exec", "-d", "one", "true")
    rootless("rename", "one", "two")
    rootless("stop", "-t", "0", "two")
    rootless("rm", "two")
    rootless("volume", "rm", "kept")
    found = told(rootless, "--filter", "type=container")
    names = [one["Action"] for one in found]
    # the end of a detached command comes when it comes
    names.remove("exec_die")
    names.remove("exec_die")
    assert names == ["create", "init", "start", "exec_start", "exec_start", "rename", "die",
                     "cleanup", "stop", "destroy"]  # fmt: skip
    codes = {one["Actor"]["Attributes"].get("exitCode") for one in found
             if one["Status"] == "exec_died"}  # fmt: skip
    assert codes == {"7", "0"}
    died = told(rootless, "--filter", "event=died")[0]
    assert died == told(rootless, "--filter", "event=die")[0]
    assert died["Status"] == "died"
    assert died["Name"] == "two"
    assert died["ContainerExitCode"] == 137
    assert died["Actor"]["Attributes"]["team"] == "a"
    assert died["from"] == "localhost/busybox:test"
    assert 0 <= time.time() - died["timeNano"] / 1e9 < 600
    assert actions(rootless, "--filter", "volume=kept") == ["create", "mount", "unmount", "destroy"]
    assert actions(rootless, "--filter", "container=one", "--filter", "event=create") == ["create"]
    assert actions(rootless, "--filter", "container=two", "--filter", "event=create") == []
    text = rootless("events", "--no-stream", "--filter", "event=rename").stdout
    identifier = found[0]["id"]
    assert text.endswith(
        f" container rename {identifier} (image=localhost/{busybox_image}, name=two, oldName=/one, "
        "team=a, x=a\\n2026 b)\n"
    )
    short = rootless("events", "--no-stream", "--no-trunc=false", "--filter", "event=stop").stdout
    assert f" container stop {identifier[:12]} (" in short
    line = rootless("events", "--no-stream", "--filter", "label=team=a", "--filter", "event=init",
                    "--format", "{{.Type}} {{.Status}} {{.Attributes.name}}").stdout  # fmt: skip
    assert line == "container init one\n"


def test_images_are_told(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("create", "--name", "c", busybox_image, "true")
    rootless("commit", "-m", "why", "c", "made:1")
    rootless("export", "-o", place.work / "c.tar", "c")
    rootless("rm", "c")
    rootless("save", "-o", place.work / "made.tar", "made:1")
    rootless("untag", "made:1")
    rootless("load", "-i", place.work / "made.tar")
    mine = rootless("events", "--no-stream", "--format", "{{.Type}} {{.Action}}").stdout
    assert mine.splitlines()[-7:] == [
        "container create", "container commit", "container export", "container destroy",
        "image save", "image untag", "image load",
    ]  # fmt: skip
    comment = "{{.Attributes.comment}}"
    told_why = rootless("events", "--no-stream", "--filter", "event=commit", "--format", comment)
    assert told_why.stdout == "why\n"
    rootless("tag", busybox_image, "again:1")
    rootless("rmi", "again:1")
    rootless("rmi", busybox_image)
    found = told(rootless, "--filter", "type=image")
    pairs = [(one["Action"], one["Name"]) for one in found][-4:]
    again, first = "localhost/again:1", "localhost/busybox:test"
    assert pairs == [("tag", again), ("untag", again), ("untag", first), ("delete", first)]
    assert actions(rootless, "--filter", "image=again", "--filter", "event=tag") == ["tag"]
    assert told(rootless, "--filter", "event=remove", "--filter", "type=image")


def test_what_a_killed_monitor_could_not_say(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "m", busybox_image, "sleep", "100")
    monitor = rootless("inspect", "-f", "{{.State.MonitorPid}}", "m").stdout
    os.kill(int(monitor), signal.SIGKILL)
    end = time.monotonic() + 60
    while "Exited" not in rootless("ps", "-a").stdout:
        assert time.monotonic() < end
    rootless("start", "m")
    rootless("rm", "-f", "m")
    assert actions(rootless, "--filter", "event=die", "--filter", "event=start") == [
        "start", "die", "start", "die",
    ]  # fmt: skip


def test_following(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--rm", "--name", "before", busybox_image, "true")
    follower = rootless.start(
        "events", "--format", "{{.Name}} {{.Action}}", "--filter", "type=container",
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert follower.stdout is not None
    os.set_blocking(follower.stdout.fileno(), False)
    seen, end = b"", time.monotonic() + 60
    while b"destroy" not in seen:
        # again, because nobody can know when it has begun to follow
        rootless("run", "--rm", "--name", "now", busybox_image, "false", code=1)
        seen += follower.stdout.read() or b""
        assert time.monotonic() < end, seen
    lines = seen.decode().splitlines()
    assert not [line for line in lines if line.startswith("before")]
    last = lines[-1 - lines[::-1].index("now destroy") :]
    assert last[0] == "now destroy"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(60) == 0
    # until a moment to come: it ends by itself, with all that happened since the given one
    again = rootless("events", "--since", "1h", "--until", str(time.time() + 0.5),
                     "--filter", "container=before", "--format", "{{.Action}}").stdout  # fmt: skip
    assert again.split() == ["create", "attach", "init", "start", "die", "cleanup", "destroy"]


def test_fifty_writers_lose_nothing(place: Place) -> None:
    script = """
import os, sys, threading, time
from rootless import Engine
from rootless.engine.events import reader
from rootless.engine.events import writer as events
events.LIMIT = 700000  # so that the file makes room once while all of them write
engine, seen = Engine(), []
follow = engine.events()
def listen():
    for one in follow:
        seen.append((one.attributes["n"], one.attributes["i"]))
        if len(seen) == 50 * 100:
            return
thread = threading.Thread(target=listen, daemon=True)
thread.start()
children = []
for n in range(50):
    pid = os.fork()
    if not pid:
        for i in range(100):
            engine.context.emit("container", "start", "f" * 64, "x", {"n": str(n), "i": str(i)})
        os._exit(0)
    children.append(pid)
assert not any(os.waitpid(pid, 0)[1] for pid in children)
kept = [(e.attributes["n"], e.attributes["i"]) for e in engine.events(stream=False)]
wanted = {(str(n), str(i)) for n in range(50) for i in range(100)}
assert len(kept) == 5000 and set(kept) == wanted, len(kept)
thread.join(60)
assert len(seen) == 5000 and set(seen) == wanted, len(seen)
print(len(os.listdir(events.directory(engine.data_dir))))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        env={**place.env, "PYTHONPATH": str(TREE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2\n"


@pytest.mark.slow
def test_fifty_containers_at_once(rootless: Command, busybox_image: str) -> None:
    """Commands and monitors write side by side, and each life is told whole."""
    started = [
        rootless.start("run", "--rm", "--name", f"n{number}", "--network", "none", busybox_image,
                       "true")
        for number in range(50)
    ]  # fmt: skip
    assert [one.wait(120) for one in started] == [0] * 50
    lives: dict[str, list[str]] = {}
    for one in told(rootless, "--filter", "type=container"):
        lives.setdefault(one["Name"], []).append(one["Action"])
    whole = ["create", "attach", "init", "start", "die", "cleanup", "destroy"]
    assert lives == {f"n{number}": whole for number in range(50)}


def test_a_line_that_a_full_disk_cut(rootless: Command, place: Place) -> None:
    rootless("volume", "create", "first")
    (file,) = (place.data / "events").iterdir()
    with open(file, "ab") as log:
        log.write(b'{"time":1,"action":"sta')
    rootless("volume", "create", "second")
    assert [one["Name"] for one in told(rootless)] == ["first", "second"]


def test_nothing_can_be_written_down(rootless: Command, place: Place) -> None:
    rootless("volume", "create", "first")
    os.chmod(place.data / "events", 0o500)
    for file in (place.data / "events").iterdir():
        file.chmod(0o400)
    try:
        rootless("volume", "create", "second")
    finally:
        os.chmod(place.data / "events", 0o700)
    assert [one["Name"] for one in told(rootless)] == ["first"]


def test_mistakes(rootless: Command, place: Place) -> None:
    found = rootless("events", "--filter", "colour=red", code=125)
    assert 'unknown filter "colour"' in found.stderr
    assert "container" in found.stderr
    assert 'unknown type "dog"' in rootless("events", "--filter", "type=dog", code=125).stderr
    assert '"soon" is not a time' in rootless("events", "--since", "soon", code=125).stderr
    assert "{{" in rootless("events", "--format", "{{.ID", code=125).stderr
    assert told(rootless) == []
    assert not Path(place.data / "events").exists()
