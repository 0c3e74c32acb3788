"""The driver `copy`: every container has files of its own.  Runs inside the user namespace."""

from __future__ import annotations

import os
import shutil
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def copy_worker(request: Json) -> Json:
    """{"layers" (lowest first), "target", "single"}: copy one over the other, whiteouts applied."""
    for layer in request["layers"]:
        _merge(layer, request["target"], request["single"])
    return True


def give_worker(request: Json) -> Json:
    """{"paths", "uid", "gid"}: change owners."""
    for path in request["paths"]:
        os.chown(path, request["uid"], request["gid"], follow_symlinks=False)
    return True


def _merge(source: str, target: str, single: bool) -> None:
    if "user.overlay.opaque" in os.listxattr(source):
        for name in os.listdir(target):
            _remove(os.path.join(target, name))
    for entry in os.scandir(source):
        into = os.path.join(target, entry.name)
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            _remove(into)
            continue
        if entry.is_dir(follow_symlinks=False):
            if os.path.islink(into) or (os.path.lexists(into) and not os.path.isdir(into)):
                _remove(into)
            os.makedirs(into, exist_ok=True)
            _merge(entry.path, into, single)
        else:
            _remove(into)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), into)
            elif stat.S_ISREG(found.st_mode):
                shutil.copyfile(entry.path, into)
            else:
                continue
        if not single:
            os.chown(into, found.st_uid, found.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            shutil.copystat(entry.path, into, follow_symlinks=False)
            os.chmod(into, stat.S_IMODE(found.st_mode))
    shutil.copystat(source, target)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
