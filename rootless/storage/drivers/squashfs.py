"""Single-file images: a squashfs that is mounted where it lies, and nothing is unpacked.

What `save --format squashfs` writes is a squashfs (padded to 4 KiB), then a JSON document, then a
footer of 16 bytes: the document's length (u64, little-endian) and `RLSQFS1\\0`.  Whoever reads the
squashfs does not see what follows it, so the root file system is exactly the image's.
The kernel mounts squashfs for no user namespace, so squashfuse does.
Sources: Documentation/filesystems/squashfs.rst (superblock), squashfuse_ll(1), mksquashfs(1).
"""

from __future__ import annotations

import os
import stat
import struct

from rootless import documents, host
from rootless.errors import HostError, NotFound, StorageError, UsageError
from rootless.storage.drivers import sif
from rootless.storage.drivers.driver import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_SUPER = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
_MAGIC = b"hsqs"
_FOOTER = struct.Struct("<Q8s")
_FOOTER_MAGIC = b"RLSQFS1\0"
_LONGEST = 4 << 20
"""Bytes of the document, as of any image's configuration."""
_NO_TABLE = (1 << 64) - 1


class SingleFile:
    """An image in one file: the squashfs at `offset`, and what the file says about it: `document`
    ({} for a squashfs of somebody else), `kind` "squashfs" or "sif", how many `ids` own files."""

    __slots__ = ("document", "ids", "kind", "offset", "path")

    def __init__(self, path: str, kind: str, offset: int, document: Json, ids: int) -> None:
        self.ids = ids
        self.path = path
        self.kind = kind
        self.offset = offset
        self.document = document


def read(path: str) -> SingleFile:
    """Look at a file, as far as is needed to know that it can be mounted.

    The file is anybody's: squashfuse gets it only after its superblock made sense, and runs
    without any rights but the container's.  Raises NotFound, UsageError, StorageError.
    """
    try:
        # not to hang at a pipe, nor to read a device
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="check the path of the image") from None
    except OSError as error:
        raise UsageError(f"cannot open the image {path}: {error.strerror}") from None
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise UsageError(f"{path} is a directory", hint="run --rootfs takes one")
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is no regular file")
        return _read(path, fd, found.st_size)
    finally:
        os.close(fd)


def _read(path: str, fd: int, size: int) -> SingleFile:
    kind, offset, length = "squashfs", 0, size
    if sif.is_sif(os.pread(fd, 64, 0)):
        kind = "sif"
        offset, length = sif.partition(lambda at, count: os.pread(fd, count, at), size)
    used, ids = _check(path, os.pread(fd, _SUPER.size, offset), length)
    document: Json = {}
    if kind == "squashfs" and size - used > _FOOTER.size:
        count, magic = _FOOTER.unpack(os.pread(fd, _FOOTER.size, size - _FOOTER.size))
        if magic == _FOOTER_MAGIC:
            if not 0 < count <= min(_LONGEST, size - used - _FOOTER.size):
                raise _damaged(path, f"its configuration has {count} bytes")
            try:
                text = os.pread(fd, count, size - _FOOTER.size - count).decode()
                document = documents.loads(text)
            except ValueError:
                raise _damaged(path, "its configuration cannot be read") from None
            if not isinstance(document, dict):
                raise _damaged(path, "its configuration is no JSON object")
    return SingleFile(path, kind, offset, document, ids)


def _check(path: str, head: bytes, size: int) -> tuple[int, int]:
    """Bytes that the squashfs uses, and how many ids own its files.  Raises StorageError."""
    if len(head) < _SUPER.size or head[:4] != _MAGIC:
        raise StorageError(
            f"{path} is neither a squashfs nor a SIF file that holds one",
            hint="make one with rootless save --format squashfs",
        )
    (_, inodes, _, block, fragments, compression, log, _, ids, major, minor, _, used, *tables) = (
        _SUPER.unpack(head)
    )
    if (major, minor) != (4, 0):
        raise _damaged(path, f"it has the version {major}.{minor}, and 4.0 is known")
    if not 12 <= log <= 20 or block != 1 << log or not 1 <= compression <= 6 or not inodes:
        raise _damaged(path, "its superblock makes no sense")
    if used > size:
        raise StorageError(
            f"{path} is cut short: it has {size} of {used} bytes", hint="copy it again"
        )
    # ids, xattrs, inodes, directories, fragments, exports
    if any(_SUPER.size > one or one > used for one in tables if one != _NO_TABLE):
        raise _damaged(path, "a table of it lies outside")
    if fragments and tables[4] == _NO_TABLE:
        raise _damaged(path, "it has fragments, and no table of them")
    return int(used), int(ids)


def _damaged(path: str, why: str) -> StorageError:
    return StorageError(f"{path} is damaged: {why}", hint="copy or make it again")


def server(image: SingleFile, mount_point: str, *, single: bool) -> Server:
    """The program that serves it.  `single`: only one id is mapped.  Raises HostError."""
    program = host.current().program("squashfuse_ll") or host.current().program("squashfuse")
    if not program:
        raise HostError(
            f"{image.path} cannot be mounted: squashfuse is not installed",
            hint="ask for the package squashfuse (as root: apt install squashfuse)",
        )
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise HostError(
            f"{image.path} cannot be mounted: /dev/fuse cannot be opened", hint="rootless doctor"
        )
    options = "ro,allow_other"
    if not single:
        options += ",default_permissions"
    # with a single id there is nobody to keep files from, and modes that speak of owners who are
    # not mapped would keep them from the only one there is
    if image.offset:
        options += f",offset={image.offset}"
    return Server([program, "-f", "-o", options, image.path, mount_point], mount_point)


def pack_worker(request: Json) -> Json:
    """{"lowers" (topmost first), "base", "directory", "target", "program", "time"}: a squashfs of
    the layers' union at `target`.  Runs in the namespace, with mounts of its own.

    Raises StorageError.
    """
    import subprocess

    from rootless.storage.drivers import readonly_mount

    merged = os.path.join(request["directory"], "merged")
    empty = os.path.join(request["directory"], "empty")
    try:
        # never one directory alone, which would be shown with its whiteouts
        readonly_mount.mount(merged, request["base"], [*request["lowers"], empty])
    except OSError as error:
        raise StorageError(
            f"cannot mount the layers: {error.strerror}", hint="rootless doctor, line overlay"
        ) from None
    words = [request["program"], merged, request["target"], "-noappend", "-no-progress", "-quiet"]
    words += ["-comp", "zstd", "-Xcompression-level", "6", "-mkfs-time", str(request["time"])]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    readonly_mount.unmount(merged, lazy=True)
    if done.returncode:
        said = "; ".join(line for line in done.stderr.splitlines() if line.strip())
        raise StorageError(
            f"mksquashfs failed: {said[-400:] or done.returncode}", hint="the disk may be full"
        )
    return os.stat(request["target"]).st_size


def append(path: str, document: Json) -> None:
    """Write the document after the squashfs.  Raises OSError."""
    data = documents.dumps(document).encode()
    with open(path, "ab") as file:
        file.write(data + _FOOTER.pack(len(data), _FOOTER_MAGIC))
        file.flush()
        os.fsync(file.fileno())
