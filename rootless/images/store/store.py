"""The images of this host, changed: records, names and blobs.

Scope: what is on disk below `images/` and `content/`; nothing is fetched here.  `looking` has what
only reads.  Writers take `images/lock`.

A command that brings blobs holds a lease (`guard`) until the record that refers to them is written;
see `leases`.  `index` has what lists show in one document.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import DamagedDocument, NewerDocument, StorageError
from rootless.images.names import filenames, reference
from rootless.images.record import ImageRecord, Layer
from rootless.images.store.index import Change
from rootless.images.store.lookup import Looking

__all__ = ["ImageRecord", "ImageStore", "Layer"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rootless.images.store.leases import Lease

Names = list[str]  # inside the class, `list` is the method


class ImageStore(Looking):
    """The images below one data directory.  Instances are cheap; `leases` are those in use."""

    __slots__ = ("leases", "settle")

    def __init__(self, data_dir: str) -> None:
        super().__init__(data_dir)
        self.leases: list[Lease] = []
        # called by `put` before an image can be seen: what it raises means that there is none
        self.settle: Callable[[ImageRecord], object] = _nothing

    def prepare(self) -> None:
        """Make the directories.  Raises HostError."""
        for directory in (self.blobs, self.ingest, self.leases_dir, self.records, self.tags):
            paths.ensure(directory)

    def guard(self) -> Lease:
        """Keep garbage collection away from blobs that no record mentions yet."""
        from rootless.images.store import leases

        self.prepare()
        return leases.Lease(self)

    def rely(self, *names: str) -> None:
        """Tell the collector of blobs before they are looked for, or of names in `ingest`."""
        if self.leases:
            from rootless.images.store import leases

            leases.rely(self, [*names])

    def hold(self, record: ImageRecord, digests: Names) -> Lease:
        """Return a lease on blobs of an image that is here; gives the store.  Raises StorageError
        when another command has removed the image a moment ago."""
        lease = self.guard()
        self.rely(*digests)
        for digest in digests:
            if not self.has_blob(digest):
                lease.close()
                raise StorageError(
                    f"the blob {digest} of the image {record.id[:12]} has been removed",
                    hint="pull or load the image again",
                )
        return lease

    def put(self, record: ImageRecord, names: Names, *, away: Collection[str] = ()) -> ImageRecord:
        """Keep an image and move these names to it; names and digests it had before stay.

        The caller holds `guard`.  Returns the record as written.  Raises UsageError, StorageError:
        an image of which something is missing is not kept, unless it is among the blobs that may
        be `away` (layers that will be read where they are).
        """
        canonical = [filenames.tagged(name).canonical for name in names]
        self.rely(*record.blobs())
        for digest in record.blobs():
            if digest not in away and not self.has_blob(digest):
                raise StorageError(
                    f"the blob {digest} was removed while the image was being added",
                    hint="try again",
                )
        self.settle(record)
        with self._change() as rows:
            self._sweep()
            try:
                old = self._record(record.id)
            except NewerDocument:
                raise
            except DamagedDocument:
                old = None  # it is written anew
            if old is not None:
                record.names = filenames.union(old.names, record.names)
                record.digests = filenames.union(old.digests, record.digests)
            # A name that no image has is written first: a command that is killed then leaves a name
            # of nothing, which is no name; otherwise it would be an image without one.
            for name in canonical:
                if self._by_name(name) is None:
                    self._write_name(name, record.id)
                else:
                    self._take_away(name, keep=record.id)
            record.names = filenames.union(record.names, canonical)
            self._write(record)
            for name in canonical:
                if self._owner(filenames.quote(name)) != record.id:
                    self._write_name(name, record.id)
            rows.put(record)
        return record

    def _sweep(self) -> None:
        """Remove what writers left that were killed: who holds the lock is the only writer."""
        for directory in (self.tags, self.records, os.path.dirname(self.records)):
            for name in documents.names_in(directory):
                if name.endswith(".tmp"):
                    os.unlink(os.path.join(directory, name))

    def tag(self, source: str, target: str) -> ImageRecord:
        """Give the image `source` the further name `target`, which another image may lose."""
        name = filenames.tagged(target).canonical
        with self._change() as rows:
            record = self.resolve(source)
            self._take_away(name, keep=record.id)
            record.names = filenames.union(record.names, [name])
            self._write(record)
            self._write_name(name, record.id)
            rows.put(record)
        return record

    def untag(self, name: str) -> ImageRecord:
        """Take a name from its image, which stays.  Returns the record after that.

        Raises ImageNotFound.
        """
        wanted = reference.parse(name)
        with self._change() as rows:
            record = self._by_reference(wanted)
            if record is None:
                raise self._missing(name)
            if wanted.digest:
                gone = f"{wanted.name}@{wanted.digest}"
                record.digests = [digest for digest in record.digests if digest != gone]
                self._write(record)
                return record
            for candidate in filenames.candidates(wanted):
                if self._owner(filenames.quote(candidate)) == record.id:
                    self._unlink(os.path.join(self.tags, filenames.quote(candidate)))
                    record.names = [known for known in record.names if known != candidate]
                    rows.lose(record.id, candidate)
                    break
            try:
                self._write(record)
            except StorageError:
                pass  # the names in a record are a copy; a full disk must not keep a name
        return record

    def delete(self, identity: str, *, nameless: bool = False) -> bool:
        """Forget an image and its names; `collect_garbage` frees its blobs.  ImageNotFound.

        `nameless`: only if it has no name, which it may have got since it was listed; whether it
        was forgotten.
        """
        with self._change() as rows:
            if not os.path.exists(self._record_path(identity)):
                raise self._missing(identity)
            if nameless and self.names_of(identity):
                return False
            # The record first: names of nothing are no names, but an image that is half removed
            # would come back without its names.
            self._unlink(self._record_path(identity))
            for quoted in documents.names_in(self.tags):
                if self._owner(quoted) == identity:
                    self._unlink(os.path.join(self.tags, quoted))
            rows.drop(identity)
        return True

    def replace(self, record: ImageRecord) -> None:
        """Write a record anew, whatever is there, with the names that name files give it."""
        with self._change() as rows:
            record.names = self.names_of(record.id)
            self._write(record)
            rows.put(record)

    def forget(self, identity: str) -> None:
        """Delete a record that cannot be read."""
        with self._change() as rows:
            self._unlink(self._record_path(identity))
            rows.drop(identity)

    def forget_lost_names(self) -> None:
        """Remove names whose image is gone, and what writers left that were killed."""
        with self._lock():
            self._sweep()
            for quoted in documents.names_in(self.tags):
                owner = self._owner(quoted)
                if not owner or not os.path.exists(self._record_path(owner)):
                    self._unlink(os.path.join(self.tags, quoted))

    def collect_garbage(self, *, all: bool = False) -> int:
        """Remove blobs nothing refers to and old beginnings of blobs; see `garbage.collect`."""
        from rootless.images.store import gc as store_gc

        self.prepare()
        return store_gc.collect(self, all=all)

    # helpers

    def _lock(self) -> documents.Lock:
        self.prepare()
        return documents.Lock(self.lock_path)

    def _change(self) -> Change:
        """The lock of writers, and the index that takes the changes."""
        lock = self._lock()
        try:
            return Change(self.index, lock, self._owns)
        except OSError as error:
            lock.close()
            raise _refused(self.index.path, error) from None

    def _owns(self, identity: str, name: str) -> bool:
        return self._owner(filenames.quote(name)) == identity

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _refused(path, error, "cannot remove") from None

    def _take_away(self, name: str, *, keep: str) -> None:
        """Strike a name from the record that has it now, unless that is `keep`."""
        owner = self._owner(filenames.quote(name))
        if owner and owner != keep:
            try:
                record = self._record(owner)
            except DamagedDocument:
                return  # the names in a record are a copy
            if record is not None:
                record.names = [known for known in record.names if known != name]
                self._write(record)

    def _write(self, record: ImageRecord) -> None:
        path = self._record_path(record.id)
        try:
            documents.write(path, record.to_dict())
        except OSError as error:
            raise _refused(path, error) from None

    def _write_name(self, name: str, identity: str) -> None:
        path = os.path.join(self.tags, filenames.quote(name))
        try:
            documents.write_bytes(path, identity.encode())
        except OSError as error:
            raise _refused(path, error) from None


def _nothing(_: ImageRecord) -> None:
    pass


def _refused(path: str, error: OSError, what: str = "cannot write") -> StorageError:
    from rootless import disks

    return disks.refused(path, error, what=what)
