"""What images are made of: history, layers, differences, and mounting one to look into it."""

from __future__ import annotations

import os

from rootless.errors import HostError, NotFound, StorageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.images.collection import Images
    from rootless.images.store.index import Summary
    from rootless.images.store.record import ImageRecord
    from rootless.storage.layers.namespace_store import NamespaceLayerStore


def sizes(images: Images, diff_ids: list[str]) -> dict[str, int]:
    """Bytes of content of every layer: what docker calls its size.

    A layer that is not unpacked counts as its blob does.
    """
    from rootless.storage.layers.store import LayerStore
    from rootless.userns import calls

    maps = images.engine.maps
    layers = LayerStore(images.engine.data_dir, maps)
    found: dict[str, int] = {}
    wanted = []
    for one in dict.fromkeys(diff_ids):
        size = layers.size(one)
        if size >= 0:
            found[one] = size
        elif os.path.isdir(layers.path(one)):
            wanted.append(one)
    if wanted:
        request = {"paths": [layers.path(one) for one in wanted]}
        told = calls.call("rootless.storage.trees.usage:usage_worker", request, maps=maps)
        for one, row in zip(wanted, told, strict=True):
            found[one] = row[0]
            layers.keep_size(one, row[0])
    return found


def size(images: Images, record: ImageRecord) -> int:
    """Bytes of the files of an image's layers, as docker and podman count its size."""
    known = sizes(images, [layer.diff_id for layer in record.layers])
    return sum(known.get(layer.diff_id, layer.size) for layer in record.layers)


def measure(images: Images, found: list[Summary]) -> None:
    """Give summaries their sizes, and keep those that are known for good.

    A layer that is not unpacked counts as its blob does, until it is.
    """
    store = images.store
    records = {one.id: store.get(one.id) for one in found}
    known = sizes(
        images, [layer.diff_id for one in records.values() if one for layer in one.layers]
    )
    kept = {}
    for one in found:
        record = records[one.id]
        layers = record.layers if record else []
        one.size = sum(known.get(layer.diff_id, layer.size) for layer in layers)
        if record and all(layer.diff_id in known for layer in layers):
            kept[one.id] = one.size
    store.keep_sizes(kept)


def history(images: Images, name: str) -> list[Json]:
    """The steps of an image, newest first, in the shape of docker's API.

    Raises ImageNotFound.
    """
    from rootless.engine.common import humanize
    from rootless.images.formats import history as steps
    from rootless.images.names import reference

    record = images.get(name)
    known = sizes(images, [layer.diff_id for layer in record.layers])
    found: list[Json] = []
    for step in steps.steps(record):
        size = 0
        if step.layer is not None:
            size = known.get(step.layer.diff_id, step.layer.size)
        found.append(
            {
                "Id": "<missing>" if found else f"sha256:{record.id}",
                "Created": int(humanize.parsed(step.created)),
                "CreatedAt": step.created,
                "CreatedBy": step.created_by,
                "Tags": None if found else [reference.parse(one).familiar for one in record.names],
                "Size": size,
                "Comment": step.comment,
            }
        )
    return found


def tree(images: Images, name: str, *, children: bool = False) -> Json:
    """An image's layers and which images end with them; `children`: images built upon it."""
    from rootless.images.names import reference

    record = images.get(name)
    every = images.store.list()
    chains = {one.id: [layer.diff_id for layer in one.layers] for one in every}
    mine = chains[record.id]
    below = sorted(
        (one for one in every if children and _extends(chains[one.id], mine)),
        key=lambda one: len(one.layers),
    )
    shown = [(record, record.layers)] + [(one, one.layers[len(mine) :]) for one in below]
    known = sizes(images, [layer.diff_id for _, layers in shown for layer in layers])

    def tops(chain: list[str]) -> list[str]:
        return [
            reference.parse(tag).familiar
            for one in every
            if chains[one.id] == chain
            for tag in one.names
        ]

    rows = []
    for one, layers in shown:
        start = len(one.layers) - len(layers)
        for number, layer in enumerate(layers, start + 1):
            rows.append(
                {
                    "ID": layer.diff_id[7:19],
                    "Size": known.get(layer.diff_id, layer.size),
                    "Top": tops(chains[one.id][:number]),
                    "Depth": 0 if one is record else 1,
                }
            )
    return {
        "ID": record.id,
        "Tags": [reference.parse(tag).familiar for tag in record.names],
        "Size": sum(row["Size"] for row in rows if not row["Depth"]),
        "Layers": rows,
    }


def _extends(longer: list[str], shorter: list[str]) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter


def diff(images: Images, name: str, other: str = "") -> list[tuple[str, str]]:
    """(kind, path) pairs: what the topmost layer changed, or what differs from another image.

    Raises ImageNotFound.
    """
    from rootless.storage.layers.store import LayerStore
    from rootless.userns import calls

    engine = images.engine
    record = images.get(name)
    new = images.unpack(record, engine.maps)
    if other:
        old = images.unpack(images.get(other), engine.maps)
    else:
        layers = LayerStore(engine.data_dir, engine.maps)
        old = layers.stack([layer.diff_id for layer in record.layers[:-1]])
    told = calls.call(
        "rootless.storage.layers.compare:images_worker", {"new": new, "old": old}, maps=engine.maps
    )
    return [(kind, path) for kind, path in told]


# mounting

KEY = "ROOTLESS_LAYERS"
"""The environment variable by which `unshare` tells which layers its ids fit."""


def _inside(images: Images) -> NamespaceLayerStore:
    """The layers, for a process that is in the namespace of `rootless unshare` already.

    Raises HostError outside of it.
    """
    from rootless.storage.layers.namespace_store import NamespaceLayerStore

    key = os.environ.get(KEY, "")
    if not key or "/" in key or os.getuid() != 0:
        raise HostError(
            "an image can be mounted only inside the user namespace of `rootless unshare`",
            hint="run rootless unshare first; the mount lives as long as that shell",
        )
    return NamespaceLayerStore(
        os.path.join(images.engine.data_dir, "layers", key), single=key == "single"
    )


def _mounted() -> dict[str, str]:
    """Mount points of this namespace and their file systems' types."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            # octal escapes as in fstab(5)
            path = fields[4].encode("latin-1", "ignore").decode("unicode_escape")
            found[path] = fields[fields.index("-") + 1]
    return found


def _places(images: Images) -> str:
    return os.path.join(images.engine.data_dir, "mounts")


def mounts(images: Images) -> list[tuple[ImageRecord, str]]:
    """Images that are mounted in this namespace, and where."""
    known = _mounted()
    base = _places(images)
    found = []
    for record in images.store.list():
        path = os.path.join(base, record.id)
        if path in known:
            found.append((record, path))
    return found


def mount(images: Images, name: str) -> str:
    """Mount an image read-only; where.  Raises HostError, ImageNotFound, StorageError."""
    from rootless.storage.drivers import readonly_mount

    layers = _inside(images)
    record = images.get(name)
    path = os.path.join(_places(images), record.id)
    if path in _mounted():
        return path
    diff_ids = [layer.diff_id for layer in record.layers]
    missing = set(layers.missing(diff_ids))
    layers.ensure(
        [
            (layer.diff_id, images.store.blob_path(layer.digest))
            for layer in record.layers
            if layer.diff_id in missing
        ]
    )
    os.makedirs(path, 0o755, exist_ok=True)
    try:
        readonly_mount.mount(path, layers.directory, layers.stack(diff_ids))
    except OSError as error:
        os.rmdir(path)
        raise StorageError(
            f"cannot mount the image {name}: {error.strerror}", hint="rootless doctor, line overlay"
        ) from None
    images.event("mount", record, name)
    return path


def unmount(images: Images, name: str, *, force: bool = False) -> str:
    """Unmount an image; its id.  Raises NotFound when it is not mounted, HostError outside."""
    from rootless.storage.drivers import readonly_mount

    _inside(images)
    record = images.get(name)
    path = os.path.join(_places(images), record.id)
    if path not in _mounted():
        raise NotFound(f"the image {name} is not mounted", hint="rootless image mount lists those")
    try:
        readonly_mount.unmount(path, lazy=force)
    except OSError as error:
        raise UsageError(
            f"cannot unmount the image {name}: {error.strerror}",
            hint="leave its directories, or use --force",
        ) from None
    try:
        os.rmdir(path)
    except OSError:
        pass
    images.event("unmount", record, name)
    return record.id
