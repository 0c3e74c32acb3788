"""The host's side of an attack: secrets, processes, sockets and a caller, all within reach.

Everything is this test's own.  `Stage.column` gives what one way in let through.
Scope: whoever wants a new attempt adds it to the C program, and what it leaves on the host here.
"""

from __future__ import annotations

import contextlib
import os
import pty
import pwd
import random
import secrets
import selectors
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conftest import Place
from ways_in.building import compile_into

# what looks at those who enter, beside the attempts of the program that enters
ENTERING = ("root", "root-written", "directory", "program", "memory", "traced", "environment",
            "descriptors")  # fmt: skip

# the default of docker and of every engine like it
DEFAULT_CAPABILITIES = 0xA80425FB


@dataclass(frozen=True)
class Cell:
    """How one attempt ended by one way in."""

    outcome: str
    why: str = ""


Column = dict[str, Cell]


def build(scratch: Path) -> Path:
    """The directory with `attack` and `lead`, made once; some tests start at the same time.

    $ROOTLESS_TEST_WAYS_IN has them made already, for a machine without a compiler.
    """
    made = scratch / "ways-in"
    if not (made / "lead").exists():
        part = scratch / f"ways-in-{os.getpid()}"
        part.mkdir()
        given = os.environ.get("ROOTLESS_TEST_WAYS_IN")
        if given:
            shutil.copytree(given, part, dirs_exist_ok=True)
        else:
            compile_into(part)
        part.chmod(0o755)
        part.rename(made)
    return made


def names(programs: Path) -> list[str]:
    """All attempts, in the order of the table."""
    listed = subprocess.run([programs / "attack", "list"], capture_output=True, check=True)
    return [*listed.stdout.decode().split(), *(f"entering-{one}" for one in ENTERING)]


def image(programs: Path, busybox_tar: Path) -> Path:
    """A root file system of busybox and the program, as a tar."""
    path = programs / "image.tar"
    if not path.exists():
        part = programs / f"image-{os.getpid()}"
        shutil.copy(busybox_tar, part)
        with tarfile.open(part, "a") as archive:
            info = archive.gettarinfo(str(programs / "attack"), "attack")
            info.uid = info.gid = 0
            info.mode = 0o755
            with open(programs / "attack", "rb") as source:
                archive.addfile(info, source)
        part.rename(path)
    return path


@dataclass
class Told:
    """What the caller's side saw."""

    status: int = -1
    typed: list[str] = field(default_factory=list)
    group: bool = False
    nonblock: bool = False
    window: tuple[int, int] = (0, 0)
    stderr: str = ""

    @classmethod
    def read(cls, path: Path) -> Told:
        """What `lead` wrote down."""
        told = cls()
        for line in path.read_text(errors="replace").splitlines():
            word, _, rest = line.partition(" ")
            if word == "status":
                told.status = int(rest)
            elif word == "typed":
                told.typed.append(rest)
            elif word in ("group", "nonblock"):
                setattr(told, word, True)
            elif word == "window":
                rows, cols = rest.split()
                told.window = int(rows), int(cols)
            elif word == "stderr":
                told.stderr += rest + "\n"
        return told


class Stage:
    """Secrets of a host, and a caller.  `close` ends it."""

    def __init__(self, place: Place, programs: Path) -> None:
        self.place, self.programs = place, programs
        self.attack_program = str(programs / "attack")
        self.token = secrets.token_hex(12)
        self.base = place.base / "stage"
        self.base.mkdir()
        self.results, self.readonly = self.base / "results", self.base / "readonly"
        for path in (self.results, self.readonly):
            path.mkdir()
            path.chmod(0o777)
        self.secret, self.victim = self.base / "secret", self.base / "victim"
        self.conf, self.log = self.base / "conf", self.base / "log"
        self.hit = self.base / "hit"
        self.secret.write_text(self.token)
        self.secret.chmod(0o600)
        self.runtime = Path(place.env["XDG_RUNTIME_DIR"])
        self.posix = f"ways-in-{self.token[:8]}"
        self.queue = random.randrange(1, 1 << 31)
        self.env = {**place.env, "WAYS_IN_SECRET": self.token}
        # whose files give the rights of the host's root; where images and containers are
        self.root = 0
        self.rooms: Path | None = place.data
        self.process = subprocess.Popen(
            ["ways-in-process", "process", self.hit, str(self.queue), self.posix],
            executable=self.attack_program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=self.env, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout and self.process.stdout.readline() == b"ready\n"
        self._listen()
        self.reset()

    def _listen(self) -> None:
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = int(tcp.getsockname()[1])
        self.abstract = f"ways-in-{self.token[:8]}"
        plain, named = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        plain.bind("\0" + self.abstract)
        named.bind(str(self.runtime / "ways-in.sock"))
        # where a service says that it is ready
        self.notify = self.runtime / "ways-in-notify"
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(self.notify))
        self._ends = socket.socketpair()
        self._listeners = [tcp, plain, named]
        for one in (plain, named):
            one.listen(16)
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        kept: list[int] = []  # whatever descriptors strangers send
        with (
            selectors.DefaultSelector() as selector,
            contextlib.ExitStack() as talking,
        ):
            for one in (*self._listeners, self._told, self._ends[0]):
                selector.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    one = key.fileobj
                    if one is self._ends[0]:
                        for fd in kept:
                            os.close(fd)
                        return
                    assert isinstance(one, socket.socket)
                    if one in self._listeners:
                        other, _ = one.accept()
                        talking.enter_context(other)
                        self._say(other)
                        selector.register(other, selectors.EVENT_READ)
                        continue
                    with contextlib.suppress(OSError):
                        if one.family == socket.AF_UNIX:
                            kept += socket.recv_fds(one, 4096, 8, socket.MSG_CMSG_CLOEXEC)[1]
                    if one is not self._told:
                        selector.unregister(one)
                        one.close()

    def _say(self, other: socket.socket) -> None:
        other.settimeout(1)
        with contextlib.suppress(OSError):  # who only tried whether it can connect
            if other.family == socket.AF_UNIX:
                with open(self.secret, "rb") as secret:
                    socket.send_fds(other, [self.token.encode()], [secret.fileno()])
            else:
                other.sendall(self.token.encode())
                other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End what runs, and take away what is in the kernel."""
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()
        self._ends[1].close()
        self._thread.join()
        for one in (*self._listeners, self._told, self._ends[0]):
            one.close()

    # ------------------------------------------------- one way in

    def reset(self) -> None:
        """As if nobody had been here."""
        for name in ("out", "setuid"):
            (self.results / name).unlink(missing_ok=True)
        self.root, self.rooms = 0, self.place.data
        self.hit.unlink(missing_ok=True)
        self.victim.write_text("untouched\n")
        self.victim.chmod(0o600)
        self.conf.write_text(f"of the caller: {self.token}\n")
        self.log.write_text(f"earlier: {self.token}\n")
        file = self.readonly / "file"
        file.write_text("untouched\n")
        file.chmod(0o666)
        lurk = self.results / "lurk"
        if lurk.exists():
            os.truncate(lurk, 0)

    def told(self, *, results: str = "/results", readonly: str = "/readonly", **more: str | int
             ) -> list[str]:  # fmt: skip
        """The words that the program is told."""
        kinds = ("mnt", "net", "user", "pid", "ipc", "uts", "cgroup")
        hosts = "".join(f"{kind}:{os.stat(f'/proc/self/ns/{kind}').st_ino}," for kind in kinds)
        handle = subprocess.run(
            [self.attack_program, "handle", self.secret], capture_output=True, text=True
        )
        values: dict[str, str | int | Path] = {
            "token": self.token, "secret": self.secret, "victim": self.victim, "results": results,
            "readonly": readonly, "abstract": self.abstract, "runtime": self.runtime,
            "handle": handle.stdout.strip(), "posix": self.posix, "process": self.process.pid,
            "port": self.port, "queue": self.queue, "hosts": hosts, **more,
        }  # fmt: skip
        return [f"{key}={value}" for key, value in values.items()]

    def attack(self, program: str = "/attack", **more: str | int) -> list[str]:
        """The words of the program that tries everything, inside."""
        return [program, *self.told(**more), f"out={more.get('results', '/results')}/out"]

    def lurk(self) -> list[str]:
        """The words of the program that looks at those who enter."""
        return ["/attack", "lurk", "/results/lurk", *self.told()]

    def mounts(self) -> list[str]:
        """What a container has of the host: a volume for results, and one read-only."""
        return ["-v", f"{self.results}:/results", "-v", f"{self.readonly}:/readonly:ro"]

    def lead(self, words: Sequence[str | Path], stdin: str = "conf") -> Told:
        """A caller's session runs these words; `stdin`: "conf", "tty" or "-"."""
        master, slave = pty.openpty()
        report = self.base / "report"
        command = [self.programs / "lead", report, os.ttyname(slave),
                   self.conf if stdin == "conf" else stdin, self.log, self.token, self.base,
                   *words]  # fmt: skip
        self.shown = b""
        done = subprocess.Popen(
            list(map(str, command)), env=self.env, cwd=self.place.work, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        reader = threading.Thread(target=self._drain, args=(master,))
        reader.start()
        try:
            _, err = done.communicate(timeout=90)
        finally:
            done.kill()
            os.close(slave)
            reader.join(10)
            os.close(master)
        assert done.returncode == 0, f"lead: {done.returncode} {err.decode()} {self.shown!r}"
        return Told.read(report)

    def _drain(self, master: int) -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return  # nobody holds the other end any more
            if not data:
                return
            self.shown += data

    def out(self, seconds: float = 30) -> Path:
        """The program's report, when it is there."""
        return self.appears("out", seconds)

    def appears(self, name: str, seconds: float = 30) -> Path:
        """A file that is written inside."""
        path = self.results / name
        end = time.monotonic() + seconds
        while not path.exists():
            assert time.monotonic() < end, f"no {name} came: {self.shown!r}\n{self.log.read_text()}"
            time.sleep(0.01)
        return path

    def column(self, way: Callable[[Stage], Told], lurking: bool = False) -> Column:
        """What a way in lets through: what the program says, and what the host's things show."""
        self.reset()
        self.shown = b""
        told = way(self)
        path = self.results / "out"
        assert path.exists(), f"nothing was tried: {told}\n{self.shown!r}\n{self.log.read_text()}"
        column: Column = {}
        for line in path.read_text().splitlines():
            name, outcome, why = line.split("\t")
            column[name] = Cell(outcome, why)
        for one in ENTERING:
            outcome = "held" if lurking else "not applicable"
            column[f"entering-{one}"] = Cell(outcome, "" if lurking else "nobody was inside before")
        lurk = self.results / "lurk"
        for line in lurk.read_text().splitlines() if lurk.exists() else ():
            name, outcome, why = line.split("\t")
            column[name] = Cell(outcome, why)

        def broke(name: str, why: str) -> None:
            column[name] = Cell("broke", why)

        for file in (self.victim, self.conf, self.readonly / "file"):
            for line in file.read_text().splitlines():
                if line in column:
                    broke(line, f"{file.name} of the host was written to")
        if self.token not in self.log.read_text():
            broke("stdout-cut", "the file that the caller appends to lost its beginning")
        if self.hit.exists():
            broke("process-signalled", "a process of the host got the signal")
        for name in told.typed:
            if name in column:
                broke(name, "typed into the caller's terminal")
        if told.group:
            broke("process-group", "the caller's process group got a signal")
        if told.nonblock:
            broke("flags-shared", "the caller's descriptor became non-blocking")
        if told.window != (33, 77):
            broke("terminal-settings", f"the caller's terminal is now {told.window}")
        self._setuid(column, broke)
        if str(self.results) in Path("/proc/self/mountinfo").read_text():
            broke("mount-propagates", "the mount is seen on the host")
        return column

    def _setuid(self, column: Column, broke: Callable[[str, str], None]) -> None:
        """Whose the programs with set-user-ID bits are on the host, and who could start them."""
        file = self.results / "setuid"
        if column["setuid-in-a-volume"].outcome == "held":
            status = file.stat()
            if status.st_uid == self.root or status.st_uid not in own_ids():
                broke("setuid-in-a-volume", f"{status.st_uid}'s, mode {status.st_mode:o}")
        if column["setuid-for-others"].outcome == "held":
            rooms = self.rooms
            if rooms is None:
                column["setuid-for-others"] = Cell("not applicable", "the bundle is its maker's")
            elif rooms.stat().st_mode & 0o011:
                broke("setuid-for-others", f"{rooms} can be entered by others")


def own_ids() -> set[int]:
    """The caller's id and its subordinate ones."""
    made = {os.getuid()}
    names = (pwd.getpwuid(os.getuid()).pw_name, str(os.getuid()))
    for line in Path("/etc/subuid").read_text().splitlines():
        name, first, count = line.split(":")
        if name in names:
            made.update(range(int(first), int(first) + int(count)))
    return made
