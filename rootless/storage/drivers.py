"""Which way a root file system is put together on this host, found by trying."""

from __future__ import annotations

import os

from rootless import documents, host, paths
from rootless.errors import HostError, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.rootfs import RootMount, Server
    from rootless.userns.idmap import Extents, IdMaps

NAMES = ("overlay", "fuse-overlayfs", "python-fuse", "copy")


class Choice:
    """`name` of the driver and `why` it was taken; `remap`: the container sees other ids than
    those the layers are stored with, as (uid, gid) option texts of fuse-overlayfs."""

    __slots__ = ("name", "remap", "why")

    def __init__(self, name: str, why: str, remap: tuple[str, str] = ("", "")) -> None:
        self.name = name
        self.why = why
        self.remap = remap


def choose(requested: str | None, maps: IdMaps, storage_maps: IdMaps) -> Choice:
    """Raises UsageError for an unknown name, HostError for a driver that cannot work here."""
    if requested and requested not in NAMES:
        raise UsageError(f'unknown storage driver "{requested}"', hint=", ".join(NAMES))
    remapped = maps.uids != storage_maps.uids or maps.gids != storage_maps.gids
    if remapped:
        return _remapped(requested, maps, storage_maps)
    if requested == "copy":
        return Choice("copy", "asked for")
    if requested == "python-fuse":
        return Choice("python-fuse", "asked for")
    if requested in (None, "", "overlay"):
        problem = overlay_obstacle(storage_maps)
        if not problem:
            return Choice("overlay", "the kernel's overlay works in a user namespace here")
        if requested:
            raise HostError(f"native overlay cannot be used: {problem}", hint="try fuse-overlayfs")
    else:
        problem = "asked for"
    missing = fuse_obstacle()
    if not missing:
        return Choice(
            "fuse-overlayfs", f"native overlay: {problem}" if not requested else "asked for"
        )
    if requested:
        raise HostError(f"fuse-overlayfs cannot be used: {missing}", hint="see rootless doctor")
    return Choice("copy", f"native overlay: {problem}; fuse-overlayfs: {missing}")


def _remapped(requested: str | None, maps: IdMaps, storage_maps: IdMaps) -> Choice:
    missing = fuse_obstacle()
    if missing or requested in ("overlay", "copy"):
        raise HostError(
            f"this id map needs fuse-overlayfs: {missing or f'not {requested}'}",
            hint="install fuse-overlayfs, or leave out --userns",
        )
    texts = (
        mapping(maps.uids, storage_maps.uids),
        mapping(maps.gids, storage_maps.gids),
    )
    return Choice("fuse-overlayfs", "the ids of this container differ from those in storage", texts)


_OVERFLOW = 65534  # what stat(2) shows for an owner that is not mapped (user_namespaces(7))


def mapping(view: Extents, stored: Extents) -> str:
    """fuse-overlayfs' uidmapping: for every id of the image, the id that this namespace has for
    the host id with which the layers store it.  `beneath:shown:count`, separated by colons.

    A person's own id, which stores the files of the image's root, may not exist in the container
    (`nomap`): they are seen with the overflow id, which then stands for root and for nobody else.
    Raises UsageError when that id is not mapped either.
    """
    parts: list[tuple[int, int, int]] = []
    lost = False
    for inside, outside, size in stored:
        found = False
        for view_in, view_out, view_size in view:
            low = max(outside, view_out)
            high = min(outside + size, view_out + view_size)
            if low < high:
                found = True
                parts.append((inside + low - outside, view_in + low - view_out, high - low))
        lost = lost or (inside == 0 and not found)
    if lost:
        if not any(first <= _OVERFLOW < first + size for first, _, size in view):
            raise UsageError(
                "this id map has neither your own id, to which the image's files belong, "
                f"nor {_OVERFLOW} to stand for it",
                hint="map 0 (your own id) somewhere, or 65535 ids and more",
            )
        parts = _without(parts, _OVERFLOW) + [(0, _OVERFLOW, 1)]
    parts.sort()
    return ":".join(f"{beneath}:{shown}:{count}" for shown, beneath, count in parts)


def _without(parts: list[tuple[int, int, int]], beneath: int) -> list[tuple[int, int, int]]:
    made = []
    for shown, first, count in parts:
        if first <= beneath < first + count:
            before = beneath - first
            made.append((shown, first, before))
            made.append((shown + before + 1, beneath + 1, count - before - 1))
        else:
            made.append((shown, first, count))
    return [part for part in made if part[2] > 0]


def fuse_obstacle() -> str:
    """Why fuse-overlayfs cannot work, empty if it can."""
    if not host.current().fuse_overlayfs:
        return "the program fuse-overlayfs is not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    return ""


def overlay_obstacle(maps: IdMaps) -> str:
    """Why native overlay cannot work for this user on the data directory's file system.

    Tried once for each kernel and file system, then remembered.
    """
    data = paths.data_dir()
    while not os.path.isdir(data):
        data = os.path.dirname(data)
    device = os.stat(data).st_dev
    kind = "single" if maps.single else "mapped"
    name = f"overlay-{os.uname().release}-{device:x}-{kind}.json"
    path = os.path.join(paths.cache_dir(), name)
    try:
        return str(documents.read(path)["obstacle"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    problem = _try_overlay(data, maps)
    try:
        os.makedirs(paths.cache_dir(), 0o700, exist_ok=True)
        documents.write(path, {"obstacle": problem})
    except OSError:
        pass
    return problem


def _try_overlay(data: str, maps: IdMaps) -> str:
    from rootless.userns import calls

    directory = os.path.join(data, f".overlay-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        for one in ("", "/lower", "/upper", "/work", "/merged"):
            os.mkdir(directory + one, 0o755)
        return str(
            calls.call(
                "rootless.storage.drivers:probe_worker",
                {"directory": directory},
                maps=maps,
                mount_namespace=True,
            )
        )
    except (OSError, RootlessError) as error:
        return str(error)
    finally:
        from rootless.storage import rootfs

        rootfs.remove(directory, maps)


def probe_worker(request: Json) -> Json:
    """Runs in the namespace: mount an overlay, write, delete; "" or what failed."""
    from rootless import kernel

    base = request["directory"]
    try:
        with open(base + "/lower/file", "w", encoding="ascii") as file:
            file.write("x")
        data = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work,userxattr,volatile"
        kernel.calls.mount("overlay", base + "/merged", "overlay", 0, data)
        with open(base + "/merged/file", "a", encoding="ascii") as file:
            file.write("y")
        os.unlink(base + "/merged/file")
        kernel.calls.umount2(base + "/merged", 0)
    except OSError as error:
        return f"{error.strerror} on this file system"
    return ""


def server(mount: RootMount) -> Server:
    """The program that serves `mount.merged`, for drivers that are no part of the kernel."""
    from rootless.storage.rootfs import Server

    if mount.driver == "python-fuse":
        return Server(python_fuse_argv(mount), mount.merged)
    return Server(fuse_overlayfs_argv(mount), mount.merged)


def python_fuse_argv(mount: RootMount) -> list[str]:
    """How this package's own overlay is started (storage/pyfuse/server.py)."""
    import sys

    order: Json = {
        "path": sys.path,
        "lowers": mount.lowers,
        "upper": mount.upper,
        "work": mount.work,
        "target": mount.merged,
        "volatile": mount.volatile,
        "uids": mount.uidmapping,
        "gids": mount.gidmapping,
        "options": [
            "use_ino", "allow_other", "default_permissions", "big_writes", "atomic_o_trunc",
            "suid", "dev", "fsname=python-fuse", "attr_timeout=1", "entry_timeout=3600",
            "negative_timeout=3600",
        ],
    }  # fmt: skip
    program = os.path.join(paths.PACKAGE, "storage", "pyfuse", "server.py")
    return [sys.executable, "-IS", program, documents.dumps(order)]


def fuse_overlayfs_argv(mount: RootMount) -> list[str]:
    """How fuse-overlayfs is started; it stays in the foreground under the monitor."""
    options = [
        "lowerdir=" + ":".join(mount.lowers),
        f"upperdir={mount.upper}",
        f"workdir={mount.work}",
    ]
    if mount.volatile:
        options.append("volatile")
    if mount.uidmapping:
        options += [f"uidmapping={mount.uidmapping}", f"gidmapping={mount.gidmapping}"]
    return [host.current().fuse_overlayfs, "-f", "-o", ",".join(options), mount.merged]
