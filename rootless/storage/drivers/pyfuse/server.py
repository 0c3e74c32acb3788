"""The operations as fuse-python wants them, and the program that the monitor starts.

    python3 -IS server.py JSON

JSON has `path` (sys.path), `lowers` (topmost first), `upper`, `work`, `target`, `options` (words
for libfuse), and optionally `uids`, `gids` (ids.Ids), `squash` (one id), `volatile` and `late`
(become root first).  An operation returns its result, 0 or a negative error number.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from rootless.documents import Json
    from rootless.storage.drivers.pyfuse.handles import File

_OPERATIONS = (
    "getattr readlink readdir mknod mkdir unlink rmdir symlink rename link chmod chown truncate "
    "utimens open create read write release fsync fgetattr ftruncate statfs getxattr "
    "listxattr setxattr removexattr"
).split()


class Shown:
    """The attributes of a file as fuse-python reads them."""

    __slots__ = (
        "st_atime", "st_blksize", "st_blocks", "st_ctime", "st_dev", "st_gid", "st_ino", "st_mode",
        "st_mtime", "st_nlink", "st_rdev", "st_size", "st_uid",
    )  # fmt: skip

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blksize: int
    st_blocks: int
    st_rdev: int
    st_atime: int
    st_mtime: int
    st_ctime: int


class Entry:
    """A line of a directory as fuse-python reads it."""

    __slots__ = ("ino", "name", "offset", "type")

    def __init__(self, name: str, kind: int, ino: int) -> None:
        self.name = name
        self.type = kind
        self.ino = ino
        self.offset = 0


class Operations:
    """One method for each operation of fuse(4) that this file system knows."""

    def __init__(self, order: Json, context: Callable[[], dict[str, int]]) -> None:
        from rootless.storage.drivers.pyfuse.attributes import Attributes
        from rootless.storage.drivers.pyfuse.changes import Changes
        from rootless.storage.drivers.pyfuse.copyup import Raiser
        from rootless.storage.drivers.pyfuse.handles import Handles
        from rootless.storage.drivers.pyfuse.ids import Ids
        from rootless.storage.drivers.pyfuse.tree import Tree

        most = _raise_limit()
        self.tree = Tree(order["upper"], order["lowers"], most // 2)
        self.volatile = bool(order.get("volatile"))
        self.raiser = Raiser(self.tree, order["work"], durable=not self.volatile)
        self.changes = Changes(self.tree, self.raiser)
        self.attributes = Attributes(self.changes)
        self.handles = Handles()
        self.raiser.raised = self.handles.raised
        self.changes.is_open = self.handles.is_open
        self.uids = Ids(order.get("uids", ""), order.get("squash"))
        self.gids = Ids(order.get("gids", ""), order.get("squash"))
        self._plain = self.uids.plain and self.gids.plain
        self._static = bool(order.get("static_nlink"))
        self._context = context

    # ------------------------------------------------------------ look

    def _shown(self, found: os.stat_result, ino: int, merged: bool = False) -> Any:
        if self._plain and not merged and ino in (0, found.st_ino):
            return found
        made = Shown()
        made.st_mode = found.st_mode
        made.st_ino = ino or found.st_ino
        made.st_dev = found.st_dev
        # programs that count subdirectories by links know what 1 means
        made.st_nlink = 1 if merged else found.st_nlink
        made.st_uid = found.st_uid if self.uids.plain else self.uids.shown(found.st_uid)
        made.st_gid = found.st_gid if self.gids.plain else self.gids.shown(found.st_gid)
        made.st_size = found.st_size
        made.st_atime, made.st_mtime, made.st_ctime = (
            int(found.st_atime), int(found.st_mtime), int(found.st_ctime),
        )  # fmt: skip
        made.st_rdev = found.st_rdev
        made.st_blksize = found.st_blksize
        made.st_blocks = found.st_blocks
        return made

    def getattr(self, path: str) -> Any:
        directory, name, kind, ino = self.attributes.place(path)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        merged = False
        if kind == stat.S_IFDIR:
            here = self.tree.directory(path if path != "/" else "")
            merged = self._static or len(here.lowers) + (here.upper >= 0) > 1
        return self._shown(found, ino, merged)

    def fgetattr(self, path: str, file: File | None = None) -> Any:
        if file is None:
            return self.getattr(path)
        try:
            ino = self.attributes.place(path)[3]
        except OSError:
            ino = 0
        return self._shown(os.fstat(file.fd), ino)

    def readlink(self, path: str) -> str:
        directory, name, _, _ = self.attributes.place(path)
        return os.readlink(name, dir_fd=directory)

    def readdir(self, path: str, offset: int, *rest: object) -> Iterator[Entry]:
        directory = self.tree.directory(path if path != "/" else "")
        made = [Entry(".", stat.S_IFDIR, 1), Entry("..", stat.S_IFDIR, 1)]
        made += [Entry(name, one[1], one[2]) for name, one in directory.entries.items()]
        return iter(made)

    def statfs(self) -> os.statvfs_result:
        root = self.tree.root
        return os.fstatvfs(root.upper)

    # ------------------------------------------------------------ names

    def _owner(self) -> tuple[int, int]:
        caller = self._context()
        return self.uids.beneath(caller["uid"]), self.gids.beneath(caller["gid"])

    def mknod(self, path: str, mode: int, device: int) -> None:
        kind = stat.S_IFMT(mode) or stat.S_IFREG
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            # the kernel gives devices to nobody in a user namespace, and 0:0 would be a whiteout
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        self.changes.make(
            path, kind, self._owner(),
            lambda place, name: os.mknod(name, mode, dir_fd=place), stat.S_IMODE(mode),
        )  # fmt: skip

    def mkdir(self, path: str, mode: int) -> None:
        mode = stat.S_IMODE(mode)
        self.changes.make(
            path, stat.S_IFDIR, self._owner(),
            lambda place, name: os.mkdir(name, mode, dir_fd=place), mode,
        )  # fmt: skip

    def symlink(self, target: str, path: str) -> None:
        self.changes.make(
            path, stat.S_IFLNK, self._owner(),
            lambda place, name: os.symlink(target, name, dir_fd=place), 0o777,
        )  # fmt: skip

    def link(self, old: str, new: str) -> None:
        self.changes.link(old, new)

    def unlink(self, path: str) -> None:
        self.changes.unlink(path)

    def rmdir(self, path: str) -> None:
        self.changes.rmdir(path)

    def rename(self, old: str, new: str) -> None:
        if old != new:
            self.changes.rename(old, new)

    # ------------------------------------------------------------ attributes

    def chmod(self, path: str, mode: int) -> None:
        self.attributes.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        nobody = (-1, 0xFFFFFFFF)
        self.attributes.chown(
            path,
            -1 if uid in nobody else self.uids.beneath(uid),
            -1 if gid in nobody else self.gids.beneath(gid),
        )

    def truncate(self, path: str, size: int) -> None:
        self.attributes.truncate(path, size)

    def utimens(self, path: str, atime: int, atime_ns: int, mtime: int, mtime_ns: int) -> None:
        second = 1_000_000_000
        self.attributes.utime(path, atime * second + atime_ns, mtime * second + mtime_ns)

    def getxattr(self, path: str, name: str, size: int) -> int | str:
        # fuse-python knows attributes as text alone; a file whose capabilities are no text runs
        # without them, where an error would keep it from running
        value = self.attributes.get(path, name)
        if size and len(value) > size:
            return -errno.ERANGE
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return -errno.ENODATA
        return text if size else len(value)

    def listxattr(self, path: str, size: int) -> int | list[str]:
        found = self.attributes.list(path)
        return found if size else sum(len(os.fsencode(one)) + 1 for one in found)

    def setxattr(self, path: str, name: str, value: str | bytes, flags: int) -> None:
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        self.attributes.set(path, name, data, flags)

    def removexattr(self, path: str, name: str) -> None:
        self.attributes.remove(path, name)

    # ------------------------------------------------------------ content

    def open(self, path: str, flags: int) -> tuple[File, bool]:
        if flags & (os.O_ACCMODE | os.O_TRUNC):
            keep = not flags & os.O_TRUNC
            directory, name, _ = self.attributes.writable(path, data=keep)
            lower = False
        else:
            directory, name, _, _ = self.attributes.place(path)
            lower = directory not in (self.raiser.work,) and self._is_lower(path)
        return self.handles.open(directory, name, flags, path, lower=lower), True

    def _is_lower(self, path: str) -> bool:
        if path in self.changes.hidden:
            return False
        return self.tree.find(path)[2][0] > 0

    def create(self, path: str, flags: int, mode: int) -> tuple[File, bool]:
        mode = stat.S_IMODE(mode)
        fds: list[int] = []

        def make(place: int, name: str) -> None:
            wanted = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fds.append(os.open(name, wanted, mode, dir_fd=place))

        try:
            self.changes.make(path, stat.S_IFREG, self._owner(), make, mode)
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise
        return self.handles.add(fds[0], path, keep=True), True

    def read(self, path: str, size: int, offset: int, file: File) -> bytes:
        return os.pread(file.fd, size, offset)

    def write(self, path: str, data: bytes, offset: int, file: File) -> int:
        done = os.pwrite(file.fd, data, offset)
        while done < len(data):
            done += os.pwrite(file.fd, memoryview(data)[done:], offset + done)
        return done

    def ftruncate(self, path: str, size: int, file: File) -> None:
        os.ftruncate(file.fd, size)

    def release(self, path: str, flags: int, file: File | None = None) -> None:
        if file is not None:
            self.handles.close(file)

    def fsync(self, path: str, data_only: int, file: File) -> None:
        if not self.volatile:
            (os.fdatasync if data_only else os.fsync)(file.fd)


def _raise_limit() -> int:
    """Have as many descriptors as may be had; how many that is."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 1 << 16) if hard != resource.RLIM_INFINITY else 1 << 16
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted, soft)


def guarded(operations: Operations, name: str) -> Callable[..., Any]:
    """An operation whose exceptions are error numbers."""
    act = getattr(operations, name)
    trim = operations.tree.trim if name not in ("read", "write") else None

    def run(*arguments: Any) -> Any:
        try:
            if trim is not None:
                trim()
            result = act(*arguments)
            return 0 if result is None else result
        except OSError as error:
            return -(error.errno or errno.EIO)
        except Exception:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            return -errno.EIO

    return run


def main(order: Json) -> int:
    """Serve until the end; an exit status."""
    import gc

    # only the module in C: what lies above it takes longer to load than a container to start
    from fuseparts import _fuse

    from rootless import kernel

    if order.get("late"):
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        kernel.calls.prctl(kernel.PR_SET_DUMPABLE, 1)
        kernel.calls.prctl(kernel.PR_SET_PDEATHSIG, 9)
    os.umask(0)
    operations = Operations(order, lambda: _fuse.FuseGetContext(None))
    table = {name: guarded(operations, name) for name in _OPERATIONS}
    words = ["rootless", order["target"], "-f", "-s", "-o", ",".join(order["options"])]
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _fuse.main(fuse_args=words, multithreaded=0, **table)
    return 0


if __name__ == "__main__":
    # started without site-packages: where this package and fuse-python lie comes with the order
    sys.path[0:0] = [__file__.removesuffix("/rootless/storage/drivers/pyfuse/server.py")]
    from rootless import documents

    wanted = documents.loads(sys.argv[1])
    sys.path[:] = wanted["path"]
    sys.exit(main(wanted))
