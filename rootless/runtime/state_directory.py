"""The containers of the OCI runtime's command: their directories below `--root`, and their state.

ROOT/ID/state.json is written when the container exists; ROOT/ID/start is the socket at which its
process waits; ROOT/ID/cgroup names its cgroup before the state does; ROOT/ID itself is what only
one `create` can make, and is locked until that has made it.  A process is known by its pid, its
start time and the boot, a cgroup by its path and its number: what others use by now is nobody's.
Source: runtime-spec runtime.md, "State".
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import Conflict, ContainerNotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

VERSION = "1.3.0"
_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


def check_id(identifier: str) -> None:
    """Raises UsageError for what could not be a file's name."""
    good = 0 < len(identifier) <= 255 and set(identifier) <= _CHARACTERS
    if not good or identifier in (".", ".."):
        raise UsageError(
            f'invalid container id "{identifier}"', hint="letters, digits and _ + - . only"
        )


def start_time(pid: int) -> int:
    """When a process began, in clock ticks since boot; 0 when it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return 0
    fields = data[data.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    """The kernel's name for this boot: start times are counted from it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            return file.read(64).decode().strip()
    except OSError:
        return ""


class Box:
    """One container of a root directory: what was written about it, and what is true now."""

    def __init__(self, root: str, identifier: str) -> None:
        check_id(identifier)
        self.id = identifier
        self.directory = os.path.join(root, identifier)
        self.record: dict[str, Json] = {}

    def load(self) -> Box:
        """Read the state file.  Raises ContainerNotFound."""
        try:
            self.record = documents.read(os.path.join(self.directory, "state.json"))
        except FileNotFoundError:
            raise ContainerNotFound(
                f'container "{self.id}" does not exist', hint="rootless-runtime list"
            ) from None
        return self

    def save(self) -> None:
        """Write the state file in one step."""
        documents.write(os.path.join(self.directory, "state.json"), self.record)

    def lock(self, *, blocking: bool = True) -> documents.Lock:
        """Verbs that change it come one after the other.

        Raises ContainerNotFound, and BlockingIOError when not `blocking` and another is at work.
        """
        while True:
            try:
                lock = documents.DirectoryLock(self.directory, blocking=blocking)
            except FileNotFoundError:
                raise ContainerNotFound(f'container "{self.id}" does not exist') from None
            try:
                now = os.stat(self.directory)
            except FileNotFoundError:
                lock.close()
                continue
            if os.path.samestat(os.fstat(lock.fd), now):
                return lock
            # removed by the one who had it, and made anew since
            lock.close()

    def is_process(self, pid: int, began: int) -> bool:
        """Whether a process that was written down lives."""
        # 0: it had ended before it was written down
        if not pid or not began or start_time(pid) != began:
            return False
        # start times are counted from the boot, and a root directory may outlive it
        return self.record.get("boot", "") in ("", boot_id())

    def alive(self) -> bool:
        """Whether its first process lives."""
        return self.is_process(self.record.get("pid", 0), self.record.get("pidStart", 0))

    def note_cgroup(self, path: str) -> None:
        """Write down its cgroup, before a process is in it that could be lost."""
        if path:
            self.record["cgroup"] = path
            self.record["cgroupNode"] = os.stat(path).st_ino
            text = f"{self.record['cgroupNode']} {path}"
            documents.write_bytes(os.path.join(self.directory, "cgroup"), text.encode())

    def cgroup(self) -> str:
        """Path of its cgroup, "" for none or when there is another one at this path by now."""
        path, node = self.record.get("cgroup") or "", self.record.get("cgroupNode", 0)
        if not self.record:
            try:
                with open(os.path.join(self.directory, "cgroup"), encoding="utf-8") as file:
                    number, _, path = file.read().partition(" ")
                node = int(number)
            except (OSError, ValueError):
                return ""
        try:
            return path if path and node in (0, os.stat(path).st_ino) else ""
        except OSError:
            return ""

    def status(self) -> str:
        """creating, created, running, paused or stopped."""
        if not self.record.get("pid"):
            return "creating" if self.record.get("status") == "creating" else "stopped"
        if not self.alive():
            return "stopped"
        if os.path.exists(os.path.join(self.directory, "start")):
            return "created"
        return "paused" if self._frozen() else "running"

    def _frozen(self) -> bool:
        path = self.cgroup()
        if not path:
            return False
        try:
            with open(f"{path}/cgroup.events", encoding="ascii") as file:
                return "frozen 1" in file.read()
        except OSError:
            return False

    def state(self) -> Json:
        """The state as the specification writes it."""
        status = self.status()
        found: dict[str, Json] = {
            "ociVersion": VERSION,
            "id": self.id,
            "status": status,
            "bundle": self.record["bundle"],
            "rootfs": self.record["rootfs"],
            "created": self.record["created"],
            "owner": self.record["owner"],
        }
        if status != "stopped":
            found["pid"] = self.record["pid"]
        if self.record.get("annotations"):
            found["annotations"] = self.record["annotations"]
        return found

    def must_be(self, *wanted: str) -> str:
        """The status.  Raises Conflict when it is none of these."""
        status = self.status()
        if status not in wanted:
            raise Conflict(
                f'container "{self.id}" is {status}, not {" or ".join(wanted)}',
            )
        return status


def make(root: str, identifier: str) -> tuple[Box, documents.Lock]:
    """Take an id; its box, and the lock that is held until it is made.

    Raises Conflict when somebody has it.
    """
    box = Box(root, identifier)
    os.makedirs(root, 0o700, exist_ok=True)
    try:
        # a mode that lets mapped ids through is not needed: nothing of the container lies here
        os.mkdir(box.directory, 0o700)
    except FileExistsError:
        raise Conflict(f'container "{identifier}" exists already') from None
    return box, box.lock()


def every(root: str) -> list[Box]:
    """All containers that can be read, by id."""
    found = []
    for name in sorted(documents.names_in(root)) if os.path.isdir(root) else []:
        try:
            found.append(Box(root, name).load())
        except (ContainerNotFound, UsageError, OSError, ValueError):
            continue
    return found


def default_root() -> str:
    """Where containers are kept without `--root`: what a reboot forgets."""
    from rootless import paths

    return os.path.join(paths.runtime_dir(), "runtime")
