"""The images of this host: records, names and blobs.

Scope: what is on disk below `images/` and `content/`; nothing is fetched here.
Hot: `resolve` of a tag reads two files.  A name belongs to whichever image the file
`images/names/…` says; the `names` inside a record are a copy that writers keep up to date, and
`list` looks at the files.  Writers take `images/lock`; readers need no lock, since every document
is replaced in one step.

Whoever brings blobs holds a lease (`guard`) until the record that refers to them is written; see
`leases`.  `index` has what lists show in one document.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import HostError, ImageNotFound, StorageError, UsageError
from rootless.images import naming, reference
from rootless.images.index import Change, Index, Summary, newest_first
from rootless.images.record import ImageRecord, Layer

__all__ = ["ImageRecord", "ImageStore", "Layer"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from rootless.images.leases import Lease

# Inside the class, `list` is the method.
Names = list[str]
Records = list[ImageRecord]
Summaries = list[Summary]


class ImageStore:
    """The images below one data directory.  Instances are cheap; `leases` are those in use."""

    __slots__ = (
        "blobs", "data_dir", "index", "ingest", "leases", "leases_dir", "records", "settle", "tags"
    )  # fmt: skip

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        self.blobs = os.path.join(data_dir, "content/blobs/sha256")
        self.ingest = os.path.join(data_dir, "content/ingest")
        self.records = os.path.join(data_dir, "images/records")
        self.tags = os.path.join(data_dir, "images/names")
        self.leases_dir = os.path.join(data_dir, "content/leases")
        self.leases: list[Lease] = []
        # called by `put` before an image can be seen: what it raises means that there is none
        self.settle: Callable[[ImageRecord], object] = _nothing
        self.index = Index(data_dir, self.records, self.tags)

    # reading

    def resolve(self, name: str) -> ImageRecord:
        """The image with this tag, short name, `name@sha256:…`, id, or beginning of an id.

        Raises ImageNotFound (the hint has names that look alike), UsageError (malformed, or the
        beginning of several ids).
        """
        bare = name[7:] if name.startswith("sha256:") else name
        if reference.is_id(bare):
            record = self._record(bare)
            if record is None:
                raise self._missing(name)
            return record
        malformed: UsageError | None = None
        if bare is name:
            try:
                record = self._by_reference(reference.parse(name))
            except UsageError as error:
                record, malformed = None, error
            if record is not None:
                return record
        record = self._by_prefix(name, bare)
        if record is None and bare is name and malformed is None:
            from rootless.images import shortnames

            record = shortnames.find(name, self._by_reference)
        if record is not None:
            return record
        raise malformed or self._missing(name)

    def get(self, identity: str) -> ImageRecord | None:
        """The image with exactly this id (64 hex digits), if there is one."""
        return self._record(identity)

    def list(self) -> Records:
        """All images, the newest first; `names` are as the name files say."""
        owned: dict[str, Names] = {}
        for quoted in documents.names_in(self.tags):
            if not quoted.endswith(".tmp"):
                owned.setdefault(self._owner(quoted), []).append(naming.unquote(quoted))
        found = []
        for entry in documents.names_in(self.records):
            record = self._record(entry[:-5]) if entry.endswith(".json") else None
            if record is not None:
                record.names = owned.get(record.id, [])
                found.append(record)
        found.sort(key=lambda record: record.created, reverse=True)
        return found

    def tagged_at(self, canonical: str) -> float:
        """When an image got this name, in seconds since the epoch; 0 if no image has it."""
        try:
            return os.stat(os.path.join(self.tags, naming.quote(canonical))).st_mtime
        except OSError:
            return 0.0

    def summaries(self) -> Summaries:
        """What lists show of all images, the newest first: one document, made if it must be."""
        rows = self.index.read()
        if rows is None:
            # before the directories are read, so that a change meanwhile makes it stale
            stamp = self.index.stamp()
            rows = {record.id: Summary.of(record) for record in self.list()}
            try:
                with self._lock(blocking=False):
                    self.index.write(rows, stamp)
            except (OSError, HostError):
                pass
        return newest_first(rows)

    def records_alone(self) -> Iterator[ImageRecord]:
        """All images, in no order, with the names that their records say.  StorageError."""
        for entry in documents.names_in(self.records):
            record = self._record(entry[:-5]) if entry.endswith(".json") else None
            if record is not None:
                yield record

    def names_of(self, identity: str) -> Names:
        """The names that really are this image's, in order."""
        return [
            naming.unquote(quoted)
            for quoted in documents.names_in(self.tags)
            if self._owner(quoted) == identity
        ]

    def blob_path(self, digest: str) -> str:
        """Where the blob is or would be.  Raises UsageError for what is no sha256 digest."""
        if not reference.is_digest(digest):
            # A manifest is foreign input: `sha256:../../x` must never become a path.
            raise UsageError(
                f"{digest!r} is no digest", hint="a digest is sha256: and 64 lower-case hex digits"
            )
        return os.path.join(self.blobs, digest[7:])

    def has_blob(self, digest: str, size: int | None = None) -> bool:
        """Whether the blob is here, whole as far as `size` (bytes) tells.

        Blobs are not synced to the disk one by one, because they can be had again; after a power
        failure one may be short, which the size shows.
        """
        try:
            found = os.stat(self.blob_path(digest)).st_size
        except FileNotFoundError:
            return False
        return size is None or size == found

    def read_blob(self, digest: str) -> bytes:
        """A small blob: a manifest or a configuration.  Raises StorageError."""
        try:
            with open(self.blob_path(digest), "rb") as file:
                return file.read()
        except OSError as error:
            raise StorageError(
                f"cannot read the blob {digest}: {error.strerror}",
                hint="pull or load the image again",
            ) from None

    # writing

    def prepare(self) -> None:
        """Make the directories.  Raises HostError."""
        for directory in (self.blobs, self.ingest, self.leases_dir, self.records, self.tags):
            paths.ensure(directory)

    def guard(self) -> Lease:
        """Keep garbage collection away from blobs that no record mentions yet."""
        from rootless.images import leases

        self.prepare()
        return leases.Lease(self)

    def rely(self, *names: str) -> None:
        """Tell the collector of blobs before they are looked for, or of names in `ingest`."""
        if self.leases:
            from rootless.images import leases

            leases.rely(self, [*names])

    def hold(self, record: ImageRecord, digests: Names) -> Lease:
        """A lease on blobs of an image that is here; gives the store.  Raises StorageError when
        somebody has removed the image a moment ago."""
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
        canonical = [naming.tagged(name).canonical for name in names]
        self.rely(*record.blobs())
        for digest in record.blobs():
            if digest not in away and not self.has_blob(digest):
                raise StorageError(
                    f"the blob {digest} was removed while the image was brought",
                    hint="do that again",
                )
        self.settle(record)
        with self._change() as rows:
            self._sweep()
            old = self._record(record.id)
            if old is not None:
                record.names = naming.union(old.names, record.names)
                record.digests = naming.union(old.digests, record.digests)
            # A name that nobody has is written first: whoever is killed then leaves a name of
            # nothing, which is no name; otherwise it would be an image without one.
            for name in canonical:
                if self._by_name(name) is None:
                    self._write_name(name, record.id)
                else:
                    self._take_away(name, keep=record.id)
            record.names = naming.union(record.names, canonical)
            self._write(record)
            for name in canonical:
                if self._owner(naming.quote(name)) != record.id:
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
        name = naming.tagged(target).canonical
        with self._change() as rows:
            record = self.resolve(source)
            self._take_away(name, keep=record.id)
            record.names = naming.union(record.names, [name])
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
            for candidate in naming.candidates(wanted):
                if self._owner(naming.quote(candidate)) == record.id:
                    self._unlink(os.path.join(self.tags, naming.quote(candidate)))
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
            record = self._record(identity)
            if record is None:
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
        """As `delete`, for a record that cannot be read."""
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
        from rootless.images import garbage

        return garbage.collect(self, all=all)

    # helpers

    def _lock(self, *, blocking: bool = True) -> documents.Lock:
        if blocking:
            self.prepare()
        return documents.Lock(os.path.join(self.data_dir, "images/lock"), blocking=blocking)

    def _change(self) -> Change:
        """The lock of writers, and the index to be told of changes."""
        lock = self._lock()
        try:
            return Change(self.index, lock, self._owns)
        except OSError as error:
            lock.close()
            raise _refused(self.index.path, error) from None

    def _owns(self, identity: str, name: str) -> bool:
        return self._owner(naming.quote(name)) == identity

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _refused(path, error, "cannot remove") from None

    def _by_name(self, canonical: str) -> ImageRecord | None:
        """The image that really has this name."""
        owner = self._owner(naming.quote(canonical))
        return self._record(owner) if owner else None

    def _record_path(self, identity: str) -> str:
        return os.path.join(self.records, identity + ".json")

    def _record(self, identity: str) -> ImageRecord | None:
        path = self._record_path(identity)
        try:
            return ImageRecord.from_dict(documents.read(path))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"the image record {path} is damaged", hint="remove it and pull the image again"
            ) from None

    def _owner(self, quoted: str) -> str:
        """The id a name file holds, "" if there is no such name."""
        try:
            fd = os.open(os.path.join(self.tags, quoted), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            text = os.read(fd, 128).decode("ascii", "replace").strip()
        finally:
            os.close(fd)
        return text if reference.is_id(text) else ""

    def _by_reference(self, wanted: reference.Reference) -> ImageRecord | None:
        if wanted.digest:
            known = f"{wanted.name}@{wanted.digest}"
            for record in self.list():
                if known in record.digests:
                    return record
            return None
        for candidate in naming.candidates(wanted):
            found = self._by_name(candidate)
            if found is not None:
                return found
        return None

    def _by_prefix(self, name: str, prefix: str) -> ImageRecord | None:
        if not prefix or prefix.strip("0123456789abcdef"):
            return None
        matches = [
            entry[:-5]
            for entry in documents.names_in(self.records)
            if entry.startswith(prefix) and entry.endswith(".json")
        ]
        if len(matches) > 1:
            raise UsageError(
                f"{name} is the beginning of {len(matches)} image ids",
                hint="write more digits: " + ", ".join([found[:12] for found in matches[:4]]),
            )
        return self._record(matches[0]) if matches else None

    def _take_away(self, name: str, *, keep: str) -> None:
        """Strike a name from the record that has it now, unless that is `keep`."""
        owner = self._owner(naming.quote(name))
        if owner and owner != keep:
            record = self._record(owner)
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
        path = os.path.join(self.tags, naming.quote(name))
        try:
            documents.write_bytes(path, identity.encode())
        except OSError as error:
            raise _refused(path, error) from None

    def _missing(self, name: str) -> ImageNotFound:
        from rootless.images.nearness import nearest

        known = [
            naming.familiar(naming.unquote(quoted)) for quoted in documents.names_in(self.tags)
        ]
        close = nearest(name, known)
        if close:
            hint = "did you mean " + " or ".join(close) + "?"
        else:
            hint = f"`rootless pull {name}` fetches it from a registry"
        return ImageNotFound(f"there is no image {name}", hint=hint)


def _nothing(_: ImageRecord) -> None:
    pass


def _refused(path: str, error: OSError, what: str = "cannot write") -> StorageError:
    from rootless import disks

    return disks.refused(path, error, what=what)
