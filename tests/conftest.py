"""What all tests share: a place of their own, the real command, and a look for what is left behind.

Every test gets its own data directory, home and runtime directory, so tests may run side by side.
Scope: running the command as a person would.  The registry with images is in integration/hub.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import stuck
import summary
from integration.hub import debian_image as debian_image
from integration.hub import hub as hub
from ways_in import table

# How fast a busy machine makes up its examples says nothing about the program.  The daily run looks
# at the same examples each time, so that it says the same each time; tests/run --all looks further.
hypothesis.settings.register_profile(
    "daily",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,
    database=None,
)
hypothesis.settings.register_profile(
    "all", hypothesis.settings.get_profile("daily"), derandomize=False
)
hypothesis.settings.load_profile(os.environ.get("ROOTLESS_TEST_EXAMPLES", "daily"))

TREE = Path(__file__).resolve().parent.parent


# A shell that starts this in the background (`tests/run &`, nohup) has it ignore these, and what
# ignores a signal hands that on to all that it starts: Ctrl-C would end no command of these tests.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(
            _number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL
        )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for line in (
        "slow: takes seconds; left out by tests/run -q",
        "long: part of the large matrix; only under tests/run --all",
        "systemd: needs systemd; runs in the machine of tests/vm",
        "single: runs as the user without subordinate ids",
    ):
        config.addinivalue_line("markers", line)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(summary.Summary(config))
        config.pluginmanager.register(table.Table())


# ------------------------------------------------- places


class Place:
    """Directories of one test.  `env` is what a command needs to stay inside them."""

    def __init__(self, base: Path, runtime: Path) -> None:
        self.base = base
        self.data = base / "data"
        self.home = base / "home"
        self.work = base / "work"
        self.runtime = runtime
        for path in (self.data, self.home, self.work):
            path.mkdir()
            # ids of a container, which are not ours, pass through to the root file system
            path.chmod(0o711)
        self.env = {
            "HOME": str(self.home),
            "USER": os.environ.get("USER", "nobody"),
            "LOGNAME": os.environ.get("LOGNAME", "nobody"),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "XDG_RUNTIME_DIR": str(runtime),
            "ROOTLESS_DATA_DIR": str(self.data),
        }
        bus = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        if bus:
            self.env["DBUS_SESSION_BUS_ADDRESS"] = bus


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory on a real file system that ids of containers can pass through."""
    given = os.environ.get("ROOTLESS_TEST_SCRATCH")
    path = Path(tempfile.mkdtemp(prefix="s", dir=given or "/var/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def place(scratch: Path) -> Iterator[Place]:
    """Fresh directories for one test; removed afterwards, also what belongs to mapped ids."""
    base = Path(tempfile.mkdtemp(prefix="t", dir=scratch))
    base.chmod(0o711)
    runtime_base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.access(runtime_base, os.W_OK):
        runtime_base = str(scratch)
    # short, because the address of a unix socket ends at 108 bytes
    runtime = Path(tempfile.mkdtemp(prefix="t", dir=runtime_base))
    yield Place(base, runtime)
    shutil.rmtree(runtime, ignore_errors=True)
    _remove_tree(base)


def _remove_tree(base: Path) -> None:
    # as ourselves first: most tests leave nothing of a mapped id
    for directory, names, _ in os.walk(base):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(base, ignore_errors=True)
    if base.exists() and (TREE / "rootless/cli/main.py").exists():
        code = (
            f"import sys; sys.path[:0] = [{str(TREE)!r}]; sys.path += {_site_packages()!r};"
            "from rootless.cli.main import main;"
            f"sys.argv = ['rootless', 'unshare', 'rm', '-rf', {str(base)!r}]; sys.exit(main())"
        )
        subprocess.run([_python(), "-IS", "-c", code], timeout=100, check=False)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def data_dir(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh ROOTLESS_DATA_DIR, HOME and XDG_RUNTIME_DIR in the environment of this process."""
    for name in ("HOME", "XDG_RUNTIME_DIR", "ROOTLESS_DATA_DIR"):
        monkeypatch.setenv(name, place.env[name])
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return place.data


@pytest.fixture(params=[pytest.param("mapped"), pytest.param("single", marks=pytest.mark.single)])
def everyone(request: pytest.FixtureRequest) -> str:
    """Makes a test run twice: as the user with subordinate ids and as the one without."""
    return str(request.param)


# ------------------------------------------------- the command


class Result:
    """How a command ended.  `stdout` and `stderr` are text; `out` and `err` are the bytes."""

    def __init__(self, words: Sequence[str], code: int, out: bytes, err: bytes) -> None:
        self.words = list(words)
        self.code = code
        self.out = out
        self.err = err

    @property
    def stdout(self) -> str:
        """Standard output, decoded."""
        return self.out.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Standard error, decoded."""
        return self.err.decode(errors="replace")

    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    def __str__(self) -> str:
        def shorten(text: str) -> str:
            return text if len(text) < 8000 else f"{text[:4000]}\n[...]\n{text[-4000:]}"

        return (
            f"command: {' '.join(self.words)}\nexit status: {self.code}\n"
            f"--- stdout\n{shorten(self.stdout)}\n--- stderr\n{shorten(self.stderr)}"
        )


class Command:
    """The real command, started the way the installed launcher starts it.

    `rootless("run", "--rm", ...)` waits for it and expects exit status 0, or the one given.
    """

    def __init__(self, words: Sequence[str], place: Place) -> None:
        self.words = list(words)
        self.place = place
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(
        self,
        *words: str | Path,
        code: int | None = 0,
        input: str | bytes = b"",
        timeout: float = 120,
        env: dict[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> Result:
        """Run to the end.  `code` is the expected exit status, None for any; fails otherwise."""
        command = [*self.words, *map(str, words)]
        shown = ["rootless", *map(str, words)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.place.env, **(env or {})},
            cwd=cwd or self.place.work,
        )
        try:
            data = input.encode() if isinstance(input, str) else input
            out, err = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            waits = stuck.look(process)
            process.kill()
            try:
                # something that it started may hold the pipes open for ever
                out, err = process.communicate(timeout=5)
            except subprocess.TimeoutExpired as expired:
                out, err = expired.stdout or b"", expired.stderr or b""
            result = Result(shown, -1, out, err)
            pytest.fail(f"no end within {timeout} s\n{waits}\n{result}", pytrace=True)
        result = Result(shown, process.returncode, out, err)
        if code is not None and result.code != code:
            pytest.fail(f"expected exit status {code}\n{result}", pytrace=True)
        return result

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Start and do not wait; killed at the end of the test if it still runs."""
        env = {**self.place.env, **options.pop("env", {})}
        options.setdefault("cwd", self.place.work)
        process = subprocess.Popen([*self.words, *map(str, words)], env=env, **options)
        self.started.append(process)
        return process

    def terminal(self, *words: str | Path, rows: int = 24, cols: int = 80) -> Terminal:
        """Start on a new terminal of its own, as a person sees it."""
        master, slave = pty.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        process = self.start(
            *words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"TERM": "xterm"},
        )
        os.close(slave)
        return Terminal(master, process)

    def close(self) -> None:
        """End what `start` started."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait(60)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


class Terminal:
    """The person's end of a terminal.  `seen` is all that was printed so far."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.seen = b""
        self._position = 0

    def type(self, text: str | bytes) -> None:
        """Press keys."""
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def expect(self, text: str | bytes, timeout: float = 60) -> bytes:
        """Wait until this is printed after what was expected before; gives what came until then."""
        wanted = text.encode() if isinstance(text, str) else text
        end = time.monotonic() + timeout
        while (found := self.seen.find(wanted, self._position)) < 0:
            if not self._read(end - time.monotonic()):
                shown = self.seen.decode(errors="replace")
                pytest.fail(f"{wanted!r} did not appear; seen last:\n{shown[-4000:]}")
        begin, self._position = self._position, found + len(wanted)
        return self.seen[begin : self._position]

    def read(self, seconds: float) -> bool:
        """Take in what is printed within that time; whether there was anything."""
        return self._read(seconds)

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False  # EIO: nobody holds the other end any more
        self.seen += data
        return bool(data)

    def resize(self, rows: int, cols: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def wait(self, timeout: float = 60) -> int:
        """Read to the end; the exit status."""
        end = time.monotonic() + timeout
        while self._read(end - time.monotonic()):
            pass
        status = self.process.wait(max(0.1, end - time.monotonic()))
        os.close(self.master)
        return status


def _python() -> str:
    # the interpreter below a virtual environment: it starts faster, and people have that one
    base: str = getattr(sys, "_base_executable", sys.executable)
    return base


def _site_packages() -> list[str]:
    paths = sysconfig.get_paths()
    # in the machine of tests/vm the libraries lie beside the tree
    given = os.environ.get("ROOTLESS_TEST_SITE")
    return sorted({paths["purelib"], paths["platlib"], *([given] if given else [])})


@pytest.fixture(scope="session")
def entry(scratch: Path) -> list[str]:
    """The words that start the command: as install.sh's launcher, on this tree.

    $ROOTLESS_TEST_COMMAND names an installed command instead.
    """
    installed = os.environ.get("ROOTLESS_TEST_COMMAND")
    if installed:
        return [installed]
    script = scratch / "entry.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(TREE)!r})\n"
        f"sys.path += {_site_packages()!r}\n"
        "from rootless.cli.main import main\n"
        "sys.exit(main())\n"
    )
    return [_python(), "-IS", str(script)]


@pytest.fixture(scope="session")
def oci_entry(scratch: Path) -> list[str]:
    """The words that start the OCI runtime's command."""
    script = scratch / "rootless-runtime"
    script.write_text(
        f"import sys\nsys.path[:0] = [{str(TREE)!r}]\nsys.path += {_site_packages()!r}\n"
        "from rootless.cli.oci.main import main\nsys.exit(main())\n"
    )
    return [_python(), "-IS", str(script)]


@pytest.fixture
def rootless(entry: list[str], place: Place) -> Iterator[Command]:
    """The command in a place of this test.  Afterwards every container is removed by `rm -f`,
    and the test fails if a process, a mount or a file of a container is left."""
    command = Command(entry, place)
    yield command
    command.close()
    left = command("ps", "-aq", "--no-trunc").stdout.split()
    if left:
        command("rm", "-f", *left)
    problems = leftovers(place)
    end = time.monotonic() + 30
    while problems and time.monotonic() < end:
        # what ends asynchronously gets a moment: slirp4netns, the monitor
        time.sleep(0.05)
        problems = leftovers(place)
    _end_processes(place)
    if problems:
        pytest.fail("left behind:\n" + "\n".join(problems), pytrace=False)


# ------------------------------------------------- what is left


def _processes(place: Place) -> Iterator[tuple[int, str]]:
    """Processes that have something to do with a place: (pid, why)."""
    marks = [str(place.base).encode(), str(place.runtime).encode()]
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        for file in ("cmdline", "environ", "mountinfo"):
            try:
                data = Path("/proc", name, file).read_bytes()
            except OSError:
                continue
            if any(mark in data for mark in marks):
                words = _cmdline(name)
                yield int(name), f"process {name} ({words}): its {file} names this test's place"
                break


def _cmdline(pid: str) -> str:
    try:
        data = Path("/proc", pid, "cmdline").read_bytes()
        return data.replace(b"\0", b" ").decode(errors="replace").strip()[:300]
    except OSError:
        return "gone"


def leftovers(place: Place) -> list[str]:
    """What should not be there when all containers are removed, one line each."""
    problems = [why for _, why in _processes(place)]
    mounts = Path("/proc/self/mountinfo").read_text()
    problems += [f"mount: {line}" for line in mounts.splitlines() if str(place.base) in line]
    containers = place.data / "containers"
    if containers.is_dir():
        problems += [
            f"container directory: {entry}"
            for entry in containers.iterdir()
            if entry.name != "names" and not entry.is_file()
        ]
        names = containers / "names"
        if names.is_dir():
            problems += [f"container name: {entry}" for entry in names.iterdir()]
    sockets = place.runtime / "rootless" / "c"
    if sockets.is_dir():
        problems += [f"runtime directory: {entry}" for entry in sockets.iterdir()]
    temporary = place.data.rglob("*.tmp") if place.data.is_dir() else ()
    problems += [f"temporary file: {path}" for path in temporary if "layers" not in path.parts]
    return problems


def _end_processes(place: Place) -> None:
    for pid, _ in _processes(place):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


# ------------------------------------------------- root file systems


@pytest.fixture(scope="session")
def debian_tar() -> Path:
    """A minimal Debian root file system as a tar, made by tests/run."""
    value = os.environ.get("ROOTLESS_TEST_DEBIAN_TAR", "")
    if not value or not os.path.exists(value):
        pytest.fail("no Debian root file system: run tests/run, or set ROOTLESS_TEST_DEBIAN_TAR")
    return Path(value)


@pytest.fixture(scope="session")
def busybox() -> Path:
    """A statically linked busybox."""
    path = Path(os.environ.get("ROOTLESS_TEST_BUSYBOX", "/bin/busybox"))
    if not path.exists():
        pytest.fail(f"no {path}: install busybox-static")
    return path


@pytest.fixture(scope="session")
def busybox_tar(scratch: Path, busybox: Path) -> Path:
    """A root file system of a busybox and the few files that make it a system, as a tar."""
    applets = subprocess.run([busybox, "--list"], capture_output=True, check=True, text=True)
    path = scratch / "busybox.tar"
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n",
        "etc/group": "root:x:0:\nguest:x:1000:\nextra:x:2000:guest\n",
    }
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "etc", "root", "tmp", "home", "home/guest", "var", "usr", "usr/bin"):
            directory = tarfile.TarInfo(name)
            directory.type = tarfile.DIRTYPE
            directory.mode = 0o1777 if name == "tmp" else 0o755
            if name == "home/guest":
                directory.uid = directory.gid = 1000
            archive.addfile(directory)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
        program = archive.gettarinfo(str(busybox), "bin/busybox")
        program.uid = program.gid = 0
        program.uname = program.gname = ""
        program.mode = 0o755
        with open(busybox, "rb") as source:
            archive.addfile(program, source)
        for applet in applets.stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type = tarfile.SYMTYPE
                link.linkname = "busybox"
                archive.addfile(link)
    return path


@pytest.fixture
def busybox_image(rootless: Command, busybox_tar: Path) -> str:
    """The name of a busybox image in this test's store."""
    rootless("import", busybox_tar, "busybox:test")
    return "busybox:test"
