"""The system calls.  Scope: arguments in, `OSError` with number and path out; no policy.

Paths are `str` or `bytes` and are relative to the descriptor before them.  Every descriptor that
is returned has close-on-exec set.  The interpreter's lock is released during each call.
"""

from __future__ import annotations

import os

from rootless.kernel import constants as c
from rootless.kernel._syscalls import ffi as _ffi
from rootless.kernel._syscalls import lib as _lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    Path = str | bytes

_EMPTY = b""


def _path(path: Path) -> bytes:
    encoded = path if isinstance(path, bytes) else os.fsencode(path)
    # C would see a shorter path than the one that was checked
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def _text(value: Path | None) -> object:
    return _ffi.NULL if value is None else _path(value)


def _checked(result: int, path: Path | int | None = None, other: Path | None = None) -> int:
    if result >= 0:
        return result
    message = os.strerror(-result)
    if path is None:
        raise OSError(-result, message)
    name = path if isinstance(path, int) else os.fsdecode(path)
    if other is None:
        raise OSError(-result, message, name)
    raise OSError(-result, message, name, None, os.fsdecode(other))


class StatFs:
    """The result of statfs(2): `type` is one of the *_MAGIC numbers, sizes count blocks of
    `bsize`."""

    __slots__ = (
        "type",
        "bsize",
        "blocks",
        "bfree",
        "bavail",
        "files",
        "ffree",
        "namelen",
        "flags",
    )

    def __init__(self, values: list[int]) -> None:
        (
            self.type,
            self.bsize,
            self.blocks,
            self.bfree,
            self.bavail,
            self.files,
            self.ffree,
            self.namelen,
            self.flags,
        ) = values


class Kernel:
    """All system calls of the project.  Without state: one instance serves every thread."""

    __slots__ = ()

    # ------------------------------------------------------------ files

    def openat2(
        self, dirfd: int, path: Path, flags: int, mode: int = 0, *, resolve: int = 0
    ) -> int:
        """Open relative to `dirfd` with rules for resolving, `RESOLVE_*`; openat2(2)."""
        how = flags | os.O_CLOEXEC
        return _checked(_lib.rl_openat2(dirfd, _path(path), how, mode, resolve), path)

    def mknodat(self, dirfd: int, path: Path, mode: int, device: int = 0) -> None:
        """Make a file, fifo, socket or device node; `mode` has the type in it; mknodat(2)."""
        _checked(_lib.rl_mknodat(dirfd, _path(path), mode, device), path)

    def fchownat(
        self, dirfd: int, path: Path, uid: int, gid: int, flags: int = c.AT_SYMLINK_NOFOLLOW
    ) -> None:
        """Change the owner, of `dirfd` itself with an empty path and AT_EMPTY_PATH; fchownat(2)."""
        # -1, "leave it", is the largest unsigned number there
        result = _lib.rl_fchownat(dirfd, _path(path), uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, flags)
        _checked(result, path)

    def fchmodat2(self, dirfd: int, path: Path, mode: int, flags: int = 0) -> None:
        """Change the mode without following links; Linux 6.6, ENOSYS before; fchmodat(2)."""
        _checked(_lib.rl_fchmodat2(dirfd, _path(path), mode, flags), path)

    def utimensat(
        self,
        dirfd: int,
        path: Path,
        atime_ns: int | None,
        mtime_ns: int | None,
        flags: int = c.AT_SYMLINK_NOFOLLOW,
    ) -> None:
        """Set both times in nanoseconds since 1970, None leaves one as it is; utimensat(2)."""
        times: list[int] = []
        for value in (atime_ns, mtime_ns):
            # divmod rounds down, so that times before 1970 keep a positive fraction
            times += (0, c.UTIME_OMIT) if value is None else divmod(value, 1_000_000_000)
        _checked(_lib.rl_utimensat(dirfd, _path(path), times, flags), path)

    def lsetxattr(
        self, dirfd: int, name: Path, attribute: Path, value: bytes, flags: int = 0
    ) -> None:
        """Set an extended attribute of the entry `name` of the directory `dirfd`; setxattr(2).

        There is no call relative to a descriptor before Linux 6.13, so the way is /proc/self/fd.
        `name` must be one component: of more, all but the last would follow symbolic links.
        """
        entry = _path(name)
        if b"/" in entry or entry in (b"", b"."):
            raise ValueError(f"{name!r} is not a name in a directory")
        where = b"/proc/self/fd/%d/%s" % (dirfd, entry)
        if dirfd == c.AT_FDCWD:
            where = entry
        _checked(_lib.rl_lsetxattr(where, _path(attribute), value, len(value), flags), name)

    def fsetxattr(self, fd: int, attribute: Path, value: bytes, flags: int = 0) -> None:
        """Set an extended attribute of an open file, O_PATH or not; fsetxattr(2)."""
        result = _lib.rl_fsetxattr(fd, _path(attribute), value, len(value), flags)
        if result == -9:
            # EBADF: a descriptor opened with O_PATH.  Its magic link leads to the very file, a
            # symbolic link included, and is not followed any further.
            link = b"/proc/self/fd/%d" % fd
            result = _lib.rl_setxattr(link, _path(attribute), value, len(value), flags)
        _checked(result, fd)

    def renameat2(
        self, old_dirfd: int, old: Path, new_dirfd: int, new: Path, flags: int = 0
    ) -> None:
        """Rename, with RENAME_NOREPLACE or RENAME_EXCHANGE; renameat2(2)."""
        result = _lib.rl_renameat2(old_dirfd, _path(old), new_dirfd, _path(new), flags)
        _checked(result, old, new)

    def linkat(self, old_dirfd: int, old: Path, new_dirfd: int, new: Path, flags: int = 0) -> None:
        """Make a hard link; link(2).  Symbolic links are not followed unless asked."""
        result = _lib.rl_linkat(old_dirfd, _path(old), new_dirfd, _path(new), flags)
        _checked(result, old, new)

    def statfs(self, path: Path) -> StatFs:
        """Return the file system that holds `path`; statfs(2)."""
        values = _ffi.new("int64_t[9]")
        _checked(_lib.rl_statfs(_path(path), values), path)
        return StatFs(list(values))

    def fstatfs(self, fd: int) -> StatFs:
        """Return the file system that holds an open file; fstatfs(2)."""
        values = _ffi.new("int64_t[9]")
        _checked(_lib.rl_fstatfs(fd, values), fd)
        return StatFs(list(values))

    def ioctl_ficlone(self, to: int, source: int) -> None:
        """Make `to` share the content of `source`, copy on write; ioctl_ficlone(2)."""
        _checked(_lib.rl_ficlone(to, source), to)

    def syncfs(self, fd: int) -> None:
        """Write the file system of an open file back to its disk; syncfs(2)."""
        _checked(_lib.rl_syncfs(fd), fd)

    def new_file(
        self,
        dirfd: int,
        name: Path,
        data: bytes | memoryview,
        *,
        mode: int,
        owner: tuple[int, int] | None,
        time_ns: int,
    ) -> int:
        """Make a file that was not there, with content, owner, mode and times; openat(2), write(2),
        fchown(2), fchmod(2), utimensat(2) in one call.

        Not one system call, because what is done for each of ten thousand files must not come back
        to Python six times.  No `owner`: it is left alone.  Returns 0; 1 when the owner is not
        mapped (EINVAL), 2 when the file system refuses it (EPERM): then the file has its content
        and nothing else.
        """
        uid, gid = owner or (-1, -1)
        result = _lib.rl_new_file(
            dirfd, _path(name), _ffi.from_buffer(data), len(data), mode,
            uid & 0xFFFFFFFF, gid & 0xFFFFFFFF, divmod(time_ns, 1_000_000_000),
        )  # fmt: skip
        return _checked(result, name)

    def close_range(self, first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
        """Close descriptors, or mark them with CLOSE_RANGE_CLOEXEC; Linux 5.9; close_range(2)."""
        _checked(_lib.rl_close_range(first, last, flags))

    # ------------------------------------------------------------ mounts

    def mount(
        self,
        source: Path | None,
        target: Path,
        fstype: Path | None = None,
        flags: int = 0,
        data: Path | None = None,
    ) -> None:
        """Mount, bind, move or change a mount; `MS_*`; mount(2)."""
        result = _lib.rl_mount(_text(source), _path(target), _text(fstype), flags, _text(data))
        _checked(result, target)

    def umount2(self, target: Path, flags: int = 0) -> None:
        """Unmount; `MNT_*`; umount2(2)."""
        _checked(_lib.rl_umount2(_path(target), flags), target)

    def open_tree(self, dirfd: int, path: Path, flags: int = 0) -> int:
        """Return a descriptor of a mount, with OPEN_TREE_CLONE of a detached copy; open_tree(2)."""
        result = _lib.rl_open_tree(dirfd, _path(path), flags | c.OPEN_TREE_CLOEXEC)
        return _checked(result, path)

    def move_mount(
        self, from_dirfd: int, from_path: Path, to_dirfd: int, to_path: Path, flags: int = 0
    ) -> None:
        """Attach a detached mount or move one; move_mount(2)."""
        result = _lib.rl_move_mount(from_dirfd, _path(from_path), to_dirfd, _path(to_path), flags)
        _checked(result, from_path, to_path)

    def mount_setattr(
        self,
        dirfd: int,
        path: Path,
        flags: int = 0,
        *,
        attr_set: int = 0,
        attr_clr: int = 0,
        propagation: int = 0,
        userns_fd: int = 0,
    ) -> None:
        """Change attributes, of a whole tree with AT_RECURSIVE; Linux 5.12; mount_setattr(2)."""
        result = _lib.rl_mount_setattr(
            dirfd, _path(path), flags, attr_set, attr_clr, propagation, userns_fd
        )
        _checked(result, path)

    def fsopen(self, fstype: Path, flags: int = 0) -> int:
        """Create a context for a new file system; fsopen(2)."""
        return _checked(_lib.rl_fsopen(_path(fstype), flags | c.FSOPEN_CLOEXEC), fstype)

    def fsconfig_set_flag(self, fd: int, key: Path) -> None:
        """Set an option without a value; fsconfig(2)."""
        result = _lib.rl_fsconfig(fd, c.FSCONFIG_SET_FLAG, _path(key), _ffi.NULL, 0)
        _checked(result, key)

    def fsconfig_set_string(self, fd: int, key: Path, value: Path) -> None:
        """Set an option; fsconfig(2)."""
        result = _lib.rl_fsconfig(fd, c.FSCONFIG_SET_STRING, _path(key), _path(value), 0)
        _checked(result, key)

    def fsconfig_set_fd(self, fd: int, key: Path, value: int) -> None:
        """Set an option to an open file; fsconfig(2)."""
        _checked(_lib.rl_fsconfig(fd, c.FSCONFIG_SET_FD, _path(key), _ffi.NULL, value), key)

    def fsconfig_create(self, fd: int) -> None:
        """Make the file system that the options describe; fsconfig(2)."""
        _checked(_lib.rl_fsconfig(fd, c.FSCONFIG_CMD_CREATE, _ffi.NULL, _ffi.NULL, 0), fd)

    def fsmount(self, fd: int, flags: int = 0, attributes: int = 0) -> int:
        """Return a detached mount of the file system made; `MOUNT_ATTR_*`; fsmount(2)."""
        return _checked(_lib.rl_fsmount(fd, flags | c.FSMOUNT_CLOEXEC, attributes), fd)

    def pivot_root(self, new_root: Path, put_old: Path) -> None:
        """Change the root mount; pivot_root(2)."""
        _checked(_lib.rl_pivot_root(_path(new_root), _path(put_old)), new_root, put_old)

    # ------------------------------------------------------------ namespaces and processes

    def unshare(self, flags: int) -> None:
        """Leave namespaces for new ones; `CLONE_NEW*`; unshare(2)."""
        _checked(_lib.rl_unshare(flags))

    def setns(self, fd: int, flags: int = 0) -> None:
        """Join the namespace of a /proc/PID/ns file, or several of a pidfd; setns(2)."""
        _checked(_lib.rl_setns(fd, flags), fd)

    def sethostname(self, name: Path) -> None:
        """Set the host name of this UTS namespace; sethostname(2)."""
        encoded = _path(name)
        _checked(_lib.rl_sethostname(encoded, len(encoded)))

    def setdomainname(self, name: Path) -> None:
        """Set the NIS domain of this UTS namespace; setdomainname(2)."""
        encoded = _path(name)
        _checked(_lib.rl_setdomainname(encoded, len(encoded)))

    def prctl(self, option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
        """Apply an operation to the calling thread, `PR_*`, with integers only; prctl(2)."""
        return _checked(_lib.rl_prctl(option, a, b, c, d))

    def capget(self, pid: int = 0) -> tuple[int, int, int]:
        """Return effective, permitted and inheritable capabilities as bit masks; capget(2)."""
        sets = _ffi.new("uint64_t[3]")
        _checked(_lib.rl_capget(pid, sets))
        return sets[0], sets[1], sets[2]

    def capset(self, effective: int, permitted: int, inheritable: int) -> None:
        """Set the calling thread's capabilities; capset(2)."""
        _checked(_lib.rl_capset(effective, permitted, inheritable))

    def pidfd_open(self, pid: int, flags: int = 0) -> int:
        """Return a descriptor of a process, whose number cannot go to another one;
        pidfd_open(2)."""
        return _checked(_lib.rl_pidfd_open(pid, flags))

    def pidfd_send_signal(self, pidfd: int, number: int) -> None:
        """Send a signal to exactly that process; pidfd_send_signal(2)."""
        _checked(_lib.rl_pidfd_send_signal(pidfd, number))

    def bpf_prog_load(self, kind: int, code: bytes) -> int:
        """Return a descriptor of a program that the kernel has found to be safe; bpf(2)."""
        return _checked(_lib.rl_bpf_prog_load(kind, code, len(code)))

    def bpf_prog_attach(self, target: int, program: int, kind: int, flags: int) -> None:
        """Attach a program to `target`, here a cgroup; bpf(2)."""
        _checked(_lib.rl_bpf_prog_attach(target, program, kind, flags))
