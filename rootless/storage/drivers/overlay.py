"""The driver `overlay`: the kernel's overlay file system, mounted in a user namespace.

Source: the kernel's overlayfs.rst.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import HostError, RootlessError
from rootless.storage.drivers.driver import Driver, KernelMount, RootMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps

_MOST_LOWERS = 500  # OVL_MAX_STACK of fs/overlayfs
_PAGE = 4000  # bytes of options that mount(2) takes, and room for what the launcher adds


class Overlay(Driver):
    """Costs nothing while a container runs; needs Linux 5.11 and a file system that it takes."""

    name = "overlay"
    title = "native overlay"
    works = "the kernel's overlay works in a user namespace here"
    used = "the kernel's overlay file system works in a user namespace"
    known_options = {"volatile": "", "index": "on|off", "xino": "on|off|auto"}
    volatile_once = True

    def why_not(self, maps: IdMaps, *, remapped: bool = False, data: str = "") -> str:
        """Try it once for each kernel and file system."""
        if remapped:
            return (
                "the container's ids differ from those in storage, and idmapped mounts are root's"
            )
        return obstacle(maps, data)

    def mounts(self, mount: RootMount) -> list[KernelMount]:
        """Lower directories are named relative to where they all lie, because the kernel takes at
        most one page of options; more than a hundred are named by links."""
        if len(mount.lowers) > _MOST_LOWERS:
            raise HostError(
                f"the image has {len(mount.lowers)} layers, and the kernel's overlay takes "
                f"{_MOST_LOWERS} at most",
                hint="use --storage-driver fuse-overlayfs, or make the image again with fewer "
                "layers",
            )
        base = os.path.commonpath([os.path.dirname(lower) for lower in mount.lowers])
        data = _data(mount, [os.path.relpath(lower, base) for lower in mount.lowers])
        if len(data) > _PAGE:
            base, names = _linked(mount)
            data = _data(mount, names)
        return [KernelMount("overlay", mount.merged, data, base)]

    def mount_read_only(self, path: str, base: str, lowers: list[str]) -> bool:
        """False for more layers than fit into a page."""
        from rootless import kernel

        names = ":".join(os.path.relpath(one, base) for one in lowers)
        if len(names) >= _PAGE:
            return False
        flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
        before = os.getcwd()
        try:
            os.chdir(base)
            kernel.calls.mount("overlay", path, "overlay", flags, f"lowerdir={names},userxattr")
        finally:
            os.chdir(before)
        return True

    def made(self, kinds: Collection[str], server: Sequence[str]) -> bool:
        """It is the one that mounts a file system of this kind on the host."""
        return "overlay" in kinds


def _data(mount: RootMount, names: list[str]) -> str:
    lowers = ":".join([_escape(name) for name in names])
    options = [
        f"lowerdir={lowers}",
        f"upperdir={_escape(mount.upper)}",
        f"workdir={_escape(mount.work)}",
        "userxattr",
    ]
    if mount.volatile and "volatile" not in mount.options:
        options.append("volatile")
    options += [f"{name}={value}" if value else name for name, value in mount.options.items()]
    return ",".join(options)


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _linked(mount: RootMount) -> tuple[str, list[str]]:
    """A directory of links to the layers beside the container's other ones, and their names."""
    base = os.path.join(os.path.dirname(mount.merged), "lowers")
    os.makedirs(base, 0o755, exist_ok=True)
    for number, lower in enumerate(mount.lowers):
        try:
            os.symlink(lower, os.path.join(base, str(number)))
        except FileExistsError:
            pass  # of the same container, whose layers never change
    return base, [str(number) for number in range(len(mount.lowers))]


def obstacle(maps: IdMaps, data: str = "") -> str:
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
                "rootless.storage.drivers.overlay:probe_worker",
                {"directory": directory},
                maps=maps,
                mount_namespace=True,
            )
        )
    except (OSError, RootlessError) as error:
        return str(error)
    finally:
        from rootless.storage.trees.remove import remove

        remove(directory, maps)


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


DRIVER = Overlay()
