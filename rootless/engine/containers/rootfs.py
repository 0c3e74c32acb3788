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
    from rootless.engine.containers.draft import Draft
    from rootless.engine.containers.record import RootRecord
    from rootless.engine.containers.ref import ContainerRef
    from rootless.runtime.plan_format import Record
    from rootless.storage.drivers.driver import Driver, RootMount
    from rootless.storage.drivers.squashfs import SingleFile

DIRECTORY = driver_registry.DIRECTORY


def prepare_root(draft: Draft) -> None:
    """Layers unpacked, driver chosen, directories made; sets choice, root_mount and root."""
    options = draft.options
    if draft.file is not None:
        _file_root(draft, draft.file)
        return
    if draft.image is None:
        _directory_root(draft)
        return
    ctx, images = draft.ctx, draft.stores.images
    storage_maps = draft.maps if draft.maps.single else ctx.maps
    draft.choice = driver_registry.choose(
        options.storage_driver or ctx.storage_driver,
        draft.maps,
        storage_maps,
        [*ctx.storage_options, *options.storage_opt],
        nest=not _joins(draft),
        data=ctx.data_dir,
    )
    driver = draft.choice.driver
    if options.writable_tmpfs and (draft.choice.nested or not driver.layered):
        # a tmpfs belongs to the container's namespace, and takes no file of the ids around it
        who = "--userns auto" if draft.choice.nested else f"the storage driver {driver.name}"
        raise UsageError(
            f"--writable-tmpfs and {who} do not go together",
            hint="--read-only, and --tmpfs for the directories that are written to",
        )
    served = None
    if options.lazy or not images.arrived(draft.image, storage_maps):
        from rootless.engine.containers import lazy_start

        served = lazy_start.provide(draft, storage_maps)
    layer_dirs, servers = served or (images.unpack(draft.image, storage_maps), [])
    rootfs_prepare.check_owners(layer_dirs, driver)
    draft.root_mount = rootfs_prepare.prepare(
        draft.directory,
        layer_dirs,
        draft.choice,
        volatile=bool(options.rm),
        servers=servers,
        maps=draft.maps,
        memory=options.writable_tmpfs,
    )
    draft.root = draft.root_mount.merged
    _check_volatile(draft, draft.choice)
    _notice(draft, draft.choice)
    if not draft.maps.root_is_caller:
        _hand_over(draft)
    driver.fill(draft.root_mount, draft.maps, storage_maps)


def _joins(draft: Draft) -> bool:
    """Whether the user namespace is going to be another container's."""
    options = draft.options
    words = (options.pid, options.ipc, options.uts, options.cgroupns)
    return bool(draft.network.target) or any(
        (word or "").startswith("container:") for word in words
    )


def _check_volatile(draft: Draft, choice: driver_registry.Choice) -> None:
    """The kernel refuses to mount a second time what was mounted so."""
    if "volatile" in choice.options and choice.driver.volatile_once and not draft.options.rm:
        raise UsageError(
            "--storage-opt volatile is for containers that are started once",
            hint="--rm has it by itself",
        )


def _notice(draft: Draft, choice: driver_registry.Choice) -> None:
    notice = choice.notice()
    if notice is not None:
        topic, text, always = notice
        draft.ctx.notice(topic, text, always=always)


def _directory_root(draft: Draft) -> None:
    """--rootfs: a directory of the host as it is, or with `:O` below an overlay of its own."""
    options, ctx = draft.options, draft.ctx
    path = options.image.removesuffix(":O")
    layered = path != options.image
    draft.root = os.path.abspath(os.path.expanduser(path))
    draft.choice, draft.root_mount = None, None
    if not layered:
        return
    draft.choice = driver_registry.choose(
        options.storage_driver or ctx.storage_driver,
        draft.maps,
        draft.maps,
        [*ctx.storage_options, *options.storage_opt],
        data=ctx.data_dir,
    )
    _notice(draft, draft.choice)
    lower = draft.root
    draft.root_mount = rootfs_prepare.prepare(
        draft.directory, [lower], draft.choice, volatile=bool(options.rm), maps=draft.maps
    )
    draft.root = draft.root_mount.merged
    draft.choice.driver.fill(draft.root_mount, draft.maps, draft.maps)


def _file_root(draft: Draft, image: SingleFile) -> None:
    """Mount an image that is one file by a server, below an overlay."""
    from rootless.storage.drivers import squashfs

    # the ids in the file mean the container's own, whatever its map is
    requested = draft.options.storage_driver or draft.ctx.storage_driver
    if not requested and draft.maps.single and image.ids > 1:
        # the kernel's overlay cannot copy files of other owners up
        requested = driver_registry.squashing(draft.maps)
    draft.choice = driver_registry.choose(
        requested,
        draft.maps,
        draft.maps,
        [*draft.ctx.storage_options, *draft.options.storage_opt],
        data=draft.ctx.data_dir,
    )
    if not draft.choice.driver.layered:
        raise HostError(
            f"the files of {image.path} are not unpacked, and cannot be copied: {draft.choice.why}",
            hint="use --storage-driver overlay or fuse-overlayfs",
        )
    lower = os.path.join(draft.directory, "lower")
    os.mkdir(lower, 0o755)
    server = squashfs.server(image, lower, single=draft.maps.single)
    draft.root_mount = rootfs_prepare.prepare(
        draft.directory, [lower], draft.choice, volatile=bool(draft.options.rm), servers=[server],
        maps=draft.maps, memory=draft.options.writable_tmpfs,
    )  # fmt: skip
    draft.root = draft.root_mount.merged


def _hand_over(draft: Draft) -> None:
    """Where root of the container is another id than ours, the writable directories must be its."""
    base, maps, mount = draft.ctx.maps, draft.maps, draft.root_mount
    uid, gid = maps.to_host_uid(0), maps.to_host_gid(0)
    if mount is None or uid is None or gid is None:
        return
    path = draft.directory
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
    if draft.choice is not None and draft.choice.nested:
        return  # the server that writes there has our own id
    from rootless.storage.trees.chown import give

    give(mount.writable(), base.from_host_uid(uid) or 0, base.from_host_gid(gid) or 0, base)


def read_file(draft: Draft, path: str) -> bytes | None:
    """A small file of the image, without mounting it."""
    if draft.root_mount is not None:
        from rootless.storage.rootfs.read_file import read_file

        return read_file(draft.root_mount, path, maps=draft.maps)
    from rootless.storage.trees.read import read_below

    try:
        return read_below(draft.root, path)
    except OSError:
        return None


def root_operations(draft: Draft) -> list[Record]:
    """Plan operations that make the root file system appear at `root.path`."""
    return [] if draft.root_mount is None else root_operations_of(draft.root_mount)


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


def root_record(draft: Draft) -> RootRecord:
    """What `cp` and `diff` need to put the root file system together again."""
    mount = draft.root_mount
    if mount is None:
        return {}
    made: RootRecord = {"servers": [server.as_json() for server in mount.servers]}
    if mount.served or draft.image is None:
        made["lowers"] = mount.lowers
    if draft.choice is not None and draft.choice.nested:
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
