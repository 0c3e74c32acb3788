"""Lives of our own engine alone (see lives.py): kills, reboots, full disks, damaged documents."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from lives import Life
from lives_model import IMAGE, PROGRAM, VOLUMES, Container


class OurLife(Life):
    """What only our own engine is put through."""

    place_runtime: Path

    @precondition(lambda self: self.pick(0, "running"))
    @rule(which=Life.which)
    def kill_the_monitor(self, which: int) -> None:
        name = self.pick(which, "running")
        assert name
        one = self.containers[name]
        self.kill_monitors([name])
        one.state = "exited"
        self.asked = name

    def kill_monitors(self, names: Sequence[str]) -> None:
        for name in names:
            pid = self.pid(self.tools[0], name)
            status = Path(f"/proc/{pid}/status").read_text()
            monitor = int(status.split("PPid:")[1].split()[0])
            os.kill(monitor, signal.SIGKILL)
            end = time.monotonic() + 20
            while os.path.exists(f"/proc/{pid}") or os.path.exists(f"/proc/{monitor}"):
                assert time.monotonic() < end, f"{name} outlives its monitor"
                time.sleep(0.01)

    @precondition(lambda self: self.pick(0, "running", "exited"))
    @rule(verb=st.sampled_from(["start", "stop", "restart", "rm"]), which=Life.which,
          moment=st.integers(0, 120))  # fmt: skip
    def kill_a_command(self, verb: str, which: int, moment: int) -> None:
        """Whatever the moment, the container is there or is not, and can be used and removed."""
        name = self.pick(which, "running", "exited")
        assert name
        tool, one = self.tools[0], self.containers[name]
        options = {"stop": ["-t", "0"], "restart": ["-t", "0"], "rm": ["-f"]}.get(verb, [])
        process = subprocess.Popen(
            [*tool.words, verb, *options, name], env=tool.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moment / 1000)
        process.kill()
        process.wait()
        # what was under way when the command died comes to its end by itself
        seen = ""
        for _ in range(3):
            shown = tool.text("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
            found = {line.split()[0]: line.split()[1] for line in shown}
            seen = found.get(name, "gone")
            if verb == "rm" and seen != "gone":
                break
            time.sleep(0.05)
        if verb == "rm":
            # half removed is not a state: the next command finishes it
            if seen != "gone":
                self.do(True, "rm", "-f", "-t", "0", name)
            del self.containers[name]
        else:
            self.do(True, "start", name)
            one.state = "running"
            self.asked = name

    @precondition(lambda self: len(self.volumes) < len(VOLUMES))
    @rule(volume=st.sampled_from(VOLUMES), where=st.sampled_from(list(IMAGE)),
          moment=st.integers(0, 150))  # fmt: skip
    def kill_the_first_use(self, volume: str, where: str, moment: int) -> None:
        """Nothing half is ever seen in a volume whose first use was cut short."""
        tool = self.tools[0]
        if volume in self.volumes:
            return
        words = ["run", "-d", "--name", "first", *tool.create, "-v", f"{volume}:{where}", "life"]
        process = subprocess.Popen(
            [*tool.words, *words, *PROGRAM], env=tool.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moment / 1000)
        process.kill()
        process.wait()
        tool("rm", "-f", "-t", "0", "first")
        words[3] = "second"
        self.text_of(words)
        self.containers["second"] = Container(copy.deepcopy(IMAGE), {where: volume}, "running")
        self.volumes[volume] = copy.deepcopy(IMAGE[where])
        self.asked = "second"
        self.files_are_right()
        self.do(True, "rm", "-f", "-t", "0", "second")
        del self.containers["second"]

    def text_of(self, words: Sequence[str]) -> str:
        return self.tools[0].text(*words, *PROGRAM)

    @precondition(lambda self: self.containers)
    @rule()
    def reboot(self) -> None:
        """All processes end, what is kept for one boot is gone, and there is a new boot id."""
        running = [name for name, one in self.containers.items() if one.state == "running"]
        self.kill_monitors(running)
        assert self.data is not None
        for path in self.data.glob("containers/*/state"):
            text = path.read_text().strip()
            old = json.loads(text)["boot"]
            # of the same length, as a boot id is; and without the sum, which would be another
            text = text.replace(old, f"{random.getrandbits(32):08x}" + old[8:])
            path.write_text("{" + text.partition('",')[2] if text.startswith('{"sum"') else text)
        for path in self.place_runtime.iterdir():
            shutil.rmtree(path)
        for name in running:
            self.containers[name].state = "exited"
        if running:
            self.do(True, "start", "--all", "--filter", "should-start-on-boot=true")
        for name, one in self.containers.items():
            # docker's rule for a new daemon: `always` also means those that somebody has stopped
            if running and one.always:
                one.state = "running"
                self.asked = name

    @precondition(lambda self: self.pick(0, "created", "exited"))
    @rule(which=Life.which, text=st.sampled_from(["", "{", "[]", "null", '{"id": 3}', '"x"', "\0"]))
    def damage(self, which: int, text: str) -> None:
        """A document that is not what it was: the others go on, and this one can be removed."""
        name = self.pick(which, "created", "exited")
        assert name and self.data is not None
        found = self.tools[0].text("inspect", "--format", "{{.Id}}", name).strip()
        (self.data / "containers" / found / "container.json").write_text(text)
        for other, its in self.containers.items():
            if other != name and its.state == "running":
                self.do(True, "exec", other, "true")
        shown = self.tools[0]("ps", "-a")
        assert b"internal error" not in shown.stderr, shown.stderr.decode()
        self.do(False, "start", name)
        self.do(True, "rm", "-f", name)
        del self.containers[name]


class FullDiskLife(OurLife):
    """Lives on a small file system, which is full for the time of a command now and then."""

    disk: Path

    @precondition(lambda self: self.containers)
    @rule(which=Life.which, verb=st.sampled_from(["run", "start", "stop", "restart", "rm"]))
    def full_disk(self, which: int, verb: str) -> None:
        """What ends something or frees room works; what cannot be done is said, not half done."""
        tool, name = self.tools[0], self.pick(which)
        assert name
        one = self.containers[name]
        if one.state == "running":
            self.wait_for_traps(name)
        words = {
            "run": ["run", "-d", "--name", "four", *tool.create, "life", *PROGRAM],
            "start": ["start", name],
            "stop": ["stop", "-t", "10", name],
            "restart": ["restart", "-t", "10", name],
            "rm": ["rm", "-f", "-t", "0", name],
        }[verb]
        if verb == "stop" and one.state == "created":
            return
        self.fill()
        try:
            found = tool(*words)
        finally:
            (self.disk / "fill").unlink()
        told = tool.told(words, found)
        assert b"internal error" not in found.stderr, told
        assert found.returncode == 0 or b"no space left" in found.stderr.lower(), told
        if verb == "run":
            if found.returncode == 0:
                self.containers["four"] = Container(copy.deepcopy(IMAGE), state="running")
                self.do(True, "rm", "-f", "-t", "0", "four")
                del self.containers["four"]
        elif verb == "rm":
            assert found.returncode == 0, told
            del self.containers[name]
        elif verb == "stop":
            assert found.returncode == 0, told
            if one.state == "running":
                one.state = "exited"
                code = tool.text("inspect", "--format", "{{.State.ExitCode}}", name).strip()
                assert code == "7", f"{name} ended with 7, and {code} was recorded"
        elif found.returncode == 0:
            one.state = "running"
        elif verb == "restart" or one.state != "running":
            # refused at its start, and started when there is room
            self.do(True, "start", name)
            one.state = "running"
        if name in self.containers:
            self.asked = name

    def fill(self) -> None:
        """Leave no room at all."""
        with open(self.disk / "fill", "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass
