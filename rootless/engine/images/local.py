"""The images that are here: the store, their layers unpacked, and events about them."""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import ImageNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.context import Context
    from rootless.engine.images.users import ImageUsers
    from rootless.images.store.store import ImageRecord, ImageStore
    from rootless.userns.idmap import IdMaps

    Strings = list[str]


class LocalImages:
    """The part of `Images` that the modules of this room need of it."""

    def __init__(self, ctx: Context, users: ImageUsers) -> None:
        self.ctx = ctx
        self.users = users

    @property
    def store(self) -> ImageStore:
        """The image room's store."""
        from rootless.images.store.store import ImageStore

        return ImageStore(self.ctx.data_dir)

    def exists(self, name: str) -> bool:
        """Whether there is an image of this name or id."""
        try:
            self.store.resolve(name)
        except ImageNotFound:
            return False
        return True

    def arrived(self, record: ImageRecord, maps: IdMaps) -> bool:
        """Whether every layer is unpacked, or here to be unpacked."""
        from rootless.storage.layers.store import LayerStore

        layers, store = LayerStore(self.ctx.data_dir, maps), self.store
        return all(
            [
                os.path.isdir(layers.path(one.diff_id)) or store.has_blob(one.digest, one.size)
                for one in record.layers
            ]
        )

    def unpack(self, record: ImageRecord, maps: IdMaps) -> Strings:
        """Directories of the image's layers, topmost first; unpacks what is missing."""
        from rootless.storage.layers.store import LayerStore

        layers = LayerStore(self.ctx.data_dir, maps)
        diff_ids = [layer.diff_id for layer in record.layers]
        missing = set(layers.missing(diff_ids))
        if missing:
            self.ctx.prepare()
            if not self.arrived(record, maps):
                from rootless.engine.images import complete as image_complete

                image_complete.complete(self.ctx, self.store, record, self.layer_directories)
            blobs = {one.diff_id: one.digest for one in record.layers if one.diff_id in missing}
            store = self.store
            with store.hold(record, list(blobs.values())):
                layers.ensure(
                    [(diff_id, store.blob_path(digest)) for diff_id, digest in blobs.items()],
                    progress=self.ctx.progress,
                )
        return layers.stack(diff_ids)

    def fetch_missing(self, name: str) -> None:
        """Have all blobs of an image here, for what copies it.  Raises ImageNotFound, as a pull."""
        record, store = self.store.resolve(name), self.store
        if not all(store.has_blob(one.digest, one.size) for one in record.layers):
            from rootless.engine.images import complete as image_complete

            image_complete.complete(self.ctx, store, record, self.layer_directories)

    def event(self, action: str, record: ImageRecord, name: str = "") -> None:
        """Write an event of an image."""
        from rootless.images.names import reference

        known = name or (record.names[0] if record.names else "")
        if known and not is_id(known.removeprefix("sha256:")):
            known = reference.parse(known).familiar
        attributes = {**(record.config.get("Labels") or {}), "name": known}
        self.ctx.emit("image", action, f"sha256:{record.id}", known, attributes)

    def layer_directories(self) -> Strings:
        """Where unpacked layers are, for each way in which ids are kept."""
        top = os.path.join(self.ctx.data_dir, "layers")
        return [os.path.join(top, name) for name in documents.names_in(top)]


def name_here(name: str) -> str:
    """The name that an image gets which is made here: a short one is under localhost/.

    Raises UsageError for what is no name.
    """
    from rootless.images.names import reference

    return f"localhost/{name}" if reference.parse(name).short else name


def familiar(name: str) -> str:
    """Return an image's name without what docker leaves out."""
    from rootless.images.names import reference

    return reference.parse(name).familiar


def is_id(name: str) -> bool:
    """Whether a name is the whole id of an image."""
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
