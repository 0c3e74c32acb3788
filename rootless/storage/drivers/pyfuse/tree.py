"""Which layer has a name.

Directories are opened one component at a time, each below the descriptor of the one above and never
through a symbolic link: a link that an image or a container makes is a file here and leads nowhere.
What a directory merges to is read once and kept up to date, because nobody else writes.
"""

from __future__ import annotations

import errno
import os
import stat

from rootless.storage.drivers.pyfuse import markers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Entry = tuple[int, int, int]
"""(layer: 0 upper, then the lower ones from the top; file type bits; inode number to show)"""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_ENTRIES = 200_000
"""Names that are remembered; a name costs about 200 bytes."""
_FEW = 64


def failure(number: int, path: str | None = None) -> OSError:
    """An error of an operation."""
    return OSError(number, os.strerror(number), path)


def split(path: str) -> tuple[str, str]:
    """`/a/b` -> ("/a", "b"), the root being "".  Raises OSError for what is no name."""
    parent, _, name = path.rpartition("/")
    if name in ("", ".", "..") or len(os.fsencode(name)) > 255:
        raise failure(errno.ENAMETOOLONG if len(name) > 2 else errno.EINVAL, path)
    return parent, name


class Directory:
    """One directory of the union.

    `upper`: its descriptor in the upper directory, or -1; `lowers`: those of lower layers, topmost
    first.  `entries`: what it shows; `below`: names that the lower layers alone would show;
    `gone`: whiteouts in the upper directory, True for the form `.wh.NAME`.
    """

    __slots__ = ("below", "entries", "gone", "lowers", "path", "upper")

    def __init__(self, path: str, upper: int, lowers: list[int]) -> None:
        self.path = path
        self.upper = upper
        self.lowers = lowers
        self.entries: dict[str, Entry] = {}
        self.below: set[str] = set()
        self.gone: dict[str, bool] = {}

    def layer(self, number: int) -> int:
        """The descriptor of a layer's part."""
        return self.upper if number == 0 else self.lowers[number - 1]

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in (self.upper, *self.lowers):
            if fd >= 0:
                os.close(fd)
        self.upper = -1
        self.lowers = []


class Tree:
    """All directories that were looked at lately."""

    def __init__(self, upper: str, lowers: list[str], most_descriptors: int) -> None:
        self._most = most_descriptors
        self._descriptors = 0
        self._count = 0
        self._devices: dict[int, int] = {}
        self._known: dict[str, Directory] = {}
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        tops = [os.open(one, flags) for one in lowers]
        root = Directory("", os.open(upper, flags) if upper else -1, [])
        if root.upper < 0 or not markers.is_opaque(root.upper):
            for number, fd in enumerate(tops):
                root.lowers.append(fd)
                if markers.is_opaque(fd):
                    for other in tops[number + 1 :]:
                        os.close(other)
                    break
        self._read(root)
        self.root = self._known[""] = root

    def directory(self, path: str) -> Directory:
        """A directory of the union.  Raises OSError: ENOENT, ENOTDIR."""
        found = self._known.get(path)
        if found is not None:
            return found
        parent_path, name = split(path)
        parent = self.directory(parent_path)
        entry = parent.entries.get(name)
        if entry is None:
            raise failure(errno.ENOENT, path)
        if entry[1] != stat.S_IFDIR:
            raise failure(errno.ENOTDIR, path)
        made = self._open(parent, name, path, entry)
        self._known[path] = made
        return made

    def find(self, path: str) -> tuple[Directory, str, Entry]:
        """Where a path lies: its directory, its name there and what that is.  Raises OSError."""
        parent_path, name = split(path)
        parent = self._known.get(parent_path) or self.directory(parent_path)
        entry = parent.entries.get(name)
        if entry is None:
            raise failure(errno.ENOENT, path)
        return parent, name, entry

    def _open(self, parent: Directory, name: str, path: str, entry: Entry) -> Directory:
        made = Directory(path, -1, [])
        try:
            first = entry[0] - 1
            if entry[0] == 0:
                made.upper = os.open(name, _FLAGS, dir_fd=parent.upper)
                first = len(parent.lowers) if markers.is_opaque(made.upper) else 0
                if name not in parent.below:
                    first = len(parent.lowers)
            for fd in parent.lowers[first:]:
                try:
                    part = os.open(name, _FLAGS, dir_fd=fd)
                except FileNotFoundError:
                    if _exists(markers.PREFIX + name, fd):
                        break
                    continue
                except OSError as error:
                    # a whiteout, or something else that covers what lies below
                    if error.errno in (errno.ENOTDIR, errno.ELOOP):
                        break
                    raise
                made.lowers.append(part)
                if markers.is_opaque(part):
                    break
            self._read(made)
        except BaseException:
            made.close()
            raise
        return made

    def _read(self, directory: Directory) -> None:
        """Merge the layers, from the lowest up."""
        entries: dict[str, Entry] = {}
        for number in range(len(directory.lowers), 0, -1):
            self._merge(entries, directory.lowers[number - 1], number, None)
        if directory.upper >= 0:
            directory.below = set(entries)
            self._merge(entries, directory.upper, 0, directory.gone)
        directory.entries = entries
        self._count += len(entries)
        self._descriptors += 1 + len(directory.lowers)

    def _merge(
        self, entries: dict[str, Entry], fd: int, number: int, gone: dict[str, bool] | None
    ) -> None:
        salt = self._salt(fd)
        hidden = []
        with os.scandir(fd) as found:
            for one in found:
                name = one.name
                if name.startswith(markers.PREFIX):
                    hidden.append(name)
                    continue
                kind = _kind(one)
                if kind == stat.S_IFCHR and markers.is_whiteout(one.stat(follow_symlinks=False)):
                    entries.pop(name, None)
                    if gone is not None:
                        gone[name] = False
                    continue
                old = entries.get(name)
                ino = one.inode() ^ salt
                # a merged directory keeps the number that it had below
                if old is not None and kind == stat.S_IFDIR == old[1]:
                    ino = old[2]
                entries[name] = (number, kind, ino)
        for name in hidden:
            shown = name[len(markers.PREFIX) :]
            if name != markers.OPAQUE and shown:
                entries.pop(shown, None)
                if gone is not None:
                    gone[shown] = True

    def _salt(self, fd: int) -> int:
        device = os.fstat(fd).st_dev
        return self._devices.setdefault(device, len(self._devices)) << 48

    def number(self, fd: int, found: os.stat_result) -> int:
        """The inode number to show for something in the directory `fd`."""
        return found.st_ino ^ self._salt(fd)

    def forget(self, path: str) -> None:
        """A directory has gone or got another name: it and all below are read anew."""
        inside = path + "/"
        for known in [one for one in self._known if one == path or one.startswith(inside)]:
            self._drop(known)

    def forget_empty(self, path: str) -> None:
        """As `forget`, for a directory that has nothing below."""
        if path in self._known:
            self._drop(path)

    def _drop(self, path: str) -> None:
        directory = self._known.pop(path)
        self._count -= len(directory.entries)
        self._descriptors -= 1 + len(directory.lowers)
        directory.close()

    def trim(self) -> None:
        """Between two operations: let go of what was read longest ago, if it is too much."""
        if self._descriptors < self._most and self._count < _MOST_ENTRIES:
            return
        if len(self._known) < _FEW:
            return  # a directory of very many names, which would only be read again
        for path in list(self._known)[1 : len(self._known) // 2 + 1]:
            self._drop(path)


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    except OSError:
        return False


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    if entry.is_file(follow_symlinks=False):
        return stat.S_IFREG
    return stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)


def names(directory: Directory) -> Iterable[str]:
    """What it shows."""
    return directory.entries
