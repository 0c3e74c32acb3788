"""From a lower layer into the upper directory: complete or not at all.

Everything is made under a name of its own in the work directory and moved into place by one rename,
so a killed server leaves nothing half there.
"""

from __future__ import annotations

import errno
import os
import stat

from rootless import kernel
from rootless.storage.drivers.pyfuse import markers
from rootless.storage.drivers.pyfuse.tree import Directory, Entry, Tree, split
from rootless.storage.trees import copy_content
from rootless.storage.trees.remove import discard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PLACE = "python-fuse"


class Raiser:
    """Copies up.  `work`: a directory on the upper directory's file system.

    `durable`: what was copied is on the disk before it gets its name.  `raised` is told of files.
    """

    def __init__(self, tree: Tree, work: str, *, durable: bool) -> None:
        self.tree = tree
        self.durable = durable
        self.raised: Callable[[Directory, str], None] = lambda directory, name: None
        self._serial = 0
        discard(os.path.join(work, _PLACE))
        os.mkdir(os.path.join(work, _PLACE), 0o700)
        self.work = os.open(os.path.join(work, _PLACE), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def name(self) -> str:
        """A fresh name in the work directory."""
        self._serial += 1
        return str(self._serial)

    def directory(self, directory: Directory) -> int:
        """Have a directory in the upper directory; its descriptor there."""
        if directory.upper >= 0:
            return directory.upper
        parent_path, name = split(directory.path)
        parent = self.tree.directory(parent_path)
        above = self.directory(parent)
        source = directory.lowers[0]
        temporary = self.name()
        os.mkdir(temporary, 0o700, dir_fd=self.work)
        made = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.work)
        try:
            found = os.fstat(source)
            _attributes(source, made)
            _own(made, found)
            os.fchmod(made, stat.S_IMODE(found.st_mode))
            os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
            self._place(temporary, parent, above, name)
        except BaseException:
            os.close(made)
            os.rmdir(temporary, dir_fd=self.work)
            raise
        directory.upper = made
        directory.below = set(directory.entries)
        entry = parent.entries[name]
        parent.entries[name] = (0, entry[1], entry[2])
        return made

    def entry(self, parent: Directory, name: str, entry: Entry, *, data: bool = True) -> Entry:
        """Have a name in the upper directory; `data`: False when the content is not wanted."""
        if entry[0] == 0:
            return entry
        if entry[1] == stat.S_IFDIR:
            self.directory(self.tree.directory(f"{parent.path}/{name}"))
            return parent.entries[name]
        source = parent.layer(entry[0])
        above = self.directory(parent)
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        temporary = self.name()
        try:
            self._copy(source, name, found, temporary, data)
            self._place(temporary, parent, above, name)
        except BaseException:
            try:
                os.unlink(temporary, dir_fd=self.work)
            except FileNotFoundError:
                pass
            raise
        ino = entry[2]
        if found.st_nlink > 1:
            # its other names keep the number, and are another file from now on
            now = os.stat(name, dir_fd=above, follow_symlinks=False)
            ino = self.tree.number(above, now)
        made = (0, entry[1], ino)
        parent.entries[name] = made
        self.raised(parent, name)
        return made

    def _copy(
        self, source: int, name: str, found: os.stat_result, temporary: str, data: bool
    ) -> None:
        kind = stat.S_IFMT(found.st_mode)
        times = (found.st_atime_ns, found.st_mtime_ns)
        if kind == stat.S_IFREG:
            flags = os.O_NOFOLLOW | os.O_CLOEXEC
            old = os.open(name, os.O_RDONLY | flags, dir_fd=source)
            try:
                new = os.open(
                    temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags, 0o600, dir_fd=self.work
                )
                try:
                    if data:
                        copy_content.copy_content(old, new)
                    _own(new, found)
                    _attributes(old, new)
                    os.fchmod(new, stat.S_IMODE(found.st_mode))
                    os.utime(new, ns=times)
                    if self.durable:
                        os.fsync(new)
                finally:
                    os.close(new)
            finally:
                os.close(old)
            return
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), temporary, dir_fd=self.work)
        else:
            kernel.calls.mknodat(self.work, temporary, found.st_mode, found.st_rdev)
        os.chown(temporary, found.st_uid, found.st_gid, dir_fd=self.work, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(temporary, stat.S_IMODE(found.st_mode), dir_fd=self.work)
        os.utime(temporary, ns=times, dir_fd=self.work, follow_symlinks=False)

    def _place(self, temporary: str, parent: Directory, above: int, name: str) -> None:
        """Move into place; the directory's times are not touched by what it had already."""
        before = os.fstat(above)
        os.rename(temporary, name, src_dir_fd=self.work, dst_dir_fd=above)
        os.utime(above, ns=(before.st_atime_ns, before.st_mtime_ns))


def _own(fd: int, wanted: os.stat_result) -> None:
    """Servers of files may refuse even what changes nothing."""
    found = os.fstat(fd)
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
        os.fchown(fd, wanted.st_uid, wanted.st_gid)


def _attributes(source: int, target: int) -> None:
    """Extended attributes; those that this file system refuses are left out, as `cp -a` does."""
    try:
        found = os.listxattr(source)
    except OSError:
        return
    for name in found:
        if markers.is_ours(name) or name.startswith("security.selinux"):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.ENODATA):
                raise
