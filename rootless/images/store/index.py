"""The list of images in one document, so that showing five hundred costs what showing five costs.

Scope: `images/index.json`, which can be made anew at any time.  It is believed for as long as the
directories of records and of names have the times that stand in it.  Writers hold `images/lock`:
they take the document away, change what they change, and put the changed one back; so one that was
killed in between leaves none, and the next reader makes it.
Hot: no imports that cost anything.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.images.names import filenames, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypedDict

    from rootless.documents import Json
    from rootless.images.record import ImageRecord

    Rows = dict[str, "Summary"]

    class IndexDocument(TypedDict):
        """The document; one of another version is made anew."""

        version: int
        stamp: list[int]
        images: list[list[Json]]


VERSION = 3


class Summary:
    """What a list shows of an image.

    id          64 hex digits
    created     RFC 3339 as the image says it, or ""
    seconds     the same since the epoch, 0 where it does not say
    size        bytes of the files in its layers, -1 while they are not counted (`keep_sizes`)
    digest      of its manifest
    names       canonical
    shown       [repository, tag] of each name, as users write them
    """

    __slots__ = ("created", "digest", "id", "names", "seconds", "shown", "size")

    def __init__(self, row: list[Json]) -> None:
        (self.id, self.created, self.seconds, self.size, self.digest, self.names, self.shown) = row

    @classmethod
    def of(cls, record: ImageRecord) -> Summary:
        """Return the summary of a record, with the names that it says."""
        row = [record.id, record.created, moment(record.created), -1]
        made = cls([*row, record.manifest_digest, [], []])
        # in the order of the files that hold them
        for name in sorted(record.names, key=filenames.quote):
            made.gain(name)
        return made

    def row(self) -> list[Json]:
        """Return the JSON form."""
        return [getattr(self, name) for name in
                ("id", "created", "seconds", "size", "digest", "names", "shown")]  # fmt: skip

    def gain(self, name: str) -> None:
        """Add a name."""
        if name not in self.names:
            parsed = reference.parse(name)
            self.names.append(name)
            self.shown.append([parsed.familiar_name, parsed.tag or "<none>"])

    def lose(self, name: str) -> None:
        """Remove a name."""
        if name in self.names:
            at = self.names.index(name)
            del self.names[at], self.shown[at]


def _is_row(row: Json) -> bool:
    # by hand, because a list of five hundred is to cost no more than one of five
    one, created, seconds, size, digest, names, shown = row
    return (
        type(one) is type(created) is type(digest) is str
        and type(size) is int
        and type(seconds) in (int, float)
        and -1e11 < seconds < 1e11
        and -1 <= size < 1 << 63
        and len(names) == len(shown)
        and all([type(name) is str for name in names])
        and all([type(a) is type(b) is str for a, b in shown])
        and (one + created + digest).isprintable()
    )


class Index:
    """The document of one store."""

    __slots__ = ("_directories", "path")

    def __init__(self, data_dir: str, records: str, names: str) -> None:
        self.path = os.path.join(data_dir, "images/index.json")
        self._directories = (records, names)

    def stamp(self) -> list[int]:
        """Return what changes with every change to the directories."""
        found: list[int] = []
        for directory in self._directories:
            try:
                status = os.stat(directory)
                found += [status.st_ino, status.st_mtime_ns]
            except FileNotFoundError:
                found += [0, 0]
        return found

    def read(self) -> Rows | None:
        """Return summaries by id, None if the document is missing, stale or damaged."""
        try:
            document = documents.read(self.path)
            if document["version"] != VERSION or document["stamp"] != self.stamp():
                return None
            rows = document["images"]
            if not all([_is_row(row) for row in rows]):
                return None
            return {row[0]: Summary(row) for row in rows}
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def take(self) -> Rows | None:
        """Read the document and remove it.  The caller holds the lock.  Raises OSError."""
        rows = self.read()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        return rows

    def write(self, rows: Rows, stamp: list[int] | None = None) -> None:
        """Keep it; a disk that is full or read-only only means that there is none."""
        document: IndexDocument = {
            "version": VERSION,
            "stamp": stamp or self.stamp(),
            "images": [rows[identity].row() for identity in rows],
        }
        try:
            documents.write(self.path, document)
        except OSError:
            pass


class Change:
    """A change by a writer, who has taken the document out; a context manager.

    What is changed by `put`, `lose` and `drop` is in the document afterwards.  After an error there
    is none, and the next reader makes it.
    """

    def __init__(
        self, index: Index, lock: documents.Lock, owns: Callable[[str, str], bool]
    ) -> None:
        """`lock` is taken over; `owns(id, name)`: whether the name really is that image's.

        Raises OSError.
        """
        self._index = index
        self._lock = lock
        self._owns = owns
        self._rows = index.take()

    def __enter__(self) -> Change:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._lock:
            if kind is None and self._rows is not None:
                self._index.write(self._rows)

    def put(self, record: ImageRecord) -> None:
        """Put a record that is new or changed, with the names it has now."""
        if self._rows is None:
            return
        made = Summary.of(record)
        if record.id in self._rows:
            made.size = self._rows[record.id].size
        for name in record.names:
            # the list in a record is a copy, which a writer that was killed may have left wrong
            if not self._owns(record.id, name):
                made.lose(name)
                continue
            for other in self._rows:
                self._rows[other].lose(name)
        self._rows[record.id] = made

    def lose(self, identity: str, name: str) -> None:
        """Remove a name of an image."""
        if self._rows is not None and identity in self._rows:
            self._rows[identity].lose(name)

    def drop(self, identity: str) -> None:
        """Remove an image."""
        if self._rows is not None:
            self._rows.pop(identity, None)


def newest_first(rows: Rows) -> list[Summary]:
    """Sort in the order of lists."""
    found = [rows[identity] for identity in sorted(rows)]
    found.sort(key=_created, reverse=True)
    return found


def _created(one: Summary) -> str:
    return str(one.created)


_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def moment(text: str) -> float:
    """Return seconds since the epoch of an RFC 3339 time; 0 for anything else."""
    try:
        year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
        if not 1 <= month <= 12:
            return 0.0
        years = year - 1 if month <= 2 else year
        leaps = years // 4 - years // 100 + years // 400 - 477
        days = (year - 1970) * 365 + leaps + _DAYS[month - 1] + day - 1
        zone = text[19:]
        if zone[:1] == ".":
            zone = zone[1:].lstrip("0123456789")
        offset = 0
        if zone[:1] in ("+", "-"):
            offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
            offset = -offset if zone[0] == "-" else offset
        return float(days * 86400 + hour * 3600 + minute * 60 + second - offset)
    except (ValueError, IndexError):
        return 0.0
