"""Digests of what is copied from a context, each file read once and remembered.

A file is known again by device, inode, time of change and size.  That is believed only if the file
had not been changed for longer than a tick of the clock when it was read (otherwise a later change
might have the same time), and never on file systems of other machines, whose clocks and caches are
not ours.  Times of modification are not part of any digest: a checkout has new ones each time.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time

from rootless import documents, kernel, paths
from rootless.build import resolve
from rootless.build.selecting import Entry, Selected
from rootless.errors import NotFound

_MAGIC = "rootless build digests 1"
_TICK = 50_000_000  # nanoseconds; the coarsest clock that kernels stamp files with has 10 ms
_MOST = 500_000  # files that are remembered of one context
_CHUNK = 1 << 20
_REMOTE = {0x6969, 0xFF534D42, 0xFE534D42, 0x517B, 0x00C36400, 0x47504653, 0x0BD00BD0, 0x65735546,
           0x01021997, 0x5346414F}  # fmt: skip
"""NFS, CIFS, SMB2, SMB, Ceph, GPFS, Lustre, FUSE, 9p, AFS."""

Row = tuple[int, int, int, int]


class Memory:
    """What is remembered of one context's files."""

    def __init__(self, path: str) -> None:
        """`path`: the document, "" for none."""
        self.path = path
        self._known: dict[Row, str] = {}
        self._kept: dict[Row, str] = {}
        self._devices: dict[int, bool] = {}
        self._changed = False
        if path:
            self._load()

    @classmethod
    def of(cls, directory: str) -> Memory:
        """The memory for a context's directory, in the user's cache."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:32]
        return cls(os.path.join(paths.cache_dir(), "build", f"digests-{name}"))

    def _load(self) -> None:
        try:
            with open(self.path, encoding="ascii") as file:
                if file.readline().rstrip("\n") != _MAGIC:
                    return
                for line in file:
                    device, inode, changed, size, digest = line.split()
                    if len(digest) == 64:
                        self._known[int(device), int(inode), int(changed), int(size)] = digest
        except (OSError, ValueError):
            self._known = {}

    def recall(self, entry: Entry) -> str:
        """The digest of a file, "" if it is not known."""
        row = (entry.device, entry.inode, entry.changed, entry.size)
        found = self._known.get(row, "") or self._kept.get(row, "")
        if found:
            self._kept[row] = found
        return found

    def note(self, entry: Entry, digest: str, fd: int, began: int) -> None:
        """Remember a digest that was made of the open file, beginning at `began` (ns)."""
        if began - entry.changed < _TICK or not self._local(entry.device, fd):
            return
        self._kept[entry.device, entry.inode, entry.changed, entry.size] = digest
        self._changed = True

    def _local(self, device: int, fd: int) -> bool:
        known = self._devices.get(device)
        if known is None:
            known = kernel.calls.fstatfs(fd).type & 0xFFFFFFFF not in _REMOTE
            self._devices[device] = known
        return known

    def save(self) -> None:
        """Write what was learnt; where that cannot be written it is learnt again."""
        if not self.path or not self._changed:
            return
        rows = list({**self._known, **self._kept}.items())[-_MOST:]
        text = "".join(f"{a} {b} {c} {d} {digest}\n" for (a, b, c, d), digest in rows)
        try:
            paths.ensure(os.path.dirname(self.path))
            documents.write_bytes(self.path, f"{_MAGIC}\n{text}".encode())
        except OSError:
            pass


def selection(root: int, chosen: list[Selected], memory: Memory, *, owners: bool = False) -> str:
    """The digest of a selection: names, kinds, modes, contents and targets of links, in order.

    `owners`: also whose they are, which counts for the files of a stage.
    """
    whole = hashlib.sha256()
    for selected in chosen:
        whole.update(b"tree\0" if selected.tree else b"one\0")
        for entry in selected.entries:
            mode = 0 if entry.kind == "l" else entry.mode
            whole.update(f"{entry.kind} {mode:o} ".encode())
            whole.update(os.fsencode(entry.name) + b"\0")
            if owners and (found := resolve.lookup(root, entry.source)) is not None:
                whole.update(f"{found.st_uid}:{found.st_gid} ".encode())
            if entry.kind == "f":
                whole.update(of_file(root, entry, memory).encode())
            elif entry.kind == "l":
                whole.update(os.fsencode(link_target(root, entry)) + b"\0")
    return whole.hexdigest()


def of_file(root: int, entry: Entry, memory: Memory) -> str:
    """The digest of a file's content.  Raises NotFound when it cannot be read."""
    known = memory.recall(entry)
    if known:
        return known
    began = time.time_ns()
    try:
        fd = resolve.open_at(root, entry.source, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise NotFound(f'"/{entry.source}" cannot be read: {error.strerror}') from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotFound(f'"/{entry.source}" was exchanged while it was read')
        hasher = hashlib.sha256()
        while data := os.read(fd, _CHUNK):
            hasher.update(data)
        digest = hasher.hexdigest()
        after = os.fstat(fd)
        if (after.st_ino, after.st_ctime_ns, after.st_size) == (
            entry.inode, entry.changed, entry.size,
        ):  # fmt: skip
            memory.note(entry, digest, fd, began)
        return digest
    finally:
        os.close(fd)


def link_target(root: int, entry: Entry) -> str:
    """Where a symbolic link points."""
    try:
        fd = resolve.open_at(root, entry.source, os.O_PATH)
    except OSError as error:
        raise NotFound(f'"/{entry.source}" cannot be read: {error.strerror}') from None
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
