"""Who enters a container leaves the person's session: it cannot type into their shell, and keys and
signals reach it as they reach any job of that shell."""

from __future__ import annotations

import array
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TREE, Command, Place, Terminal
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("everyone")

# its session, 0 where that is of somebody outside, and the device of its terminal: then a terminal
# that it can open by this name could be typed into (TIOCSTI), whatever its streams are
WHERE = "cut -d' ' -f6,7 /proc/self/stat; (: </dev/tty) 2>&1"


def alone(said: str) -> bool:
    """Whether what WHERE printed is said from a session of its own without a terminal."""
    session, _, rest = said.partition(" ")
    return (
        int(session) > 0 and rest.startswith("0\n") and "can't open /dev/tty: No such dev" in rest
    )


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def shells(place: Place) -> Iterator[Callable[..., Terminal]]:
    """Starts a shell of the host on a terminal of its own."""
    made: list[Command] = []

    def start(*words: str | Path) -> Terminal:
        made.append(Command([str(words[0])], place))
        return made[-1].terminal(*words[1:])

    yield start
    for command in made:
        command.close()


def test_every_way_in_has_a_session_of_its_own(
    rootless: Command, busybox_image: str, place: Place, shells: Callable[..., Terminal]
) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", "--health-interval", "disable",
             "--health-cmd", f"({WHERE}) >/tmp/health", busybox_image, "sleep", "1000")  # fmt: skip
    library = place.work / "library.py"
    library.write_text(
        f"import sys; sys.path[:0] = [{str(TREE)!r}]; import rootless\n"
        f"found = rootless.Engine().containers.get('c').exec(['sh', '-c', {WHERE!r}])\n"
        "sys.stdout.buffer.write(found.output)\n"
    )
    command, where = shlex.join(rootless.words), shlex.quote(WHERE)
    inside = {"detached": f"({WHERE}) >/tmp/new; mv /tmp/new /tmp/detached"}
    script = f"""
        {command} exec c sh -c {where} </dev/null >exec 2>/dev/null
        {command} exec -i c sh -c {where} </dev/null >input 2>/dev/null
        {command} exec -u guest c sh -c {where} </dev/null >user 2>/dev/null
        {command} exec --privileged c sh -c {where} </dev/null >privileged 2>/dev/null
        {command} exec -d c sh -c {shlex.quote(inside["detached"])} </dev/null >/dev/null 2>&1
        {command} healthcheck run c </dev/null >/dev/null 2>&1
        {shlex.quote(sys.executable)} {library} </dev/null >library 2>/dev/null
        {command} exec c sh -c {where}
        echo over"""
    terminal = shells("sh", "-c", script)
    terminal.expect("over")
    # also where it is the terminal that it writes to
    assert alone(terminal.seen.decode().replace("\r", "")), terminal.seen
    assert terminal.wait() == 0
    for name in ("exec", "input", "user", "privileged", "library"):
        said = (place.work / name).read_text()
        assert alone(said), (name, said)
    wait_for(lambda: rootless("exec", "c", "test", "-e", "/tmp/detached", code=None).code == 0)
    for name in ("detached", "health"):
        said = rootless("exec", "c", "cat", f"/tmp/{name}").stdout
        assert alone(said), (name, said)


def test_the_runtimes_ways_in_have_a_session_of_their_own(
    runtime: Runtime,  # noqa: F811
    shells: Callable[..., Terminal],
) -> None:
    (runtime.bundle / "rootfs/bin/cut").symlink_to("busybox")
    runtime.create("c", "sleep", "1000")
    runtime("start", "c")
    command = shlex.join([*runtime.command.words, "--root", str(runtime.root)])
    where = shlex.quote(WHERE)
    script = f"""
        cd {shlex.quote(str(runtime.bundle))}
        {command} exec c sh -c {where} </dev/null >foreground 2>/dev/null
        {command} exec -d c sh -c {shlex.quote(f"({WHERE}); echo over")} </dev/null >detached 2>&1
        {command} exec c sh -c {where}
        echo over"""
    terminal = shells("sh", "-c", script)
    terminal.expect("over")
    assert alone(terminal.seen.decode().replace("\r", "")), terminal.seen
    assert terminal.wait() == 0
    assert alone((runtime.bundle / "foreground").read_text())
    wait_for(lambda: "over" in (runtime.bundle / "detached").read_text())
    assert alone((runtime.bundle / "detached").read_text())


@pytest.fixture
def interactive(rootless: Command, shells: Callable[..., Terminal]) -> Terminal:
    """A shell with job control, in which `rl` is the command."""
    terminal = shells("bash", "--norc", "--noprofile", "--noediting", "-i")
    terminal.type(f"PS1='>'\" \"; rl() {{ {shlex.join(rootless.words)} \"$@\"; }}; echo be''gun\n")
    terminal.expect("begun\r\n> ")
    return terminal


def states(pattern: bytes) -> list[str]:
    """States (R, S, T, Z...) of the processes with this in their command line."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pattern in Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" "):
                found.append(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0])
        except OSError:
            continue
    return found


def has_the_keys(shell: int) -> bool:
    """Whether a job of this shell is in the foreground; before that the shell ignores ctrl-Z."""
    fields = Path("/proc", str(shell), "stat").read_text().rpartition(")")[2].split()
    return fields[2] != fields[5]


@pytest.mark.parametrize("way", ["exec", "exec -i"])
def test_keys_are_for_the_command(
    rootless: Command, busybox_image: str, interactive: Terminal, way: str
) -> None:
    """Ctrl-C ends all that runs for the command, ctrl-Z stops it, fg and bg let it go on."""
    mark = f"7{time.monotonic_ns()}"
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    # two processes, as with any script: the shell inside waits for the other
    interactive.type(f"rl {way} c sh -c 'echo re''ady; sleep {mark}; echo af''ter'\n")
    interactive.expect("ready")
    name = f"sleep {mark}".encode()
    wait_for(lambda: states(b"sh -c echo re") and states(name))

    for let_go_on in ("bg", "fg"):
        interactive.type("\x1a")
        interactive.expect("Stopped")
        interactive.expect("> ")
        wait_for(lambda: "T" in states(name))
        interactive.type(f"{let_go_on}\n")
        interactive.expect('"$@"')
        wait_for(lambda: "T" not in states(name))
        if let_go_on == "bg":
            interactive.expect("> ")
            interactive.type("fg\n")
            interactive.expect('"$@"')
        wait_for(lambda: has_the_keys(interactive.process.pid))

    interactive.type("\x03")
    interactive.expect("> ")
    interactive.type("echo st=$?\n")
    interactive.expect("st=130")
    assert b"after" not in interactive.seen
    wait_for(lambda: not states(name))
    interactive.type("rl exec c sh -c 'exit 7'; echo st=$?\n")
    interactive.expect("st=7")


def test_signals_of_a_process_are_for_the_command_alone(
    rootless: Command, busybox_image: str
) -> None:
    """As with `run`, and with docker's: it decides what they mean to those that it has started."""
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    script = """
        for name in HUP INT QUIT TERM USR1; do trap "echo $name" $name; done
        trap 'echo CONT; exit 4' CONT
        echo ready; while :; do read -t 1 line; [ "$line" != over ] || exit 3; done"""
    ends, ours = os.pipe()
    process = rootless.start("exec", "-i", "c", "sh", "-c", script, stdin=ends, stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for name in ("HUP", "INT", "QUIT", "TERM", "USR1"):
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.readline() == f"{name}\n".encode()
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == b"CONT\n"
    assert process.wait(60) == 4
    os.close(ends)
    os.close(ours)


def test_a_command_outlives_its_front_that_is_killed(rootless: Command, busybox_image: str) -> None:
    """As docker's client can be killed: what it started goes on."""
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    process = rootless.start("exec", "c", "sh", "-c",
                             "echo ready; sleep 0.3; echo >/tmp/made", stdout=-1)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    process.wait(60)
    wait_for(lambda: rootless("exec", "c", "test", "-e", "/tmp/made", code=None).code == 0)


def test_a_front_that_nobody_reads_from_ends_when_it_is_told(
    rootless: Command, busybox_image: str
) -> None:
    """Its command has ended, and the number of that is anybody's by now: no signal goes there."""
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    script = "head -c 120000 /dev/zero; exit 3"
    process = rootless.start("exec", "c", "sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout is not None
    reader, children = process.stdout, Path(f"/proc/{process.pid}/task/{process.pid}/children")
    there = array.array("i", [0])

    def stands() -> bool:
        fcntl.ioctl(reader, termios.FIONREAD, there)
        return there[0] >= 1 << 15 and not children.read_text()

    wait_for(stands)
    process.terminate()
    assert process.wait(20) == 3
    reader.close()
