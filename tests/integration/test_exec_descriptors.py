"""What a command that enters a container holds of the one who calls it: no file, no terminal, and
no pipe of theirs; and that its streams still behave as theirs would."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from conftest import TREE, Command, Place
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def container(rootless: Command, busybox_image: str) -> Iterator[str]:
    """The name of a container that runs."""
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    yield "c"


def status(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60)


# writes to what it reads, reads what it writes to, and shows what all three are
ATTEMPT = """
    for number in 0 1 2; do
        echo changed >/proc/self/fd/$number
        timeout -s KILL 0.2 head -n 1 /proc/self/fd/$number | sed 's/^/stolen: /'
    done 2>/dev/null
    readlink /proc/self/fd/0; readlink /proc/self/fd/1; readlink /proc/self/fd/2"""


@pytest.mark.parametrize("way", ["exec", "run", "library"])
def test_files_and_pipes_cannot_be_opened_again(
    rootless: Command, container: str, place: Place, way: str
) -> None:
    conf, log = place.work / "conf", place.work / "log"
    conf.write_text("setting = 1\n")
    log.write_text("hidden\n")
    read, write = os.pipe()
    words = ["exec", "-i", container, "sh", "-c", ATTEMPT]
    if way == "library":
        # what the library hands over is its own, and it reads all of it
        script = place.work / "library.py"
        script.write_text(
            f"import sys; sys.path[:0] = [{str(TREE)!r}]; import rootless\n"
            f"found = rootless.Engine().containers.get('c').exec(['sh', '-c', {ATTEMPT!r}])\n"
            "sys.stdout.buffer.write(found.output)\n"
        )
        command: Command = Command(["python3", str(script)], place)
        words = []
    elif way == "run":
        words = ["run", "--rm", "-i", "--network", "none", "busybox:test", "sh", "-c", ATTEMPT]
        command = rootless
    else:
        command = rootless
    with conf.open("rb") as given, log.open("ab") as into:
        process = command.start(*words, stdin=given, stdout=into, stderr=write)
    status(process)
    os.close(write)
    assert conf.read_text() == "setting = 1\n"
    said = log.read_text()
    assert said.startswith("hidden\n")
    assert "stolen: hid" not in said
    lines = said.split()[-3:]
    number = os.fstat(read).st_ino
    os.close(read)
    assert f"pipe:[{number}]" not in lines, said
    assert {line.partition(":")[0] for line in lines} <= {"pipe", "/dev/null"}, said


def test_a_terminal_is_not_handed_over(rootless: Command, container: str) -> None:
    master, slave = pty.openpty()
    script = "tty; for n in 0 1 2; do readlink /proc/self/fd/$n; done"
    done = rootless.start("exec", "-i", container, "sh", "-c", script, stdin=slave,
                          stdout=slave, stderr=slave)  # fmt: skip
    os.close(slave)
    seen = b""
    while b"pipe" not in seen or seen.count(b"\n") < 4:
        seen += os.read(master, 4096)
    os.write(master, b"\x04")
    status(done)
    os.close(master)
    assert seen.startswith(b"not a tty\r\n"), seen
    assert seen.count(b"pipe:[") == 3, seen


def test_sockets_and_the_null_device_pass(rootless: Command, container: str) -> None:
    ours, theirs = socket.socketpair()
    script = "readlink /proc/self/fd/2; readlink /proc/self/fd/1; read line; echo got $line"
    process = rootless.start("exec", "-i", container, "sh", "-c", script, stdin=theirs,
                             stdout=theirs, stderr=subprocess.DEVNULL)  # fmt: skip
    theirs.close()
    with ours, ours.makefile("rw") as talk:
        assert talk.readline() == "/dev/null\n"
        assert talk.readline().startswith("socket:[")
        talk.write("this\n")
        talk.flush()
        assert talk.readline() == "got this\n"
        assert status(process) == 0


def test_input_is_read_only_with_i(rootless: Command, container: str, place: Place) -> None:
    """So that a loop over lines keeps its lines."""
    command = shlex.join(rootless.words)
    script = f"while read line; do {command} exec c sh -c 'cat; echo $1' sh $line; done"
    found = subprocess.run(["sh", "-c", script], input=b"one\ntwo\n", stdout=subprocess.PIPE,
                           env=place.env, cwd=place.work, timeout=100)  # fmt: skip
    assert found.stdout == b"one\ntwo\n"


def test_the_ends_of_streams(rootless: Command, container: str, place: Place) -> None:
    # its input ends, and it goes on writing
    found = rootless("exec", "-i", "c", "sh", "-c", "cat; echo over; echo err >&2; exit 3",
                     input="in\n", code=3)  # fmt: skip
    assert (found.out, found.err) == (b"in\nover\n", b"err\n")
    # it ends its input, and nobody waits for the rest of it
    with open("/dev/zero", "rb") as zero:
        process = rootless.start("exec", "-i", "c", "sh", "-c", "exec <&-; echo on; exit 4",
                                 stdin=zero, stdout=subprocess.PIPE)  # fmt: skip
        assert process.communicate(timeout=100)[0] == b"on\n"
        assert process.returncode == 4
    # nobody reads what it writes
    process = rootless.start("exec", "c", "yes", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    assert status(process) == 141
    # somebody whom it leaves behind holds its streams
    script = "sleep 1000 & i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; exit 5"
    left = rootless("exec", "c", "sh", "-c", script, code=5)
    assert left.stdout.split() == [str(number) for number in range(1, 3001)]
    # both streams go to one place, and keep their order
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; echo $i >&2; done"
    with (place.work / "both").open("wb") as both:
        status(rootless.start("exec", "c", "sh", "-c", script, stdout=both, stderr=both))
    expected = [str(number) for number in range(1, 301) for _ in "oe"]
    assert (place.work / "both").read_text().split() == expected
    # there are no streams at all
    closed = 'exec "$@" <&- >&- 2>&-'
    words = [*rootless.words, "exec", "-i", "c", "sh", "-c", "echo there; exit 6"]
    assert subprocess.run(["sh", "-c", closed, "sh", *words], env=place.env).returncode == 6
    # what it wrote can be kept nowhere
    with open("/dev/full", "wb") as full:
        process = rootless.start("exec", "c", "echo", "lost", stdout=full, stderr=subprocess.PIPE)
        said = process.communicate(timeout=100)[1]
    assert process.returncode == 125
    assert said == b"error: the command's output cannot be written: No space left on device\n"


def test_much_goes_through(rootless: Command, container: str, place: Place) -> None:
    """Into and out of pipes and files, also one that is appended to; none of it changed."""
    data = os.urandom(1 << 16) * 64 + b"end"
    source = place.work / "source"
    source.write_bytes(data)
    for mode in ("wb", "ab"):
        target = place.work / mode
        with source.open("rb") as given, target.open(mode) as into:
            assert status(rootless.start("exec", "-i", "c", "cat", stdin=given, stdout=into)) == 0
        assert target.read_bytes() == data
    found = rootless("exec", "-i", "c", "sh", "-c", "tee /dev/stderr", input=data)
    assert found.out == data
    assert found.err == data


def test_a_slow_reader_gets_everything(rootless: Command, container: str) -> None:
    """Also what is in the pipe when the command has ended already."""
    process = rootless.start("exec", "c", "sh", "-c", "seq 1 40000; touch /tmp/written",
                             stdout=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.read(1)
    # it stands still: there is no room for what it has to say
    assert rootless("exec", "c", "test", "-e", "/tmp/written", code=None).code == 1
    rest = process.stdout.read()
    assert (first + rest).split() == [str(number).encode() for number in range(1, 40001)]
    assert status(process) == 0


def test_the_runtime_in_the_foreground(runtime: Runtime, place: Place) -> None:  # noqa: F811
    """`exec` and `run` stay, and carry the streams; `create` and `exec -d` hand them over as they
    are, because that is how engines get what a container writes."""
    for name in ("readlink", "head", "sed", "timeout", "echo"):
        (runtime.bundle / "rootfs/bin" / name).symlink_to("busybox")
    runtime.create("c", "sleep", "1000")
    runtime("start", "c")
    runtime.config["process"]["args"] = ["sh", "-c", ATTEMPT]
    runtime.write()
    root = ["--root", str(runtime.root)]
    script = "readlink /proc/self/fd/1"
    for words in (["exec", "c", "sh", "-c", ATTEMPT], ["run", "-b", str(runtime.bundle), "two"]):
        conf, log = place.work / "conf", place.work / "log"
        conf.write_text("setting = 1\n")
        log.write_text("hidden\n")
        with conf.open("rb") as given, log.open("ab") as into:
            status(runtime.command.start(*root, *words, stdin=given, stdout=into, stderr=into))
        assert conf.read_text() == "setting = 1\n"
        assert log.read_text().startswith("hidden\n")
        assert "stolen: hid" not in log.read_text()
        assert log.read_text().count("pipe:[") == 3, log.read_text()
    log = place.work / "detached"
    with log.open("wb") as into:
        process = runtime.command.start(*root, "exec", "-d", "c", "sh", "-c", script, stdout=into,
                                        stdin=subprocess.DEVNULL)  # fmt: skip
        assert status(process) == 0
    end = time.monotonic() + 60
    while not (said := log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "pipe" not in said


def test_a_container_in_the_background_keeps_nothing_open(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    """No lock and no end of a pipe of whoever starts it, nor do the programs beside it."""
    command = shlex.join(rootless.words)
    script = f"""
        exec 9>lock
        flock -n 9
        {command} run -d --name c --network slirp4netns busybox:test sleep 1000 >/dev/null
        {command} exec -d c sleep 1000 >/dev/null
    """
    # its output is a pipe as descriptor 7 as well, which ends only when nobody has it any more
    found = subprocess.run(["sh", "-c", f"exec 7>&1 {script}"], stdout=subprocess.PIPE,
                           env=place.env, cwd=place.work, timeout=60)  # fmt: skip
    assert (found.returncode, found.stdout) == (0, b"")
    with (place.work / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
