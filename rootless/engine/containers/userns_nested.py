"""A container whose user namespace lies within one that has the ids of the layers.

The ids of `--userns auto` are its own, and those of the image's files are none of them.  A server
(fuse-overlayfs) that has all of them shows the files with the container's ids; it works in the
outer namespace, because FUSE lets nobody in who is not in the mounter's namespace or below it, and
what it keeps in `upper` has the ids of storage, as everybody else's.
"""

from __future__ import annotations

from rootless.runtime import orders as to_monitor
from rootless.storage.drivers import id_remap
from rootless.userns import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.runtime.plan_format import Record
    from rootless.userns.idmap import IdMaps


def map_order(inner: IdMaps, outer: IdMaps) -> Record:
    """Return the order for the inner map, whose host ids are the outer one's."""
    uids = id_remap.within(inner.uids, outer.uids)
    gids = id_remap.within(inner.gids, outer.gids)
    relative = idmap.IdMaps(uids, gids, inner.why, caller=inner.caller)
    texts = (relative.proc_text("uids"), relative.proc_text("gids"))
    return to_monitor.map_(*texts, ("", ""), drop_groups=True)


def servers(container: ContainerRef) -> Json:
    """The servers for a worker that has the ids of storage: there the ids of the image are the
    container's, and nothing is to be mapped."""
    from rootless.engine.containers import rootfs as container_rootfs

    driver = container_rootfs.driver_of(container)
    return [[*one[:2], *driver.without_mapping(one[2:])] for one in container.record["servers"]]
