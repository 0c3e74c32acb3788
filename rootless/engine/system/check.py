"""`system check`: every record, blob and unpacked layer is checked, and repaired if that is
possible."""

from __future__ import annotations

import os

from rootless.errors import RootlessError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.images.record import ImageRecord, Layer
    from rootless.images.store.fsck import Damage
    from rootless.storage.layers.store import LayerStore
    from rootless.userns.idmap import IdMaps


def check(engine: Collections, *, repair: bool = False, quick: bool = False) -> Json:
    """Return {"Images", "Blobs", "Layers" (how many were checked), "Damaged": [...], "Waste":
    bytes}.

    `repair`: fetch damaged blobs again from the registry the image came from, rebuild layers from
    blobs, records from manifests.  `quick`: sizes of blobs, and of layers that they are there.
    Nothing that a running container uses is exchanged.
    """
    from rootless.images.store import fsck as store_fsck
    from rootless.images.store import gc as store_gc

    store = engine.images.store
    store.prepare()
    images, damaged = store_fsck.records(store, repair=repair)
    wrong = store_fsck.blobs(store, images, quick=quick, progress=engine.context.progress)
    for damage in wrong:
        if repair:
            store_fsck.fetch(store, images, damage)
        else:
            damage.remedy = "system check --repair fetches it again"
    damaged += wrong
    bad = {damage.id for damage in wrong if not damage.repaired}
    count = 0
    for maps in _maps(engine):
        looked, found = _layers(engine, maps, images, bad, repair=repair, quick=quick)
        count += looked
        damaged += found
    damaged += _missing(engine, images, bad, repair=repair)
    damaged += _documents(engine, repair=repair)
    if repair:
        store.forget_lost_names()
    try:
        waste = store_gc.waste(store) + _leftovers(engine)
    except StorageError:
        waste = 0  # a record that cannot be read, so what it needs is not known
    return {
        "Images": len(images),
        "Blobs": len({digest for record in images for digest in record.blobs()}),
        "Layers": count,
        "Damaged": [one.to_dict() for one in damaged],
        "Waste": waste,
    }


def _maps(engine: Collections) -> list[IdMaps]:
    from rootless.userns import idmap

    every = [engine.context.maps, idmap.single_maps(os.getuid(), os.getgid(), "")]
    return list({one.storage_key(): one for one in every}.values())


def _layers(
    engine: Collections,
    maps: IdMaps,
    images: list[ImageRecord],
    bad: set[str],
    *,
    repair: bool,
    quick: bool,
) -> tuple[int, list[Damage]]:
    """(how many layers are unpacked, those that are not what their blobs say)."""
    from rootless.images.store.fsck import Damage, shown
    from rootless.storage.layers.store import LayerStore

    layers = LayerStore(engine.context.data_dir, maps)
    owners: dict[str, tuple[Layer, list[str]]] = {}
    for record in images:
        for layer in record.layers:
            owners.setdefault(layer.diff_id, (layer, []))[1].append(shown(record))
    found = []
    there = {diff: one for diff, one in owners.items() if os.path.isdir(layers.path(diff))}
    for diff_id, (layer, names) in there.items():
        if quick or layer.digest in bad:
            continue
        problems = _problems(engine, layers, layer)
        if problems:
            damage = Damage("layer", diff_id, "; ".join(problems[:3]), list(dict.fromkeys(names)))
            found.append(damage)
            _mend(engine, layers, layer, damage, repair=repair)
    return len(there), found


def _problems(engine: Collections, layers: LayerStore, layer: Layer) -> list[str]:
    from rootless.userns import calls

    engine.context.progress.start(layer.diff_id, f"checking layer {layer.diff_id[7:19]}", None)
    request = {
        "target": layers.path(layer.diff_id),
        "blob": engine.images.store.blob_path(layer.digest),
        "diff_id": layer.diff_id,
        "single": layers.maps.single,
        "contents": True,
    }
    try:
        told = calls.call("rootless.storage.layers.verify:verify_worker", request, maps=layers.maps)
    except RootlessError as error:
        return [error.message]
    finally:
        engine.context.progress.finish(layer.diff_id)
    return [str(one) for one in told]


def _mend(
    engine: Collections, layers: LayerStore, layer: Layer, damage: Damage, *, repair: bool
) -> None:
    """Unpack the layer again beside the damaged one, which then goes.

    What is put aside has the name of an unpacking that was interrupted: a command that is killed
    here leaves something that the next unpacking or sweep removes.
    """
    from rootless.storage.trees import remove as trees_remove

    users = [one.name for one in engine.containers.list() if layer.diff_id in one.record["layers"]]
    if not repair:
        damage.remedy = "system check --repair unpacks it again"
        return
    if users:
        damage.remedy = f"the running container {users[0]} uses it: stop it, and check again"
        return
    final = os.path.dirname(layers.path(layer.diff_id))
    aside = os.path.join(layers.directory, f".tmp-{os.path.basename(final)}-damaged")
    trees_remove.remove(aside, layers.maps)
    os.rename(final, aside)
    try:
        layers.ensure([(layer.diff_id, engine.images.store.blob_path(layer.digest))])
    except RootlessError as error:
        damage.remedy = f"it could not be unpacked again: {error.message}"
        if os.path.isdir(aside) and not os.path.isdir(final):
            os.rename(aside, final)
        return
    trees_remove.remove(aside, layers.maps)
    damage.repaired = True
    damage.remedy = "unpacked again"


def _missing(
    engine: Collections, images: list[ImageRecord], bad: set[str], *, repair: bool
) -> list[Damage]:
    """Layers that containers stand on and that are not there."""
    from rootless.images.store.fsck import Damage
    from rootless.storage.layers.store import LayerStore

    blobs = {layer.diff_id: layer for record in images for layer in record.layers}
    found: dict[str, Damage] = {}
    for container in engine.containers.list(all=True):
        layers = LayerStore(engine.context.data_dir, container.storage_maps())
        for diff_id in layers.missing(container.record["layers"]):
            if diff_id in found:
                continue
            damage = Damage(
                "layer", diff_id, f"it is missing under the container {container.name}",
                [container.image],
            )  # fmt: skip
            found[diff_id] = damage
            layer = blobs.get(diff_id)
            if layer is None or layer.digest in bad:
                damage.remedy = f"pull or load {container.image} again, and check again"
            elif repair:
                layers.ensure([(diff_id, engine.images.store.blob_path(layer.digest))])
                damage.repaired, damage.remedy = True, "unpacked again"
            else:
                damage.remedy = "system check --repair unpacks it again"
    return list(found.values())


def _documents(engine: Collections, *, repair: bool) -> list[Damage]:
    """Documents of containers and volumes that cannot be read."""
    from rootless.engine.system import check_documents

    return [
        *check_documents.containers(engine, repair=repair),
        *check_documents.volumes(engine, repair=repair),
    ]


def _leftovers(engine: Collections) -> int:
    """Bytes of layers that nothing needs, and of what killed commands left."""
    from rootless import documents
    from rootless.engine.common import disk_usage
    from rootless.engine.images import remove as image_remove

    needed = image_remove.wanted(engine.images)
    if needed is None:
        return 0
    paths = []
    for maps in _maps(engine):
        directory = os.path.join(engine.context.data_dir, "layers", maps.storage_key())
        for name in documents.names_in(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and name not in needed:
                paths.append(path)
    return sum(disk_usage.measured(engine.context.maps, paths).values())
