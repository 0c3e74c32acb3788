"""Removing images: names, records, layers and blobs, and never what a container still needs."""

from __future__ import annotations

from rootless.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Images
    from rootless.images.store import ImageRecord


def _users(images: Images, record: ImageRecord) -> list[str]:
    return [
        one.name for one in images.engine.containers.list(all=True) if one.image_id == record.id
    ]


def image(images: Images, name: str, force: bool) -> list[Json]:
    """`rmi`: untag; delete with the last name.  Raises Conflict, ImageNotFound."""
    from rootless.images import reference

    store = images.store
    record = store.resolve(name)
    by_id = record.id.startswith(name.removeprefix("sha256:"))
    if by_id and len(record.names) > 1 and not force:
        raise Conflict(
            f"the image {record.id[:12]} has {len(record.names)} names",
            hint="give one of them, or use --force",
        )
    told: list[Json] = []
    if not by_id and len(record.names) > 1:
        canonical = reference.parse(name).canonical
        store.untag(name)
        images.event("untag", record, canonical)
        return [{"Untagged": reference.parse(canonical).familiar}]
    users = _users(images, record)
    if users and not force:
        raise Conflict(
            f"the image {name} is used by the container {users[0]}",
            hint=f"rootless rm {users[0]} first, or use --force, which removes the container",
        )
    for user in users:
        images.engine.containers.get(user).remove(force=True)
    told += [{"Untagged": reference.parse(one).familiar} for one in record.names]
    _delete(images, record)
    told.append({"Deleted": f"sha256:{record.id}"})
    sweep(images)
    return told


def _delete(images: Images, record: ImageRecord) -> None:
    images.store.delete(record.id)
    for name in record.names:
        images.event("untag", record, name)
    images.event("remove", record)


def untag(images: Images, name: str, tags: list[str]) -> list[str]:
    """`untag`: the names that were taken, as people write them.  Raises ImageNotFound, Conflict."""
    from rootless.images import reference

    store = images.store
    record = store.resolve(name)
    wanted = [reference.parse(one) for one in tags] if tags else []
    for one in wanted:
        if store.resolve(one.canonical).id != record.id:
            raise Conflict(f"{one.familiar} is another image than {name}")
    gone = [one.canonical for one in wanted] or list(record.names)
    for canonical in gone:
        store.untag(canonical)
    return [reference.parse(one).familiar for one in gone]


def sweep(images: Images) -> int:
    """Remove layers and blobs that nothing refers to; bytes of blobs freed."""
    import os

    from rootless.storage.layers import LayerStore
    from rootless.userns import idmap

    store = images.store
    wanted = {layer.diff_id for record in store.list() for layer in record.layers}
    for container in images.engine.containers.list(all=True):
        wanted.update(container.record["layers"])
    single = idmap.single_maps(os.getuid(), os.getgid(), "")
    seen = set()
    for maps in (images.engine.maps, single):
        if maps.storage_key() in seen:
            continue
        seen.add(maps.storage_key())
        layers = LayerStore(images.engine.data_dir, maps)
        keep = {os.path.dirname(layers.path(one)) for one in wanted}
        for diff_id in list(layers.list()):
            if os.path.dirname(layers.path(diff_id)) not in keep:
                layers.remove(diff_id)
    return store.collect_garbage()


def prune_images(images: Images, all: bool) -> Json:
    """`image prune`: {"ImagesDeleted": [...], "SpaceReclaimed": bytes}."""
    store = images.store
    told: list[Json] = []
    for record in list(store.list()):
        if (record.names and not all) or _users(images, record):
            continue
        told += [{"Untagged": name} for name in record.names]
        _delete(images, record)
        told.append({"Deleted": f"sha256:{record.id}"})
    freed = sweep(images)
    images.engine.event("image", "prune", "", "", {"reclaimed": str(freed)})
    return {"ImagesDeleted": told, "SpaceReclaimed": freed}
