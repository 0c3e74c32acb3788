"""A container's root file system: its directories, reading from it, removing it."""

from __future__ import annotations

import os
import stat

from rootless import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.drivers.probe import Choice
    from rootless.userns.idmap import IdMaps


class Server:
    """A program that serves a file system (FUSE) to one container.

    The monitor starts it, in the container's user and mount namespace and as its root, and the
    launcher waits until something is mounted at `mount_point`, an existing directory of the host,
    before it starts the next one.  `argv[0]` is an absolute path; the program stays in the
    foreground and ends at SIGTERM.  It is ended after the container, and the container with it.
    `late`: its file may be closed to root of the container's map (`nomap`), so it keeps the
    person's ids, has all capabilities, and becomes root by itself.
    """

    __slots__ = ("argv", "late", "mount_point")

    def __init__(self, argv: list[str], mount_point: str, *, late: bool = False) -> None:
        self.argv = argv
        self.mount_point = mount_point
        self.late = late

    def order(self) -> tuple[str, ...]:
        """The arguments of the monitor's order `fuse`."""
        return ("1" if self.late else "0", *self.argv)

    def as_json(self) -> list[str]:
        """For `container.json` and for workers: `[late, mount point, argv...]`."""
        return ["1" if self.late else "", self.mount_point, *self.argv]

    @classmethod
    def from_json(cls, value: list[str]) -> Server:
        """The opposite of `as_json`."""
        return cls(value[2:], value[1], late=bool(value[0]))


class RootMount:
    """What is to be mounted: `lowers` (topmost first), `upper`, `work`, at `merged`.

    `servers`: file systems that programs serve, in the order in which they are started: those of
    single layers first, then the one that serves `merged`, if the kernel does not.  `served`: some
    lower directories are empty until their servers run.  `single`: of one id; `late`: root of the
    map may not read this package; `forced`: what `--storage-opt` says.

    `volatile`: nothing is ever written through to the disk, not even when a program in the
    container asks for it; only for what is removed at its end, and never mounted twice.
    """

    __slots__ = (
        "driver",
        "forced",
        "gidmapping",
        "late",
        "lowers",
        "memory",
        "merged",
        "options",
        "served",
        "servers",
        "single",
        "uidmapping",
        "upper",
        "volatile",
        "work",
    )

    def __init__(
        self, driver: str, directory: str, lowers: list[str], *, volatile: bool = False
    ) -> None:
        self.driver = driver
        self.volatile = volatile
        self.lowers = lowers
        self.upper = os.path.join(directory, "upper")
        self.work = os.path.join(directory, "work")
        self.merged = os.path.join(directory, "merged")
        self.options = "userxattr,volatile" if volatile else "userxattr"
        self.uidmapping = self.gidmapping = ""
        self.memory = ""
        self.servers: list[Server] = []
        self.served = False
        self.late = self.single = False
        self.forced: dict[str, str] = {}


def prepare(
    container_dir: str,
    layer_dirs: list[str],
    choice: Choice,
    *,
    volatile: bool = False,
    servers: list[Server] | None = None,
    maps: IdMaps | None = None,
    memory: bool = False,
) -> RootMount:
    """Make the directories.  `servers` are those of lower directories that are not plain ones.

    `memory`: what the container writes goes to a tmpfs, mounted at its start at `mount.memory`.
    Raises StorageError.
    """
    mount = RootMount(choice.name, container_dir, layer_dirs, volatile=volatile)
    if memory:
        mount.memory = os.path.join(container_dir, "memory")
        mount.upper = os.path.join(mount.memory, "upper")
        mount.work = os.path.join(mount.memory, "work")
    mount.servers = list(servers or ())
    mount.served = bool(servers)
    mount.uidmapping, mount.gidmapping = choice.remap
    mount.forced = choice.options
    if maps is not None:
        mount.single = maps.single
        mount.late = not maps.root_is_caller
    mount.options = ",".join(
        ["userxattr"]
        + (["volatile"] if volatile and "volatile" not in choice.options else [])
        + [f"{name}={value}" if value else name for name, value in choice.options.items()]
    )
    try:
        mode = 0o755
        if layer_dirs and not mount.served:
            mode = stat.S_IMODE(os.stat(layer_dirs[0]).st_mode)
        if not layer_dirs:
            empty = os.path.join(container_dir, "empty")
            paths.directory(empty, 0o755)
            mount.lowers = [empty]
        paths.directory(mount.merged, 0o755)
        if mount.memory:
            paths.directory(mount.memory, 0o755)
        if choice.name != "copy":
            # with `memory` these are seen while it does not run: nothing was written, they say
            # the upper directory is the root of the container, and looks like the image's
            paths.directory(mount.upper, mode)
            paths.directory(mount.work, 0o755)
    except OSError as error:
        from rootless import disks

        raise disks.refused(container_dir, error, what="cannot prepare") from None
    if choice.name not in ("overlay", "copy"):
        from rootless.storage.drivers import probe as driver_probe

        mount.servers.append(driver_probe.server(mount))
    return mount


def check_owners(layer_dirs: list[str], driver: str) -> None:
    """Raises HostError for layers whose owners are kept in attributes, which only fuse-overlayfs
    shows: without it everything would seem to be root's."""
    from rootless.errors import HostError
    from rootless.storage.layers import layer_view

    for path in layer_dirs:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if layer_view.noted(fd) is not None:
                raise HostError(
                    f"the storage driver {driver} cannot show the owners of this image's files, "
                    "which are kept in attributes because this file system refuses them",
                    hint="install fuse-overlayfs, set ROOTLESS_DATA_DIR to a directory on a local "
                    "disk, or use --userns single",
                )
        finally:
            os.close(fd)


def copy_layers(mount: RootMount, maps: IdMaps, stored: IdMaps) -> None:
    """For the driver `copy`: the layers one over the other, with the owners that `maps` wants."""
    from rootless.userns import calls

    request: Json = {
        "layers": list(reversed(mount.lowers)),
        "target": mount.merged,
        "single": maps.single,
    }
    if mount.uidmapping:
        from rootless.storage.rootfs import id_remap

        # a person's own ids, which a container may lack, are there where the layers are stored
        request["uids"], request["gids"] = id_remap.texts(stored, maps)
    calls.call("rootless.storage.drivers.copy:copy_worker", request, maps=stored)


def give(paths: list[str], uid: int, gid: int, maps: IdMaps) -> None:
    """Change the owner of our own directories to ids of the map `maps`."""
    from rootless.userns import calls

    calls.call(
        "rootless.storage.drivers.copy:give_worker",
        {"paths": paths, "uid": uid, "gid": gid},
        maps=maps,
    )


def read_file(
    mount: RootMount, path: str, limit: int = 1 << 20, *, maps: IdMaps | None = None
) -> bytes | None:
    """The content of a file as the union shows it, without mounting it; None if there is none.

    Each layer is asked from the top; inside a layer the kernel resolves below that layer's own
    directory, so a link of the image's making leads nowhere else.
    """
    if mount.served:
        return _read_served(mount, path, maps)
    return read_lowers([mount.merged] if mount.driver == "copy" else mount.lowers, path, limit)


def _read_served(mount: RootMount, path: str, maps: IdMaps | None) -> bytes | None:
    from rootless.userns import calls

    lower = [one.as_json() for one in mount.servers if one.mount_point != mount.merged]
    request = {"servers": lower, "lowers": mount.lowers, "paths": [path]}
    worker = "rootless.storage.rootfs.fuse_session:read_worker"
    found = calls.call(worker, request, maps=maps, mount_namespace=True)[0]
    return None if found is None else str(found).encode("utf-8", "surrogateescape")


def read_lowers(layers: list[str], path: str, limit: int = 1 << 20) -> bytes | None:
    """As read_file, from the first of these directories that has it."""
    for layer in layers:
        try:
            return read_below(layer, path, limit)
        except FileNotFoundError:
            continue
        except OSError:
            return None  # a whiteout, or a file that its owner keeps to himself
    return None


def read_below(root: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """The beginning of a regular file below `root`; None for anything else.  Raises OSError.

    The tree may be a stranger's: a link may lead to a file of the person's own, or to a pipe or a
    device that never ends (CVE-2024-9676).
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = _open_without_links(top, path)
        if fd < 0:
            from rootless import kernel

            fd = kernel.calls.openat2(
                top,
                path,
                os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
                resolve=kernel.RESOLVE_IN_ROOT | kernel.RESOLVE_NO_MAGICLINKS,
            )
    finally:
        os.close(top)
    try:
        return os.read(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _open_without_links(top: int, path: str) -> int:
    """A file to which no link leads, by names alone; -1 where openat2 must look.

    Loading what calls openat2 costs more than the rest of reading /etc/passwd, which has no link on
    its way in nearly every image.  Nothing is followed here, so nothing can lead out.
    """
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts or "." in parts:
        return -1
    directory = top
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        for part in parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=directory)
            if directory != top:
                os.close(directory)
            directory = below
        return os.open(parts[-1], flags, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError:
        return -1
    finally:
        if directory != top:
            os.close(directory)


def remove(directory: str, maps: IdMaps) -> bool:
    """Remove a tree, first as ourselves, then with the ids of the map; whether it is gone."""
    if _plainly(directory):
        return True
    from rootless.userns import calls

    calls.call("rootless.storage.rootfs.remove:remove_worker", {"path": directory}, maps=maps)
    return not os.path.lexists(directory)


_DEEP = 300  # directories within each other; each costs a descriptor and a frame of Python's stack


def _plainly(name: str, at: int | None = None, depth: int = 0) -> bool:
    """Remove what needs no other id; whether it is gone.  What lies very deep is left to a worker.

    By descriptors: a container that still runs, with which this tree was shared, could put a link
    to the person's home where a directory was a moment ago.
    """
    try:
        os.unlink(name, dir_fd=at)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    try:
        os.rmdir(name, dir_fd=at)
        return True
    except OSError:
        pass
    if depth > _DEEP:
        return False
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=at)
    except OSError:
        return False
    done = True
    try:
        for inner in os.listdir(fd):
            done = _plainly(inner, fd, depth + 1) and done
    except OSError:
        done = False
    finally:
        os.close(fd)
    try:
        os.rmdir(name, dir_fd=at)
    except OSError:
        return False
    return done
