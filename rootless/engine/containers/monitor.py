"""A container's monitor without its state: found by the socket at which it listens, and ended."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.state import State


def listener(path: str) -> int:
    """The pid of the monitor that listens at this socket; 0 without one.

    The kernel knows who called listen(2) (SO_PEERCRED, unix(7)).
    """
    import _socket

    from rootless.engine.common import processes

    one = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        one.connect(path)
        told = one.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        pid = int.from_bytes(told[:4], "little")
        # the kernel cuts names after 15 letters
        return pid if processes.program_name(pid) == "rootless-monitor"[:15] else 0
    except OSError:
        return 0
    finally:
        one.close()


def end(found: State, pid: int) -> None:
    """End what runs; the container's first process dies with its monitor."""
    from rootless.engine.common import processes, signals

    if found.pid:
        signals.send(found.pid, found.pid_start, 9)
    if pid:
        signals.send(pid, processes.start_time(pid), 9)
    for one in filter(None, (found.pid, pid)):
        _await(one)


def _await(pid: int) -> None:
    import select

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([fd], [], [], 10)
    finally:
        os.close(fd)
