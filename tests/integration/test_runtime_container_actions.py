"""The OCI runtime's command: terminals in the foreground, clocks, listeners for system calls."""

from __future__ import annotations

import array
import errno
import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("everyone")

# linux/seccomp.h
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101


def test_a_terminal_in_the_foreground(runtime: Runtime) -> None:  # noqa: F811
    runtime.config["process"].update(
        terminal=True, args=["sh", "-c", "tty; stty size; read word; echo got $word; exit 3"]
    )
    runtime.write()
    where = ("--root", str(runtime.root))
    terminal = runtime.command.terminal(*where, "run", "--bundle", str(runtime.bundle), "t")
    terminal.expect("/dev/pts/0")
    terminal.expect("24 80")
    terminal.type("word\n")
    terminal.expect("got word")
    assert terminal.wait() == 3
    # what is typed is a pipe: its end is the end of file for the program at the terminal
    runtime.config["process"]["args"] = ["sh", "-c", "cat; exit 4"]
    runtime.write()
    found = runtime("run", "--bundle", runtime.bundle, "p", input="some\nlines\n", code=4)
    assert found.stdout.count("lines") == 2


def test_exec_with_a_terminal_in_the_foreground(runtime: Runtime) -> None:  # noqa: F811
    runtime.create("e", "sleep", "1000")
    runtime("start", "e")
    where = ("--root", str(runtime.root))
    terminal = runtime.command.terminal(*where, "exec", "-t", "e", "sh")
    terminal.expect("# ")
    terminal.resize(31, 77)
    terminal.type("sleep 0.2; stty size\n")
    terminal.expect("31 77")
    terminal.type("exit 6\n")
    assert terminal.wait() == 6


def test_a_terminal_needs_somebody(runtime: Runtime) -> None:  # noqa: F811
    runtime.config["process"]["terminal"] = True
    runtime.write()
    for words in (["create"], ["run", "-d"]):
        found = runtime(*words, "--bundle", runtime.bundle, "n", code=1)
        assert "process.terminal" in found.stderr
        assert "--console-socket" in found.stderr


def test_clocks_of_its_own(runtime: Runtime) -> None:  # noqa: F811
    linux = runtime.config["linux"]
    linux["namespaces"].append({"type": "time"})
    linux["timeOffsets"] = {
        "boottime": {"secs": 1_000_000, "nanosecs": 5}, "monotonic": {"secs": 77},
    }  # fmt: skip
    own = float(Path("/proc/uptime").read_text().split()[0])
    found = runtime.sh("cat /proc/uptime /proc/self/timens_offsets").split()
    assert 0 <= float(found[0]) - own - 1_000_000 < 60
    assert found[2:] == ["monotonic", "77", "0", "boottime", "1000000", "5"]
    runtime.create("e", "sleep", "1000")
    runtime("start", "e")
    inside = runtime("exec", "e", "cat", "/proc/uptime").stdout.split()
    assert float(inside[0]) - own > 1_000_000 - 60


def test_clocks_that_cannot_be_set(runtime: Runtime) -> None:  # noqa: F811
    linux = runtime.config["linux"]
    linux["timeOffsets"] = {"boottime": {"secs": 1}}
    assert "linux.timeOffsets: clocks differ only in a time" in runtime.run("true", code=1).stderr
    linux["namespaces"].append({"type": "time"})
    linux["timeOffsets"] = {"realtime": {"secs": 1}}
    assert 'no namespace has a clock "realtime"' in runtime.run("true", code=1).stderr
    # before the machine was started
    linux["timeOffsets"] = {"boottime": {"secs": -(10**15)}}
    said = runtime.run("true", code=1).stderr
    assert "timens_offsets" in said


class Agent:
    """Listens for filters; answers each call that it is told of with an error number."""

    def __init__(self, path: Path, answer: int) -> None:
        self.answer = answer
        self.told: list[Any] = []
        self.calls: list[int] = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(5)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                talk, _ = self.listener.accept()
            except OSError:
                return
            with talk:
                data, ancillary, _, _ = talk.recvmsg(1 << 16, socket.CMSG_SPACE(4))
                while more := talk.recv(1 << 16):
                    data += more
            self.told.append(json.loads(data))
            fd = array.array("i", ancillary[0][2])[0]
            threading.Thread(target=self._answer, args=(fd,), daemon=True).start()

    def _answer(self, fd: int) -> None:
        try:
            while True:
                request = bytearray(80)
                fcntl.ioctl(fd, NOTIF_RECV, request)
                self.calls.append(struct.unpack_from("i", request, 16)[0])
                identifier = struct.unpack_from("Q", request)[0]
                answer = struct.pack("QqiI", identifier, 0, -self.answer, 0)
                fcntl.ioctl(fd, NOTIF_SEND, answer)
        except OSError:
            pass
        finally:
            os.close(fd)


@pytest.fixture
def agent(runtime: Runtime) -> Iterator[Agent]:  # noqa: F811
    """An agent that refuses what it is asked about, and the filter that asks it."""
    path = runtime.bundle / "agent"
    made = Agent(path, errno.EDQUOT)
    runtime.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "listenerPath": str(path), "listenerMetadata": "for the agent",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    }  # fmt: skip
    yield made
    made.listener.close()


def test_a_listener_answers_system_calls(runtime: Runtime, agent: Agent) -> None:  # noqa: F811
    (runtime.bundle / "rootfs/bin/mkdir").symlink_to("busybox")
    found = runtime.sh("mkdir /tmp/x; ls /proc/self/fd; exit 0")
    assert len(agent.calls) == 1
    assert agent.told[0]["fds"] == ["seccompFd"]
    assert agent.told[0]["metadata"] == "for the agent"
    assert agent.told[0]["pid"] == agent.told[0]["state"]["pid"]
    # the program itself has no way to the listener: 0, 1, 2 and the open directory
    assert found.split()[-4:] == ["0", "1", "2", "3"]
    runtime.create("e", "sleep", "1000")
    runtime("start", "e")
    refused = runtime("exec", "e", "mkdir", "/tmp/y", code=1)
    assert "quota" in refused.stderr.lower()
    assert len(agent.told) == 3


def test_a_listener_that_is_not_there(runtime: Runtime, agent: Agent) -> None:  # noqa: F811
    seccomp = runtime.config["linux"]["seccomp"]
    seccomp["listenerPath"] = str(runtime.bundle / "nobody")
    said = runtime.run("true", code=1).stderr
    assert "linux.seccomp.listenerPath" in said and "nobody" in said
    del seccomp["listenerPath"], seccomp["listenerMetadata"]
    assert "SCMP_ACT_NOTIFY needs somebody" in runtime.run("true", code=1).stderr
    seccomp["listenerPath"] = "/x"
    seccomp["syscalls"][0]["names"].append("sendmsg")
    assert "sendmsg must be allowed" in runtime.run("true", code=1).stderr
    # the specification: without that action the path is not looked at
    seccomp["syscalls"][0]["action"] = "SCMP_ACT_LOG"
    runtime.run("true")
    seccomp.update(listenerPath=None, listenerMetadata="x")
    assert "linux.seccomp.listenerMetadata" in runtime.run("true", code=1).stderr
