"""The tools: podman as installed, rootless, and answers that were recorded elsewhere.

Each worker of the tests has one store for podman and one for rootless, with the images in it.  A
world is made when a line wants it and kept for the next line, as long as the line changed nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from conftest import Place
from differential import answers
from differential.answers import Answer, Normal, State
from differential.listing import Line
from differential.runner import run_line
from differential.worlds import FILES, WORLDS

# a minute is for a machine that is busy: no line of the list waits for anything
SECONDS = 60.0
RECORDED = Path(__file__).parent / "recorded"


class BrokenWorld(Exception):
    """What a line should find there could not be made."""


class Tool:
    """A tool with a store of its own."""

    name = ""
    # on standard error, because of the host that the tests run on
    noise: tuple[str, ...] = ()

    def __init__(self, place: Place, images: Path, registry: str) -> None:
        self.place = place
        self.images = images
        self.registry = registry
        self.bin = place.base / "bin"
        self.bin.mkdir()
        self.world: str | None = None
        # what was there when the world began, and in a store that is new
        self.start: State = {}
        self.starts: dict[str, State] = {}
        self.broken: dict[str, str] = {}
        self.base: dict[str, str] = {}
        # whether there may be pods, secrets or networks
        self.rare = True
        self.env = {**place.env, "PATH": f"{self.bin}:{place.env['PATH']}", "IMAGES": str(images),
                    "REGISTRY": registry}  # fmt: skip
        self._install()

    def _install(self) -> None:
        """Make `podman` and `docker` of the search path this tool."""
        raise NotImplementedError

    def _configure(self) -> None:
        # a line may have changed it, or logged in somewhere
        (self.place.runtime / "containers/auth.json").unlink(missing_ok=True)
        for left in (".config", ".docker"):
            shutil.rmtree(self.place.home / left, ignore_errors=True)
        directory = self.place.home / ".config/containers"
        directory.mkdir(parents=True, exist_ok=True)
        # nothing is fetched from outside: docker.io is the registry on the loopback
        (directory / "registries.conf").write_text(
            'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "permissive"\n'
            f'[[registry]]\nprefix = "docker.io"\nlocation = "{self.registry}"\ninsecure = true\n'
            f'[[registry]]\nlocation = "{self.registry}"\ninsecure = true\n'
            '[[registry]]\nprefix = "*.io"\nblocked = true\n'
        )
        (directory / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def sh(self, line: str, terminal: bool = False) -> dict[str, Any]:
        """Run a line in the working directory."""
        return run_line(line, self.env, str(self.place.work), SECONDS, terminal)

    def must(self, line: str) -> str:
        """Run a line that must not fail; what it printed."""
        raw = self.sh(line)
        if raw["status"] != 0:
            raise BrokenWorld(f"{self.name}: {line}: {raw['status']}\n{raw['out']}{raw['err']}")
        return str(raw["out"])

    # ------------------------------------------------- what is there

    def observe(self) -> State:
        """Containers, images and volumes."""
        raise NotImplementedError

    def files(self) -> dict[str, str]:
        """What is in the working directory: kind, mode, owner and, of short text, the content."""
        found = {}
        for directory, names, files in os.walk(self.place.work):
            if len(Path(directory).relative_to(self.place.work).parts) > 1:
                names.clear()  # a store that somebody made here
                continue
            for name in [*names, *files]:
                path = Path(directory, name)
                status = path.lstat()
                kind = {0o01: "fifo", 0o04: "directory", 0o12: "link", 0o14: "socket"}.get(
                    status.st_mode >> 12, "file"
                )
                owner = "me" if status.st_uid == os.getuid() else "not me"
                said = f"{kind} {status.st_mode & 0o7777:o} {owner}"
                if kind == "file" and status.st_size < 400 and os.access(path, os.R_OK):
                    with contextlib.suppress(UnicodeDecodeError):
                        said += " " + repr(path.read_text())
                found[str(path.relative_to(self.place.work))] = said
        return found

    # ------------------------------------------------- worlds

    def prepare(self, world: str) -> None:
        """Make a world, unless it is there."""
        if world in self.broken:
            raise BrokenWorld(self.broken[world])
        shutil.rmtree(self.place.work, ignore_errors=True)
        self.place.work.mkdir(exist_ok=True)
        self._configure()
        for name, text in FILES.items():
            path = self.place.work / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        if self.world == world:
            return
        self.reset()
        self.rare |= world in ("pod", "secret", "network")
        try:
            for line in WORLDS[world]:
                self.must(line)
        except BrokenWorld as error:
            self.broken[world] = str(error)
            raise
        self.start = self.observe()
        first = self.starts.setdefault(world, self.start)
        changed = {kind: _changes(first[kind], self.start[kind], str) for kind in first}
        if any(changed.values()):
            raise BrokenWorld(f"{self.name}: the world {world} is not what it was: {changed}")
        self.world = world

    def reset(self) -> None:
        """Take away all but the images."""
        self.world = None
        self._empty()
        now = self.observe()
        if now["containers"] or now["volumes"]:
            left = [*now["containers"].items(), *now["volumes"]]
            raise BrokenWorld(f"{self.name}: cannot be taken away: {left}")
        if not self.base:
            self.must(f"podman load -q -i {self.images}")
            self.base = self.observe()["images"]
        elif now["images"] != self.base:
            self._mend({**now, "images": self.base}, now)
            if self.observe()["images"] != self.base:
                self.sh("podman rmi -f -a")
                self.must(f"podman load -q -i {self.images}")

    def _mend(self, wanted: State, now: State) -> None:
        """Take away what there is too much."""
        more = {kind: [name for name in now[kind] if name not in wanted[kind]] for kind in now}
        for kind, verb in (("containers", "rm -f -t 0"), ("volumes", "volume rm -f"),
                           ("images", "rmi -f")):  # fmt: skip
            if more[kind]:
                self.sh(f"podman {verb} {shlex.join(more[kind])}")

    def _empty(self) -> None:
        # what others depend on goes with the second
        line = "podman rm -f -t 0 -a || podman rm -f -t 0 -a; podman volume rm -f -a"
        if self.rare:
            line += "; podman secret rm -a; podman network prune -f"
        self.rare = False
        self.sh(line)

    # ------------------------------------------------- answers

    def answer(self, line: Line) -> Answer:
        """Run a line in its world."""
        self.prepare(line.world)
        before = self.files()
        raw = self.sh(line.text, line.terminal)
        raw["err"] = "".join(
            f"{one}\n" for one in raw["err"].splitlines()
            if not any(re.search(pattern, one) for pattern in self.noise)
        )  # fmt: skip
        normal = Normal(self.paths, line.id + " ".join(WORLDS[line.world]))
        effects = {"files": _changes(before, self.files(), normal)}
        verbs = line.verbs
        text = line.text.replace("podman", "").replace("--network none", "")
        self.rare |= re.search("pod|kube|secret|network", text) is not None
        if not set(verbs) <= answers.READING:
            now = self.observe()
            for kind in now:
                effects[kind] = _changes(self.start[kind], now[kind], normal)
            effects["images"] = {
                re.sub("^docker.io/(library/)?", "", name): what
                for name, what in effects["images"].items()
            }
            if set(verbs) & answers.HIDDEN or self.rare:
                self.world = None
            elif now != self.start:
                # what is new is easily taken away; else all is made anew
                if any(now[kind].get(name) != what for kind, names in self.start.items()
                       for name, what in names.items()):  # fmt: skip
                    self.world = None
                else:
                    self._mend(self.start, now)
        elif answers.writes(line.text):
            self.world = None
        kept = answers.answer(
            line.text, raw, normal, {kind: what for kind, what in effects.items() if what}
        )
        if line.terminal:
            kept.output = None  # also what a shell prints there for whoever types
        return kept

    @property
    def paths(self) -> dict[str, str]:
        """Paths in the output that are not the same in two runs."""
        return {"work": str(self.place.work), "home": str(self.place.home),
                "run": str(self.place.runtime), "base": str(self.place.base),
                "images": str(self.images), "registry": self.registry}  # fmt: skip

    def close(self) -> None:
        """Take away everything that runs."""
        self._empty()


def _state(status: str) -> str:
    # "Up 3 seconds (healthy)", "Up 3 seconds (Paused)", "Exited (3) Less than a second ago"
    if "Paused" in status:
        return "Paused"
    match = re.match(r"Exited \(\d+\)|\w+", status)
    return match[0] if match else status


def _changes(
    before: dict[str, str], after: dict[str, str], normal: Callable[[str], str]
) -> dict[str, str]:
    found = {normal(name): normal(what) for name, what in after.items() if before.get(name) != what}
    found.update({normal(name): "gone" for name in before if name not in after})
    return found


class Podman(Tool):
    """podman, as root of a user namespace that it takes for the one it makes for people.

    There it has a hierarchy of control groups of version 2, without which crun starts nothing, but
    no group that it could write to, so containers get none.
    """

    name = "podman"
    noise = (r"level=warning.*cgroup", r"Resource limits are not supported")

    HOLD = """
mount -t tmpfs none /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 125
exec "$@"
"""

    def _configure(self) -> None:
        super()._configure()
        directory = self.place.home / ".config/containers"
        (directory / "containers.conf").write_text(
            '[containers]\ncgroups = "disabled"\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        (directory / "storage.conf").write_text('[storage]\ndriver = "overlay"\n')

    def _install(self) -> None:
        for name in ("podman", "docker"):
            (self.bin / name).symlink_to("/usr/bin/podman")
        user, group = str(os.getuid()), str(os.getgid())
        self.env.update(_CONTAINERS_USERNS_CONFIGURED="done", _CONTAINERS_ROOTLESS_UID=user,
                        _CONTAINERS_ROOTLESS_GID=group)  # fmt: skip
        del self.env["ROOTLESS_DATA_DIR"]
        self.holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--cgroup", "--pid",
             "--fork", "--kill-child", "--mount-proc", "sh", "-c", self.HOLD, "sh",
             sys.executable, "-IS", str(Path(__file__).parent / "runner.py")],
            env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def sh(self, line: str, terminal: bool = False) -> dict[str, Any]:
        """Run a line inside."""
        request = {"line": line, "env": self.env, "cwd": str(self.place.work), "seconds": SECONDS,
                   "terminal": terminal}  # fmt: skip
        assert self.holder.stdin and self.holder.stdout
        self.holder.stdin.write(json.dumps(request) + "\n")
        self.holder.stdin.flush()
        said = self.holder.stdout.readline()
        if not said:
            raise BrokenWorld("podman: its namespace has ended")
        answered: dict[str, Any] = json.loads(said)
        return answered

    def observe(self) -> State:
        """Containers, images and volumes."""
        rows = self.must("podman ps -a --format '{{.Names}}\t{{.Status}}'").splitlines()
        containers = {name: _state(status) for name, status in (row.split("\t") for row in rows)}
        return {"containers": containers, "images": self._images(), "volumes": self._volumes()}

    # podman itself takes a second to list the images, because it adds up their sizes
    def _images(self) -> dict[str, str]:
        path = self.place.home / ".local/share/containers/storage/overlay-images/images.json"
        found = {}
        for one in json.loads(path.read_text()) if path.exists() else []:
            for name in one.get("names") or [one["id"][:12]]:
                found[name] = one["id"][:12]
        return found

    def _volumes(self) -> dict[str, str]:
        path = self.place.home / ".local/share/containers/storage/volumes"
        return {one.name: "local" for one in path.iterdir()} if path.exists() else {}

    def _empty(self) -> None:
        line = "podman rm -f -t 0 -a || podman rm -f -t 0 -a"
        if self._volumes():
            line += "; podman volume rm -f -a"
        if self.rare:
            # each of these takes as long as a container
            line = f"podman pod rm -f -t 0 -a; {line}; podman secret rm -a; podman network prune -f"
        self.rare = False
        self.sh(line)

    def close(self) -> None:
        """Take away the store, some of which belongs to other ids, and the namespace."""
        super().close()
        # below a holder of the same kind: only there these ids are ours
        self.sh(f"podman unmount -a -f; rm -rf {self.place.home}/.local")
        assert self.holder.stdin and self.holder.stdout
        self.holder.stdin.close()
        self.holder.wait(60)
        self.holder.stdout.close()


class Rootless(Tool):
    """rootless, under its own name or that of a tool that it is to behave as."""

    noise = (r"^(?!error).*cgroup",)

    def __init__(self, place: Place, images: Path, registry: str, entry: list[str], called: str
                 ) -> None:  # fmt: skip
        self.entry = entry
        self.name = called
        super().__init__(place, images, registry)

    # Looks by the command as well, without starting it anew each time: the next look is taken with
    # what the last one imported.
    OBSERVE = """
import importlib, json, os
for line in sys.stdin:
    found = []
    for words in json.loads(line):
        out, modules = os.pipe(), os.pipe()
        child = os.fork()
        if not child:
            os.dup2(out[1], 1)
            sys.argv[1:] = words
            try:
                main()
            finally:
                sys.stdout.flush()
                os.write(modules[1], " ".join(sys.modules).encode()[:60000])
                os._exit(0)
        os.close(out[1])
        os.close(modules[1])
        found.append(open(out[0]).read())
        for name in open(modules[0]).read().split():
            if name.startswith("rootless"):
                importlib.import_module(name)
        os.waitpid(child, 0)
    print(json.dumps(found), flush=True)
"""

    def observe(self) -> State:
        """Containers, images and volumes."""
        words = [["ps", "-a", "--format", "{{.Names}}\t{{.Status}}"],
                 ["images", "--format", "{{.Repository}}:{{.Tag}}\t{{.ID}}"],
                 ["volume", "ls", "--format", "{{.Name}}\tlocal"]]  # fmt: skip
        assert self.observer.stdin and self.observer.stdout
        self.observer.stdin.write(json.dumps(words) + "\n")
        self.observer.stdin.flush()
        containers, images, volumes = (
            dict(row.split("\t") for row in out.splitlines())
            for out in json.loads(self.observer.stdout.readline())
        )
        return {
            "containers": {name: _state(status) for name, status in containers.items()},
            "images": {name if "<none>" not in name else short: short
                       for name, short in images.items()},
            "volumes": volumes,
        }  # fmt: skip

    def close(self) -> None:
        """Take away everything that runs."""
        super().close()
        assert self.observer.stdin and self.observer.stdout
        self.observer.stdin.close()
        self.observer.wait(60)
        self.observer.stdout.close()

    def _install(self) -> None:
        interpreter, *options, script = self.entry
        text = Path(script).read_text()
        # what it is called decides how it behaves: the first argument of all
        text = text.replace("import sys\n", f"import sys\nsys.argv[0] = {self.name!r}\n", 1)
        for name in ("podman", "docker"):
            path = self.bin / name
            path.write_text(f"#!{interpreter} {''.join(options)}\n{text}")
            path.chmod(0o755)
        head = text.partition("sys.exit(")[0]
        self.observer = subprocess.Popen(
            [interpreter, *options, "-c", head + self.OBSERVE], env=self.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


class Recorded:
    """Answers that a tool gave where it runs, one a line: `{"command": …, "answer": …}`.

    docker's client answers nothing without its daemon, which the hosts of these tests have not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers: dict[str, Answer] = {}
        path = RECORDED / f"{name}.jsonl"
        for line in path.read_text().splitlines() if path.exists() else []:
            data = json.loads(line)
            self.answers[data["command"]] = Answer.from_json(data["answer"])

    def answer(self, line: Line) -> Answer | None:
        """What was recorded, if anything was."""
        return self.answers.get(line.id)


def lines_with_ports(text: str) -> bool:
    """Whether a line takes ports of the host, which two tools cannot have at once."""
    return re.search(r"(\s-p\s|\s-P\s|--publish|--network host|--net=host)", text) is not None


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that all workers know."""
    import fcntl

    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
