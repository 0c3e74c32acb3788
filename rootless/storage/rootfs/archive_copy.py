"""Files into and out of a container: the workers of `cp`.  They run inside its user namespace.

The container may be running and hostile: it may exchange directories for links while we look at
them (CVE-2018-15664), so every path is resolved by the kernel below the container's root, in one
openat2 call, and everything after that goes through the descriptor it gave.  Nothing of the
container is ever loaded or executed (CVE-2019-14271): this interpreter stays in the host's mount
namespace and looks in through /proc/PID/root.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile

from rootless import kernel
from rootless.errors import NotFound, StorageError
from rootless.storage.layers.unpack import Unpacker
from rootless.storage.rootfs import fuse_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from rootless.documents import Json

_INSIDE = 0x10 | 0x02  # RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, openat2(2)


class Root:
    """The root directory of a container, running (`process`) or put together for the occasion.

    A request has `process` (a descriptor of /proc/PID), or `path` with optional `mounts`
    (KernelMount.as_json), `servers` (Server.as_json), `no_links` and `binds` ((source, target)
    pairs); the mounts vanish with this process's mount namespace.  `fd` is the descriptor.
    """

    def __init__(self, request: Json) -> None:
        self._servers = fuse_session.Servers(request.get("servers", ()))
        if "process" in request:
            at = request["process"]
            self.fd = os.open("root", os.O_PATH | os.O_DIRECTORY, dir_fd=at)
            return
        path = request["path"]
        for kind, place, data, base in request.get("mounts", ()):
            os.chdir(base)
            kernel.calls.mount(kind, place, kind, 0, data)
        self.fd = _directory(path, links=not request.get("no_links"))
        for source, target in request.get("binds", ()):
            self._bind(source, target)

    def _bind(self, source: str, target: str) -> None:
        try:
            fd = self._mount_point(source, target)
        except OSError:
            return  # no such place can be made there, and starting the container will say why
        try:
            kernel.calls.mount(source, f"/proc/self/fd/{fd}", "", 0x1000)  # MS_BIND
        finally:
            os.close(fd)

    def _mount_point(self, source: str, target: str) -> int:
        """The place where the container will have it; made now if it is a directory."""
        flags = os.O_PATH | os.O_CLOEXEC
        try:
            return kernel.calls.openat2(self.fd, target, flags, resolve=_INSIDE)
        except FileNotFoundError:
            if not os.path.isdir(source):
                raise
        parent, _, name = target.rstrip("/").rpartition("/")
        above = self._mount_point(source, parent or "/")
        try:
            os.mkdir(name, 0o755, dir_fd=above)
        finally:
            os.close(above)
        return kernel.calls.openat2(self.fd, target, flags, resolve=_INSIDE)

    def close(self) -> None:
        """Let go; end the file system's server and wait until it has written everything."""
        os.close(self.fd)
        os.chdir("/")
        self._servers.close()

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _directory(path: str, *, links: bool) -> int:
    """Open the top.  Without `links` none may lie on the way: who has a volume's directory below
    another mount of his could put a link to anything of the person's there (CVE-2023-0778)."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    if links:
        return os.open(path, flags)
    try:
        return kernel.calls.openat2(-100, path, flags, resolve=kernel.RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise StorageError(
            f"{path} leads through a symbolic link, which was not there when the volume was made",
            hint="look at it, and make the volume again if it is right",
        ) from None


def look_worker(request: Json) -> Json:
    """What is at {"look"}: None, or its name, kind, mode, size, times and link target.

    `parent`: whether the directory it lies in exists.
    """
    with Root(request) as root:
        path = request["look"]
        try:
            flags = os.O_PATH | os.O_CLOEXEC
            if not request.get("follow"):
                flags |= os.O_NOFOLLOW
            fd = kernel.calls.openat2(root.fd, path, flags, resolve=_INSIDE)
        except (FileNotFoundError, NotADirectoryError):
            return {"exists": False, "parent": _is_directory(root.fd, os.path.dirname(path) or "/")}
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise StorageError(f"{path} leads through too many symbolic links") from None
        try:
            found = os.fstat(fd)
            link = os.readlink("", dir_fd=fd) if stat.S_ISLNK(found.st_mode) else ""
        finally:
            os.close(fd)
        return {
            "exists": True,
            "parent": True,
            "directory": stat.S_ISDIR(found.st_mode),
            "mode": found.st_mode,
            "size": found.st_size,
            "mtime": found.st_mtime,
            "link": link,
        }


def _is_directory(root: int, path: str) -> bool:
    try:
        fd = kernel.calls.openat2(
            root, path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, resolve=_INSIDE
        )
    except OSError:
        return False
    os.close(fd)
    return True


def get_worker(request: Json) -> Json:
    """Write what is at {"get"} as a tar stream to standard output; its top is named {"name"}."""
    with Root(request) as root:
        flags = os.O_PATH | os.O_CLOEXEC | (0 if request.get("follow") else os.O_NOFOLLOW)
        try:
            fd = kernel.calls.openat2(root.fd, request["get"], flags, resolve=_INSIDE)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"there is no {request['get']} in the container") from None
        with (
            open(1, "wb", closefd=False) as out,
            tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            files = Packer(archive).add(fd, request["name"])
    return {"files": files}


class Packer:
    """Adds a tree to an archive, by descriptors only."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        self.files = 0
        self._links: dict[tuple[int, int], str] = {}

    def add(self, fd: int, name: str) -> int:
        """What the O_PATH descriptor refers to, and all below; closes it."""
        try:
            self._one(fd, name)
        finally:
            os.close(fd)
        return self.files

    def _one(self, fd: int, name: str) -> None:
        found = os.fstat(fd)
        entry = tarfile.TarInfo(name)
        entry.mode = stat.S_IMODE(found.st_mode)
        entry.uid, entry.gid, entry.mtime = found.st_uid, found.st_gid, found.st_mtime
        self.files += 1
        if stat.S_ISDIR(found.st_mode):
            entry.type = tarfile.DIRTYPE
            self.archive.addfile(entry)
            self._directory(fd, name)
            return
        if stat.S_ISLNK(found.st_mode):
            entry.type = tarfile.SYMTYPE
            entry.linkname = os.readlink("", dir_fd=fd)
        elif stat.S_ISFIFO(found.st_mode):
            entry.type = tarfile.FIFOTYPE
        elif not stat.S_ISREG(found.st_mode):
            return  # sockets and devices are not copied
        elif found.st_nlink > 1 and (found.st_dev, found.st_ino) in self._links:
            entry.type = tarfile.LNKTYPE
            entry.linkname = self._links[found.st_dev, found.st_ino]
        else:
            self._links[found.st_dev, found.st_ino] = name
            self._file(fd, entry)
            return
        self.archive.addfile(entry)

    def _file(self, fd: int, entry: tarfile.TarInfo) -> None:
        # opening our own descriptor again, not a name that may have changed hands
        with open(f"/proc/self/fd/{fd}", "rb", buffering=0) as file:
            entry.size = os.fstat(file.fileno()).st_size
            entry.pax_headers = {
                f"SCHILY.xattr.{name}": os.getxattr(file.fileno(), name).decode(
                    "utf-8", "surrogateescape"
                )
                for name in _attributes(file.fileno())
            }
            self.archive.addfile(entry, _Exactly(file, entry.size))

    def _directory(self, fd: int, name: str) -> None:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        try:
            for child in sorted(os.listdir(readable)):
                try:
                    inner = os.open(
                        child, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=readable
                    )
                except FileNotFoundError:
                    continue  # removed meanwhile
                self.add(inner, f"{name}/{child}")
        finally:
            os.close(readable)


def _attributes(fd: int) -> list[str]:
    try:
        names = os.listxattr(fd)
    except OSError:
        return []
    return [one for one in names if one == "security.capability" or one.startswith("user.")]


class _Exactly(io.RawIOBase):
    """Exactly so many bytes of a file that may grow or shrink while it is read."""

    def __init__(self, file: io.RawIOBase, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; zeros stand for what has vanished."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted) or b""
        # whoever asked takes less than that for the end of the archive
        data += bytes(wanted - len(data))
        self._left -= len(data)
        return data


def put_worker(request: Json) -> Json:
    """Unpack the tar stream on standard input below the directory {"put"}.

    {"renamed"}: [old, new] first component; {"owner"}: [uid, gid] or None to keep the archive's;
    {"single"}: owners cannot be set; {"overwrite"}: files may replace directories, and these them.
    """
    with Root(request) as root:
        try:
            fd = kernel.calls.openat2(
                root.fd,
                request["put"],
                os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC,
                resolve=_INSIDE,
            )
        except FileNotFoundError:
            raise NotFound(f"there is no directory {request['put']} in the container") from None
        except OSError as error:
            raise StorageError(
                f"cannot write to {request['put']} in the container: {error.strerror}"
            ) from None
        return put(fd, 0, request)


class _Once(io.RawIOBase):
    """A stream that can be rewound to its beginning, once, as long as little of it was read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._kept = b""
        self._first = True

    def readable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """To the beginning."""
        self._first = False
        return 0

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As io.RawIOBase."""
        size = len(buffer)
        if self._first:
            data = self._stream.read(size)
            self._kept += data
        elif self._kept:
            data, self._kept = self._kept[:size], self._kept[size:]
        else:
            data = self._stream.read(size)
        buffer[: len(data)] = data
        return len(data)


def _opened(stream: BinaryIO) -> BinaryIO:
    """The tar within a stream that may be compressed, and may be a pipe."""
    from rootless.storage.layers import decompress

    return decompress.decompressed(stream if stream.seekable() else _Once(stream))  # type: ignore[arg-type]


def put(directory: int, source: int, request: Json) -> Json:
    """Unpack the stream of `source` below the descriptor `directory`, which is taken over."""
    unpacker = Unpacker(
        directory,
        single=request["single"],
        layer=False,
        owner=tuple(request["owner"]) if request.get("owner") else None,
        renamed=tuple(request["renamed"]) if request.get("renamed") else None,
    )
    unpacker.top = bool(request.get("top"))
    unpacker.replaces = bool(request.get("overwrite"))
    try:
        with open(source, "rb", closefd=False) as stream:
            unpacker.run(_opened(stream).read if request.get("compressed") else stream.read)
    except OSError as error:
        raise StorageError(
            f"cannot write there: {(error.strerror or str(error)).lower()}: {error.filename or ''}"
        ) from None
    finally:
        unpacker.close()
    return {"files": unpacker.files}
