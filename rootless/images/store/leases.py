"""Leases: blobs that are needed before a record names them, kept from garbage collection.

Scope: `content/leases` and `content/lock`.  A command that brings an image holds a lease, a file
that is locked while its owner lives (flock(2)) and has one line for each blob that it relies on.  A
line is written before the blob is looked for, under the shared lock; the collector has the lock
alone while it decides and removes.  So a blob that was seen stays, and a pull that takes an hour
does not stop the collection of what it does not need.
"""

from __future__ import annotations

import errno
import os

from rootless import disks, documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Content(Protocol):
        """Where leases and the lock of content are."""

        @property
        def data_dir(self) -> str: ...
        @property
        def leases_dir(self) -> str: ...

    class Leased(Content, Protocol):
        """A store, with the leases that it holds."""

        @property
        def leases(self) -> list[Lease]: ...


class Lease:
    """One owner's list; a context manager, or to be closed by hand."""

    def __init__(self, store: Leased) -> None:
        """Raises StorageError."""
        self._store = store
        self._lock: documents.Lock | None = None
        self._fd = -1
        self.path = ""
        if os.statvfs(store.data_dir).f_flag & os.ST_RDONLY:
            return  # nothing can be removed, and a reader needs no lease
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.path = os.path.join(store.leases_dir, name)
        try:
            # its name must not be seen before it is locked: an unlocked one belongs to the dead
            with collecting(store, shared=True):
                self._lock = documents.Lock(self.path)
                self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise disks.refused(self.path, error) from None
        store.leases.append(self)

    def note(self, names: list[str]) -> None:
        """Rely on these blobs (digests), or names in `ingest`.  Raises StorageError."""
        if self._fd < 0:
            return
        data = "".join([name + "\n" for name in names]).encode()
        try:
            # O_APPEND writes of threads do not mix
            written = os.write(self._fd, data)
        except OSError as error:
            raise disks.refused(self.path, error) from None
        if written != len(data):
            raise disks.refused(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def close(self) -> None:
        """Release what is relied on."""
        if self._lock is None:
            return
        self._store.leases.remove(self)
        try:
            os.unlink(self.path)
        except OSError:
            pass  # an unlocked lease means nothing, and the collector removes it
        os.close(self._fd)
        self._lock.close()
        self._lock = None

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def collecting(store: Content, *, shared: bool) -> documents.Lock:
    """Return the lock of content: the collector's alone, everybody else's shared and for a
    moment."""
    return documents.Lock(os.path.join(store.data_dir, "content/lock"), shared=shared)


def rely(store: Leased, names: list[str]) -> None:
    """Write them into every lease that this store holds; does nothing where it holds none."""
    if store.leases:
        with collecting(store, shared=True):
            for lease in list(store.leases):
                lease.note(names)


def held(store: Content) -> set[str]:
    """Return all that living owners rely on; leases of the dead are removed.  Needs the lock
    alone."""
    found: set[str] = set()
    for name in documents.names_in(store.leases_dir):
        path = os.path.join(store.leases_dir, name)
        try:
            lock = documents.Lock(path, shared=True, blocking=False)
        except BlockingIOError:
            with open(path, encoding="ascii", errors="replace") as file:
                found.update(file.read().split("\n"))
            continue
        except OSError:
            continue
        with lock:
            os.unlink(path)
    return found
