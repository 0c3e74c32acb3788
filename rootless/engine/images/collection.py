"""`engine.images`: names as in docker's Python client."""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.images.transfer_methods import Transfers
from rootless.errors import ImageNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from rootless.documents import Json
    from rootless.engine.containers.container import Container
    from rootless.engine.engine import Engine
    from rootless.engine.images.image import Image
    from rootless.images.registry.http import Settings
    from rootless.images.store.index import Summary
    from rootless.images.store.store import ImageRecord, ImageStore
    from rootless.userns.idmap import IdMaps

    ImageList = list[ImageRecord]
    Summaries = list[Summary]
    ContainerList = list[Container]
    Strings = list[str]
    Documents = list[Json]
    Filters = Mapping[str, str | Strings]


class Images(Transfers):
    """The images of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def store(self) -> ImageStore:
        """The image room's store."""
        from rootless.images.store.store import ImageStore

        return ImageStore(self.engine.data_dir)

    def for_run(
        self, name: str, policy: str | None, platform: str | None = None, *, lazy: bool = False
    ) -> ImageRecord:
        """The image for a new container, by docker's pull policies.  Raises ImageNotFound."""
        policy = policy or "missing"
        if policy not in ("missing", "always", "never", "newer"):
            from rootless.errors import UsageError

            raise UsageError(f'unknown --pull "{policy}"', hint="missing, always, never or newer")
        store = self.store
        if policy in ("always", "newer") and not names_hello(name):
            return self.pull(name, platform, lazy=lazy)
        try:
            record = store.resolve(name)
            if not platform:
                return record
            from rootless.engine.images import platform as image_platform

            return image_platform.fit(self, record, name, platform, policy)
        except ImageNotFound:
            if names_hello(name):
                from rootless.images.store import builtin

                self.engine.prepare_data_dir()
                return builtin.ensure_hello(store)
            if policy == "never" or _is_id(name):
                raise
        return self.pull(name, platform, lazy=lazy)

    def arrived(self, record: ImageRecord, maps: IdMaps) -> bool:
        """Whether every layer is unpacked, or here to be unpacked."""
        from rootless.storage.layers.store import LayerStore

        layers, store = LayerStore(self.engine.data_dir, maps), self.store
        return all(
            [
                os.path.isdir(layers.path(one.diff_id)) or store.has_blob(one.digest, one.size)
                for one in record.layers
            ]
        )

    def unpack(self, record: ImageRecord, maps: IdMaps) -> Strings:
        """Directories of the image's layers, topmost first; unpacks what is missing."""
        from rootless.storage.layers.store import LayerStore

        layers = LayerStore(self.engine.data_dir, maps)
        diff_ids = [layer.diff_id for layer in record.layers]
        missing = set(layers.missing(diff_ids))
        if missing:
            self.engine.prepare_data_dir()
            if not self.arrived(record, maps):
                from rootless.engine.containers import lazy_start

                lazy_start.complete(self, record)
            blobs = {one.diff_id: one.digest for one in record.layers if one.diff_id in missing}
            with self.store.hold(record, list(blobs.values())) as store:
                layers.ensure(
                    [(diff_id, store.blob_path(digest)) for diff_id, digest in blobs.items()],
                    progress=self.engine.progress,
                )
        return layers.stack(diff_ids)

    def pull(
        self,
        name: str,
        platform: str | None = None,
        tls_verify: bool | None = None,
        settings: Settings | None = None,
        *,
        lazy: bool = False,
    ) -> ImageRecord:
        """Fetch an image and unpack it; layers are unpacked while others arrive.

        `lazy`: only what must be here before it is started.
        """
        if names_hello(name):
            return self.for_run(name, "missing")
        self.engine.prepare_data_dir()
        store = self.store
        from rootless.engine.images import trust as image_trust
        from rootless.images.registry import head_check

        plain = tls_verify is None and settings is None and not self.engine.demands
        if plain and not image_trust.settings() and head_check.trusted_as_all():
            here = head_check.look(store, name, platform)
            if here is not None:
                self.unpack(here, self.engine.maps)
                self.event("pull", here)
                return here
        from rootless.engine.images.unpack import Arrivals
        from rootless.images.transfer import pull as transfer_pull

        if not lazy:
            # also of an archive: an image that cannot be unpacked is none
            store.settle = lambda record: self.unpack(record, self.engine.maps)
        try:
            # garbage collection lets the blobs be until they are unpacked as well
            with store.guard(), Arrivals(self.engine) as arrivals:
                record = transfer_pull.pull(
                    store,
                    name,
                    platform=platform,
                    tls_verify=tls_verify,
                    progress=self.engine.progress,
                    settings=settings,
                    layers=self.layer_directories,
                    lazy=lazy,
                    on_layer=None if lazy else arrivals.take,
                    trust=image_trust.rules(self.engine),
                    settle=arrivals.settle,
                )
        except BaseException:
            if transfer_pull.is_local(name):
                # nobody continues an archive, as a pull continues what a registry sent
                store.collect_garbage()
            raise
        if not lazy:
            self.unpack(record, self.engine.maps)
        # the name of an archive or a layout is no name of an image
        self.event("pull", record)
        return record

    def event(self, action: str, record: ImageRecord, name: str = "") -> None:
        """Tell what happened to an image."""
        from rootless.images.names import reference

        known = name or (record.names[0] if record.names else "")
        if known and not _is_id(known.removeprefix("sha256:")):
            known = reference.parse(known).familiar
        attributes = {**(record.config.get("Labels") or {}), "name": known}
        self.engine.event("image", action, f"sha256:{record.id}", known, attributes)

    def layer_directories(self) -> Strings:
        """Where unpacked layers are, for each way in which ids are kept."""
        top = os.path.join(self.engine.data_dir, "layers")
        return [os.path.join(top, name) for name in documents.names_in(top)]

    def get(self, name: str) -> Image:
        """The image of this name or id.  Raises ImageNotFound."""
        return self.hand(self.store.resolve(name))

    def hand(self, record: ImageRecord) -> Image:
        """An image for the person, with what can be done with it."""
        from rootless.engine.images.image import Image

        return Image(record, self)

    def list(self, filters: Filters | None = None) -> ImageList:
        """All images, newest first; filters as docker's, several values of one in a list."""
        found = list(self.store.list())
        if filters:
            from rootless.engine.common import arguments, list_filters

            found = list_filters.images(self.engine, found, arguments.filters(filters))
        return found

    def tag(self, source: str, target: str) -> None:
        """Give an image a further name."""
        self.store.tag(source, target)
        self.event("tag", self.store.resolve(target), target)

    def history(self, image: str) -> Documents:
        """How an image came about, newest step first; the shape of docker's API."""
        from rootless.engine.images import history as image_history

        return image_history.history(self, image)

    def untag(self, name: str, tags: str | Strings | None = None) -> Strings:
        """Take these names from an image, by default all it has; it stays.  Returns them."""
        from rootless.engine.common import arguments
        from rootless.engine.images import remove as image_remove

        return image_remove.untag(self, name, arguments.words("the tags", tags))

    def exists(self, name: str) -> bool:
        """Whether there is an image of this name or id."""
        try:
            self.store.resolve(name)
        except ImageNotFound:
            return False
        return True

    def load(self, source: str | BinaryIO) -> ImageList:
        """Images of an archive."""
        from rootless.engine.images import trust as image_trust
        from rootless.engine.images.unpack import Making
        from rootless.images.transfer import load as transfer_load

        self.engine.prepare_data_dir()
        rules = image_trust.rules(self.engine)
        with Making(self) as store:
            records = transfer_load.load(store, source, self.engine.progress, trust=rules)
        for record in records:
            self.event("load", record)
        return records

    def save(
        self,
        names: str | Strings,
        target: str | BinaryIO,
        *,
        format: str = "docker-archive",
        compress: bool = False,
    ) -> None:
        """Write images to a path or a stream; see rootless.images.transfer.save.save."""
        from rootless.engine.common import arguments
        from rootless.images.transfer import save as transfer_save

        words = arguments.words("the names", names)
        if format == "squashfs":
            from rootless.engine.images import squashfs

            squashfs.save(self, words, target)
            return
        from rootless.engine.containers import lazy_start

        for word in words:
            lazy_start.whole(self, word)
        transfer_save.save(
            self.store, words, target, format=format, compress=compress,
            progress=self.engine.progress,
        )  # fmt: skip
        for word in words:
            self.event("save", self.get(word), word)

    def import_image(
        self,
        source: str | BinaryIO,
        name: str = "",
        changes: str | Strings | None = None,
        message: str = "",
        platform: str | None = None,
    ) -> ImageRecord:
        """An image of one layer from a root file system's tar."""
        from rootless.engine.common import arguments
        from rootless.engine.images import trust as image_trust
        from rootless.engine.images.unpack import Making
        from rootless.images.transfer import load as transfer_load

        path = source if isinstance(source, str) and source != "-" else ""
        image_trust.of_file(self.engine, "tarball", path)
        self.engine.prepare_data_dir()
        with Making(self) as store:
            record = transfer_load.import_rootfs(
                store, source, name, changes=arguments.words("changes", changes), message=message,
                platform=platform, progress=self.engine.progress,
            )  # fmt: skip
        self.event("import", record)
        return record

    def remove(self, name: str, force: bool = False) -> Documents:
        """Untag or delete, by docker's rules; what was done as [{"Untagged"|"Deleted": …}]."""
        from rootless.engine.images import remove as image_remove

        return image_remove.image(self, name, force)

    def prune(self, all: bool = False, filters: Filters | None = None) -> Json:
        """Remove images without a name (with `all`: every unused one), their layers and blobs."""
        from rootless.engine.images import remove as image_remove

        return image_remove.prune_images(self, all, filters)

    def summaries(self, filters: Filters | None = None) -> Summaries:
        """What a list shows of all images, newest first; costs one document without filters."""
        found = self.store.summaries()
        if filters:
            from rootless.images.store.index import Summary

            sizes = {one.id: one.size for one in found}
            found = [Summary.of(record) for record in self.list(filters)]
            for one in found:
                one.size = sizes.get(one.id, -1)
        if unknown := [one for one in found if one.size < 0]:
            from rootless.engine.images import history as image_history

            image_history.measure(self, unknown)
        return found

    def attrs(self, record: ImageRecord) -> Json:
        """The shape of `docker image inspect`."""
        from rootless.engine.containers import inspect as container_inspect

        return container_inspect.image(record, self)


def names_hello(name: str) -> bool:
    """Whether this names the image that the package carries."""
    return name in (
        "rootless/hello",
        "rootless/hello:latest",
        "docker.io/rootless/hello",
        "docker.io/rootless/hello:latest",
    )


def _is_id(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")
