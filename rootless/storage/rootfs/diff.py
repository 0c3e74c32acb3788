"""What a container has changed: its upper directory held against the layers below.

Runs inside the user namespace.  Source: the kernel's overlayfs.rst (whiteouts, opaque directories),
fuse-overlayfs(1) for the forms it writes where device nodes cannot be made.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_WHITEOUT = ".wh."


def diff_worker(request: Json) -> Json:
    """{"upper", "lowers" (topmost first)} -> [[kind, path], ...], sorted by path.

    Kinds are docker's: A added, C changed, D deleted.
    """
    found: list[list[str]] = []
    if request.get("servers"):
        from rootless.storage.rootfs import fuse_session

        with fuse_session.Servers(request["servers"]):
            _walk(request["upper"], "", request["lowers"], found)
    else:
        _walk(request["upper"], "", request["lowers"], found)
    return sorted(found, key=lambda one: one[1])


def _walk(upper: str, path: str, lowers: list[str], found: list[list[str]]) -> None:
    for entry in os.scandir(upper + path):
        inner = f"{path}/{entry.name}"
        status = entry.stat(follow_symlinks=False)
        if entry.name.startswith(_WHITEOUT):
            # of fuse-overlayfs: the one of the specification, and its own
            if entry.name not in (".wh..wh..opq", ".wh..opq"):
                found.append(["D", f"{path}/{entry.name[len(_WHITEOUT) :]}"])
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            found.append(["D", inner])
            continue
        found.append(["C" if _below(lowers, inner) else "A", inner])
        if entry.is_dir(follow_symlinks=False):
            _walk(upper, inner, lowers, found)


def _below(lowers: list[str], path: str) -> bool:
    """Whether the union of the lower directories has this path."""
    parts = path.strip("/").split("/")
    for lower in lowers:
        at = lower
        for number, part in enumerate(parts):
            at += "/" + part
            try:
                status = os.lstat(at)
            except OSError:
                if number and _opaque(os.path.dirname(at)):
                    return False
                break
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                return False
            if number + 1 < len(parts) and not stat.S_ISDIR(status.st_mode):
                return False
        else:
            return True
    return False


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, "user.overlay.opaque") == b"y"
    except OSError:
        return False


def compare_worker(request: Json) -> Json:
    """As diff_worker, for the driver `copy`: {"merged", "lowers"}; compares times and sizes."""
    found: list[list[str]] = []
    seen: set[str] = set()
    merged = request["merged"]
    for directory, names, files in os.walk(merged):
        base = directory[len(merged) :]
        for name in names + files:
            path = f"{base}/{name}"
            seen.add(path)
            kind = _compared(merged + path, request["lowers"], path)
            if kind:
                found.append([kind, path])
    for path in _union(request["lowers"]):
        if path not in seen and os.path.dirname(path) in seen | {"/", ""}:
            found.append(["D", path])
    return sorted(found, key=lambda one: one[1])


def _compared(full: str, lowers: list[str], path: str) -> str:
    if not _below(lowers, path):
        return "A"
    ours = os.lstat(full)
    for lower in lowers:
        try:
            theirs = os.lstat(lower + path)
        except OSError:
            continue
        same = (ours.st_mode, ours.st_uid, ours.st_gid) == (
            theirs.st_mode, theirs.st_uid, theirs.st_gid,
        )  # fmt: skip
        if stat.S_ISREG(ours.st_mode):
            same = same and (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
        elif stat.S_ISLNK(ours.st_mode) and same:
            same = os.readlink(full) == os.readlink(lower + path)
        elif stat.S_ISDIR(ours.st_mode):
            same = same and ours.st_mtime_ns == theirs.st_mtime_ns
        return "" if same else "C"
    return "A"


def _union(lowers: list[str]) -> set[str]:
    paths = set()
    for lower in lowers:
        for directory, names, files in os.walk(lower):
            base = directory[len(lower) :]
            for name in names + files:
                if _below(lowers, f"{base}/{name}"):
                    paths.add(f"{base}/{name}")
    return paths
