"""Apply one OCI layer to a directory: inside the user namespace, over directory descriptors.

Scope: from a blob in the content store to an overlay's lower directory.
Sources: OCI image specification, layer.md; the kernel's overlayfs.rst for whiteouts.
"""

from __future__ import annotations

import os
import stat

from rootless import disks, kernel
from rootless.errors import Conflict, DigestMismatch, StorageError
from rootless.storage.layers import attributes, tar
from rootless.storage.layers.decompress import Hashed, decompressed
from rootless.storage.trees.remove import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json
    from rootless.storage.layers.dedup import Sharing
    from rootless.storage.layers.tar import Member

_OPAQUE = ".wh..wh..opq"
_WHITEOUT = ".wh."
_AT_ONCE = 256 << 10
"""Bytes of a file that are kept in memory to be written by one call."""


_OWN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack_worker(request: Json) -> Json:
    """{"target", "blob", "diff_id", "single"} -> {"diff_id", "files", "bytes", "content"}, in the
    namespace: bytes of the archive, and of the files in it.

    "donors": files that may have the same content, see `sharing`.  "owners": with a single id, say
    whose the files are to be as "owners".

    Raises StorageError, DigestMismatch; what was written then is the caller's to remove.
    """
    # directories that the archive does not mention are everybody's to enter, whoever unpacks it
    os.umask(0o022)
    try:
        with open(request["blob"], "rb") as blob:
            hashed = Hashed(decompressed(blob))
            unpacker = Unpacker(request["target"], single=request["single"])
            if request.get("donors"):
                from rootless.storage.layers.dedup import Sharing

                unpacker.sharing = Sharing(request["donors"], request["single"])
            owners: dict[str, list[int]] = {}
            if request.get("owners") and request["single"]:

                def note(path: str, uid: int, gid: int) -> None:
                    owners[path] = [uid, gid]

                unpacker.on_owner = note
            try:
                unpacker.run(hashed.read)
                hashed.drain()
            finally:
                unpacker.close()
                hashed.close()
    except OSError as error:
        # what the names inside are called is the archive's business, and may be anything
        name = f" ({error.filename!r})" if error.filename and error.filename != "fs" else ""
        error = OSError(error.errno, f"{error.strerror}{name}")
        raise disks.refused(request["target"], error, what="cannot unpack into") from None
    diff_id = f"sha256:{hashed.digest()}"
    if request.get("diff_id") and diff_id != request["diff_id"]:
        raise DigestMismatch(
            f"the unpacked layer has the digest {diff_id}, not {request['diff_id']}",
            hint="the image is damaged, or its configuration belongs to other layers",
        )
    return {
        "diff_id": diff_id,
        "files": unpacker.files,
        "bytes": hashed.count,
        "content": unpacker.content,
        **({"owners": owners} if request.get("owners") else {}),
    }


class Unpacker:
    """One layer on its way into one directory.

    The archive is hostile.  Names are never given to the kernel as paths below anything but the
    layer's own directory: every parent is opened with RESOLVE_IN_ROOT, so that a link the archive
    made a moment ago cannot lead out, and the last component is created with calls that do not
    follow links.
    """

    def __init__(
        self,
        target: str | int,
        *,
        single: bool,
        layer: bool = True,
        owner: tuple[int, int] | None = None,
        renamed: tuple[str, str] | None = None,
    ) -> None:
        """`target`: the directory, or a descriptor of it, which is taken over.

        `single`: owners are left alone.  Without `layer` it is an archive of `cp`: whiteouts mean
        nothing, directories are never replaced by files or files by directories; `owner` is then
        who gets everything, `renamed` what the first component of names is replaced by.
        """
        self.root = (
            os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if isinstance(target, str)
            else target
        )
        self.owners = attributes.Owners(single=single, layer=layer, owner=owner)
        self.layer = layer
        # whether an archive's own top has something to say to the directory (`volume import`)
        self.top = False
        # an archive of `cp --overwrite`: directories may be replaced by files, and these by them
        self.replaces = False
        # of an archive that is added to files that are there (ADD): they know better
        self.keeps_directories = False
        # hears whose a member is to be, where a single id cannot give it away
        self.on_owner: Callable[[str, int, int], None] | None = None
        self.renamed = renamed
        self.files = 0
        self.content = 0
        self.sharing: Sharing | None = None
        self._parent: tuple[str, int] = ("", -1)
        self._times: list[tuple[str, int]] = []
        # modes that come last: who is not root could make nothing in a directory that is read-only
        self._late = not layer and os.geteuid() != 0
        self._modes: list[tuple[str, int]] = []

    def close(self) -> None:
        """Let go of the directories."""
        self._forget()
        os.close(self.root)

    def _forget(self) -> None:
        if self._parent[1] >= 0:
            os.close(self._parent[1])
        self._parent = ("", -1)

    def run(self, read: Callable[[int], bytes]) -> None:
        """Apply every member of the archive that `read` gives.  Raises TarError, OSError."""
        archive = tar.Reader(read)
        for member in archive:
            self._apply(archive, member)
        self.owners.finish(self.root)
        # a directory's time changes with what is made in it, so these come last
        for path, when in reversed(self._times):
            parent, name = self._place(path)
            try:
                kernel.calls.utimensat(parent, name or ".", when, when)
            except OSError:
                continue
        for path, mode in reversed(self._modes):
            parent, name = self._place(path)
            fd = os.open(name, _OWN_DIRECTORY, dir_fd=parent)
            try:
                os.fchmod(fd, mode)
            finally:
                os.close(fd)

    def _place(self, path: str) -> tuple[int, str]:
        """(descriptor of the parent, last component) of a path in the archive."""
        head, _, name = path.rpartition("/")
        if not head:
            return self.root, name
        if self._parent[0] != head or self._parent[1] < 0:
            self._forget()
            self._parent = (head, self._directory(head))
        return self._parent[1], name

    def _directory(self, path: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            return kernel.calls.openat2(self.root, path, flags, resolve=kernel.RESOLVE_IN_ROOT)
        except FileNotFoundError:
            pass
        parent, _, name = path.rpartition("/")
        fd = self._directory(parent) if parent else os.dup(self.root)
        try:
            os.mkdir(name, 0o755, dir_fd=fd)
        except FileExistsError:
            pass
        finally:
            os.close(fd)
        return kernel.calls.openat2(self.root, path, flags, resolve=kernel.RESOLVE_IN_ROOT)

    def _apply(self, archive: tar.Reader, entry: Member) -> None:
        path = self._rename(_clean(entry.name))
        self.files += 1
        if not path:
            if entry.kind == tar.DIRECTORY and (self.layer or self.top):
                os.fchmod(self.root, entry.mode)
                self.owners.give(self.root, "", entry, root=True)
            return
        parent, name = self._place(path)
        if not self.layer:
            self._make(archive, entry, parent, name, path)
            return
        if name == _OPAQUE:
            try:
                os.setxattr(parent, "user.overlay.opaque", b"y")
            except OSError:
                # a file system without attributes: fuse-overlayfs reads the plain form as well
                flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o600, dir_fd=parent))
            return
        if name.startswith(_WHITEOUT):
            hidden = name[len(_WHITEOUT) :]
            if hidden in ("", ".", ".."):
                raise StorageError(f'the layer holds an invalid whiteout "{entry.name}"')
            self._clear(parent, hidden)
            try:
                kernel.calls.mknodat(parent, hidden, stat.S_IFCHR, 0)
            except PermissionError:
                # before Linux 5.8 nobody but real root; fuse-overlayfs reads the plain form
                os.close(
                    os.open(name, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=parent)
                )
            return
        self._make(archive, entry, parent, name, path)

    def _rename(self, path: str) -> str:
        if self.renamed is None:
            return path
        first, slash, rest = path.partition("/")
        return path if first != self.renamed[0] else (self.renamed[1] + slash + rest).strip("/")

    def _clear(self, parent: int, name: str, *, directory: bool = False) -> None:
        """Make room for an entry that replaces an earlier one of the same layer."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not (self.layer or self.replaces) and stat.S_ISDIR(found.st_mode) != directory:
            kinds = ("a file", "a directory") if directory else ("a directory", "a file")
            raise Conflict(
                f'"{name}" is {kinds[0]} at the destination and {kinds[1]} in the source'
            )
        if stat.S_ISDIR(found.st_mode):
            if not directory:
                self._forget_below(parent)
                remove_tree(parent, name)
        else:
            os.unlink(name, dir_fd=parent)

    def _forget_below(self, parent: int) -> None:
        """The directory that is kept open may be about to vanish."""
        if self._parent[1] != parent:
            self._forget()

    def _make(self, archive: tar.Reader, entry: Member, parent: int, name: str, path: str) -> None:
        # most members are new, so what exists is found out by failing
        for attempt in (1, 2):
            try:
                self._make_once(archive, entry, parent, name, path)
                if self.on_owner is not None:
                    self.on_owner(path, entry.uid, entry.gid)
                return
            except FileExistsError:
                if attempt == 2:
                    raise
                self._clear(parent, name, directory=entry.kind == tar.DIRECTORY)

    def _make_once(
        self, archive: tar.Reader, entry: Member, parent: int, name: str, path: str
    ) -> None:
        if entry.kind == tar.REGULAR:
            self._file(archive, entry, parent, name, path)
            self.content += entry.size
        elif entry.kind == tar.DIRECTORY:
            if self._late and entry.mode & 0o300 != 0o300:
                self._modes.append((path, entry.mode))
                entry.mode |= 0o700
            if self._make_directory(entry, parent, name):
                self._times.append((path, entry.time))
        elif entry.kind == tar.LINK:
            self._link(entry, parent, name)
        elif entry.kind == tar.SYMLINK:
            os.symlink(entry.link, name, dir_fd=parent)
            self.owners.give(parent, name, entry)
        elif entry.kind == tar.FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent)
            self.owners.give(parent, name, entry)
            _chmod(parent, name, entry.mode)
        # device nodes cannot be made in a user namespace; the standard ones are bound at start

    def _make_directory(self, entry: Member, parent: int, name: str) -> bool:
        """Whether its time is to be set as well."""
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                raise
            if self.keeps_directories:
                return False
        fd = os.open(name, _OWN_DIRECTORY, dir_fd=parent)
        try:
            self.owners.give(fd, "", entry)
        finally:
            os.close(fd)
        return True

    def _link(self, entry: Member, parent: int, name: str) -> None:
        source = self._rename(_clean(entry.link))
        head, _, last = source.rpartition("/")
        # O_PATH and no following of the last component: a link to a link stays one, and a link
        # to anything outside the layer's directory cannot be expressed
        directory = self._directory(head) if head else os.dup(self.root)
        try:
            os.link(last, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise StorageError(
                f'the layer has a hard link "{entry.name}" to "{entry.link}", not in it'
            ) from None
        finally:
            os.close(directory)

    def _file(self, archive: tar.Reader, entry: Member, parent: int, name: str, path: str) -> None:
        fd = -1
        if self.sharing is None and entry.pieces is None and not entry.attributes:
            data = archive.whole(_AT_ONCE)
            if data is not None:
                self._small_file(entry, parent, name, data)
                return
        if self.sharing is not None:
            fd = self.sharing.take(archive, entry, parent, name, path, self._clear)
            if not fd:
                return
        shared = fd >= 0
        if not shared:
            fd = os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
                dir_fd=parent,
            )  # fmt: skip
        try:
            if shared:
                pass
            elif entry.pieces is not None:
                for offset, length in entry.pieces:
                    os.lseek(fd, offset, os.SEEK_SET)
                    _write(fd, archive, length)
                os.ftruncate(fd, entry.size)
            elif entry.size:
                _write(fd, archive, -1)
            self.owners.give(fd, "", entry)
            os.utime(fd, ns=(entry.time, entry.time))
        finally:
            os.close(fd)

    def _small_file(self, entry: Member, parent: int, name: str, data: memoryview) -> None:
        """What most members are: by one call into C, which takes a third of the time."""
        owner = self.owners.wanted(entry)
        for attempt in (1, 2):
            try:
                refused = kernel.calls.new_file(
                    parent, name, data, mode=entry.mode, owner=owner, time_ns=entry.time
                )
                break
            except FileExistsError:
                if attempt == 2:
                    raise
                self._clear(parent, name)
        if refused == 1:
            raise attributes.not_mapped(entry)
        if refused:
            fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                self.owners.give(fd, "", entry)
                os.utime(fd, ns=(entry.time, entry.time))
            finally:
                os.close(fd)


def _chmod(parent: int, name: str, mode: int) -> None:
    """The mode of what cannot be opened.  By a descriptor: a container that `cp` writes to could
    put a link of this name there meanwhile, and chmod(2) follows links."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)


def _write(fd: int, archive: tar.Reader, length: int) -> None:
    for piece in archive.data(length):
        while piece:
            piece = piece[os.write(fd, piece) :]


def _clean(name: str) -> str:
    """A member's path without leading slashes and dots.  Raises StorageError for "..": nothing
    that is meant well has it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise StorageError(
            f'the archive tries to escape by "{name}"', hint="do not trust its maker"
        )
    return "/".join(parts)
