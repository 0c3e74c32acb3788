"""The containers of the OCI runtime's command: their directories below `--root`, and their state.

ROOT/ID/state.json is written when the container exists; ROOT/ID/start is the socket at which its
process waits; ROOT/ID itself is what only one `create` can make.  A process is known by its pid and
its start time, so a pid that is used again is nobody's.
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

    def lock(self) -> documents.Lock:
        """Verbs that change it come one after the other.  Raises ContainerNotFound."""
        try:
            return documents.DirectoryLock(self.directory, blocking=True)
        except FileNotFoundError:
            raise ContainerNotFound(f'container "{self.id}" does not exist') from None

    def alive(self) -> bool:
        """Whether its first process lives."""
        pid, began = self.record.get("pid", 0), self.record.get("pidStart", 0)
        # 0: it had ended before it was written down
        return bool(pid and began) and start_time(pid) == began

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
        path = self.record.get("cgroup")
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


def make(root: str, identifier: str) -> Box:
    """Take an id.  Raises Conflict when somebody has it."""
    box = Box(root, identifier)
    os.makedirs(root, 0o700, exist_ok=True)
    try:
        # a mode that lets mapped ids through is not needed: nothing of the container lies here
        os.mkdir(box.directory, 0o700)
    except FileExistsError:
        raise Conflict(f'container "{identifier}" exists already') from None
    return box


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
