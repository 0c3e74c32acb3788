"""Garbage collection: blobs that nothing refers to, and what dead processes left in the store.

Scope: deciding and removing; `leases` says what living processes rely on.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.errors import StorageError
from rootless.images.names import filenames
from rootless.images.record import LIST
from rootless.images.store import leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.store.lookup import Looking

PARTIAL_AGE = 86400.0
"""Seconds after which a pull is not expected to be continued."""


def collect(store: Looking, *, all: bool = False) -> int:
    """Remove blobs that neither an image nor a living process needs; bytes freed.

    Beginnings of blobs go after a day, with `all` at once unless they are locked.  A record that
    cannot be read stops the collection of blobs: what it refers to is not known.
    Raises StorageError (a damaged record, a read-only store).
    """
    freed = 0
    try:
        with leases.collecting(store, shared=False):
            held = leases.held(store)
            used = {digest[7:] for record in store.records_alone() for digest in record.blobs()}
            used |= of_lists(store)
            used |= {name[7:] for name in held if name.startswith("sha256:")}
            for name in documents.names_in(store.blobs):
                if name not in used:
                    freed += _remove(os.path.join(store.blobs, name))
            horizon = time.time() - (0.0 if all else PARTIAL_AGE)
            for name in documents.names_in(store.ingest):
                if name not in held:
                    freed += _remove_partial(os.path.join(store.ingest, name), horizon)
    except OSError as error:
        raise StorageError(
            f"cannot remove {error.filename or store.blobs}: {error.strerror}",
            hint="check the file system of this path",
        ) from None
    return freed


def waste(store: Looking) -> int:
    """Return how many bytes `collect(all=True)` would free; nothing is touched."""
    used = {digest[7:] for record in store.records_alone() for digest in record.blobs()}
    used |= of_lists(store)
    paths = [
        os.path.join(store.blobs, name)
        for name in documents.names_in(store.blobs)
        if name not in used
    ]
    paths += [os.path.join(store.ingest, name) for name in documents.names_in(store.ingest)]
    total = 0
    for path in paths:
        try:
            total += os.stat(path).st_size
        except FileNotFoundError:
            continue
    return total


def of_lists(store: Looking) -> set[str]:
    """What manifest lists are made of, which outlives the images it came from (see `lists`)."""
    directory = os.path.join(store.data_dir, "images/lists")
    found: set[str] = set()
    for name in documents.names_in(directory):
        if not name.endswith(".tmp"):
            remedy = f"rootless manifest rm {filenames.unquote(name)}"
            listed = documents.read_as(os.path.join(directory, name), LIST, remedy)
            for member in listed["manifests"]:
                found.update(digest[7:] for digest in member.get("blobs", ()))
    return found


def _remove(path: str) -> int:
    size = os.stat(path, follow_symlinks=False).st_size
    os.unlink(path)
    return size


def _remove_partial(path: str, horizon: float) -> int:
    """A blob that was arriving.  One of unknown digest that no lease names has no owner any more;
    one whose digest is in its name may be continued by the next pull."""
    if not os.path.basename(path).startswith("sha256-"):
        return _remove(path)
    try:
        if os.stat(path).st_mtime >= horizon:
            return 0
        with documents.Lock(path, blocking=False):
            return _remove(path)
    except (BlockingIOError, FileNotFoundError):
        return 0
