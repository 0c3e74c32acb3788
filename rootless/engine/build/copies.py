"""Builds where no overlay can be had: one tree of plain files, changed by step after step.

Scope: which files a step has changed, as a layer in the form of an overlay's upper directory; mount
points that are put into a tree and taken out again.  Runs in the user namespace.

What was changed is told by the time of change (ctime), which nobody can set: `mark` is the time of
a file that was made when the tree was ready, and nothing was written for a tick of the clock after.
Files are an image's and may be hostile: they are opened below descriptors, without links.
"""

from __future__ import annotations

import os
import stat

from rootless import kernel
from rootless.build import copying, resolve, selecting
from rootless.build.selecting import Entry, Selected
from rootless.storage.layers import layer_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def layer_worker(request: Json) -> Json:
    """{"root", "lowers", "mark", "target", "single", "clean"}: write the layer of what was changed.

    `clean`: directories that only mount points of ours have changed.

    Returns {"changed": how many}.  `target` is an empty directory.
    """
    os.umask(0)
    root = resolve.open_root(request["root"])
    target = resolve.open_root(request["target"])
    try:
        found = _Changes(request["mark"], set(request["clean"]))
        with layer_view.Directory.open(request["lowers"]) as below:
            found.walk(root, "", below)
        copier = copying.Copier(target, owner=None, mode=None, single=request["single"])
        copier.copy(root, Selected(True, found.entries), "/", True, own=True)
        for path in found.gone:
            _whiteout(target, path)
        copier.finish()
        top = os.fstat(root)
        changed = len(found.entries) + len(found.gone)
        now = os.fstat(target)
        if (top.st_uid, top.st_gid) != (now.st_uid, now.st_gid):
            os.fchown(target, top.st_uid, top.st_gid)
        os.fchmod(target, stat.S_IMODE(top.st_mode))
        return {"changed": changed}
    finally:
        os.close(target)
        os.close(root)


class _Changes:
    def __init__(self, mark: int, clean: set[str]) -> None:
        self.mark = mark
        self.clean = clean
        self.entries: list[Entry] = []
        self.gone: list[str] = []

    def walk(self, fd: int, path: str, below: layer_view.Directory) -> bool:
        """Everything in a directory; whether something in it was changed."""
        changed = False
        names = set()
        with os.scandir(fd) as listed:
            rows = sorted(listed, key=lambda one: one.name)
        for one in rows:
            names.add(one.name)
            state = one.stat(follow_symlinks=False)
            kind = selecting.KINDS.get(stat.S_IFMT(state.st_mode))
            if kind is None:
                continue
            inner = f"{path}/{one.name}" if path else one.name
            entry = selecting.entry_of(kind, inner, inner, state)
            touched = state.st_ctime_ns > self.mark and inner not in self.clean
            if kind != "d":
                if touched:
                    self.entries.append(entry)
                    changed = True
                continue
            place = len(self.entries)
            directory = os.open(one.name, resolve.DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            try:
                with below.enter(one.name) as deeper:
                    touched = self.walk(directory, inner, deeper) or touched
            finally:
                os.close(directory)
            if touched:
                self.entries.insert(place, entry)
                changed = True
        # a name that is gone has changed the directory
        if os.fstat(fd).st_ctime_ns > self.mark and path not in self.clean:
            for row in below.entries():
                if row.name not in names and stat.S_IFMT(row.found.st_mode) in selecting.KINDS:
                    self.gone.append(f"{path}/{row.name}" if path else row.name)
                    changed = True
        return changed


def _whiteout(target: int, path: str) -> None:
    parent, _, name = path.rpartition("/")
    fd = resolve.open_at(target, parent, resolve.DIRECTORY)
    try:
        kernel.calls.mknodat(fd, name, stat.S_IFCHR, 0)
    except PermissionError:
        # before Linux 5.8 nobody but real root: the plain form, which is read as well
        flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(layer_view.PREFIX + name, flags, 0o600, dir_fd=fd))
    finally:
        os.close(fd)


def put_worker(request: Json) -> Json:
    """{"root", "points": [[path, "d" or "f", text]…]}: make mount points that are missing.

    Returns {"made": outermost first, "parents": {directory: [time afterwards, time before]}}.
    """
    os.umask(0o022)
    root = resolve.open_root(request["root"])
    made: list[str] = []
    before: dict[str, int] = {}
    try:
        for path, kind, text in request["points"]:
            real = resolve.canonical(root, path)
            at = ""
            parts = real.split("/")
            for number, name in enumerate(parts):
                parent, at = at, f"{at}/{name}" if at else name
                if resolve.lookup(root, at) is not None:
                    continue
                fd = resolve.open_at(root, parent, resolve.DIRECTORY)
                before.setdefault(parent, os.fstat(fd).st_mtime_ns)
                try:
                    if number + 1 < len(parts) or kind == "d":
                        os.mkdir(name, 0o755, dir_fd=fd)
                    else:
                        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                        file = os.open(name, flags, 0o644, dir_fd=fd)
                        os.write(file, text.encode())
                        os.close(file)
                finally:
                    os.close(fd)
                made.append(at)
        parents = {path: [_time(root, path), when] for path, when in before.items()}
    finally:
        os.close(root)
    return {"made": made, "parents": parents}


def _time(root: int, path: str) -> int:
    found = resolve.lookup(root, path)
    return found.st_mtime_ns if found is not None else -1


def _forget_marks(parent: int, name: str) -> None:
    """Of a directory in which there is nothing but what a server of files notes."""
    fd = os.open(name, resolve.DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        names = os.listdir(fd)
        if all(one in layer_view.MARKS for one in names):
            for one in names:
                os.unlink(one, dir_fd=fd)
    finally:
        os.close(fd)


def take_worker(request: Json) -> Json:
    """{"root", "made", "parents", "own"}: remove mount points again, as far as they are still
    empty (or, for those of `own`, whatever is in them).

    Returns directories that nobody else has changed, whose times are put back.
    """
    root = resolve.open_root(request["root"])
    try:
        parents = request["parents"]
        same = [path for path, (after, _) in parents.items() if _time(root, path) == after]
        for path in reversed(request["made"]):
            parent, _, name = path.rpartition("/")
            try:
                fd = resolve.open_at(root, parent, resolve.DIRECTORY)
            except OSError:
                continue
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    _forget_marks(fd, name)
                    os.rmdir(name, dir_fd=fd)
                elif found.st_size == 0 or path in request["own"]:
                    os.unlink(name, dir_fd=fd)
            except OSError:
                continue  # the step has put something there, or removed it
            finally:
                os.close(fd)
        clean = []
        for path in same:
            try:
                fd = resolve.open_at(root, path, resolve.DIRECTORY)
            except OSError:
                continue
            try:
                os.utime(fd, ns=(parents[path][1], parents[path][1]))
            finally:
                os.close(fd)
            clean.append(path)
    finally:
        os.close(root)
    return clean
