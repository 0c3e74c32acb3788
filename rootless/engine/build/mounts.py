"""What RUN --mount needs of a build's files.  Runs in the user namespace."""

from __future__ import annotations

import os
import stat

from rootless.build import copying, resolve, selecting
from rootless.storage.trees.remove import remove_worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def find_worker(request: Json) -> Json:
    """{"top", "path"} -> {"path" without links, "kind": "d", "f" or "" for nothing}."""
    top = resolve.open_root(request["top"])
    try:
        real = resolve.canonical(top, request["path"])
        found = resolve.lookup(top, real)
    finally:
        os.close(top)
    if found is None:
        return {"path": real, "kind": ""}
    return {"path": real, "kind": "d" if stat.S_ISDIR(found.st_mode) else "f"}


def targets_worker(request: Json) -> Json:
    """{"top", "paths"} -> each path without links that are on its way."""
    top = resolve.open_root(request["top"])
    try:
        return ["/" + resolve.canonical(top, path) for path in request["paths"]]
    finally:
        os.close(top)


def cache_worker(request: Json) -> Json:
    """{"directory", "making", "mode", "uid", "gid", "single"[, "top", "path"]}: make the directory
    of a cache mount, with files of a stage to begin with.  Whoever is first makes it."""
    final = request["directory"]
    making = request["making"]
    umask = os.umask(0)
    try:
        os.mkdir(making, 0o711)
        os.mkdir(os.path.join(making, "fs"), 0o755)
        root = resolve.open_root(os.path.join(making, "fs"))
        try:
            owner = (request["uid"], request["gid"])
            if "top" in request:
                _begin(root, request)
            if not request["single"]:
                os.fchown(root, *owner)
            os.fchmod(root, request["mode"])
        finally:
            os.close(root)
        try:
            # "fs" is in it, so that it never takes the place of another step's, which may be
            # mounted already: rename(2) replaces a directory that is empty, as a new cache is
            os.rename(making, final)
        except OSError:
            if not os.path.isdir(os.path.join(final, "fs")):
                raise
            remove_worker({"path": making})
    finally:
        os.umask(umask)
    return {}


def _begin(root: int, request: Json) -> None:
    top = resolve.open_root(request["top"])
    try:
        copier = copying.Copier(root, owner=None, mode=None, single=request["single"])
        for selected in selecting.select(top, request["path"] or "."):
            copier.copy(top, selected, "/", True, own=True)
        copier.finish()
    finally:
        os.close(top)


def give_worker(request: Json) -> Json:
    """{"path", "owner", "mode"}: of a file of ours that a step is to find as another user's."""
    os.chown(request["path"], *request["owner"])
    os.chmod(request["path"], request["mode"])
    return {}
