"""From a plan and orders to a process: starts the helper, answers it, and says what it reports.

Source: docs/dev/mechanisms.md, "The OCI runtime"; helpers/programs/create.c.
"""

from __future__ import annotations

import os
import time

from rootless import paths
from rootless.errors import HostError, RuntimeFailure, UsageError
from rootless.runtime import frames, operations, plan_format
from rootless.runtime import orders as to_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from rootless.runtime.plan_format import Record
    from rootless.runtime.state_directory import Box

    Place = Callable[[int], str]


class Wanted:
    """Options that `create`, `run` and `exec` share."""

    def __init__(
        self,
        *,
        console_socket: str = "",
        pid_file: str = "",
        preserve_fds: int = 0,
        wait: bool = False,
        keyring: bool = True,
    ) -> None:
        self.console_socket = os.path.abspath(console_socket) if console_socket else ""
        self.pid_file = os.path.abspath(pid_file) if pid_file else ""
        self.preserve_fds = preserve_fds
        self.wait = wait
        self.keyring = "needed" if keyring else ""

    def orders(self, terminal: bool) -> list[Record]:
        """What the helper has to know of them.  Raises UsageError."""
        made: list[Record] = []
        if terminal:
            made.append(to_helper.tty())
            if self.console_socket:
                made.append(to_helper.console(self.console_socket))
            elif not self.wait:
                raise UsageError(
                    "process.terminal: a terminal needs somebody to give it to",
                    hint="--console-socket PATH, or stay in the foreground",
                )
        elif self.console_socket:
            raise UsageError("--console-socket is for a process with a terminal")
        if self.pid_file:
            made.append(to_helper.pid_file(self.pid_file))
        if self.wait:
            made.append(to_helper.wait())
        return made


class Process:
    """A process that was made: its pid, the helper's where that one waits for it, and whether it
    waits for `start`."""

    def __init__(self, pid: int, helper: int) -> None:
        self.pid = pid
        self.helper = helper
        self.waits = False


def make(
    box: Box,
    plan: list[Record],
    orders: list[Record],
    wanted: Wanted,
    place: Place | None,
    listener: _socket.socket | None,
    runtime_hooks: Callable[[int], None] | None,
    write_down: Callable[[int], None] | None = None,
) -> Process:
    """The process, once `write_down` has been called with its pid.

    Until then it ends with the helper, and the helper ends with us: one that nobody has written
    down could never be found.
    """
    import _socket

    log = os.path.join(box.directory, f"{os.getpid()}.{time.monotonic_ns()}.log")
    first = 3 + wanted.preserve_fds
    orders = [
        to_helper.directory(box.directory, "none"),
        to_helper.executor(paths.helper("launch"), f"/proc/self/fd/{first + 3}"),
        to_helper.log_errors(log),
        *([to_helper.go()] if place is not None else []),
        *orders,
    ]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    passed = [theirs.fileno(), listener.fileno() if listener is not None else -1]
    try:
        passed.append(in_memory(orders, to_helper.NUMBERS))
        passed.append(in_memory(plan, operations.NUMBERS))
        helper = _spawn(first, passed)
        theirs.close()
        pid = _converse(ours, place, box, runtime_hooks, log)
        if write_down is not None:
            write_down(pid)
        try:
            ours.sendall(b"k")
        except OSError:
            raise RuntimeFailure("the container could not be made: the helper was killed") from None
        if not wanted.wait:
            os.waitpid(helper, 0)
        return Process(pid, helper)
    finally:
        ours.close()
        theirs.close()
        for fd in passed[2:]:
            os.close(fd)
        try:
            os.unlink(log)
        except FileNotFoundError:
            pass


def in_memory(items: list[Record], numbers: dict[str, int]) -> int:
    """A plan or orders as a file that has no name; its descriptor."""
    fd = os.memfd_create("rootless", os.MFD_CLOEXEC)
    view = memoryview(plan_format.encode(items, numbers))
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _spawn(first: int, passed: list[int]) -> int:
    """Start the helper with these descriptors from `first` on: channel, listener, orders, plan.

    Descriptors 3 to first - 1 are the caller's (--preserve-fds) and pass through as they are.
    """
    import fcntl

    program = paths.helper("create")
    orders_path = f"/proc/self/fd/{first + 2}"
    # above everything that is about to be given a number
    moved = {
        first + at: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first + len(passed))
        for at, fd in enumerate(passed)
        if fd >= 0
    }
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in moved.items()]
        for fd in range(3, first):
            os.set_inheritable(fd, True)
        return os.posix_spawn(
            program, ["rootless-create", orders_path, str(first)], {}, file_actions=actions
        )
    except OSError as error:
        raise HostError(
            f"cannot start {program}: {error.strerror}", hint="install rootless again"
        ) from None
    finally:
        for fd in moved.values():
            os.close(fd)


def _converse(
    channel: _socket.socket,
    place: Place | None,
    box: Box,
    runtime_hooks: Callable[[int], None] | None,
    log: str,
) -> int:
    handed = -1
    while True:
        kind, payload, fd = frames.read_with_descriptor(channel)
        number = frames.number(payload)
        if kind == frames.MADE and place is not None:
            path = place(number)
            box.note_cgroup(path)
            channel.sendall(frames.pack(frames.GO, path.encode()))
        elif kind == frames.HOOKS and runtime_hooks is not None:
            runtime_hooks(number)
            channel.sendall(b"h")
        elif kind == frames.LISTENER:
            handed = fd
        elif kind == frames.RUNNING:
            if handed >= 0:
                from rootless.runtime import seccomp_listener

                rules = box.record["config"]["linux"]["seccomp"]
                seccomp_listener.hand_over(rules, box.state(), number, handed)
            return number
        elif kind == frames.FAILED:
            from rootless.runtime import failures

            raise failures.of_runtime(frames.Failure(payload), _said(log))
        else:
            raise RuntimeFailure("the container could not be made: the helper ended early")


def _said(log: str) -> str:
    """What the programs that map ids wrote."""
    try:
        with open(log, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
