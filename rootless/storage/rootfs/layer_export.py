"""From directories to a layer's tar: what `commit` and `export` write.  Runs in the user namespace.

Scope: three ways to one archive: an upper directory as a layer (`layer_worker`), a copy compared
with its layers (`copied_worker`), and everything the union shows (`union_worker`).
Sources: OCI image specification, layer.md (whiteouts, opaque directories, hard links, attributes).

The container may be running and hostile: names are opened below descriptors of directories, without
following links, and what was opened is looked at again before it is read.
"""

from __future__ import annotations

import os
import stat

from rootless.errors import StorageError
from rootless.storage.layers import layer_view, tar_writer
from rootless.storage.rootfs import fuse_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json

_CHUNK = 1 << 20
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def layer_worker(request: Json) -> Json:
    """{"upper", "lowers", "skip", "plain", "stamp", "clamp"}: the layer, to standard output.

    `skip` has paths that are the engine's own (mount points); `plain`: whiteouts may be plain files
    as fuse-overlayfs writes them; `stamp` and `clamp` are times in seconds or None: the one that
    every file gets, and the latest that any may have; `override`: the driver keeps owners and modes
    in an attribute; `servers`: of layers that programs serve; `owners`: whose files are, by path,
    where a single id could not give them away.
    Returns {"files", "bytes", "unfit"}; `unfit` are names that a layer cannot hold.
    """
    packer = Packer(request)
    with (
        fuse_session.Servers(request.get("servers", ())),
        layer_view.Directory.open([request["upper"]]) as upper,
        layer_view.Directory.open(request["lowers"]) as lowers,
    ):
        packer.root(upper.fds[0])
        packer.layer(upper.fds[0], "", lowers)
    return packer.end()


def union_worker(request: Json) -> Json:
    """{"stack" (topmost first), "skip", "stamp", "clamp"}: all of the tree, to standard output."""
    packer = Packer(request)
    with (
        fuse_session.Servers(request.get("servers", ())),
        layer_view.Directory.open(request["stack"]) as root,
    ):
        if request.get("root", True):
            packer.root(root.fds[0])
        packer.tree(root, "")
    return packer.end()


def squashed_worker(request: Json) -> Json:
    """{"stack", "lowers" (both topmost first), "stamp", "clamp", "owners"}: the layers of `stack`
    as one layer above `lowers`, with what they have removed of those."""
    packer = Packer(request)
    stack, lowers = request["stack"], request["lowers"]
    with (
        layer_view.Directory.open(stack) as above,
        layer_view.Directory.open(lowers) as below,
        layer_view.Directory.open([*stack, *lowers]) as whole,
    ):
        packer.root(above.fds[0])
        packer.squashed(above, below, whole, "")
    return packer.end()


def copied_worker(request: Json) -> Json:
    """{"merged", "lowers", "skip", "stamp", "clamp"}: what a copy has that its layers have not."""
    from rootless.storage.rootfs import diff

    packer = Packer(request)
    # which starts servers by itself
    changes = {path: kind for kind, path in diff.compare_worker(request)}
    with layer_view.Directory.open([request["merged"]]) as root:
        packer.changes(root, "", _children(changes), changes)
    return packer.end()


def _children(paths: dict[str, str]) -> dict[str, set[str]]:
    """The names in every directory that lead to one of the paths."""
    table: dict[str, set[str]] = {}
    for path in paths:
        while path:
            parent, _, name = path.rpartition("/")
            known = table.setdefault(parent, set())
            if name in known:
                break
            known.add(name)
            path = parent
    return table


class Packer:
    """One archive on its way to standard output."""

    def __init__(self, request: Json) -> None:
        self._out = open(1, "wb", _CHUNK, closefd=False)  # noqa: SIM115
        self._tar = tar_writer.Writer(self._out.write)
        self._skip = set(request.get("skip") or ())
        self._above = _ancestors(self._skip)
        self._plain = bool(request.get("plain"))
        self._stamp = request.get("stamp")
        self._clamp = request.get("clamp")
        # Only where the driver writes it: elsewhere it is a file's own attribute, by which a user
        # in the container could make root the owner of a program of his in the image.
        self._override = layer_view.OWNERS if request.get("override") else ()
        self._owners = request.get("owners") or {}
        self._links: dict[tuple[int, int], str] = {}
        self._pending: list[tuple[str, int, os.stat_result]] = []
        self.unfit: list[str] = []

    def end(self) -> Json:
        """The end mark; what was written."""
        self._tar.close()
        self._out.flush()
        return {"files": self._tar.members, "bytes": self._tar.size, "unfit": self.unfit[:100]}

    # ways through a tree

    def root(self, fd: int) -> None:
        """The root directory itself, where it is not what every layer begins with."""
        found = os.fstat(fd)
        if stat.S_IMODE(found.st_mode) != 0o755 or found.st_uid or found.st_gid:
            self._tar.add("./", tar_writer.DIRECTORY, **self._common(found))

    def tree(self, directory: layer_view.Directory, path: str) -> None:
        """Everything below."""
        for entry in directory.entries():
            inner = f"{path}/{entry.name}"
            if inner in self._skip:
                continue
            self._entry(entry.parent, entry.name, inner, entry.found)
            if stat.S_ISDIR(entry.found.st_mode):
                with directory.enter(entry.name) as below:
                    self.tree(below, inner)

    def squashed(
        self,
        above: layer_view.Directory,
        below: layer_view.Directory,
        whole: layer_view.Directory,
        path: str,
    ) -> None:
        """What `above` has, and whiteouts for what is in `below` and not in the `whole`."""
        for entry in above.entries():
            inner = f"{path}/{entry.name}"
            self._entry(entry.parent, entry.name, inner, entry.found)
            if stat.S_ISDIR(entry.found.st_mode):
                with (
                    above.enter(entry.name) as upper,
                    below.enter(entry.name) as lower,
                    whole.enter(entry.name) as both,
                ):
                    self.squashed(upper, lower, both, inner)
        for entry in below.entries():
            if whole.lookup(entry.name) is None:
                self._whiteout(path, entry.name)

    def layer(self, fd: int, path: str, lowers: layer_view.Directory) -> None:
        """What an upper directory has, with whiteouts as the specification writes them."""
        for name in sorted(os.listdir(fd)):
            inner = f"{path}/{name}"
            if inner in self._skip or name in layer_view.MARKS:
                continue
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if name.startswith(layer_view.PREFIX):
                if self._plain:
                    self._whiteout(path, name[len(layer_view.PREFIX) :])
                else:
                    # the archive's reader would take it for a deletion
                    self.unfit.append(inner)
            elif layer_view.is_whiteout(found):
                self._whiteout(path, name)
            elif stat.S_ISDIR(found.st_mode):
                self._directory(fd, name, inner, found, lowers)
            else:
                self._entry(fd, name, inner, found)

    def _directory(
        self, fd: int, name: str, path: str, found: os.stat_result, lowers: layer_view.Directory
    ) -> None:
        below = lowers.lookup(name)
        try:
            inner = os.open(name, layer_view.DIRECTORY, dir_fd=fd)
        except OSError:
            return  # it was exchanged for something else meanwhile
        try:
            opaque = below is not None and layer_view.is_opaque(inner)
            bare = below is not None and not opaque and self._is_bare(path, found, below)
            if not bare:
                self._entry(fd, name, path, found)
                if opaque:
                    self._mark(path + "/" + layer_view.MARKS[0])
                with lowers.enter(name) as deeper:
                    self.layer(inner, path, deeper)
                return
            self._pending.append((path, inner, found))
            with lowers.enter(name) as deeper:
                self.layer(inner, path, deeper)
            if self._pending and self._pending[-1][0] == path:
                self._pending.pop()
        finally:
            os.close(inner)

    def _is_bare(self, path: str, found: os.stat_result, below: layer_view.Entry) -> bool:
        """Whether it is in the upper only because a mount point of the engine's is below."""
        theirs = below.found
        return path in self._above and (found.st_mode, found.st_uid, found.st_gid) == (
            theirs.st_mode, theirs.st_uid, theirs.st_gid,
        )  # fmt: skip

    def changes(
        self,
        directory: layer_view.Directory,
        path: str,
        children: dict[str, set[str]],
        kinds: dict[str, str],
    ) -> None:
        """Those paths that a comparison found, and the directories on the way to them."""
        for name in sorted(children.get(path, ())):
            inner = f"{path}/{name}"
            kind = kinds.get(inner, "")
            if inner in self._skip:
                continue
            if kind == "D":
                self._whiteout(path, name)
                continue
            entry = directory.lookup(name)
            if entry is None:
                continue
            if name.startswith(layer_view.PREFIX):
                self.unfit.append(inner)
                continue
            if not stat.S_ISDIR(entry.found.st_mode):
                if kind:
                    self._entry(entry.parent, name, inner, entry.found)
                continue
            fd = os.open(name, layer_view.DIRECTORY, dir_fd=entry.parent)
            try:
                if kind != "C" or inner not in self._above:
                    self._entry(entry.parent, name, inner, entry.found)
                else:
                    self._pending.append((inner, fd, entry.found))
                with directory.enter(name) as below:
                    self.changes(below, inner, children, kinds)
                if self._pending and self._pending[-1][0] == inner:
                    self._pending.pop()
            finally:
                os.close(fd)

    # members

    def _flush(self) -> None:
        """Directories that were waiting for something in them."""
        waiting, self._pending = self._pending, []
        for path, fd, found in waiting:
            self._tar.add(
                path[1:], tar_writer.DIRECTORY, attributes=_attributes(fd),
                **self._common(found, fd, path),
            )  # fmt: skip

    def _common(self, found: os.stat_result, fd: int = -1, path: str = "") -> Json:
        time = found.st_mtime_ns
        if self._stamp is not None:
            time = self._stamp * 1_000_000_000
        elif self._clamp is not None:
            time = min(time, self._clamp * 1_000_000_000)
        mode, uid, gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
        told = layer_view.noted(fd, self._override) if fd >= 0 else None
        if told is not None:
            uid, gid, mode = told
        if self._owners and path[1:] in self._owners:
            uid, gid = self._owners[path[1:]]
        return {"mode": mode, "uid": uid, "gid": gid, "time": time}

    def _whiteout(self, path: str, name: str) -> None:
        self._mark(f"{path}/{layer_view.PREFIX}{name}")

    def _mark(self, path: str) -> None:
        self._flush()
        self._tar.add(path[1:], tar_writer.REGULAR, mode=0, time=(self._stamp or 0) * 10**9)

    def _entry(self, parent: int, name: str, path: str, found: os.stat_result) -> None:
        """One name.  Sockets and devices have no place in a layer that a user can unpack."""
        kind = found.st_mode
        if stat.S_ISREG(kind):
            self._file(parent, name, path)
            return
        if stat.S_ISDIR(kind):
            try:
                fd = os.open(name, layer_view.DIRECTORY, dir_fd=parent)
            except OSError:
                return
            try:
                self._flush()
                self._tar.add(
                    path[1:], tar_writer.DIRECTORY, attributes=_attributes(fd),
                    **self._common(found, fd, path),
                )  # fmt: skip
            finally:
                os.close(fd)
        elif stat.S_ISLNK(kind):
            if self._linked(path, found):
                return
            try:
                target = os.readlink(name, dir_fd=parent)
            except OSError:
                return
            self._flush()
            self._tar.add(
                path[1:], tar_writer.SYMLINK, link=target, **self._common(found, path=path)
            )
        elif stat.S_ISFIFO(kind) and not self._linked(path, found):
            self._flush()
            self._tar.add(path[1:], tar_writer.FIFO, **self._common(found, path=path))

    def _linked(self, path: str, found: os.stat_result) -> bool:
        """Write a further name of what is in the archive already."""
        if found.st_nlink < 2:
            return False
        first = self._links.setdefault((found.st_dev, found.st_ino), path)
        if first == path:
            return False
        self._flush()
        self._tar.add(path[1:], tar_writer.LINK, link=first[1:], **self._common(found, path=path))
        return True

    def _file(self, parent: int, name: str, path: str) -> None:
        try:
            fd = os.open(name, _OPEN, dir_fd=parent)
        except FileNotFoundError:
            return  # removed meanwhile
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from None
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or self._linked(path, found):
                return
            self._flush()
            self._tar.add(
                path[1:], tar_writer.REGULAR, size=found.st_size, attributes=_attributes(fd),
                data=_content(fd, found.st_size), **self._common(found, fd, path),
            )  # fmt: skip
        finally:
            os.close(fd)


def _content(fd: int, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of a file that may grow or shrink; holes are zeros and not read."""
    at = 0
    while at < size:
        try:
            start = min(os.lseek(fd, at, os.SEEK_DATA), size)
        except OSError:
            start = size  # nothing but a hole is left, or it has become shorter
        yield from tar_writer.zeros(start - at)
        at = start
        if at >= size:
            return
        try:
            end = min(os.lseek(fd, at, os.SEEK_HOLE), size)
        except OSError:
            end = size
        while at < end:
            data = os.pread(fd, min(_CHUNK, end - at), at)
            if not data:
                break
            yield data
            at += len(data)
        if at < end:
            yield from tar_writer.zeros(size - at)
            return


def _attributes(fd: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        names = os.listxattr(fd)
    except OSError:
        return found
    for name in names:
        if name.startswith(layer_view.HIDDEN) or not name.startswith(
            ("user.", "security.capability")
        ):
            continue
        try:
            found[name] = os.getxattr(fd, name)
        except OSError:
            continue
    return found


def _ancestors(paths: set[str]) -> set[str]:
    above = set()
    for path in paths:
        while path := path.rpartition("/")[0]:
            above.add(path)
    return above
