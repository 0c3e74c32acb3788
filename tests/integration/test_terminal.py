"""A person at a terminal: -it, window sizes, job control, detach keys, attaching again."""

from __future__ import annotations

import re
import signal
import time

import pytest
from conftest import Command
from integration.hub import Hub

pytestmark = pytest.mark.usefixtures("everyone")


def test_a_shell_on_a_terminal(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("run", "-it", "--rm", busybox_image, "sh")
    terminal.expect("# ")
    terminal.type("tty; stty size; echo $TERM\n")
    seen = terminal.expect("xterm\r\n")
    assert b"/dev/" in seen
    assert b"24 80" in seen
    terminal.type("exit 9\n")
    assert terminal.wait() == 9


def test_the_size_is_there_before_the_program(rootless: Command, busybox_image: str) -> None:
    """Which may ask for it as the first thing that it does."""
    # a program of nothing else: a shell that starts it would give the size time to come
    words = ("--network", "none", busybox_image, "stty", "size")
    for _ in range(4):
        terminal = rootless.terminal("run", "-it", "--rm", *words, rows=31, cols=107)
        terminal.expect("31 107")
        assert terminal.wait() == 0
    rootless("run", "-dit", "--name", "c", "--network", "none", busybox_image, "sh")
    for _ in range(4):
        terminal = rootless.terminal("exec", "-it", "c", "stty", "size", rows=32, cols=108)
        terminal.expect("32 108")
        assert terminal.wait() == 0


def test_the_window_changes_its_size(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("run", "-it", "--rm", busybox_image, "sh")
    terminal.expect("# ")
    terminal.resize(50, 132)
    time.sleep(0.2)
    terminal.type("stty size\n")
    terminal.expect("50 132")
    terminal.type("exit\n")
    assert terminal.wait() == 0


def test_job_control(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("run", "-it", "--rm", busybox_image, "sh")
    terminal.expect("# ")
    terminal.type("sleep 1000\n")
    terminal.expect("sleep 1000\r\n")
    time.sleep(0.2)
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("fg\n")
    time.sleep(0.2)
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("echo st=$?\n")
    terminal.expect("st=130")
    # the key means the end only to a shell that is back at its prompt
    terminal.expect("# ")
    terminal.type("\x04")
    terminal.wait()


def test_detach_and_attach_again(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("run", "-it", "--name", "shell", busybox_image, "sh")
    terminal.expect("# ")
    terminal.type("\x10\x11")
    assert terminal.wait() == 0
    assert rootless("inspect", "-f", "{{.State.Running}}", "shell").stdout == "true\n"
    again = rootless.terminal("attach", "shell")
    time.sleep(0.2)
    again.type("echo still $((20 + 22))\n")
    again.expect("still 42")
    again.type("exit 3\n")
    assert again.wait() == 3


def test_detach_keys_of_ones_own(rootless: Command, busybox_image: str) -> None:
    terminal = rootless.terminal("run", "-it", "--name", "keys", "--detach-keys", "ctrl-a,x",
                                 busybox_image, "cat")  # fmt: skip
    time.sleep(0.4)
    # a beginning that goes on otherwise is typed
    terminal.type("\x01yes\n")
    terminal.expect("yes")
    terminal.type("\x01x")
    assert terminal.wait() == 0
    rootless("rm", "-f", "keys")


def test_exec_on_a_terminal(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-d", "--name", "e", "--network", "none", busybox_image, "sleep", "1000")
    terminal = rootless.terminal("exec", "-it", "e", "sh", rows=33, cols=99)
    terminal.expect("# ")
    terminal.type("stty size; exit 5\n")
    terminal.expect("33 99")
    assert terminal.wait() == 5


def test_the_terminal_is_as_it_was_afterwards(rootless: Command, busybox_image: str) -> None:
    import termios

    terminal = rootless.terminal("run", "-it", "--rm", busybox_image, "sh")
    terminal.expect("# ")
    slave_flags = termios.tcgetattr(terminal.master)[3]
    assert not slave_flags & termios.ICANON
    terminal.process.send_signal(signal.SIGTERM)
    terminal.type("exit\n")
    end = time.monotonic() + 60
    while terminal.process.poll() is None and time.monotonic() < end:
        terminal._read(0.05)
    flags = termios.tcgetattr(terminal.master)[3]
    assert flags & termios.ICANON
    assert flags & termios.ECHO


def test_a_terminal_is_not_needed_for_one(rootless: Command, busybox_image: str) -> None:
    script = "test -t 0 && echo yes; exit 3"
    found = rootless("run", "-it", "--rm", busybox_image, "sh", "-c", script, code=3)
    assert found.stdout.strip() == "yes"
    # a user with a single id is told so once, by whichever command is the first
    said = [line for line in found.stderr.splitlines() if "have a single id here" not in line]
    assert len(said) == 1 and "not a terminal" in said[0]


def test_a_terminal_without_a_person(rootless: Command, busybox_image: str) -> None:
    found = rootless("run", "-t", "--rm", busybox_image, "sh", "-c", "test -t 1 && echo yes")
    assert found.out == b"yes\r\n"


def test_output_of_a_terminal_is_logged(rootless: Command, busybox_image: str) -> None:
    rootless("run", "-dt", "--name", "t", "--network", "none", busybox_image, "echo", "shown")
    rootless("wait", "t")
    assert rootless("logs", "t").out == b"shown\r\n"


@pytest.mark.slow
def test_bars_while_an_image_is_fetched(rootless: Command, hub: Hub) -> None:
    hub.use_as_docker_io(rootless.place.home)
    terminal = rootless.terminal("pull", "debian", cols=100)
    assert terminal.wait() == 0
    seen = terminal.seen.decode()
    # a bar, how much of how much, and colours, which nobody gets who reads from a pipe
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen).replace("\r", "\n")[-600:]
    assert "\u2501" in seen, shown
    assert re.search(r"\d+\.\d/\d+\.\d MB", seen), shown
    assert "\x1b[" in seen, shown
    assert "bytes" not in seen, shown  # nobody knows how many bytes unpacking is
    assert re.search(r"[0-9a-f]{64}\r\n$", seen), shown
    rootless("rmi", "debian")
    plain = rootless("pull", "debian")
    assert "\x1b" not in plain.stderr + plain.stdout
    assert "\u2501" not in plain.stderr
    assert plain.stderr.count("\n") < 12, plain.stderr
