"""Two trees of layers held against each other.  Runs in the user namespace."""

from __future__ import annotations

import os
import stat

from rootless.storage.layers import layer_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def images_worker(request: Json) -> Json:
    """{"new", "old"} (directories, topmost first) -> [[kind, path], ...], sorted by path.

    Kinds are docker's: A added, C changed, D deleted.  What differs is found by kind, mode, owner,
    size, time and link target; contents are not read.
    """
    found: list[list[str]] = []
    with (
        layer_view.Directory.open(request["new"]) as new,
        layer_view.Directory.open(request["old"]) as old,
    ):
        _compare(new, old, "", found)
    return sorted(found, key=lambda one: one[1])


def _compare(
    new: layer_view.Directory, old: layer_view.Directory, path: str, found: list[list[str]]
) -> None:
    ours = {entry.name: entry for entry in new.entries()}
    theirs = {entry.name: entry for entry in old.entries()}
    for name, entry in ours.items():
        inner = f"{path}/{name}"
        before = theirs.get(name)
        is_directory = stat.S_ISDIR(entry.found.st_mode)
        changed = len(found)
        if is_directory:
            with new.enter(name) as below, old.enter(name) as other:
                _compare(below, other, inner, found)
        if before is None:
            found.append(["A", inner])
        elif not _same(entry, before) or len(found) > changed:
            found.append(["C", inner])
    found.extend(["D", f"{path}/{name}"] for name in theirs if name not in ours)


def _same(one: layer_view.Entry, other: layer_view.Entry) -> bool:
    a, b = one.found, other.found
    if (a.st_mode, a.st_uid, a.st_gid) != (b.st_mode, b.st_uid, b.st_gid):
        return False
    if stat.S_ISREG(a.st_mode):
        return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)
    if stat.S_ISLNK(a.st_mode):
        return os.readlink(one.name, dir_fd=one.parent) == os.readlink(
            other.name, dir_fd=other.parent
        )
    return True
