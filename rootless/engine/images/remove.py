"""Removing images: names, records, layers and blobs, and never what a container still needs."""

from __future__ import annotations

from rootless.errors import Conflict, DamagedDocument, InUse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.documents import Json
    from rootless.engine.images.local import LocalImages
    from rootless.images.store.store import ImageRecord

    Filters = Mapping[str, str | list[str]]


def image(images: LocalImages, name: str, force: bool) -> list[Json]:
    """`rmi`: untag; delete with the last name.  Raises Conflict, ImageNotFound."""
    from rootless.images.names import reference

    store = images.store
    try:
        record = store.resolve(name)
    except DamagedDocument as error:
        return _damaged(images, error, force)
    by_id = record.id.startswith(name.removeprefix("sha256:"))
    if by_id and len(record.names) > 1 and not force:
        raise Conflict(
            f"the image {record.id[:12]} has {len(record.names)} names",
            hint="give one of them, or use --force",
        )
    told: list[Json] = []
    if not by_id and len(record.names) > 1:
        canonical = store.meant(name)
        store.untag(name)
        images.event("untag", record, canonical)
        return [{"Untagged": reference.parse(canonical).familiar}]
    users = images.users.of_images().get(record.id, [])
    if users and not force:
        raise InUse(
            f"the image {name} is used by the container {users[0]}",
            hint=f"rootless rm {users[0]} first, or use --force, which removes the container",
        )
    for user in users:
        images.users.remove(user)
    told += [{"Untagged": reference.parse(one).familiar} for one in record.names]
    _delete(images, record)
    told.append({"Deleted": f"sha256:{record.id}"})
    removed, _ = sweep(images)
    gone = [one.diff_id for one in reversed(record.layers) if _short(one.diff_id) in removed]
    return told + [{"Deleted": one} for one in dict.fromkeys(gone)]


def _damaged(images: LocalImages, error: DamagedDocument, force: bool) -> list[Json]:
    """`rmi` of an image whose record cannot be read."""
    from rootless.images.names import reference

    identity = error.path.rpartition("/")[2].removesuffix(".json")
    if error.path != images.store.record_path(identity):
        raise error
    users = images.users.of_images().get(identity, [])
    if users and not force:
        raise InUse(
            f"the image {identity[:12]} is used by the container {users[0]}",
            hint=f"rootless rm {users[0]} first, or use --force, which removes the container",
        )
    for user in users:
        images.users.remove(user)
    names = images.store.names_of(identity)
    images.store.delete(identity)
    sweep(images)
    told: list[Json] = [{"Untagged": reference.parse(one).familiar} for one in names]
    return [*told, {"Deleted": f"sha256:{identity}"}]


def _short(diff_id: str) -> str:
    from rootless.storage.layers.gc import short

    return short(diff_id)


def _delete(images: LocalImages, record: ImageRecord, *, nameless: bool = False) -> bool:
    if not images.store.delete(record.id, nameless=nameless):
        return False
    for name in record.names:
        images.event("untag", record, name)
    images.event("remove", record)
    return True


def untag(images: LocalImages, name: str, tags: list[str]) -> list[str]:
    """`untag`: the names that were taken, as people write them.  Raises ImageNotFound, Conflict."""
    from rootless.images.names import reference

    store = images.store
    record = store.resolve(name)
    wanted = [reference.parse(store.meant(one)) for one in tags] if tags else []
    for one in wanted:
        if store.resolve(one.canonical).id != record.id:
            raise Conflict(f"{one.familiar} is another image than {name}")
    gone = [one.canonical for one in wanted] or list(record.names)
    for canonical in gone:
        store.untag(canonical)
        images.event("untag", record, canonical)
    return [reference.parse(one).familiar for one in gone]


def wanted(images: LocalImages) -> set[str] | None:
    """Short names of all layers that images and containers need.

    None while somebody makes a container, whose needs are not written down yet.
    """
    found = images.users.layers()
    if found is None:
        return None
    # after the containers: an image may be removed once a container of it is written down
    for one in images.store.records_alone():
        found.update(_short(layer.diff_id) for layer in one.layers)
    return found


def sweep(images: LocalImages, *, measure: bool = False, all: bool = False) -> tuple[set[str], int]:
    """Remove layers and blobs that nothing refers to: (short names of layers, bytes freed).

    The bytes of layers are counted only with `measure`.  `all`: beginnings of blobs as well, which
    a later pull would continue.  Raises StorageError.
    """
    import os

    from rootless.storage.layers import gc as layer_gc
    from rootless.userns import idmap

    ctx = images.ctx
    maps = [ctx.maps, idmap.single_maps(os.getuid(), os.getgid(), "")]
    try:
        removed, freed = layer_gc.sweep(ctx.data_dir, maps, lambda: wanted(images), measure=measure)
        return removed, freed + images.store.collect_garbage(all=all)
    except DamagedDocument as error:
        # what it needs is not known; everything else of what was asked has been done
        ctx.notice(
            "damaged", f"no layers and blobs are freed: {error.message}; {error.hint}", always=True
        )
        return set(), 0


def prune_images(images: LocalImages, all: bool, filters: Filters | None = None) -> Json:
    """`image prune`: {"ImagesDeleted": [...], "SpaceReclaimed": bytes}.

    Filters are those of `images`; with `dangling=false` as with `all`.
    """
    from rootless.engine.common import arguments
    from rootless.engine.images import filters as image_filters
    from rootless.images.names import reference

    store = images.store
    rules = arguments.filters(filters)
    if any(value in ("false", "0") for value in rules.pop("dangling", [])):
        all = True
    used = set(images.users.of_images())
    told: list[Json] = []
    for record in image_filters.passing(store, list(store.list()), rules):
        if (record.names and not all) or record.id in used:
            continue
        # an image is written before its names are: one that was listed in between has some by now
        if not _delete(images, record, nameless=not record.names):
            continue
        told += [{"Untagged": reference.parse(name).familiar} for name in record.names]
        told.append({"Deleted": f"sha256:{record.id}"})
    _, freed = sweep(images, measure=True, all=True)
    images.ctx.emit("image", "prune", "", "", {"reclaimed": str(freed)})
    return {"ImagesDeleted": told, "SpaceReclaimed": freed}
