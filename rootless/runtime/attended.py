"""A process of a plan that somebody waits for, with output descriptors of theirs; no monitor.

Scope: starts `rootless-create`, which stays until the process ends, passes its output on, and ends
with its exit status.  It ends with the thread that started it, and the process with it: whoever is
killed leaves nothing running.  Source: helpers/programs/create.c.
"""

from __future__ import annotations

import os
import signal

from rootless import paths
from rootless.errors import HostError, RuntimeFailure
from rootless.runtime import failures, frames, launcher, operations
from rootless.runtime import orders as to_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.runtime.failures import Sentence
    from rootless.runtime.plan_format import Record

_FIRST = 3


class Attended:
    """A running process; `pid` is the helper's.  To be waited for once, by who started it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._reaped = False

    def poll(self) -> int | None:
        """The exit status, as a shell would say it; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return self._status(status) if pid else None

    def wait(self) -> int:
        """The exit status."""
        return self._status(os.waitpid(self.pid, 0)[1])

    def _status(self, status: int) -> int:
        self._reaped = True
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def kill(self) -> None:
        """End it, and all that it started, at once."""
        if not self._reaped:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


def start(
    plan: list[Record],
    orders: list[Record],
    *,
    directory: str,
    log: str,
    stdout: int,
    stderr: int,
    network: Sentence | None = None,
    place: Callable[[int], str] | None = None,
) -> Attended:
    """Start it; returns when the command runs.

    `directory`: where the helper may leave files; `log`: for what programs around it complain of.
    `network`: explains the failures of its network.  `place` is called with the helper's pid before
    the process is made, and returns the path of the process's cgroup.
    Raises what the failing operation means; nothing runs then.
    """
    import _socket

    orders = [
        to_helper.directory(directory, "none"),
        to_helper.executor(paths.helper("launch"), f"/proc/self/fd/{_FIRST + 3}"),
        to_helper.log_errors(log),
        to_helper.wait(mortal=True),
        to_helper.stdin("inherit"),
        *orders,
        *([to_helper.go()] if place is not None else []),
    ]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    passed = [theirs.fileno()]
    helper = -1
    try:
        passed.append(launcher.in_memory(orders, to_helper.NUMBERS))
        passed.append(launcher.in_memory(plan, operations.NUMBERS))
        helper = _spawn(passed, stdout, stderr)
        theirs.close()
        kind, payload = frames.read(ours)
        if place is not None and kind == frames.MADE:
            ours.sendall(frames.pack(frames.GO, place(frames.number(payload)).encode()))
            kind, payload = frames.read(ours)
        if kind == frames.FAILED:
            os.waitpid(helper, 0)
            raise failures.of_engine(frames.Failure(payload), _said(log), network)
        if kind != frames.RUNNING:
            os.waitpid(helper, 0)
            raise RuntimeFailure("the process could not be made: the helper ended early")
        ours.sendall(b"k")
        return Attended(helper)
    except BaseException:
        # it waits for an answer that will not come
        if helper > 0:
            _end(helper)
        raise
    finally:
        ours.close()
        theirs.close()
        for fd in passed[1:]:
            os.close(fd)


def _end(helper: int) -> None:
    try:
        os.kill(helper, signal.SIGKILL)
        os.waitpid(helper, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _spawn(passed: list[int], stdout: int, stderr: int) -> int:
    import fcntl

    program = paths.helper("create")
    numbers = (_FIRST, _FIRST + 2, _FIRST + 3)
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST + 4) for fd in [*passed, stdout, stderr]]
    try:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            *[
                (os.POSIX_SPAWN_DUP2, fd, number)
                for fd, number in zip(moved, numbers, strict=False)
            ],
            (os.POSIX_SPAWN_DUP2, moved[3], 1),
            (os.POSIX_SPAWN_DUP2, moved[4], 2),
        ]
        return os.posix_spawn(
            program, ["rootless-create", f"/proc/self/fd/{_FIRST + 2}", str(_FIRST)], {},
            file_actions=actions,
        )  # fmt: skip
    except OSError as error:
        raise HostError(
            f"cannot start {program}: {error.strerror}", hint="install rootless again"
        ) from None
    finally:
        for fd in moved:
            os.close(fd)


def _said(log: str) -> str:
    """The last lines of what programs around the process complained of."""
    try:
        with open(log, errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return ""
    return "; ".join([line for line in lines if line][-3:])
