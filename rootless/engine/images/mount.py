"""`image mount`: an image's files shown in the namespace of `rootless unshare`."""

from __future__ import annotations

import os

from rootless.errors import HostError, NotFound, StorageError, UsageError
from rootless.storage.drivers import readonly_mount
from rootless.storage.layers.namespace_store import NamespaceLayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.images.local import LocalImages
    from rootless.images.record import ImageRecord


KEY = "ROOTLESS_LAYERS"
"""The environment variable by which `unshare` tells which layers its ids fit."""


def _inside(images: LocalImages) -> NamespaceLayerStore:
    """The layers, for a process that is in the namespace of `rootless unshare` already.

    Raises HostError outside of it.
    """
    key = os.environ.get(KEY, "")
    if not key or "/" in key or os.getuid() != 0:
        raise HostError(
            "an image can be mounted only inside the user namespace of `rootless unshare`",
            hint="run rootless unshare first; the mount lives as long as that shell",
        )
    return NamespaceLayerStore(
        os.path.join(images.ctx.data_dir, "layers", key), single=key == "single"
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


def _places(images: LocalImages) -> str:
    return os.path.join(images.ctx.data_dir, "mounts")


def mounts(images: LocalImages) -> list[tuple[ImageRecord, str]]:
    """Images that are mounted in this namespace, and where."""
    known = _mounted()
    base = _places(images)
    found = []
    for record in images.store.list():
        path = os.path.join(base, record.id)
        if path in known:
            found.append((record, path))
    return found


def mount(images: LocalImages, name: str) -> str:
    """Mount an image read-only; where.  Raises HostError, ImageNotFound, StorageError."""
    layers = _inside(images)
    record = images.store.resolve(name)
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


def unmount(images: LocalImages, name: str, *, force: bool = False) -> str:
    """Unmount an image; its id.  Raises NotFound when it is not mounted, HostError outside."""
    _inside(images)
    record = images.store.resolve(name)
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
