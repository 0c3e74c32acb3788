"""Containers whose documents cannot be read: they are listed, and they can be removed.

What is known of one without `container.json` is its id, its name, and, while `state` can be read,
its life.  Without `state` the monitor is found by its socket.
"""

from __future__ import annotations

import os

from rootless.engine.containers import record
from rootless.engine.containers import state as container_state
from rootless.engine.containers.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.state import State
    from rootless.engine.engine import Engine
    from rootless.errors import DamagedDocument
    from rootless.userns.idmap import IdMaps


class Damaged(Container):
    """A container whose `container.json` is damaged; all but its removal raises DamagedDocument."""

    def __init__(self, engine: Engine, identifier: str, error: DamagedDocument) -> None:
        self.error = error
        super().__init__(engine, identifier)

    def reload(self) -> None:
        """There is nothing to be read."""
        self.record = record.stand_in(self.directory, self.id)

    def look(self) -> State:
        """Dead, with the process and the monitor that there may be."""
        found = super().look()
        if found.damage is None:
            found.status, found.damage = "dead", self.error
        return found

    def maps(self) -> IdMaps:
        """Not known; all that is the person's can be handled with these."""
        return self.engine.maps

    def rename(self, new: str) -> None:
        """Raises DamagedDocument: there is nothing to write the name into."""
        raise self.error

    def update(self, **words: object) -> None:
        """Raises DamagedDocument."""
        raise self.error


def listener(path: str) -> int:
    """The pid of the monitor that listens at this socket; 0 without one.

    The kernel knows who called listen(2) (SO_PEERCRED, unix(7)).
    """
    import _socket

    from rootless.engine.common import signals

    one = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        one.connect(path)
        told = one.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
        pid = int.from_bytes(told[:4], "little")
        # the kernel cuts names after 15 letters
        return pid if signals.program_name(pid) == "rootless-monitor"[:15] else 0
    except OSError:
        return 0
    finally:
        one.close()


def end(found: State, pid: int) -> None:
    """End what runs; the container's first process dies with its monitor."""
    from rootless.engine.common import signals

    if found.pid:
        signals.send(found.pid, found.pid_start, 9)
    if pid:
        signals.send(pid, container_state.start_time(pid), 9)
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
