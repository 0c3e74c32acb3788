"""Everything that changes names: create, link, rename, remove."""

from __future__ import annotations

import errno
import os
import stat

from rootless import kernel
from rootless.storage.drivers.pyfuse import markers
from rootless.storage.drivers.pyfuse.copyup import Raiser
from rootless.storage.drivers.pyfuse.tree import Directory, Entry, Tree, failure, split
from rootless.storage.trees.remove import discard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[[int, str], None]

_EXCHANGE = 2  # RENAME_EXCHANGE, rename(2)
_HIDDEN = ".fuse_hidden"
_DIGITS = frozenset("0123456789abcdef")


class Changes:
    """The operations on names.

    `hidden`: files that were removed while they were open.  libfuse renames such a file to a name
    that begins with `.fuse_hidden`; here it leaves the tree, so that its directory can be removed,
    and that name leads to (directory, name) where it waits for its last reader.
    """

    def __init__(self, tree: Tree, raiser: Raiser) -> None:
        self.tree = tree
        self.raiser = raiser
        self.hidden: dict[str, tuple[int, str]] = {}
        self.is_open: Callable[[os.stat_result], bool] = lambda found: False
        self._devices = True

    # ------------------------------------------------------------ make

    def make(
        self, path: str, kind: int, owner: tuple[int, int], maker: Maker, mode: int
    ) -> tuple[Directory, str]:
        """Have `maker(directory, name)` make something new.  Raises OSError."""
        parent_path, name = split(path)
        parent = self.tree.directory(parent_path)
        if name in parent.entries:
            raise failure(errno.EEXIST, path)
        if name.startswith(markers.PREFIX):
            raise failure(errno.EINVAL, path)
        upper = self.raiser.directory(parent)
        above = os.fstat(upper)
        if above.st_mode & stat.S_ISGID:
            owner = (owner[0], above.st_gid)
            if kind == stat.S_IFDIR:
                mode |= stat.S_ISGID
        whiteout = name in parent.gone
        place, made = (self.raiser.work, self.raiser.name()) if whiteout else (upper, name)
        maker(place, made)
        try:
            if kind != 0:
                self._own(place, made, kind, owner, mode)
            if kind == stat.S_IFDIR and name in parent.below:
                self._make_opaque(place, made)
            found = os.stat(made, dir_fd=place, follow_symlinks=False)
            if whiteout:
                self._over_whiteout(parent, name, made, found)
        except BaseException:
            if kind == stat.S_IFDIR:
                os.rmdir(made, dir_fd=place)
            else:
                os.unlink(made, dir_fd=place)
            raise
        ino = self.tree.number(upper, found)
        parent.entries[name] = (0, stat.S_IFMT(found.st_mode), ino)
        return parent, name

    def _own(self, place: int, name: str, kind: int, owner: tuple[int, int], mode: int) -> None:
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
        if (found.st_uid, found.st_gid) != owner:
            os.chown(name, *owner, dir_fd=place, follow_symlinks=False)
        # a change of the owner takes these bits away
        if kind != stat.S_IFLNK and (mode & 0o6000 or stat.S_IMODE(found.st_mode) != mode):
            os.chmod(name, mode, dir_fd=place)

    def _make_opaque(self, place: int, name: str) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
        try:
            markers.make_opaque(fd)
        finally:
            os.close(fd)

    def _over_whiteout(
        self, parent: Directory, name: str, made: str, found: os.stat_result
    ) -> None:
        work = self.raiser.work
        dotted = parent.gone[name]
        if stat.S_ISDIR(found.st_mode) and not dotted:
            self._exchange(work, made, parent.upper, name)
        else:
            os.rename(made, name, src_dir_fd=work, dst_dir_fd=parent.upper)
        if dotted:
            os.unlink(markers.PREFIX + name, dir_fd=parent.upper)
        del parent.gone[name]

    def _exchange(self, old_dir: int, old: str, new_dir: int, new: str) -> None:
        """Put one thing in the place of another, which is removed."""
        try:
            kernel.calls.renameat2(old_dir, old, new_dir, new, _EXCHANGE)
            away = old_dir, old
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            away = self.raiser.work, self.raiser.name()
            os.rename(new, away[1], src_dir_fd=new_dir, dst_dir_fd=away[0])
            os.rename(old, new, src_dir_fd=old_dir, dst_dir_fd=new_dir)
        self._discard(*away)

    def _discard(self, directory: int, name: str) -> None:
        """Remove something of ours: a whiteout, or a directory with nothing but whiteouts."""
        discard(f"/proc/self/fd/{directory}/{name}")

    def link(self, old: str, new: str) -> None:
        """Another name for a file, in the upper directory."""
        if old in self.hidden:
            source, name = self.hidden[old]
            ino = 0
        else:
            parent, name, entry = self.tree.find(old)
            if entry[1] == stat.S_IFDIR:
                raise failure(errno.EPERM, old)
            entry = self.raiser.entry(parent, name, entry)
            source, ino = parent.upper, entry[2]
        directory, made = self.make(
            new, 0, (-1, -1), lambda place, to: kernel.calls.linkat(source, name, place, to), 0
        )
        if ino:
            found = directory.entries[made]
            directory.entries[made] = (0, found[1], ino)

    # ------------------------------------------------------------ remove

    def cover(self, directory: Directory, name: str) -> None:
        """Let a name of lower layers vanish, and what the upper directory has there with it."""
        upper = self.raiser.directory(directory)
        temporary = self.raiser.name()
        if self._devices and markers.make_device(self.raiser.work, temporary):
            os.rename(temporary, name, src_dir_fd=self.raiser.work, dst_dir_fd=upper)
            directory.gone[name] = False
        else:
            self._devices = False
            flags = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            os.close(os.open(markers.PREFIX + name, flags, 0o600, dir_fd=upper))
            try:
                os.unlink(name, dir_fd=upper)
            except FileNotFoundError:
                pass
            directory.gone[name] = True
        directory.entries.pop(name, None)

    def unlink(self, path: str) -> None:
        """Remove a name that is no directory."""
        if path in self.hidden:
            directory, name = self.hidden.pop(path)
            if directory == self.raiser.work:
                os.unlink(name, dir_fd=directory)
            else:
                os.close(directory)
            return
        parent, name, entry = self.tree.find(path)
        if entry[1] == stat.S_IFDIR:
            raise failure(errno.EISDIR, path)
        if entry[0] or name in parent.below:
            self.cover(parent, name)
        else:
            os.unlink(name, dir_fd=parent.upper)
            del parent.entries[name]

    def rmdir(self, path: str) -> None:
        """Remove an empty directory; whiteouts in it do not count."""
        parent, name, entry = self.tree.find(path)
        directory = self.tree.directory(path)
        if directory.entries:
            raise failure(errno.ENOTEMPTY, path)
        below = bool(entry[0]) or name in parent.below
        if entry[0] == 0:
            away, work = self.raiser.name(), self.raiser.work
            if below and self._devices and markers.make_device(work, away):
                self._exchange(work, away, parent.upper, name)
                parent.gone[name] = False
            else:
                os.rename(name, away, src_dir_fd=parent.upper, dst_dir_fd=work)
                if below:
                    self.cover(parent, name)
                self._discard(work, away)
        else:
            self.cover(parent, name)
        parent.entries.pop(name, None)
        self.tree.forget_empty(path)

    # ------------------------------------------------------------ rename

    def rename(self, old: str, new: str) -> None:
        """rename(2).  EXDEV for a directory of which a lower layer has a part: `mv` then copies."""
        old_parent, old_name, entry = self.tree.find(old)
        if self._is_removal(old, new, old_parent, old_name, entry):
            self._hide(old_parent, old_name, entry, new)
            return
        new_path, new_name = split(new)
        new_parent = self.tree.directory(new_path)
        there = new_parent.entries.get(new_name)
        if new_name.startswith(markers.PREFIX):
            raise failure(errno.EINVAL, new)
        if entry[1] == stat.S_IFDIR:
            self._rename_directory(old, new, there)
            return
        if there is not None and there[1] == stat.S_IFDIR:
            raise failure(errno.EISDIR, new)
        entry = self.raiser.entry(old_parent, old_name, entry)
        upper = self.raiser.directory(new_parent)
        os.rename(old_name, new_name, src_dir_fd=old_parent.upper, dst_dir_fd=upper)
        if there is not None and there[0] == 0 and self._still(old_parent, old_name):
            # two names of one file: rename(2) does nothing, and both stay
            return
        self._arrived(old_parent, old_name, new_parent, new_name, entry)

    def _still(self, parent: Directory, name: str) -> bool:
        try:
            os.stat(name, dir_fd=parent.upper, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _arrived(
        self, old_parent: Directory, old_name: str, parent: Directory, name: str, entry: Entry
    ) -> None:
        if parent.gone.pop(name, False):
            os.unlink(markers.PREFIX + name, dir_fd=parent.upper)
        if old_name in old_parent.below:
            self.cover(old_parent, old_name)
        else:
            old_parent.entries.pop(old_name, None)
        parent.entries[name] = entry

    def _rename_directory(self, old: str, new: str, there: Entry | None) -> None:
        old_parent, old_name, entry = self.tree.find(old)
        new_path, new_name = split(new)
        new_parent = self.tree.directory(new_path)
        directory = self.tree.directory(old)
        if f"{new_path}/".startswith(f"{old}/"):
            raise failure(errno.EINVAL, new)
        if there is not None:
            if there[1] != stat.S_IFDIR:
                raise failure(errno.ENOTDIR, new)
            if self.tree.directory(new).entries:
                raise failure(errno.ENOTEMPTY, new)
        if entry[0] or directory.lowers:
            raise failure(errno.EXDEV, old)
        upper = self.raiser.directory(new_parent)
        if new_name in new_parent.below:
            markers.make_opaque(directory.upper)
        if new_parent.gone.get(new_name) is False or (there is not None and there[0] == 0):
            # what is in the way: a whiteout, or an empty directory that may hold whiteouts
            self._exchange(old_parent.upper, old_name, upper, new_name)
        else:
            os.rename(old_name, new_name, src_dir_fd=old_parent.upper, dst_dir_fd=upper)
        self.tree.forget(old)
        self.tree.forget(new)
        self._arrived(old_parent, old_name, new_parent, new_name, entry)

    def _is_removal(self, old: str, new: str, parent: Directory, name: str, entry: Entry) -> bool:
        """Whether this rename is libfuse's, of an open file that was removed (`hide_node`): to
        the prefix and 16 digits, in the same directory.  Anybody may choose such a name as well."""
        directory, _, last = new.rpartition("/")
        digits = last[len(_HIDDEN) :]
        if not last.startswith(_HIDDEN) or len(digits) != 16 or not _DIGITS.issuperset(digits):
            return False
        if old.rpartition("/")[0] != directory:
            return False
        found = os.stat(name, dir_fd=parent.layer(entry[0]), follow_symlinks=False)
        return self.is_open(found)

    def _hide(self, parent: Directory, name: str, entry: Entry, path: str) -> None:
        """Take a file that is still open out of the tree."""
        if entry[0]:
            self.hidden[path] = (os.dup(parent.layer(entry[0])), name)
            self.cover(parent, name)
            return
        waiting = self.raiser.name()
        work = self.raiser.work
        if name in parent.below:
            kernel.calls.linkat(parent.upper, name, work, waiting)
            self.cover(parent, name)
        else:
            os.rename(name, waiting, src_dir_fd=parent.upper, dst_dir_fd=work)
            del parent.entries[name]
        self.hidden[path] = (work, waiting)
