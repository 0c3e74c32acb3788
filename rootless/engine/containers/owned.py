"""What a container owns: everything that goes with it, in one list.

    its name        `names/NAME`, a link that says whose it is
    its directory   `containers/ID`: bundle, log, `upper`, overlays, the ids of `--userns auto`
    its sockets     `c/ID` in the runtime directory
    its cgroup      as the file `cgroup` in its directory has it
    its secrets     copies in `secrets/ID` of the runtime directory
    its volumes     anonymous ones, unless another container uses them

It goes in two ways: by `release`, for `rm`, `--replace`, prune and reset (remove), for a creation
that fails (create) and for what a killed command left behind (gc); and at the end of `--rm` by the
monitor, which has no interpreter: `orders` is its part of the list.  What is new here has to be in
both.
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.engine.containers import names as container_names
from rootless.runtime import orders as to_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.draft import Draft
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.runtime.plan_format import Record
    from rootless.userns.idmap import IdMaps


class Owned:
    """All of it but the volumes.  Made before the removal, which takes away what is read here."""

    __slots__ = ("cgroup", "identifier", "maps", "name")

    def __init__(self, identifier: str, maps: IdMaps, *, name: str = "", cgroup: str = "") -> None:
        """`maps`: in which all files can be handled; `name`: empty where it is not known."""
        self.identifier = identifier
        self.maps = maps
        self.name = name
        self.cgroup = cgroup

    def release(self, ctx: Context) -> None:
        """Remove all of it.  A part that is gone is no error, so it can be done again.

        The name goes first: a container that lost no more than its directory would hold it.
        """
        from rootless.storage.trees import remove as trees_remove

        containers = ctx.containers_dir
        if self.name:
            container_names.release(containers, self.name, self.identifier)
        else:
            for name in documents.names_in(os.path.join(containers, "names")):
                container_names.release(containers, name, self.identifier)
        trees_remove.remove(os.path.join(containers, self.identifier), self.maps)
        _remove_sockets(paths.socket_directory(self.identifier))
        if os.path.isdir(os.path.join(paths.runtime_dir(), "secrets")):
            from rootless.engine.containers import secrets

            secrets.take_back(self.identifier)
        if self.cgroup:
            from rootless.cgroups import tree

            tree.remove(self.cgroup)


def of(container: ContainerRef) -> Owned:
    """What a container owns by its documents."""
    return Owned(
        container.id, container.storage_maps(), name=container.name, cgroup=container.cgroup()
    )


def release_volumes(container: ContainerRef, stores: Stores) -> None:
    """Remove the anonymous volumes that no other container uses."""
    # --volumes-from may have given one to another container
    anonymous = container.record["anonymous"]
    used = stores.volumes.users() if anonymous else {}
    for name in [one for one in anonymous if one not in used]:
        stores.volumes.store.remove_quietly(name)
        stores.volumes.event("remove", name)


def orders(draft: Draft) -> list[Record]:
    """What the monitor removes at the end of --rm, besides its own sockets and cgroup."""
    request, place = draft.request, draft.place
    volumes = request.stores.volumes.store
    trees = [place.directory] if draft.spaces.maps.root_is_caller else _pieces(draft)
    if request.options.secret:
        from rootless.engine.containers import secrets

        trees.append(secrets.directory(place.identifier))
    trees += [volumes.directory(name) for name in draft.binds.anonymous]
    name = os.path.join(request.ctx.containers_dir, "names", place.name)
    return [to_monitor.remove(trees), to_monitor.unlink([name])]


def _pieces(draft: Draft) -> list[str]:
    """Root of a map without our own id can empty its directories, but not ours around them."""
    root, directory = draft.root, draft.place.directory
    if root.mount is None or (root.choice is not None and root.choice.nested):
        return [directory]
    return [*root.mount.writable(), directory]


def _remove_sockets(directory: str) -> None:
    notify = os.path.join(directory, "notify")
    for place in (notify, directory):
        for name in documents.names_in(place):
            try:
                os.unlink(os.path.join(place, name))
            except OSError:
                pass
    for path in (notify, directory):
        try:
            os.rmdir(path)
        except OSError:
            pass
