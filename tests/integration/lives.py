"""Random lives of containers, held against a model: what a user expects after each command.

A life is a sequence of commands and of bad luck (`kill -9` of anything, a reboot, a full disk, a
damaged document) that hypothesis makes up.  After each step the states of all containers are
compared with the model, and, for the container of that step, every file below the directories
that are watched: name, contents, mode and owner.  The same lives can be led by several tools at
once, which are then compared with the model and so with each other.
Scope: the rules for every tool.  The model: lives_model.py; bad luck: lives_bad_luck.py; which
tools and how many lives: test_lives.py.
"""

from __future__ import annotations

import copy
import io
import os
import re
import signal
import tarfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from lives_model import IMAGE, LOOK, NAMES, PROGRAM, VOLUMES, Container, Files, Tool


class Life(RuleBasedStateMachine):
    """The rules.  `tools` are given by a subclass (see `lives`)."""

    tools: Sequence[Tool]
    data: Path | None = None  # our own data directory, where it can be damaged

    def __init__(self) -> None:
        super().__init__()
        self.containers: dict[str, Container] = {}
        self.volumes: dict[str, Files] = {}
        self.images: dict[str, dict[str, Files]] = {"life": IMAGE}
        self.asked: str | None = None  # the container to look at after this step
        for tool in self.tools:
            tool.clear()

    # ------------------------------------------------- how a step is judged

    def do(self, good: bool, *words: str) -> None:
        """A command that should succeed, or should be refused."""
        for tool in self.tools:
            found = tool(*words)
            assert (found.returncode == 0) == good, (
                f"should {'succeed' if good else 'be refused'}: {tool.told(words, found)}"
            )
            assert b"internal error" not in found.stderr, tool.told(words, found)
            assert b"Traceback" not in found.stderr, tool.told(words, found)

    @invariant()
    def states_are_right(self) -> None:
        """Every tool shows the containers that there should be, in the states they should have."""
        wanted = sorted(f"{name} {one.state}" for name, one in self.containers.items())
        for tool in self.tools:
            end = time.monotonic() + 20
            while True:
                shown = tool.states()
                if sorted(shown) == wanted or time.monotonic() > end:
                    break
                time.sleep(0.05)
            assert sorted(shown) == wanted, f"{tool.name}: {sorted(shown)}, not {wanted}"

    @invariant()
    def files_are_right(self) -> None:
        """The directories of the container of this step hold what they should hold."""
        name, self.asked = self.asked, None
        if name is None or name not in self.containers:
            return
        one = self.containers[name]
        for directory in IMAGE:
            wanted = self.seen(one, directory).lines()
            for tool in self.tools:
                found = self.look(tool, name, one.state == "running")[directory]
                if tool.name == "podman" and one.state != "running":
                    # its cp gives all that leaves a container to the user
                    wanted = [re.sub(" [0-9]+:[0-9]+ ", " 0:0 ", line) for line in wanted]
                assert found == wanted, f"{tool.name}: {name}:{directory} is {found}, not {wanted}"

    def seen(self, one: Container, directory: str) -> Files:
        """The files that a container sees there."""
        volume = one.mounts.get(directory)
        return one.files[directory] if volume is None else self.volumes[volume]

    def look(self, tool: Tool, name: str, running: bool) -> dict[str, list[str]]:
        """Both directories of a container, by `exec` or, when it is stopped, by `cp`."""
        if running:
            parts = tool.text("exec", name, "sh", "-c", LOOK).split("= ")[1:]
            return {part.splitlines()[0]: part.splitlines()[1:] for part in parts}
        return {directory: self.look_by_copy(tool, name, directory) for directory in IMAGE}

    @staticmethod
    def look_by_copy(tool: Tool, name: str, directory: str) -> list[str]:
        words = ["cp", f"{name}:{directory}", "-"]
        found = tool(*words)
        assert found.returncode == 0, tool.told(words, found)
        lines = []
        with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                text = f" {file.read().decode()}" if file else ""
                # podman names the top of a volume "_data", or not at all
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                top = not parts or parts[0] in (directory[1:], "_data")
                short = "/".join(parts[1:] if top else parts) or "."
                lines.append(f"{member.mode:o} {member.uid}:{member.gid} {short}{text}")
        return sorted(lines, key=lambda line: line.split()[2])

    def pid(self, tool: Tool, name: str) -> int:
        """The first process of a container, on the host."""
        return int(tool.text("inspect", "--format", "{{.State.Pid}}", name))

    # ------------------------------------------------- what users do

    names = st.sampled_from(NAMES)
    # which of the containers there are: every step does something
    which = st.integers(0, len(NAMES) - 1)

    def pick(self, number: int, *states: str) -> str | None:
        """A container, of those in these states if there are any named."""
        found = [name for name, one in self.containers.items() if not states or one.state in states]
        return found[number % len(found)] if found else None

    @rule(name=names, volume=st.sampled_from([None, *VOLUMES]), where=st.sampled_from(list(IMAGE)),
          always=st.booleans(), image=st.sampled_from(["life", "life", "made"]))  # fmt: skip
    def run(self, name: str, volume: str | None, where: str, always: bool, image: str) -> None:
        if image not in self.images:
            image = "life"
        options = ["-v", f"{volume}:{where}"] if volume else []
        if always:
            options += ["--restart", "always"]
        good = name not in self.containers
        for tool in self.tools:
            words = ["run", "-d", "--name", name, *tool.create, *options, image, *PROGRAM]
            found = tool(*words)
            assert (found.returncode == 0) == good, tool.told(words, found)
        if good:
            files = copy.deepcopy(self.images[image])
            mounts = {where: volume} if volume else {}
            self.containers[name] = Container(files, mounts, "running", always)
            if volume and volume not in self.volumes:
                # the first use of a volume: it gets what the image has there
                self.volumes[volume] = copy.deepcopy(files[where])
        self.asked = name

    @rule(name=names)
    def create(self, name: str) -> None:
        good = name not in self.containers
        for tool in self.tools:
            words = ["create", "--name", name, *tool.create, "life", *PROGRAM]
            found = tool(*words)
            assert (found.returncode == 0) == good, tool.told(words, found)
        if good:
            self.containers[name] = Container(copy.deepcopy(IMAGE))

    @precondition(lambda self: self.containers)
    @rule(which=which)
    def start(self, which: int) -> None:
        name = self.pick(which, "created", "exited")
        if name is None:
            self.do(False, "start", "nobody")
            return
        self.do(True, "start", name)
        self.containers[name].state = "running"
        self.asked = name

    @precondition(lambda self: self.pick(0, "running", "exited"))
    @rule(which=which)
    def stop(self, which: int) -> None:
        name = self.pick(which, "running") or self.pick(which, "exited")
        assert name
        running = self.containers[name].state == "running"
        if running:
            self.wait_for_traps(name)
        self.do(True, "stop", "-t", "10", name)
        if running:
            self.containers[name].state = "exited"
            for tool in self.tools:
                code = tool.text("inspect", "--format", "{{.State.ExitCode}}", name).strip()
                assert code == "7", f"{tool.name}: {name} ended with {code}"
        self.asked = name

    def wait_for_traps(self, name: str) -> None:
        for tool in self.tools:
            tool.text("exec", name, "sh", "-c", LOOK)

    @precondition(lambda self: self.containers)
    @rule(which=which)
    def restart(self, which: int) -> None:
        name = self.pick(which)
        assert name
        if self.containers[name].state == "running":
            self.wait_for_traps(name)
        self.do(True, "restart", "-t", "10", name)
        self.containers[name].state = "running"
        self.asked = name

    @precondition(lambda self: len(self.containers) > 1)
    @rule(which=which, force=st.booleans())
    def remove(self, which: int, force: bool) -> None:
        name = self.pick(which)
        assert name
        one = self.containers[name]
        good = force or one.state != "running"
        self.do(good, "rm", *(["-f", "-t", "0"] if force else []), name)
        if good:
            del self.containers[name]

    @precondition(lambda self: self.containers)
    @rule(which=which, other=names)
    def rename(self, which: int, other: str) -> None:
        name = self.pick(which)
        assert name
        if other == name:
            return
        good = other not in self.containers
        self.do(good, "rename", name, other)
        if good:
            self.containers[other] = self.containers.pop(name)
        self.asked = other

    @precondition(lambda self: self.pick(0, "running"))
    @rule(which=which, directory=st.sampled_from(list(IMAGE)), file=st.sampled_from("abc"),
          mode=st.sampled_from([0o600, 0o644, 0o4755]), owner=st.sampled_from([0, 9, 1000]),
          text=st.sampled_from(["x", "long " * 5 + "end"]))  # fmt: skip
    def write(
        self, which: int, directory: str, file: str, mode: int, owner: int, text: str
    ) -> None:
        name = self.pick(which, "running")
        assert name
        one = self.containers[name]
        path = f"{directory}/{file}"
        script = f"echo -n '{text}' >{path}; chown {owner}:{owner} {path}; chmod {mode:o} {path}"
        self.do(True, "exec", name, "sh", "-c", script)
        self.seen(one, directory).entries[file] = (text, mode, owner, owner)
        self.asked = name

    @precondition(lambda self: self.pick(0, "running"))
    @rule(which=which, directory=st.sampled_from(list(IMAGE)), file=st.sampled_from("ab"))
    def delete(self, which: int, directory: str, file: str) -> None:
        name = self.pick(which, "running")
        assert name
        one = self.containers[name]
        self.do(True, "exec", name, "rm", "-f", f"{directory}/{file}")
        self.seen(one, directory).entries.pop(file, None)
        self.asked = name

    @precondition(lambda self: self.pick(0, "running"))
    @rule(which=which, directory=st.sampled_from(list(IMAGE)),
          mode=st.sampled_from([0o700, 0o1777]), owner=st.sampled_from([0, 9]))  # fmt: skip
    def give(self, which: int, directory: str, mode: int, owner: int) -> None:
        """The directory of a service gets another owner, as a database does with its own."""
        name = self.pick(which, "running")
        assert name
        one = self.containers[name]
        script = f"chown {owner}:{owner} {directory} && chmod {mode:o} {directory}"
        self.do(True, "exec", name, "sh", "-c", script)
        self.seen(one, directory).top = (mode, owner, owner)
        self.asked = name

    def with_volume(self) -> list[str]:
        """Running containers that use a volume."""
        return [name for name, one in self.containers.items()
                if one.mounts and one.state == "running"]  # fmt: skip

    @precondition(lambda self: self.with_volume())
    @rule(which=which)
    def serve(self, which: int) -> None:
        """What a database does: it takes its directory, writes, deletes, and is restarted."""
        found = self.with_volume()
        name = found[which % len(found)]
        one = self.containers[name]
        (directory,) = one.mounts
        script = "chown 9:9 . && chmod 700 . && rm -f a b && echo -n rows >table"
        self.do(True, "exec", "-w", directory, name, "sh", "-c", script)
        files = self.seen(one, directory)
        files.top = (0o700, 9, 9)
        files.entries.pop("a", None)
        files.entries.pop("b", None)
        files.entries["table"] = ("rows", 0o644, 0, 0)
        self.wait_for_traps(name)
        self.do(True, "restart", "-t", "10", name)
        self.asked = name

    @precondition(lambda self: self.pick(0, "running", "exited"))
    @rule(which=which, directory=st.sampled_from(list(IMAGE)))
    def copy_in(self, which: int, directory: str) -> None:
        name = self.pick(which, "running", "exited")
        assert name
        one = self.containers[name]
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            info = tarfile.TarInfo("copied")
            info.size, info.mode, info.uid, info.gid = 3, 0o640, 11, 12
            archive.addfile(info, io.BytesIO(b"new"))
        for tool in self.tools:
            # with the owners of the archive: docker's -a; podman's -a gives them all to its user
            option = "-a=false" if tool.name == "podman" else "-a"
            found = tool("cp", option, "-", f"{name}:{directory}", input=data.getvalue())
            assert found.returncode == 0, tool.told(["cp", option, "-"], found)
        self.seen(one, directory).entries["copied"] = ("new", 0o640, 11, 12)
        self.asked = name

    @precondition(lambda self: self.containers and "made" not in self.images)
    @rule(which=which)
    def commit(self, which: int) -> None:
        name = self.pick(which)
        assert name
        self.do(True, "commit", "-q", name, "made")
        self.images["made"] = copy.deepcopy(self.containers[name].files)

    @precondition(lambda self: self.volumes)
    @rule(which=which)
    def remove_volume(self, which: int) -> None:
        volume = sorted(self.volumes)[which % len(self.volumes)]
        used = any(volume in one.mounts.values() for one in self.containers.values())
        self.do(not used, "volume", "rm", volume)
        if not used:
            del self.volumes[volume]

    # ------------------------------------------------- bad luck

    @precondition(lambda self: self.pick(0, "running"))
    @rule(which=which)
    def kill_the_process(self, which: int) -> None:
        name = self.pick(which, "running")
        assert name
        one = self.containers[name]
        for tool in self.tools:
            pid = self.pid(tool, name)
            os.kill(pid, signal.SIGKILL)
            end = time.monotonic() + 90  # the pause before a restart doubles up to a minute
            while (now := self.pid(tool, name)) in ((pid, 0) if one.always else (pid,)):
                assert time.monotonic() < end, f"{tool.name}: {name} was not started again"
                time.sleep(0.02)
            assert bool(now) == one.always
        one.state = "running" if one.always else "exited"
        self.asked = name


def lives(
    base: type[Life], tools: Sequence[Tool], data: Path | None = None,
    runtime: Path | None = None, disk: Path | None = None,
) -> Callable[[], Life]:  # fmt: skip
    """The class with its tools, as hypothesis wants it."""

    class These(base):  # type: ignore[misc, valid-type]
        pass

    These.tools = tools
    These.data = data
    if runtime is not None:
        These.place_runtime = runtime
    if disk is not None:
        These.disk = disk
    These.__name__ = base.__name__
    return These
