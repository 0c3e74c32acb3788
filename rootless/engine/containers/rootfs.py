"""A container's root file system: layers and driver chosen, directories made, mounts described."""

from __future__ import annotations

import os
import stat

from rootless.errors import HostError, UsageError
from rootless.runtime import operations
from rootless.storage.drivers import registry as driver_registry
from rootless.storage.rootfs import prepare as rootfs_prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.draft import Namespaces, Place, Request, Root, Source
    from rootless.engine.containers.record import RootRecord
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.spec.options import ContainerOptions
    from rootless.images.record import ImageRecord
    from rootless.runtime.plan_format import Record
    from rootless.storage.drivers.driver import Driver, RootMount
    from rootless.storage.drivers.squashfs import SingleFile
    from rootless.userns.idmap import IdMaps

    Parts = tuple[str, driver_registry.Choice | None, RootMount | None]

DIRECTORY = driver_registry.DIRECTORY


def prepare_root(request: Request, source: Source, place: Place, spaces: Namespaces) -> Root:
    """Unpack the layers, choose the driver, make the directories."""
    from rootless.engine.containers.draft import Root

    maps = spaces.maps
    if source.file is not None:
        return Root(*_file_root(request, source.file, place, maps))
    if source.image is None:
        return Root(*_directory_root(request, place, maps))
    return Root(*_image_root(request, source.image, place, spaces))


def _image_root(request: Request, image: ImageRecord, place: Place, spaces: Namespaces) -> Parts:
    options, maps = request.options, spaces.maps
    ctx, images = request.ctx, request.stores.images
    storage_maps = maps if maps.single else ctx.maps
    choice = driver_registry.choose(
        options.storage_driver or ctx.storage_driver,
        maps,
        storage_maps,
        [*ctx.storage_options, *options.storage_opt],
        # not where the user namespace is another container's
        nest=not spaces.target,
        data=ctx.data_dir,
    )
    driver = choice.driver
    if options.writable_tmpfs and (choice.nested or not driver.layered):
        # a tmpfs belongs to the container's namespace, and takes no file of the ids around it
        who = "--userns auto" if choice.nested else f"the storage driver {driver.name}"
        raise UsageError(
            f"--writable-tmpfs and {who} do not go together",
            hint="--read-only, and --tmpfs for the directories that are written to",
        )
    served = None
    if options.lazy or not images.arrived(image, storage_maps):
        from rootless.engine.containers import lazy_start

        served = lazy_start.provide(request, image, place, choice, maps, storage_maps)
    layer_dirs, servers = served or (images.unpack(image, storage_maps), [])
    rootfs_prepare.check_owners(layer_dirs, driver)
    mount = rootfs_prepare.prepare(
        place.directory,
        layer_dirs,
        choice,
        volatile=bool(options.rm),
        servers=servers,
        maps=maps,
        memory=options.writable_tmpfs,
    )
    _check_volatile(options, choice)
    _notice(request, choice)
    if not maps.root_is_caller:
        _hand_over(place, choice, mount, base=ctx.maps, maps=maps)
    driver.fill(mount, maps, storage_maps)
    return mount.merged, choice, mount


def _check_volatile(options: ContainerOptions, choice: driver_registry.Choice) -> None:
    """The kernel refuses to mount a second time what was mounted so."""
    if "volatile" in choice.options and choice.driver.volatile_once and not options.rm:
        raise UsageError(
            "--storage-opt volatile is for containers that are started once",
            hint="--rm has it by itself",
        )


def _notice(request: Request, choice: driver_registry.Choice) -> None:
    notice = choice.notice()
    if notice is not None:
        topic, text, always = notice
        request.ctx.notice(topic, text, always=always)


def _directory_root(request: Request, place: Place, maps: IdMaps) -> Parts:
    """--rootfs: a directory of the host as it is, or with `:O` below an overlay of its own."""
    options, ctx = request.options, request.ctx
    path = options.image.removesuffix(":O")
    layered = path != options.image
    lower = os.path.abspath(os.path.expanduser(path))
    if not layered:
        return lower, None, None
    choice = driver_registry.choose(
        options.storage_driver or ctx.storage_driver,
        maps,
        maps,
        [*ctx.storage_options, *options.storage_opt],
        data=ctx.data_dir,
    )
    _notice(request, choice)
    mount = rootfs_prepare.prepare(
        place.directory, [lower], choice, volatile=bool(options.rm), maps=maps
    )
    choice.driver.fill(mount, maps, maps)
    return mount.merged, choice, mount


def _file_root(request: Request, image: SingleFile, place: Place, maps: IdMaps) -> Parts:
    """Mount an image that is one file by a server, below an overlay."""
    from rootless.storage.drivers import squashfs

    # the ids in the file mean the container's own, whatever its map is
    options, ctx = request.options, request.ctx
    requested = options.storage_driver or ctx.storage_driver
    if not requested and maps.single and image.ids > 1:
        # the kernel's overlay cannot copy files of other owners up
        requested = driver_registry.squashing(maps)
    choice = driver_registry.choose(
        requested,
        maps,
        maps,
        [*ctx.storage_options, *options.storage_opt],
        data=ctx.data_dir,
    )
    if not choice.driver.layered:
        raise HostError(
            f"the files of {image.path} are not unpacked, and cannot be copied: {choice.why}",
            hint="use --storage-driver overlay or fuse-overlayfs",
        )
    lower = os.path.join(place.directory, "lower")
    os.mkdir(lower, 0o755)
    server = squashfs.server(image, lower, single=maps.single)
    mount = rootfs_prepare.prepare(
        place.directory, [lower], choice, volatile=bool(options.rm), servers=[server],
        maps=maps, memory=options.writable_tmpfs,
    )  # fmt: skip
    return mount.merged, choice, mount


def _hand_over(
    place: Place, choice: driver_registry.Choice, mount: RootMount, *, base: IdMaps, maps: IdMaps
) -> None:
    """Where root of the container is another id than ours, the writable directories must be its."""
    uid, gid = maps.to_host_uid(0), maps.to_host_gid(0)
    if uid is None or gid is None:
        return
    path = place.directory
    while path != "/":
        path = os.path.dirname(path)
        found = os.stat(path)
        # root of a map that has the owner's ids as well (keep-id) passes by its capabilities
        owned = None not in (maps.from_host_uid(found.st_uid), maps.from_host_gid(found.st_gid))
        if not owned and not found.st_mode & 0o001:
            raise HostError(
                f"root of this id map is uid {uid} on the host, which cannot pass through {path}",
                hint=f"chmod o+x {path}, or set ROOTLESS_DATA_DIR to another place; other users of "
                "this host can then start setuid programs of your images",
            )
    if choice.nested:
        return  # the server that writes there has our own id
    from rootless.storage.trees.chown import give

    give(mount.writable(), base.from_host_uid(uid) or 0, base.from_host_gid(gid) or 0, base)


def read_file(root: Root, maps: IdMaps, path: str) -> bytes | None:
    """Read a small file of the image, without mounting it."""
    if root.mount is not None:
        from rootless.storage.rootfs.read_file import read_file

        return read_file(root.mount, path, maps=maps)
    from rootless.storage.trees.read import read_below

    try:
        return read_below(root.path, path)
    except OSError:
        return None


def root_operations(root: Root) -> list[Record]:
    """Plan operations that make the root file system appear at `root.path`."""
    return [] if root.mount is None else root_operations_of(root.mount)


def root_operations_of(mount: RootMount) -> list[Record]:
    """As `root_operations`, of a root file system that was prepared."""
    made: list[Record] = []
    if mount.memory:
        mode = stat.S_IMODE(os.stat(mount.upper).st_mode)
        made.append(operations.host_mount("tmpfs", mount.memory, "tmpfs", 6, "mode=755"))
        made += [operations.host_mkdir(mount.upper, mode), operations.host_mkdir(mount.work, 0o755)]
    made += [operations.fuse(server.mount_point) for server in mount.servers]
    return made + mount_operations(mount)


def mount_operations(mount: RootMount) -> list[Record]:
    """Plan operations for what the kernel mounts, once directories and servers are there."""
    made: list[Record] = []
    for one in mount.driver.mounts(mount):
        made += [
            operations.host_chdir(one.base),
            operations.host_mount(one.kind, one.target, one.kind, 0, one.data),
            operations.host_chdir("/"),
        ]
    return made


def root_record(source: Source, root: Root) -> RootRecord:
    """What `cp` and `diff` need to put the root file system together again."""
    mount = root.mount
    if mount is None:
        return {}
    made: RootRecord = {"servers": [server.as_json() for server in mount.servers]}
    if mount.served or source.image is None:
        made["lowers"] = mount.lowers
    if root.choice is not None and root.choice.nested:
        made["nested"] = True
    return made


def driver_of(container: ContainerRef) -> Driver:
    """The storage driver that the container was made with."""
    return driver_registry.recorded(container.record["driver"])


def path_of(container: ContainerRef) -> str:
    """The container's root directory: where its files are mounted, or what `--rootfs` named."""
    if driver_of(container).of_image:
        return os.path.join(container.directory, "merged")
    return str(container.config()["root"]["path"])
