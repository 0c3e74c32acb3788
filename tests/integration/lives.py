"""Random lives of containers, held against a model: what a user expects after each command.

A life is a sequence of commands and of bad luck (`kill -9` of anything, a reboot, a full disk, a
damaged document) that hypothesis makes up.  After each step the states of all containers are
compared with the model, and, for the container of that step, every file below the directories
that are watched: name, contents, mode and owner.  The same lives can be led by several tools at
once, which are then compared with the model and so with each other.
Scope: the model and the rules.  Which tools, how many lives: test_lives.py.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

# (text, mode, uid, gid)
Entry = tuple[str, int, int, int]
# mode, uid, gid of the directory itself
Top = tuple[int, int, int]


@dataclass
class Files:
    """A directory as it should be."""

    top: Top
    entries: dict[str, Entry] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The form in which `Life.look` reports a directory."""
        lines = ["{:o} {}:{} .".format(*self.top)]
        for name, (text, mode, uid, gid) in sorted(self.entries.items()):
            lines.append(f"{mode:o} {uid}:{gid} {name} {text}")
        return lines


# what the image holds: a directory with data of a service, and an empty one
IMAGE = {
    "/data": Files((0o750, 5, 6), {"a": ("first", 0o640, 7, 8), "b": ("second", 0o600, 0, 0)}),
    "/srv": Files((0o711, 3, 4)),
}
NAMES = ["one", "two", "three"]
VOLUMES = ["vol1", "vol2"]
PROGRAM = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 1000 & wait $!; done"]
# waits until the trap is set (bit 14 of SigCgt), then shows the directories
LOOK = r"""
i=0
while ! grep -q 'SigCgt:[[:space:]]*[0-9a-f]*[4-7c-f][0-9a-f]\{3\}$' /proc/1/status; do
    i=$((i + 1)); [ $i -lt 3000 ] || exit 9; usleep 3000
done
for d in /data /srv; do
    echo "= $d"
    cd $d && find . -maxdepth 1 | sort | while read -r f; do
        if [ -f "$f" ]; then text=" $(cat "$f")"; else text=; fi
        echo "$(stat -c '%a %u:%g' "$f") ${f#./}$text"
    done
done
"""


@dataclass
class Container:
    """A container as it should be: `files` are its own, also where a volume lies over them."""

    files: dict[str, Files]
    mounts: dict[str, str] = field(default_factory=dict)
    state: str = "created"
    always: bool = False


def image_tar(path: Path, busybox_tar: Path) -> Path:
    """The image of all lives: busybox and the directories of IMAGE."""
    with tarfile.open(busybox_tar) as source, tarfile.open(path, "w") as target:
        for member in source:
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
        for directory, files in IMAGE.items():
            info = tarfile.TarInfo(directory[1:])
            info.type = tarfile.DIRTYPE
            info.mode, info.uid, info.gid = files.top
            target.addfile(info)
            for name, (text, mode, uid, gid) in files.entries.items():
                one = tarfile.TarInfo(f"{directory[1:]}/{name}")
                one.size, one.mode, one.uid, one.gid = len(text), mode, uid, gid
                target.addfile(one, io.BytesIO(text.encode()))
    return path


class Tool:
    """An engine under test: how its command is started, and what only it can be put through."""

    def __init__(self, name: str, words: Sequence[str], env: dict[str, str], create: Sequence[str]):
        self.name = name
        self.words = list(words)
        self.env = env
        self.create = list(create)

    def __call__(self, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.words, *words], input=input, capture_output=True, env=self.env, timeout=120
        )

    def text(self, *words: str) -> str:
        """What a command that must succeed writes."""
        found = self(*words)
        assert found.returncode == 0, self.told(words, found)
        return found.stdout.decode()

    def told(self, words: Sequence[str], found: subprocess.CompletedProcess[bytes]) -> str:
        """A command and its end, for a failure."""
        out, err = (part[-3000:].decode(errors="replace") for part in (found.stdout, found.stderr))
        return f"{self.name} {' '.join(words)}: {found.returncode}\n{out}\n{err}"

    def states(self) -> list[str]:
        """A line for each container: its name and state."""
        lines = self.text("ps", "-a", "--format", "{{.Names}} {{.State}}").lower().splitlines()
        # podman 4: "up 3 seconds ago"
        return [" ".join(line.split()[:2]).replace(" up", " running") for line in lines]

    def clear(self) -> None:
        """Remove all but the image; after a failure, whatever stands in the way as well."""
        shown = self("ps", "-aq")
        if shown.returncode and (data := self.env.get("ROOTLESS_DATA_DIR")):
            self("unshare", "rm", "-rf", f"{data}/containers")
        names = self.text("ps", "-aq").split()
        if names:
            self.text("rm", "-f", "-t", "0", *names)
        volumes = self.text("volume", "ls", "-q").split()
        if volumes:
            self.text("volume", "rm", *volumes)
        images = self.text("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        made = [name for name in images if "made" in name]
        if made:
            self.text("rmi", "-f", *made)


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
    def write(self, which: int, directory: str, file: str, mode: int, owner: int, text: str) -> None:
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
    @rule(which=which, directory=st.sampled_from(list(IMAGE)), mode=st.sampled_from([0o700, 0o1777]),
          owner=st.sampled_from([0, 9]))  # fmt: skip
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
        """All processes end, what is kept for one boot is gone, and the kernel has a new boot id."""
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
        for name in running:
            if self.containers[name].always:
                self.containers[name].state = "running"
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
        """What frees room or ends something works; what cannot be done is said and not half done."""
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
            # refused at its start: with a status that says so, and can be started when there is room
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
