"""A file of a root file system that is not mounted yet: what is read before a start."""

from __future__ import annotations

from rootless.storage.trees.read import read_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.drivers.driver import RootMount
    from rootless.userns.idmap import IdMaps


def read_file(
    mount: RootMount, path: str, limit: int = 1 << 20, *, maps: IdMaps | None = None
) -> bytes | None:
    """The content of a file as the union shows it, without mounting it; None if there is none.

    Each layer is asked from the top; inside a layer the kernel resolves below that layer's own
    directory, so a link of the image's making leads nowhere else.
    """
    if mount.served:
        return _read_served(mount, path, maps)
    return read_lowers(mount.readable(), path, limit)


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
