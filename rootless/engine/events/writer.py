"""Write events: one line of JSON in a file of this boot, without a daemon.

Every writer appends with one write(2) to a file opened with O_APPEND, which the kernel does whole,
however many write at once; the monitor does the same in C (helpers/lib/events.c).  A file for each
boot also means a file for each machine, where several share a home on a network file system.
Scope: writing.  Reading is `reader`.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.engine.common import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from rootless.engine.context import Context
    from rootless.engine.spec.mounts import MountRecord

    class SubjectRecord(TypedDict):
        """What the record of a container says for its events."""

        id: str
        name: str
        image: str
        labels: dict[str, str]
        mounts: list[MountRecord]
        anonymous: list[str]
        remove: bool


LIMIT = 8 << 20  # bytes, then the file becomes NAME.1 and the older NAME.1 goes; as in events.c
KEEP = 30 * 86400  # seconds that files of other boots are kept


def directory(data_dir: str) -> str:
    """Return where the files are."""
    return os.path.join(data_dir, "events")


def of_container(record: SubjectRecord, **more: str) -> dict[str, str]:
    """Return the attributes of a container's events, as docker's: labels, image, name."""
    return {**record["labels"], "image": record["image"], "name": record["name"], **more}


def emit_container(ctx: Context, action: str, record: SubjectRecord, **more: str) -> None:
    """Write an event of the container of this record; `more`: attributes besides its own."""
    attributes = of_container(record, **more)
    ctx.emit("container", action, record["id"], record["name"], attributes)


def fields(kind: str, identifier: str, name: str, attributes: dict[str, str]) -> str:
    """Return what stays the same in all events of one thing, for the monitor to write the rest
    around."""
    table = {"type": kind, "id": identifier, "name": name, "attributes": attributes}
    return documents.dumps(table)[1:-2]


def orders(data_dir: str, record: SubjectRecord) -> tuple[str, ...]:
    """Return the monitor's order: the directory, the container's fields and those of its
    volumes."""
    base = directory(data_dir)
    try:
        os.mkdir(base, 0o700)
    except FileExistsError:
        pass
    made = [base, fields("container", record["id"], record["name"], of_container(record))]
    for mount in record["mounts"]:
        if mount["Type"] == "volume":
            about = {
                "container": record["id"],
                "destination": mount["Destination"],
                "driver": "local",
                "read/write": "true" if mount.get("RW", True) else "false",
            }
            if record["remove"] and mount["Name"] in record["anonymous"]:
                about["anonymous"] = "true"  # the monitor removes it with the container
            made.append(fields("volume", mount["Name"], mount["Name"], about))
    return tuple(made)


def renamed(directory: str, record: SubjectRecord) -> None:
    """Write the fields with the new name for the monitor, which looks for this file."""
    text = fields("container", record["id"], record["name"], of_container(record))
    documents.write_bytes(os.path.join(directory, "event"), text.encode())


def append(
    data_dir: str, kind: str, action: str, identifier: str, name: str, attributes: dict[str, str]
) -> None:
    """Append one event.  A full disk loses it and nothing else: what was done is done."""
    table = {"time": time.time_ns(), "action": action, "type": kind, "id": identifier, "name": name}
    table["attributes"] = attributes
    line = documents.dumps(table).encode() + b"\n"
    base = directory(data_dir)
    path = os.path.join(base, processes.boot_id() or "unknown")
    try:
        fd = _open(base, path)
    except OSError:
        return
    try:
        os.write(fd, line)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        if end > LIMIT:
            _rotate(base, path, fd)
        elif end == len(line):
            _forget_old_boots(base)
    except OSError:
        pass
    finally:
        os.close(fd)


def _open(base: str, path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(base, 0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def _rotate(base: str, path: str, fd: int) -> None:
    with documents.DirectoryLock(base, blocking=True):
        mine, there = os.fstat(fd), os.stat(path)
        # a process that waited for the lock may find a new file: that one stays
        if (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev):
            os.rename(path, path + ".1")


def _forget_old_boots(base: str) -> None:
    oldest = time.time() - KEEP
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if os.stat(path).st_mtime < oldest:
            os.unlink(path)
