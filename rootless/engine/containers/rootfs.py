"""A container's root file system: layers and driver chosen, directories made, mounts described."""

from __future__ import annotations

import os
import stat

from rootless.errors import HostError, UsageError
from rootless.storage.drivers import probe as driver_probe
from rootless.storage.rootfs import root_filesystem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.create import Draft
    from rootless.runtime.plan_format import Record


def prepare_root(draft: Draft) -> None:
    """Layers unpacked, driver chosen, directories made; sets choice, root_mount and root."""
    options = draft.options
    if draft.file is not None:
        from rootless.engine.images import squashfs

        squashfs.prepare(draft)
        return
    engine = draft.engine
    if draft.image is None:
        _directory_root(draft)
        return
    storage_maps = draft.maps if draft.maps.single else engine.maps
    draft.choice = driver_probe.choose(
        options.storage_driver or engine.storage_driver,
        draft.maps,
        storage_maps,
        [*engine.storage_options, *options.storage_opt],
        nest=not _joins(draft),
        data=engine.data_dir,
    )
    if options.writable_tmpfs and (draft.choice.nested or draft.choice.name == "copy"):
        # a tmpfs belongs to the container's namespace, and takes no file of the ids around it
        who = "--userns auto" if draft.choice.nested else "the storage driver copy"
        raise UsageError(
            f"--writable-tmpfs and {who} do not go together",
            hint="--read-only, and --tmpfs for the directories that are written to",
        )
    served = None
    if options.lazy or not engine.images.arrived(draft.image, storage_maps):
        from rootless.engine.containers import lazy_start

        served = lazy_start.provide(draft, storage_maps)
    layer_dirs, servers = served or (engine.images.unpack(draft.image, storage_maps), [])
    if draft.choice.name in ("python-fuse", "copy"):
        root_filesystem.check_owners(layer_dirs, draft.choice.name)
    draft.root_mount = root_filesystem.prepare(
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
    _tell_copies(draft, draft.choice)
    if not draft.maps.root_is_caller:
        _hand_over(draft)
    if draft.choice.name == "copy":
        root_filesystem.copy_layers(draft.root_mount, draft.maps, storage_maps)


def _joins(draft: Draft) -> bool:
    """Whether the user namespace is going to be another container's."""
    options = draft.options
    words = (options.pid, options.ipc, options.uts, options.cgroupns)
    return draft.network.kind == "container" or any(
        (word or "").startswith("container:") for word in words
    )


def _check_volatile(draft: Draft, choice: driver_probe.Choice) -> None:
    """The kernel refuses to mount a second time what was mounted so."""
    if "volatile" in choice.options and choice.name == "overlay" and not draft.options.rm:
        raise UsageError(
            "--storage-opt volatile is for containers that are started once",
            hint="--rm has it by itself",
        )


def _tell_copies(draft: Draft, choice: driver_probe.Choice) -> None:
    """Copies are never silent: they cost time and disk for every container.  A slower server is
    told once, where it was nobody's wish."""
    fallen = choice.name != "copy" and choice.why.startswith("native overlay: ")
    if fallen and choice.remap == ("", ""):
        draft.engine.notice("driver", f"{choice.name} serves containers' files: {choice.why}")
    if choice.name == "copy" and choice.why != "asked for":
        draft.engine.notice(
            "copy", f"the image's files are copied for this container: {choice.why}", always=True
        )


def _directory_root(draft: Draft) -> None:
    """--rootfs: a directory of the host as it is, or with `:O` below an overlay of its own."""
    options, engine = draft.options, draft.engine
    path = options.image.removesuffix(":O")
    layered = path != options.image
    draft.root = os.path.abspath(os.path.expanduser(path))
    draft.choice, draft.root_mount = None, None
    if not layered:
        return
    draft.choice = driver_probe.choose(
        options.storage_driver or engine.storage_driver,
        draft.maps,
        draft.maps,
        [*engine.storage_options, *options.storage_opt],
        data=engine.data_dir,
    )
    _tell_copies(draft, draft.choice)
    lower = draft.root
    draft.root_mount = root_filesystem.prepare(
        draft.directory, [lower], draft.choice, volatile=bool(options.rm), maps=draft.maps
    )
    draft.root = draft.root_mount.merged
    if draft.choice.name == "copy":
        root_filesystem.copy_layers(draft.root_mount, draft.maps, draft.maps)


def _hand_over(draft: Draft) -> None:
    """Where root of the container is another id than ours, the writable directories must be its."""
    base, maps, mount = draft.engine.maps, draft.maps, draft.root_mount
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
    ours = [mount.merged] if mount.driver == "copy" else [mount.upper, mount.work]
    root_filesystem.give(ours, base.from_host_uid(uid) or 0, base.from_host_gid(gid) or 0, base)


def read_file(draft: Draft, path: str) -> bytes | None:
    """A small file of the image, without mounting it."""
    if draft.root_mount is not None:
        return root_filesystem.read_file(draft.root_mount, path, maps=draft.maps)
    try:
        return root_filesystem.read_below(draft.root, path)
    except OSError:
        return None


def root_operations(draft: Draft) -> list[Record]:
    """Plan operations that make the root file system appear at `root.path`."""
    return [] if draft.root_mount is None else root_operations_of(draft.root_mount)


def root_operations_of(mount: root_filesystem.RootMount) -> list[Record]:
    """As `root_operations`, of a root file system that was prepared."""
    made: list[Record] = []
    if mount.memory:
        mode = oct(stat.S_IMODE(os.stat(mount.upper).st_mode))[2:]
        made.append(("host-mount", ("tmpfs", mount.memory, "tmpfs", "6", "mode=755")))
        made += [("host-mkdir", (mount.upper, mode)), ("host-mkdir", (mount.work, "755"))]
    made += [("fuse", (server.mount_point,)) for server in mount.servers]
    return made + (overlay_operations(mount) if mount.driver == "overlay" else [])


def root_record(draft: Draft) -> Json:
    """What `cp` and `diff` need to put the root file system together again."""
    mount = draft.root_mount
    if mount is None:
        return {}
    made: Json = {"servers": [server.as_json() for server in mount.servers]}
    if mount.served or draft.image is None:
        made["lowers"] = mount.lowers
    if draft.choice is not None and draft.choice.nested:
        made["nested"] = True
    return made


_MOST_LOWERS = 500  # OVL_MAX_STACK of fs/overlayfs
_PAGE = 4000  # bytes of options that mount(2) takes, and room for what the launcher adds


def _overlay_options(mount: root_filesystem.RootMount, names: list[str]) -> str:
    lowers = ":".join([_escape(name) for name in names])
    data = f"lowerdir={lowers},upperdir={_escape(mount.upper)},workdir={_escape(mount.work)}"
    return f"{data},{mount.options}" if mount.options else data


def _linked(mount: root_filesystem.RootMount) -> tuple[str, list[str]]:
    """A directory of links to the layers beside the container's other ones, and their names."""
    base = os.path.join(os.path.dirname(mount.merged), "lowers")
    os.makedirs(base, 0o755, exist_ok=True)
    for number, lower in enumerate(mount.lowers):
        try:
            os.symlink(lower, os.path.join(base, str(number)))
        except FileExistsError:
            pass  # of the same container, whose layers never change
    return base, [str(number) for number in range(len(mount.lowers))]


def overlay_operations(mount: root_filesystem.RootMount) -> list[Record]:
    """Native overlay.  Lower directories are named relative to where they all lie, because the
    kernel takes at most one page of options; more than a hundred are named by links."""
    if len(mount.lowers) > _MOST_LOWERS:
        raise HostError(
            f"the image has {len(mount.lowers)} layers, and the kernel's overlay takes "
            f"{_MOST_LOWERS} at most",
            hint="use --storage-driver fuse-overlayfs, or make the image again with fewer layers",
        )
    base = os.path.commonpath([os.path.dirname(lower) for lower in mount.lowers])
    data = _overlay_options(mount, [os.path.relpath(lower, base) for lower in mount.lowers])
    if len(data) > _PAGE:
        base, names = _linked(mount)
        data = _overlay_options(mount, names)
    return [
        ("host-chdir", (base,)),
        ("host-mount", ("overlay", mount.merged, "overlay", "0", data)),
        ("host-chdir", ("/",)),
    ]


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
