"""Make the directories of a container's root file system."""

from __future__ import annotations

import os
import stat

from rootless import paths
from rootless.storage.drivers.driver import RootMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.drivers.driver import Driver, Server
    from rootless.storage.drivers.registry import Choice
    from rootless.userns.idmap import IdMaps


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
    mount = RootMount(choice.driver, container_dir, layer_dirs, volatile=volatile)
    if memory:
        mount.memory = os.path.join(container_dir, "memory")
        mount.upper = os.path.join(mount.memory, "upper")
        mount.work = os.path.join(mount.memory, "work")
    mount.servers = list(servers or ())
    mount.served = bool(servers)
    mount.uidmapping, mount.gidmapping = choice.remap
    mount.options = choice.options
    if maps is not None:
        mount.single = maps.single
        mount.late = not maps.root_is_caller
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
        if choice.driver.layered:
            # with `memory` these are seen while it does not run: nothing was written, they say
            # the upper directory is the root of the container, and looks like the image's
            paths.directory(mount.upper, mode)
            paths.directory(mount.work, 0o755)
    except OSError as error:
        from rootless import disks

        raise disks.refused(container_dir, error, what="cannot prepare") from None
    server = choice.driver.server(mount)
    if server is not None:
        mount.servers.append(server)
    return mount


def check_owners(layer_dirs: list[str], driver: Driver) -> None:
    """Refuse layers whose owners are kept in attributes, which few drivers show: with the others
    everything would seem to be root's.  Raises HostError."""
    if not driver.loses_noted_owners:
        return
    from rootless.errors import HostError
    from rootless.storage.layers import layer_view

    for path in layer_dirs:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if layer_view.noted(fd) is not None:
                raise HostError(
                    f"the storage driver {driver.name} cannot show the owners of this image's "
                    "files, which are kept in attributes because this file system refuses them",
                    hint="install fuse-overlayfs, set ROOTLESS_DATA_DIR to a directory on a local "
                    "disk, or use --userns single",
                )
        finally:
            os.close(fd)
