"""What is true of a container right now.

The monitor writes `state` over in place, because a full disk leaves no room for another file; the
sum at its beginning tells half a write from a whole one.  The monitor may have been killed since,
the machine may have been started anew, so what it says is held against /proc before it is believed:
a pid counts only together with the start time of its process.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.common import processes
from rootless.errors import DamagedDocument, NewerDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypedDict

    from rootless.documents import Json

    class StateDocument(TypedDict):
        """What the monitor wrote, in the names of this version."""

        version: int
        status: Literal["running", "restarting", "exited"]
        pid: int
        pidStart: int
        monitor: int
        monitorStart: int
        boot: str
        startedAt: int
        finishedAt: int
        exitCode: int
        oomKilled: bool
        filesLost: bool
        failed: bool
        restarts: int
        sidecar: int
        sidecarStart: int
        ports: int
        portsStart: int
        servers: list[int]


VERSION = 1  # helpers/monitor/state_file.h has the same


def _pid(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 31


def _pid_or_lost(value: Json) -> bool:
    return _pid(value) or (type(value) is int and value == -1)


def _ticks(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _code(value: Json) -> bool:
    return type(value) is int and 0 <= value < 256


def _time(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


SHAPE: Json = {
    "version?": int,
    "status": frozenset(("running", "restarting", "exited")),
    "pid": _pid,
    "pidStart": _ticks,
    "monitor": _pid,
    "monitorStart": _ticks,
    "boot": str,
    "startedAt": _time,
    "finishedAt": _time,
    "exitCode": _code,
    "oomKilled": bool,
    "restarts": _pid,
    "sidecar?": _pid_or_lost,
    "sidecarStart?": _ticks,
    "ports?": _pid_or_lost,
    "portsStart?": _ticks,
    # what a monitor of an earlier version calls it
    "slirp?": _pid_or_lost,
    "slirpStart?": _ticks,
    "servers": [_pid],
    "filesLost?": bool,
    "failed": bool,
}


class State:
    """One look at a container's life; times in nanoseconds since the epoch, 0 when unset.

    `status`: created, running, paused, restarting, exited, or dead: `damage` says why.
    `lost`: the monitor died before it could record how the container ended, so the exit code is
    not known (137 is assumed).
    `network_lost`: the sidecar of its network has ended, and the container has not; `ports_lost`:
    that of its published ports.  The monitor starts another.
    """

    __slots__ = (
        "damage",
        "exit_code",
        "failed",
        "finished",
        "lost",
        "monitor",
        "files_lost",
        "network_lost",
        "oom_killed",
        "pid",
        "pid_start",
        "ports",
        "ports_lost",
        "ports_start",
        "restarts",
        "servers",
        "sidecar",
        "sidecar_start",
        "started",
        "status",
    )

    def __init__(self) -> None:
        self.status = "created"
        self.pid = self.pid_start = self.monitor = self.sidecar = self.sidecar_start = 0
        self.ports = self.ports_start = 0
        self.servers: list[int] = []
        self.started = self.finished = 0
        self.exit_code = self.restarts = 0
        self.oom_killed = self.files_lost = self.lost = self.failed = False
        self.network_lost = self.ports_lost = False
        self.damage: DamagedDocument | None = None

    @property
    def alive(self) -> bool:
        """Whether a process of the container exists."""
        return self.pid > 0


def read(directory: str, name: str = "state") -> State:
    """The state of the container kept in `directory`."""
    state = _read(directory, name)
    patience = 60
    while state.status == "ending" and patience:
        # between the end of the process and the monitor's next word, which says what follows
        time.sleep(0.002)
        patience -= 1
        state = _read(directory, name)
    if state.status == "ending":
        state.status = "exited"
    return state


def _read(directory: str, name: str) -> State:
    state = State()
    path = os.path.join(directory, name)
    try:
        told = _told(path)
    except OSError:
        return state
    except DamagedDocument as error:
        return dead(error)
    state.status = told["status"]
    state.started = told["startedAt"]
    state.finished = told["finishedAt"]
    state.exit_code = told["exitCode"]
    state.restarts = told["restarts"]
    state.oom_killed = told["oomKilled"]
    state.files_lost = told["filesLost"]
    state.failed = told["failed"]
    if state.status == "exited":
        return state
    same_boot = told["boot"] == processes.boot_id()
    if same_boot and processes.start_time(told["monitor"]) == told["monitorStart"] != 0:
        state.monitor = told["monitor"]
    if same_boot and told["pid"] and processes.start_time(told["pid"]) == told["pidStart"] != 0:
        state.pid = told["pid"]
        state.pid_start = told["pidStart"]
        state.sidecar = max(0, told["sidecar"])
        state.sidecar_start = told["sidecarStart"]
        state.network_lost = told["sidecar"] < 0
        state.ports = max(0, told["ports"])
        state.ports_start = told["portsStart"]
        state.ports_lost = told["ports"] < 0
        state.servers = [one for one in told["servers"] if one]
    if state.monitor and not state.pid and state.status == "running":
        state.status = "ending" if not state.finished else state.status
    if not state.monitor and not state.pid:
        _lost(state, path)
    return state


_HEAD = b'{"sum":"'
_MODULUS = 1073741789  # helpers/monitor/state_file.c has the same


def _told(path: str) -> StateDocument:
    """Raises OSError, DamagedDocument, NewerDocument."""
    for attempt in range(20):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 1 << 16).rstrip()
        finally:
            os.close(fd)
        # an older monitor, which renames, writes no sum
        if text[:8] != _HEAD or text[8:18] == b"%010d" % (
            int.from_bytes(text[20:], "little") % _MODULUS
        ):
            break
        # it was written just then
        time.sleep(0.001 * attempt)
    else:
        raise documents.damaged(path, "its sum is another", _remedy(path))
    try:
        found = documents.loads(text.decode())
    except ValueError:
        raise documents.damaged(path, "it is not JSON", _remedy(path)) from None
    documents.refuse_newer(path, found, VERSION)
    if not documents.fits(found, SHAPE):
        raise documents.damaged(path, documents.fault(found, SHAPE), _remedy(path))
    return _migrated(found)


def _migrated(found: Json) -> StateDocument:
    """A monitor of an earlier version, which goes on after an update, has other names."""
    found.setdefault("sidecar", found.get("slirp", 0))
    found.setdefault("sidecarStart", found.get("slirpStart", 0))
    for name in ("ports", "portsStart"):
        found.setdefault(name, 0)
    found.setdefault("filesLost", False)
    found["version"] = VERSION
    document: StateDocument = found
    return document


def _remedy(path: str) -> str:
    identifier = os.path.basename(os.path.dirname(path))[:12]
    return f"rootless system check --repair; or remove the container: rootless rm -f {identifier}"


def dead(error: DamagedDocument) -> State:
    """The state of what cannot be told."""
    made = State()
    made.status = "dead"
    made.damage = error
    return made


def settle(directory: str, seconds: float = 10) -> None:
    """Wait for the monitor of a life that has ended: it removes its sockets after it has told so.

    Another life that began meanwhile would lose its own, which have the same names.
    """
    try:
        told = _told(os.path.join(directory, "state"))
    except (OSError, DamagedDocument):
        return
    end = time.monotonic() + seconds
    while (
        told["boot"] == processes.boot_id()
        and processes.start_time(told["monitor"]) == told["monitorStart"] != 0
    ):
        if time.monotonic() > end:
            return
        time.sleep(0.002)


def _lost(state: State, path: str) -> None:
    state.status = "exited"
    state.lost = True
    state.exit_code = 137
    if not state.finished:
        try:
            state.finished = os.stat(path).st_mtime_ns
        except OSError:
            state.finished = state.started


def paused(cgroup: str) -> bool:
    """Whether the cgroup at this path is frozen (cgroup v2, cgroup.events)."""
    if not cgroup:
        return False
    try:
        with open(cgroup + "/cgroup.events", "rb") as file:
            return b"frozen 1" in file.read()
    except OSError:
        return False


def describe(state: State, health: str = "") -> str:
    """The STATUS column of `ps`; `health` is what follows the time, as ` (healthy)`."""
    from rootless.engine.common import humanize

    now = time.time()
    if state.status == "created":
        return "Created"
    if state.damage is not None:
        what = "Newer" if isinstance(state.damage, NewerDocument) else "Damaged"
        return f"{what}: " + state.damage.path.rpartition("/")[2]
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {humanize.duration(now - state.finished / 1e9)} ago"
    if state.status == "exited":
        lost = ", its monitor was killed" if state.lost else ""
        return f"Exited ({state.exit_code}) {humanize.ago(state.finished / 1e9)}{lost}"
    text = f"Up {humanize.duration(now - state.started / 1e9)}{health}"
    if state.status == "paused":
        text += " (Paused)"
    if not state.monitor:
        text += " (its monitor was killed)"
    if state.network_lost:
        text += " (its network is lost)"
    elif state.ports_lost:
        text += " (its published ports are lost)"
    return text
