"""The driver `copy`: every container has files of its own.  Runs inside the user namespace.

The source is a layer, made by the unpacker and closed to containers; the target is a directory that
no process has seen yet.  So names are safe here as long as links are never followed.
"""

from __future__ import annotations

import os
import stat

from rootless.storage.trees import copy_content
from rootless.storage.trees.remove import discard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.drivers.pyfuse.ids import Ids

_HIDDEN = "user.overlay."


def copy_worker(request: Json) -> Json:
    """{"layers" (lowest first), "target", "single"}: copy one over the other, whiteouts applied.

    {"uids", "gids"}: texts of `ids.Ids`, for a container that has other ids.
    """
    from rootless.storage.drivers.pyfuse.ids import Ids

    uids, gids = Ids(request.get("uids", "")), Ids(request.get("gids", ""))
    for layer in request["layers"]:
        merge = _Merge(request["target"], request["single"])
        merge.uids, merge.gids = uids, gids
        merge.directory(layer, request["target"])
    return True


class _Merge:
    """One layer on its way over what is there."""

    def __init__(self, target: str, single: bool) -> None:
        self.target = target
        self.single = single
        self.uids: Ids | None = None
        self.gids: Ids | None = None
        self._links: dict[int, str] = {}

    def directory(self, source: str, target: str) -> None:
        """What is in a directory, and then the directory's own attributes."""
        if _HIDDEN + "opaque" in os.listxattr(source):
            for name in os.listdir(target):
                discard(os.path.join(target, name))
        with os.scandir(source) as entries:
            for entry in entries:
                self._entry(entry, os.path.join(target, entry.name))
        self._attributes(source, target, os.stat(source))

    def _entry(self, entry: os.DirEntry[str], into: str) -> None:
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            discard(into)
            return
        if stat.S_ISDIR(found.st_mode):
            if os.path.islink(into) or (os.path.lexists(into) and not os.path.isdir(into)):
                discard(into)
            os.makedirs(into, exist_ok=True)
            self.directory(entry.path, into)
            return
        discard(into)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            first = self._links.setdefault(found.st_ino, into)
            if first != into:
                os.link(first, into)
                return
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(entry.path), into)
        elif stat.S_ISREG(found.st_mode):
            copy_content.copy_file(entry.path, into)
        elif stat.S_ISFIFO(found.st_mode):
            os.mkfifo(into)
        else:
            return
        self._attributes(entry.path, into, found)

    def _attributes(self, source: str, into: str, found: os.stat_result) -> None:
        if not self.single:
            uid, gid = found.st_uid, found.st_gid
            if self.uids is not None and self.gids is not None:
                uid, gid = _beneath(self.uids, uid), _beneath(self.gids, gid)
            os.chown(into, uid, gid, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(into, stat.S_IMODE(found.st_mode))
            for name in os.listxattr(source):
                if not name.startswith(_HIDDEN):
                    _set(into, name, os.getxattr(source, name))
        times = (found.st_atime_ns, found.st_mtime_ns)
        os.utime(into, ns=times, follow_symlinks=False)


def _set(path: str, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError:
        pass  # this file system has none, or the label is the host's to give


def _beneath(ids: Ids, number: int) -> int:
    """The id that the container knows as `number`; its root's where it has no such id."""
    try:
        return ids.beneath(number)
    except OSError:
        return ids.beneath(0)
