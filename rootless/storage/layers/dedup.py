"""Equal files of two layers share their blocks, or are one file.

Scope: layers with a table of contents, while they are unpacked.  An index tells which unpacked
layer may have the same content, and of a layer that came without a table a file of the same path
and size may; that it has is found out by comparing the bytes, so that no table, and no other image
of the same person, can put a file of its choice into a layer (that would be poison for every image
that is unpacked later).  Donors are opened below their layer and through no link: a layer could
have one that leads to files of the host.
Blocks are shared by reflink, ioctl_ficlone(2).  Where the file system has none, a file becomes a
hard link only of one that has the same path and the same owner, mode, times and attributes: two
paths of one container must never look like one file.
"""

from __future__ import annotations

import os
import stat

from rootless import kernel
from rootless.chunked import index, places
from rootless.chunked.table import Table, TableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.storage.layers.tar import Member, Reader

    Donors = dict[str, tuple[str, str]]

_SMALLEST = 1024  # bytes; below this a file costs an inode and no more than that


def table_of(blob: str) -> Table | None:
    """The table of contents of a blob on the disk, None if it has none that can be read."""
    try:
        fd = os.open(blob, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = places.of_blob(
            lambda offset, count: os.pread(fd, count, offset), os.fstat(fd).st_size
        )
    except TableError:
        return None
    finally:
        os.close(fd)
    return found[1] if found is not None else None


def donors(table: Table, directory: str) -> Donors:
    """Path in the new layer -> a file that may have the same content: the root of an unpacked layer
    in `directory`, and the path below it."""
    wanted: dict[bytes, list[str]] = {}
    for entry in table.entries:
        if entry.digest and entry.size >= _SMALLEST:
            wanted.setdefault(bytes.fromhex(entry.digest[7:39]), []).append(entry.path)
    made: Donors = {}
    same: Donors = {}
    for path in index.indexes([directory]):
        root = os.path.join(os.path.dirname(path), "fs")
        for key, piece in index.find(path, wanted):
            if not piece.path:
                continue
            for name in wanted[key]:
                # of the same path it may be a link, which is worth more
                if piece.path == name and name not in same:
                    same[name] = (root, piece.path)
                else:
                    made.setdefault(name, (root, piece.path))
    sizes = {
        entry.path: entry.size
        for entry in table.entries
        if entry.digest and entry.size >= _SMALLEST and entry.path not in same
    }
    for root in index.without_table([directory]):
        for name in index.resembling(root, sizes):
            same[name] = (root, name)
            del sizes[name]
    return {**made, **same}


class Sharing:
    """The donors of one layer, and whether this file system can share blocks."""

    def __init__(self, donors: Donors, single: bool) -> None:
        self._donors = donors
        self._single = single
        self._clones = True

    def take(
        self,
        archive: Reader,
        entry: Member,
        parent: int,
        name: str,
        path: str,
        clear: Callable[[int, str], None],
    ) -> int:
        """Make the file `path` out of its donor: -1 where it has none, 0 when it became a link, or
        a descriptor of the new file, whose content is complete.

        `clear` makes room where an earlier member had the name: the content is read here, so the
        caller cannot begin anew.  Raises OSError."""
        donor = self._donors.get(path)
        if donor is None or entry.pieces is not None or not entry.size:
            return -1
        try:
            directory, last, old = index.open_file(*donor)
        except OSError:
            return -1
        try:
            found = os.fstat(old)
            if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
                return -1
            linked = donor[1] == path and self._alike(old, found, entry)
            if not linked and not self._clones:
                return -1
            clear(parent, name)
            source = (directory, last) if linked else None
            return self._compare(archive, entry, parent, name, old, source)
        finally:
            os.close(old)
            os.close(directory)

    def _compare(
        self,
        archive: Reader,
        entry: Member,
        parent: int,
        name: str,
        old: int,
        donor: tuple[int, str] | None,
    ) -> int:
        equal = 0
        data: Iterator[memoryview] = archive.data()
        rest = memoryview(b"")
        for piece in data:
            if os.pread(old, len(piece), equal) != piece:
                rest = piece
                break
            equal += len(piece)
        if donor and equal == entry.size:
            try:
                directory, last = donor
                os.link(last, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
                return 0
            except OSError:
                pass  # it has as many links as it can have, or the ids do not allow it
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = os.open(name, flags, 0o600, dir_fd=parent)
        try:
            self._copy(old, new, equal, whole=equal == entry.size)
            os.lseek(new, equal, os.SEEK_SET)
            while rest:
                while rest:
                    rest = rest[os.write(new, rest) :]
                rest = next(data, memoryview(b""))
        except BaseException:
            os.close(new)
            raise
        return new

    def _copy(self, old: int, new: int, count: int, *, whole: bool) -> None:
        if whole and self._clones:
            try:
                kernel.calls.ioctl_ficlone(new, old)
                return
            except OSError:
                self._clones = False
        at = 0
        while at < count:
            at += os.sendfile(new, old, at, count - at)

    def _alike(self, fd: int, found: os.stat_result, entry: Member) -> bool:
        if stat.S_IMODE(found.st_mode) != entry.mode or found.st_mtime_ns != entry.time:
            return False
        if not self._single and (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
            return False
        try:
            ours = {key: os.getxattr(fd, key) for key in os.listxattr(fd)}
        except OSError:
            return False
        labels = ("security.selinux", "security.ima", "security.evm")
        return {key: ours[key] for key in ours if key not in labels} == entry.attributes
