"""COPY, ADD's files and WORKDIR: into the files of a stage.  Runs in the user namespace.

Scope: from entries (see `selecting`) to a destination under a root.  Archives are unpacked by
whoever implements `protocols.Layers`; nothing is hashed here.
Sources: dockerfile reference, COPY; experiments with BuildKit.

The root is an image's and may be hostile: a link in it means what it would mean to a process whose
root it is, and what is opened is opened without following links (see `resolve`).  Nobody else
writes there meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from rootless import disks, kernel
from rootless.build import hashing, resolve, selecting, users
from rootless.build.dockerfile import modes
from rootless.build.ignore import Patterns
from rootless.build.selecting import Entry, Selected
from rootless.errors import NotFound, StorageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json

    Unpack = Callable[[int, "Copier", str], bool]

_SMALL = 256 << 10
_PIECE = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_worker(request: Json) -> Json:
    """{"root", "destination", "directory", "chown", "chmod", "single", "sources": [...]}.

    A source is {"top": directory, "own": bool} with "chosen": [[tree, [entry…]]…] or, to be
    selected here, "words", "parents", "exclude"; or {"text": bytes as latin-1, "name", "mode"}.
    `own`: owners are kept (files of a stage), otherwise root gets everything; "owners": those that
    a single id could not give.  `directory`: the
    destination is meant as one (it ends with a slash).  "unpack" of a source names the function
    that unpacks archives: `function(file descriptor, copier, destination)`, which returns whether
    it was one.
    Returns {"files", "owners", "unsure"}: of paths that could not be given to their owners, because
    a single id is mapped, whose they are; whether a file of a context was changed after it had been
    selected, so that its digest may be of something else.  Raises NotFound, UsageError,
    StorageError.
    """
    root = resolve.open_root(request["root"])
    umask = os.umask(0)
    try:
        copier = Copier(
            root,
            owner=users.owner(root, request["chown"]) if request.get("chown") else None,
            mode=_mode(request.get("chmod") or ""),
            single=bool(request.get("single")),
        )
        for source in request["sources"]:
            _one_source(copier, source, request["destination"], bool(request.get("directory")))
        copier.finish()
        return {"files": copier.files, "owners": copier.owners, "unsure": copier.unsure}
    except OSError as error:
        raise _failed(error, request["destination"], request["root"]) from None
    finally:
        os.umask(umask)
        os.close(root)


def _mode(text: str) -> modes.Mode | None:
    """Read `--chmod`; None where there is none.  Raises UsageError."""
    mode = modes.parse(text) if text else None
    if text and mode is None:
        raise UsageError(f'invalid --chmod "{text}"', hint="as in 755, 0644 or u=rwX,go=rX")
    return mode


def _one_source(copier: Copier, source: Json, destination: str, directory: bool) -> None:
    if "text" in source:
        data = source["text"].encode("latin-1")
        copier.text(data, source["name"], source.get("mode", 0o644), destination, directory,
                    source.get("time"))  # fmt: skip
        return
    top = resolve.open_root(source["top"])
    try:
        if "chosen" in source:
            chosen = [
                Selected(bool(tree), [Entry.unpack(row) for row in rows])
                for tree, rows in source["chosen"]
            ]
        else:
            lines = source.get("exclude") or []
            exclude = Patterns.parse("\n".join(lines)) if lines else None
            chosen = []
            for word in source["words"]:
                chosen += selecting.select(
                    top, word, parents=bool(source.get("parents")), exclude=exclude
                )
        unpack = _named(source["unpack"]) if source.get("unpack") else None
        copier.whose = source.get("owners") or {}
        for selected in chosen:
            if unpack is not None and _unpacked(copier, top, selected, destination, unpack):
                continue
            copier.copy(top, selected, destination, directory, own=bool(source.get("own")))
    finally:
        os.close(top)


def _named(name: str) -> Unpack:
    from importlib import import_module

    module, _, attribute = name.partition(":")
    found: Unpack = getattr(import_module(module), attribute)
    return found


def _unpacked(
    copier: Copier, top: int, selected: Selected, destination: str, unpack: Unpack
) -> bool:
    if selected.tree or selected.entries[0].kind != "f":
        return False
    fd = resolve.open_at(top, selected.entries[0].source, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode) or not unpack(fd, copier, destination):
            return False
        copier.compare(selected.entries[0], os.fstat(fd))
        return True
    finally:
        os.close(fd)


def workdir_worker(request: Json) -> Json:
    """{"root", "path", "user", "single"}: a directory and what is missing of its parents, which
    belong to the user (by name or number).  Returns {"made": how many, "owners"}."""
    root = resolve.open_root(request["root"])
    umask = os.umask(0)
    try:
        owner = users.user(root, request["user"]) if request.get("user") else (0, 0)
        copier = Copier(root, owner=owner, mode=None, single=bool(request.get("single")))
        os.close(copier.directory(request["path"]))
        copier.finish()
        return {"made": copier.made, "owners": copier.owners}
    except OSError as error:
        raise _failed(error, request["path"], request["root"]) from None
    finally:
        os.umask(umask)
        os.close(root)


def select_worker(request: Json) -> Json:
    """{"top", "words", "parents", "exclude"}: the digest of what would be copied from a stage."""
    top = resolve.open_root(request["top"])
    try:
        lines = request.get("exclude") or []
        exclude = Patterns.parse("\n".join(lines)) if lines else None
        chosen = []
        for word in request["words"]:
            chosen += selecting.select(
                top, word, parents=bool(request.get("parents")), exclude=exclude
            )
        return {"digest": hashing.selection(top, chosen, hashing.Memory(""), owners=True)}
    finally:
        os.close(top)


def _failed(error: OSError, destination: str, root: str) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # the destination is a path of the image; its room is that of the root's file system
        place = os.path.dirname(root)
        return disks.refused(place, error, what=f"cannot copy to {destination}, which is in")
    name = f" ({error.filename})" if error.filename else ""
    return StorageError(
        f"cannot copy to {destination}: {(error.strerror or str(error)).lower()}{name}"
    )


@dataclass
class _Open:
    """A directory of the destination that is being filled."""

    name: str
    fd: int


class Copier:
    """Copies into one root.  `owner` and `mode`: what --chown and --chmod say."""

    def __init__(
        self, root: int, *, owner: tuple[int, int] | None, mode: modes.Mode | None, single: bool
    ) -> None:
        self.root = root
        self.owner = owner
        self.mode = mode
        self.single = single
        self.files = 0
        self.made = 0
        self.unsure = False
        self.owners: dict[str, list[int]] = {}
        # of a source's files, where a single id could not give them away
        self.whose: dict[str, list[int]] = {}
        self._times: list[tuple[str, int]] = []
        self._clone = True

    # the destination

    def directory(self, path: str, *, moded: bool = True) -> int:
        """A descriptor of a directory, made with its parents where it is missing.  `moded`: --chmod
        holds for what is made.

        Links on the way are followed inside the root, also those that lead to nothing: then what
        they name is made.
        """
        real = resolve.canonical(self.root, path)
        try:
            return resolve.open_at(self.root, real, resolve.DIRECTORY)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            raise UsageError(f"cannot copy to {path}: it is not a directory") from None
        fd = os.dup(self.root)
        at = ""
        try:
            for name in real.split("/"):
                at = f"{at}/{name}" if at else name
                made = False
                try:
                    os.mkdir(name, 0o755, dir_fd=fd)
                    made = True
                except FileExistsError:
                    pass
                try:
                    inner = os.open(name, resolve.DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
                except NotADirectoryError:
                    raise UsageError(f"cannot copy to {path}: /{at} is not a directory") from None
                os.close(fd)
                fd = inner
                if made:
                    self.made += 1
                    mode = 0o755
                    if moded and self.mode is not None and self.mode.number is not None:
                        # as BuildKit: what the sticky and set-id bits of a number are for is files
                        mode = self.mode.number & 0o777
                    self._give(fd, at, self.owner or (0, 0), mode)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def path_of(self, path: str) -> str:
        """A path of the destination without links."""
        return resolve.canonical(self.root, path)

    def note(self, path: str, owner: tuple[int, int]) -> None:
        """Whose a path is that cannot be given away."""
        if owner != (0, 0):
            self.owners[path] = [*owner]

    def compare(self, entry: Entry, now: os.stat_result | None) -> None:
        """Note when something of a context is no longer what was selected, and hashed."""
        if now is None or (now.st_ctime_ns, now.st_size) != (entry.changed, entry.size):
            self.unsure = True

    def _is_directory(self, path: str) -> bool:
        found = resolve.lookup(self.root, resolve.canonical(self.root, path))
        return found is not None and stat.S_ISDIR(found.st_mode)

    def copy(
        self, top: int, selected: Selected, destination: str, directory: bool, *, own: bool
    ) -> None:
        """What a name came to.  Raises UsageError for a directory that would replace a file."""
        if selected.tree:
            base = resolve.canonical(self.root, destination)
            fd = self.directory(destination)
            try:
                self._tree(top, selected.entries, fd, base, own)
            finally:
                os.close(fd)
            return
        entry = selected.entries[0]
        fd, base, name = self._place(destination, directory, entry.name)
        try:
            self._one(top, entry, fd, name, _joined(base, name), own, {})
        finally:
            os.close(fd)

    def _place(self, destination: str, directory: bool, name: str) -> tuple[int, str, str]:
        """(descriptor of the parent, its path, name) for one file that goes to a destination."""
        if directory or self._is_directory(destination):
            return self.directory(destination), resolve.canonical(self.root, destination), name
        real = resolve.canonical(self.root, destination)
        parent, _, last = real.rpartition("/")
        return self.directory("/" + parent), parent, last

    def text(
        self, data: bytes, name: str, mode: int, destination: str, directory: bool,
        when: int | None = None,
    ) -> None:  # fmt: skip
        """A file whose content is in the Dockerfile."""
        fd, base, last = self._place(destination, directory, name)
        try:
            if "/" in last:
                raise NotFound(f'cannot make "{last}" in {destination}: it has a slash')
            self._clear(fd, last)
            file = os.open(last, _NEW, 0o600, dir_fd=fd)
            try:
                _write(file, data)
                path = _joined(base, last)
                self._give(file, path, self.owner or (0, 0), self._moded(mode, directory=False))
                if when is not None:
                    os.utime(file, ns=(when, when))
            finally:
                os.close(file)
            self.files += 1
        finally:
            os.close(fd)

    # entries

    def _tree(self, top: int, entries: list[Entry], base: int, path: str, own: bool) -> None:
        links: dict[tuple[int, int], str] = {}
        stack = [_Open("", base)]
        try:
            for entry in entries:
                parent, _, name = entry.name.rpartition("/")
                while stack[-1].name and not (parent + "/").startswith(stack[-1].name + "/"):
                    os.close(stack.pop().fd)
                if entry.kind == "d":
                    where = _joined(path, entry.name)
                    fd = self._subdirectory(top, entry, stack[-1].fd, name, where, own)
                    stack.append(_Open(entry.name, fd))
                else:
                    where = _joined(path, entry.name)
                    self._one(top, entry, stack[-1].fd, name, where, own, links)
        finally:
            for one in stack[1:]:
                os.close(one.fd)

    def _subdirectory(
        self, top: int, entry: Entry, parent: int, name: str, path: str, own: bool
    ) -> int:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            pass
        try:
            fd = os.open(name, resolve.DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise UsageError(
                    f"cannot copy a directory to /{path}: there is something else",
                    hint="remove it in an earlier RUN, or copy to where the link leads",
                ) from None
            raise
        self._give(fd, path, self._owner(top, entry, own), self._moded(entry.mode, directory=True))
        self._times.append((path, entry.time))
        return fd

    def _owner(self, top: int, entry: Entry, own: bool) -> tuple[int, int]:
        if self.owner is not None:
            return self.owner
        if own and entry.source in self.whose:
            uid, gid = self.whose[entry.source]
            return uid, gid
        state = resolve.lookup(top, entry.source) if own else None
        return (state.st_uid, state.st_gid) if state is not None else (0, 0)

    def _moded(self, mode: int, *, directory: bool) -> int:
        return mode if self.mode is None else self.mode.apply(mode, directory=directory)

    def _give(self, fd: int, path: str, owner: tuple[int, int], mode: int) -> None:
        """Owner and mode; the mode last, because a new owner takes the set-id bits away."""
        if self.single:
            self.note(path, owner)
        else:
            state = os.fstat(fd)
            if (state.st_uid, state.st_gid) != owner:
                try:
                    os.fchown(fd, *owner)
                except OSError as error:
                    raise _unmapped(error, path, owner) from None
        os.fchmod(fd, mode)

    def _clear(self, parent: int, name: str) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.EPERM, errno.ENOTEMPTY):
                raise UsageError(
                    f'cannot copy a file over the directory "{name}"',
                    hint="end the destination with a slash to copy into it",
                ) from None
            raise

    def _one(
        self, top: int, entry: Entry, parent: int, name: str, path: str, own: bool,
        links: dict[tuple[int, int], str],
    ) -> None:  # fmt: skip
        self.files += 1
        if entry.kind == "f":
            self._file(top, entry, parent, name, path, own, links)
            return
        self._clear(parent, name)
        if entry.kind == "l":
            os.symlink(hashing.link_target(top, entry), name, dir_fd=parent)
            if not own:
                self.compare(entry, resolve.lookup(top, entry.source))
        else:
            os.mkfifo(name, 0o600, dir_fd=parent)
        owner = self._owner(top, entry, own)
        if self.single:
            self.note(path, owner)
        else:
            try:
                os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
            except OSError as error:
                raise _unmapped(error, path, owner) from None
        if entry.kind == "p":
            # nobody else writes here, so this is the pipe that was just made
            os.chmod(name, self._moded(entry.mode, directory=False), dir_fd=parent)
        kernel.calls.utimensat(parent, name, entry.time, entry.time)

    def _file(
        self, top: int, entry: Entry, parent: int, name: str, path: str, own: bool,
        links: dict[tuple[int, int], str],
    ) -> None:  # fmt: skip
        fd = resolve.open_at(top, entry.source, os.O_RDONLY | os.O_NONBLOCK)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise NotFound(f'"/{entry.source}" was exchanged while it was copied')
            if found.st_nlink > 1:
                first = links.setdefault((found.st_dev, found.st_ino), path)
                if first != path:
                    self._clear(parent, name)
                    os.link(first, name, src_dir_fd=self.root, dst_dir_fd=parent,
                            follow_symlinks=False)  # fmt: skip
                    if path_owner := self.owners.get(first):
                        self.owners[path] = path_owner
                    return
            owner = self._owner(top, entry, own) if self.whose else self.owner
            owner = owner or ((found.st_uid, found.st_gid) if own else (0, 0))
            mode = self._moded(entry.mode, directory=False)
            plain = not own or not os.listxattr(fd)
            if plain and found.st_size <= _SMALL:
                self._small(fd, entry, parent, name, path, owner, mode)
                if not own:
                    self.compare(entry, os.fstat(fd))
                return
            self._clear(parent, name)
            out = os.open(name, _NEW, 0o600, dir_fd=parent)
            try:
                self._content(fd, out, found.st_size)
                if not own:
                    self.compare(entry, os.fstat(fd))
                self._give(out, path, owner, mode)
                if not plain:
                    _attributes(fd, out)
                os.utime(out, ns=(entry.time, entry.time))
            finally:
                os.close(out)
        finally:
            os.close(fd)

    def _small(
        self, fd: int, entry: Entry, parent: int, name: str, path: str, owner: tuple[int, int],
        mode: int,
    ) -> None:  # fmt: skip
        """What most files are: by one call into C."""
        data = os.read(fd, _SMALL + 1)
        # of a file that grows meanwhile, what it had when it was looked at
        wanted = None if self.single else owner
        if self.single:
            self.note(path, owner)
        for attempt in (1, 2):
            try:
                refused = kernel.calls.new_file(
                    parent, name, data[:_SMALL], mode=mode, owner=wanted, time_ns=entry.time
                )
                break
            except FileExistsError:
                if attempt == 2:
                    raise
                self._clear(parent, name)
        if refused:
            raise _unmapped(OSError(errno.EINVAL if refused == 1 else errno.EPERM, ""), path, owner)

    def _content(self, source: int, out: int, size: int) -> None:
        if self._clone:
            try:
                kernel.calls.ioctl_ficlone(out, source)
                return
            except OSError:
                self._clone = False  # other file systems, or one that cannot
        at = 0
        while at < size:
            try:
                start = min(os.lseek(source, at, os.SEEK_DATA), size)
            except OSError:
                break  # a hole to its end
            try:
                end = min(os.lseek(source, start, os.SEEK_HOLE), size)
            except OSError:
                end = size
            os.lseek(out, start, os.SEEK_SET)
            at = start
            while at < end:
                data = os.pread(source, min(_PIECE, end - at), at)
                if not data:
                    break
                _write(out, data)
                at += len(data)
            if at < end:
                break
        os.ftruncate(out, size)

    def finish(self) -> None:
        """A directory's time changes with what is made in it, so these come last."""
        for path, when in reversed(self._times):
            try:
                fd = resolve.open_at(self.root, path, resolve.DIRECTORY)
            except OSError:
                continue
            try:
                os.utime(fd, ns=(when, when))
            finally:
                os.close(fd)
        self._times = []


def _joined(base: str, name: str) -> str:
    return f"{base}/{name}" if base else name


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _attributes(source: int, out: int) -> None:
    for name in os.listxattr(source):
        # what speaks to the overlay file system is of that one layer
        if name.startswith("user.overlay.") or not name.startswith(
            ("user.", "security.capability")
        ):
            continue
        try:
            os.setxattr(out, name, os.getxattr(source, name))
        except OSError:
            continue  # this file system has none


def _unmapped(error: OSError, path: str, owner: tuple[int, int]) -> Exception:
    if error.errno == errno.EINVAL:
        return StorageError(
            f'"/{path}" is to belong to {owner[0]}:{owner[1]}, which is not mapped here',
            hint="more subordinate ids are needed: see subuid(5), or use --userns single",
        )
    return StorageError(
        f'"/{path}" is to belong to {owner[0]}:{owner[1]}: {os.strerror(error.errno or 0).lower()}'
    )
