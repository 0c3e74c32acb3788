"""`ps --size` and `inspect --size`: what containers' files take on the disk."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.context import Context


def of(ctx: Context, containers: Sequence[ContainerRef]) -> dict[str, tuple[int, int]]:
    """By id: bytes of what the container wrote, and of that with its image's layers.

    As docker's SizeRw and SizeRootFs.  The two are the same where a container has all files for
    itself.
    """
    from rootless.engine.common import disk_usage
    from rootless.engine.containers import rootfs as container_rootfs
    from rootless.storage.layers.store import LayerStore

    layers = LayerStore(ctx.data_dir, ctx.maps)
    own: dict[str, str] = {}
    below: dict[str, list[str]] = {}
    for one in containers:
        layered = container_rootfs.driver_of(one).layered
        own[one.id] = os.path.join(one.directory, "upper" if layered else "merged")
        diff_ids = dict.fromkeys(one.record["layers"]) if layered else ()
        below[one.id] = [os.path.dirname(layers.path(diff)) for diff in diff_ids]
    wanted = [*own.values(), *(path for paths in below.values() for path in paths)]
    sizes = disk_usage.measured(ctx.maps, wanted)
    made = {}
    for identifier, path in own.items():
        written = sizes.get(path, 0)
        made[identifier] = (
            written,
            written + sum(sizes.get(layer, 0) for layer in below[identifier]),
        )
    return made
