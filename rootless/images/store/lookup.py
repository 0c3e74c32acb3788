"""The images of this host, read-only: names, records, blobs.

Scope: what is on disk below `images/` and `content/`; `store` has what changes it.
Hot: `resolve` of a tag reads two files.  A name belongs to whichever image the file
`images/names/…` says; the `names` inside a record are a copy that writers keep up to date, and
`list` looks at the files.  Readers need no lock, since every document is replaced in one step.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import DamagedDocument, HostError, ImageNotFound, StorageError, UsageError
from rootless.images.names import filenames, reference
from rootless.images.record import SHAPE, VERSION, ImageRecord
from rootless.images.store.index import Index, Summary, newest_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.images.record import ImageDocument

# Inside the class, `list` is the method.
Names = list[str]
Records = list[ImageRecord]
Summaries = list[Summary]


class Looking:
    """The images below one data directory, to be read."""

    __slots__ = ("blobs", "data_dir", "index", "ingest", "leases_dir", "records", "tags")

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        self.blobs = os.path.join(data_dir, "content/blobs/sha256")
        self.ingest = os.path.join(data_dir, "content/ingest")
        self.records = os.path.join(data_dir, "images/records")
        self.tags = os.path.join(data_dir, "images/names")
        self.leases_dir = os.path.join(data_dir, "content/leases")
        self.index = Index(data_dir, self.records, self.tags)

    def resolve(self, name: str) -> ImageRecord:
        """Return the image with this tag, short name, `name@sha256:…`, id, or beginning of an id.

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
            from rootless.images.names import shortnames

            record = shortnames.find(name, self._by_reference)
        if record is not None:
            return record
        raise malformed or self._missing(name)

    def get(self, identity: str) -> ImageRecord | None:
        """Return the image with exactly this id (64 hex digits), if there is one."""
        return self._record(identity)

    def list(self) -> Records:
        """Return all images, the newest first; `names` are as the name files say.

        One whose record is damaged is left out; `damaged` has it.
        """
        owned: dict[str, Names] = {}
        for quoted in documents.names_in(self.tags):
            if not quoted.endswith(".tmp"):
                owned.setdefault(self._owner(quoted), []).append(filenames.unquote(quoted))
        found = []
        for entry in documents.names_in(self.records):
            try:
                record = self._record(entry[:-5]) if entry.endswith(".json") else None
            except DamagedDocument:
                continue
            if record is not None:
                record.names = owned.get(record.id, [])
                found.append(record)
        found.sort(key=lambda record: record.created, reverse=True)
        return found

    def damaged(self) -> Summaries:
        """Return what lists show of images whose records are damaged: their ids and names."""
        found = []
        for entry in documents.names_in(self.records):
            try:
                if entry.endswith(".json"):
                    self._record(entry[:-5])
            except DamagedDocument:
                made = Summary([entry[:-5], "", 0.0, 0, "", [], []])
                for name in self.names_of(entry[:-5]):
                    made.gain(name)
                made.shown = made.shown or [["<damaged>", "<none>"]]
                found.append(made)
        return found

    def tagged_at(self, canonical: str) -> float:
        """Return when an image got this name, in seconds since the epoch; 0 if no image has it."""
        try:
            return os.stat(os.path.join(self.tags, filenames.quote(canonical))).st_mtime
        except OSError:
            return 0.0

    def summaries(self) -> Summaries:
        """Return what lists show of all images, the newest first: one document, made if it must
        be."""
        rows = self.index.read()
        if rows is None:
            # before the directories are read, so that a change meanwhile makes it stale
            stamp = self.index.stamp()
            rows = {record.id: Summary.of(record) for record in self.list()}
            broken = self.damaged()
            if broken:
                # not kept: it is to be seen when they are whole again
                return newest_first(rows) + broken
            try:
                with documents.Lock(self.lock_path, blocking=False):
                    self.index.write(rows, stamp)
            except (OSError, HostError):
                pass
        return newest_first(rows)

    def keep_sizes(self, sizes: dict[str, int]) -> None:
        """Note sizes of images, by id, for the next list; who is in the way keeps us from it."""
        if not sizes:
            return
        try:
            with documents.Lock(self.lock_path, blocking=False):
                rows = self.index.read()
                if rows is None:
                    return
                for identity, size in sizes.items():
                    if identity in rows:
                        rows[identity].size = size
                self.index.write(rows)
        except (OSError, HostError):
            pass

    def records_alone(self) -> Iterator[ImageRecord]:
        """Yield all images, in no order, with the names in their records.  StorageError."""
        for entry in documents.names_in(self.records):
            record = self._record(entry[:-5]) if entry.endswith(".json") else None
            if record is not None:
                yield record

    def names_of(self, identity: str) -> Names:
        """Return the names that really are this image's, in order."""
        return [
            filenames.unquote(quoted)
            for quoted in documents.names_in(self.tags)
            if self._owner(quoted) == identity
        ]

    def blob_path(self, digest: str) -> str:
        """Return where the blob is or would be.  Raises UsageError for what is no sha256 digest."""
        if not reference.is_digest(digest):
            # A manifest is foreign input: `sha256:../../x` must never become a path.
            raise UsageError(
                f"{digest!r} is not a digest",
                hint="a digest is sha256: and 64 lower-case hex digits",
            )
        return os.path.join(self.blobs, digest[7:])

    def has_blob(self, digest: str, size: int | None = None) -> bool:
        """Return whether the blob is here, whole as far as `size` (bytes) shows.

        Blobs are not synced to the disk one by one, because they can be had again; after a power
        failure one may be short, which the size shows.
        """
        try:
            found = os.stat(self.blob_path(digest)).st_size
        except FileNotFoundError:
            return False
        return size is None or size == found

    def read_blob(self, digest: str) -> bytes:
        """Return a small blob: a manifest or a configuration.  Raises StorageError."""
        try:
            with open(self.blob_path(digest), "rb") as file:
                return file.read()
        except OSError as error:
            raise StorageError(
                f"cannot read the blob {digest}: {error.strerror}",
                hint="pull or load the image again",
            ) from None

    @property
    def lock_path(self) -> str:
        """The lock of writers."""
        return os.path.join(self.data_dir, "images/lock")

    # helpers

    def _by_name(self, canonical: str) -> ImageRecord | None:
        """The image that really has this name."""
        owner = self._owner(filenames.quote(canonical))
        return self._record(owner) if owner else None

    def record_path(self, identity: str) -> str:
        """Return where the record of an image is or would be."""
        return self._record_path(identity)

    def _record_path(self, identity: str) -> str:
        return os.path.join(self.records, identity + ".json")

    def _record(self, identity: str) -> ImageRecord | None:
        path = self._record_path(identity)
        remedy = f"rootless system check --repair; or rootless rmi {identity[:12]}"
        try:
            found: ImageDocument = documents.read_as(path, SHAPE, remedy, newest=VERSION)
        except FileNotFoundError:
            return None
        if found["id"] != identity:
            raise documents.damaged(path, "it is another image's", remedy)
        return ImageRecord.from_dict(found)

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
        for candidate in filenames.candidates(wanted):
            found = self._by_name(candidate)
            if found is not None:
                return found
        return None

    def meant(self, name: str) -> str:
        """Return the canonical name that an image has by which `name` finds it.

        Without such an image it is the name as docker reads it.  Raises UsageError.
        """
        wanted = reference.parse(name)
        for candidate in filenames.candidates(wanted):
            if not wanted.digest and self._by_name(candidate) is not None:
                return candidate
        return wanted.canonical

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

    def _missing(self, name: str) -> ImageNotFound:
        from rootless.images.names.suggest import nearest

        known = [
            filenames.familiar(filenames.unquote(quoted))
            for quoted in documents.names_in(self.tags)
        ]
        close = nearest(name, known)
        if close:
            hint = "did you mean " + " or ".join(close) + "?"
        else:
            hint = f"`rootless pull {name}` fetches it from a registry"
        return ImageNotFound(f"there is no image {name}", hint=hint)
