"""Which way a root file system is put together on this host, found by trying."""

from __future__ import annotations

import os
import sys

from rootless import documents, host, paths
from rootless.errors import HostError, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.rootfs.root_filesystem import RootMount, Server
    from rootless.userns.idmap import IdMaps

NAMES = ("overlay", "fuse-overlayfs", "python-fuse", "copy")
"""In the order in which they are tried."""

_WORKS = {
    "overlay": "the kernel's overlay works in a user namespace here",
    "fuse-overlayfs": "the program is installed and /dev/fuse is open",
    "python-fuse": "this package's own overlay, through fuse-python and /dev/fuse",
    "copy": "works everywhere; every container has all files of its image for itself",
}


class Choice:
    """`name` of the driver and `why` it was taken; `remap`: the container sees other ids than
    those the layers are stored with, as (uid, gid) option texts (storage.remapping); `options`:
    what `--storage-opt` says; `nested`: the container's user namespace is to lie within one that
    has the ids of storage, where its server works."""

    __slots__ = ("name", "nested", "options", "remap", "why")

    def __init__(self, name: str, why: str, remap: tuple[str, str] = ("", "")) -> None:
        self.name = name
        self.why = why
        self.remap = remap
        self.options: dict[str, str] = {}
        self.nested = False


def choose(
    requested: str | None,
    maps: IdMaps,
    storage_maps: IdMaps,
    options: list[str] | None = None,
    *,
    nest: bool = False,
    data: str = "",
) -> Choice:
    """The first driver that works, or the one that was asked for.  `nest`: whether the container's
    namespace is new, so that another one can be put around it.  `data`: the data directory, whose
    file system decides; the person's own without.

    Raises UsageError for an unknown name or option, HostError for a driver that cannot work here.
    """
    if requested and requested not in NAMES:
        raise UsageError(f'unknown storage driver "{requested}"', hint=", ".join(NAMES))
    remap = ("", "")
    unseen = ""
    if maps.uids != storage_maps.uids or maps.gids != storage_maps.gids:
        from rootless.storage.rootfs import id_remap

        try:
            remap = id_remap.texts(maps, storage_maps)
        except UsageError:
            # a server runs in the container's namespace, where these owners are all "nobody"
            unseen = "the container lacks the ids to which the image's files belong"
            remap = id_remap.texts(storage_maps, maps)
    problems: list[str] = []
    for name in (requested,) if requested else NAMES:
        problem = obstacle(name, storage_maps, remapped=remap != ("", ""), data=data)
        nested = bool(unseen) and nest and name == "fuse-overlayfs" and not storage_maps.single
        if unseen and name not in ("overlay", "copy") and not nested:
            problem = unseen
        if not problem:
            why = "asked for" if requested else "; ".join(problems) or _WORKS[name]
            made = Choice(name, why, remap)
            if nested:
                made.nested = True
                made.remap = (
                    id_remap.around(maps.uids, storage_maps.uids),
                    id_remap.around(maps.gids, storage_maps.gids),
                )
            if options:
                from rootless.storage.drivers import options as words

                made.options = words.parse(name, options)
            return made
        problems.append(f"{'native overlay' if name == 'overlay' else name}: {problem}")
    raise HostError(
        f"the storage driver {problems[0].replace(': ', ' cannot be used: ', 1)}",
        hint="leave out --storage-driver for the best one that works; rootless info lists them",
    )


def listed(maps: IdMaps, data: str = "") -> list[Json]:
    """Every driver: its name, whether it can be used here, and why or why not."""
    made = []
    for name in NAMES:
        problem = obstacle(name, maps, data=data)
        made.append({"Name": name, "Usable": not problem, "Reason": problem or _WORKS[name]})
    return made


def obstacle(name: str, maps: IdMaps, *, remapped: bool = False, data: str = "") -> str:
    """Why a driver cannot work here; empty if it can."""
    if name == "overlay":
        if remapped:
            return (
                "the container's ids differ from those in storage, and idmapped mounts are root's"
            )
        return overlay_obstacle(maps, data)
    if name == "fuse-overlayfs":
        return fuse_obstacle()
    if name == "python-fuse":
        return python_fuse_obstacle()
    return ""


def fuse_obstacle() -> str:
    """Why fuse-overlayfs cannot work, empty if it can."""
    if not host.current().fuse_overlayfs:
        return "the program fuse-overlayfs is not installed"
    return _device_obstacle()


def python_fuse_obstacle() -> str:
    """Why our own overlay cannot work, empty if it can.  Looks for the library, loads nothing."""
    if not python_fuse_library():
        return "the library fuse-python is not installed"
    return _device_obstacle()


def python_fuse_library() -> bool:
    """Whether fuse-python is installed."""
    return any(os.path.isdir(os.path.join(one, "fuseparts")) for one in sys.path if one)


def _device_obstacle() -> str:
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    return ""


def overlay_obstacle(maps: IdMaps, data: str = "") -> str:
    """Why native overlay cannot work for this user on the data directory's file system.

    Tried once for each kernel and file system, then remembered.
    """
    data = data or paths.data_dir()
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
                "rootless.storage.drivers.probe:probe_worker",
                {"directory": directory},
                maps=maps,
                mount_namespace=True,
            )
        )
    except (OSError, RootlessError) as error:
        return str(error)
    finally:
        from rootless.storage.rootfs import root_filesystem

        root_filesystem.remove(directory, maps)


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
    from rootless.storage.drivers import options as driver_options
    from rootless.storage.rootfs.root_filesystem import Server

    if mount.driver == "python-fuse":
        # an interpreter in a home of its own is closed to root of a map without the person's id
        return Server(driver_options.python_fuse(mount), mount.merged, late=mount.late)
    return Server(driver_options.fuse_overlayfs(mount), mount.merged)
