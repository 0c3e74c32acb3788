"""`engine.images`: names as in docker's Python client."""

from __future__ import annotations

from rootless.engine.images.local import LocalImages, is_id
from rootless.errors import ImageNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO, Literal, overload

    from rootless.documents import Json
    from rootless.engine.images.image import Image
    from rootless.images.registry.http import Settings as Settings
    from rootless.images.store.index import Summary as Summary
    from rootless.images.store.store import ImageRecord

    ImageList = list[ImageRecord]
    Summaries = list[Summary]
    Strings = list[str]
    Pulled = list[Image]
    Tables = list[dict[str, Json]]
    Documents = list[Json]
    Filters = Mapping[str, str | Strings]
    Builder = Callable[..., tuple[Image, Iterator[Json]]]


class Images(LocalImages):
    """The images of one engine."""

    builder: Builder | None = None
    """Who builds: it stands above this room."""

    def for_run(
        self,
        name: str,
        policy: str | None,
        platform: str | None = None,
        *,
        lazy: bool = False,
        tls_verify: bool | None = None,
        settings: Settings | None = None,
    ) -> ImageRecord:
        """The image for a new container, by docker's pull policies.  Raises ImageNotFound."""
        policy = policy or "missing"
        if policy not in ("missing", "always", "never", "newer"):
            from rootless.errors import UsageError

            raise UsageError(f'unknown --pull "{policy}"', hint="missing, always, never or newer")
        store = self.store
        if _is_elsewhere(name) or (policy in ("always", "newer") and not names_hello(name)):
            return self.pull(name, platform, tls_verify, settings, lazy=lazy)
        try:
            record = store.resolve(name)
            if not platform:
                return record
            from rootless.engine.images import platform as image_platform

            return image_platform.fit(
                record, name, platform, policy,
                lambda name, platform: self.pull(name, platform, tls_verify, settings),
            )  # fmt: skip
        except ImageNotFound:
            if names_hello(name):
                from rootless.images.store import builtin

                self.ctx.prepare()
                return builtin.ensure_hello(store)
            if policy == "never" or is_id(name):
                raise
        return self.pull(name, platform, tls_verify, settings, lazy=lazy)

    if TYPE_CHECKING:

        @overload
        def pull(
            self,
            name: str,
            platform: str | None = None,
            tls_verify: bool | None = None,
            settings: Settings | None = None,
            *,
            lazy: bool = False,
            tag: str | None = None,
            all_tags: Literal[False] = False,
            auth_config: dict[str, str] | None = None,
        ) -> Image: ...

        @overload
        def pull(
            self,
            name: str,
            platform: str | None = None,
            tls_verify: bool | None = None,
            settings: Settings | None = None,
            *,
            lazy: bool = False,
            tag: str | None = None,
            all_tags: Literal[True],
            auth_config: dict[str, str] | None = None,
        ) -> Pulled: ...

    def pull(
        self,
        name: str,
        platform: str | None = None,
        tls_verify: bool | None = None,
        settings: Settings | None = None,
        *,
        lazy: bool = False,
        tag: str | None = None,
        all_tags: bool = False,
        auth_config: dict[str, str] | None = None,
    ) -> Image | Pulled:
        """Fetch an image and unpack it; layers are unpacked while others arrive.

        `lazy`: only what must be here before it is started.  `tag` (or a digest) is put behind the
        name; `all_tags`: every image of the repository, as a list.
        """
        if auth_config:
            from rootless.engine.images import transfer as image_transfer

            settings = image_transfer.settings(auth_config)
        if all_tags:
            tags = self.tags(name, tls_verify=tls_verify, settings=settings)
            return [self.pull(f"{name}:{one}", platform, tls_verify, settings) for one in tags]
        if tag:
            name = f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"
        return self.hand(self._pull(name, platform, tls_verify, settings, lazy))

    def _pull(
        self,
        name: str,
        platform: str | None,
        tls_verify: bool | None,
        settings: Settings | None,
        lazy: bool,
    ) -> ImageRecord:
        if names_hello(name):
            return self.for_run(name, "missing")
        self.ctx.prepare()
        store = self.store
        from rootless.engine.images import trust as image_trust
        from rootless.images.registry import head_check

        plain = tls_verify is None and settings is None and not self.ctx.demands
        if plain and not image_trust.settings() and head_check.trusted_as_all():
            here = head_check.look(store, name, platform)
            if here is not None:
                self.unpack(here, self.ctx.maps)
                self.event("pull", here)
                return here
        from rootless.engine.images.unpack import Arrivals
        from rootless.images.transfer import pull as transfer_pull

        if not lazy:
            # also of an archive: an image that cannot be unpacked is none
            store.settle = lambda record: self.unpack(record, self.ctx.maps)
        try:
            # garbage collection lets the blobs be until they are unpacked as well
            with store.guard(), Arrivals(self.ctx) as arrivals:
                record = transfer_pull.pull(
                    store,
                    name,
                    platform=platform,
                    tls_verify=tls_verify,
                    progress=self.ctx.progress,
                    settings=settings,
                    layers=self.layer_directories,
                    lazy=lazy,
                    on_layer=None if lazy else arrivals.take,
                    trust=image_trust.rules(self.ctx),
                    settle=arrivals.settle,
                )
        except BaseException:
            if transfer_pull.is_local(name):
                # nobody continues an archive, as a pull continues what a registry sent
                store.collect_garbage()
            raise
        if not lazy:
            self.unpack(record, self.ctx.maps)
        # the name of an archive or a layout is no name of an image
        self.event("pull", record)
        return record

    def get(self, name: str) -> Image:
        """The image of this name or id.  Raises ImageNotFound."""
        return self.hand(self.store.resolve(name))

    def hand(self, record: ImageRecord) -> Image:
        """Return an image with what can be done with it."""
        from rootless.engine.images.image import Image

        return Image(record, self)

    def list(self, filters: Filters | None = None) -> ImageList:
        """All images, newest first; filters as docker's, several values of one in a list."""
        found = list(self.store.list())
        if filters:
            from rootless.engine.common import arguments
            from rootless.engine.images import filters as image_filters

            found = image_filters.passing(self.store, found, arguments.filters(filters))
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

    def load(self, source: str | BinaryIO | bytes) -> ImageList:
        """Images of an archive: its path, a file or bytes."""
        if isinstance(source, bytes):
            import io

            source = io.BytesIO(source)
        from rootless.engine.images import trust as image_trust
        from rootless.engine.images.unpack import Making
        from rootless.images.transfer import load as transfer_load

        self.ctx.prepare()
        rules = image_trust.rules(self.ctx)
        with Making(self) as store:
            records = transfer_load.load(store, source, self.ctx.progress, trust=rules)
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
        for word in words:
            self.fetch_missing(word)
        transfer_save.save(
            self.store, words, target, format=format, compress=compress,
            progress=self.ctx.progress,
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
        image_trust.of_file(self.ctx, "tarball", path)
        self.ctx.prepare()
        with Making(self) as store:
            record = transfer_load.import_rootfs(
                store, source, name, changes=arguments.words("changes", changes), message=message,
                platform=platform, progress=self.ctx.progress,
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
            from rootless.engine.images import layer_sizes

            layer_sizes.measure(self, unknown)
        return found

    def attrs(self, record: ImageRecord) -> Json:
        """The shape of `docker image inspect`."""
        from rootless.engine.images import inspect as image_inspect

        return image_inspect.attrs(record, self)

    # registries and other places

    def build(self, **words: Json) -> tuple[Image, Iterator[Json]]:
        """Build an image from a Dockerfile: (the image, what was told meanwhile).

        Words as in docker's client: `path` (a directory, an archive, an address, a repository) or
        `fileobj` (a Dockerfile; with `custom_context` an archive), `tag`, `dockerfile`,
        `buildargs`, `target`, `labels`, `nocache`, `pull`, `network_mode`, `extra_hosts`,
        `platform`, `shmsize`, `quiet`; and `secrets` (bytes by id), `contexts` (by name).
        Raises DockerfileError, StepFailed, UsageError and what images and storage raise.
        """
        assert self.builder is not None
        return self.builder(**words)

    def push(
        self,
        repository: str,
        tag: str | None = None,
        auth_config: dict[str, str] | None = None,
        **words: Json,
    ) -> Json:
        """Send an image or a manifest list to a registry or another place; {"Target", "Digest",
        "Size"}.

        Words: `target`, `tls_verify`, `format` ("oci", "v2s2"), `compression_format` ("gzip",
        "zstd", "zstd:chunked", "none"), `compression_level`, `chunk_size` (bytes).
        """
        from rootless.engine.images import transfer as image_transfer

        if auth_config:
            words["settings"] = image_transfer.settings(auth_config)
        name = f"{repository}:{tag}" if tag else repository
        target = words.pop("target", None) or ""
        from rootless.engine.images.manifests import Manifests

        lists = Manifests(self.ctx)
        if lists.exists(name):
            return lists.push(name, target, **words)
        return image_transfer.push(self, name, target, words)

    def copy(self, source: str, target: str, **words: Json) -> Json:
        """Copy from a place to another without the store: {"Target", "Digest", "Size"}.

        Words: `all`, `platform`, `preserve_digests`, `format`, `compression_format`,
        `compression_level`, `src_tls_verify`, `dest_tls_verify`.
        """
        from rootless.engine.images import transfer as image_transfer

        return image_transfer.copy(self.ctx, source, target, words)

    def tags_of(self, name: str) -> Strings:
        """All names with a tag that images here have in the repository of `name`."""
        from rootless.images.names import reference

        wanted = reference.parse(name).name
        return [
            one
            for record in self.list()
            for one in record.names
            if reference.parse(one).name == wanted
        ]

    def search(self, term: str, limit: int | None = None, **words: Json) -> Tables:
        """Images of registries whose names or descriptions have `term`; `REGISTRY/TERM` asks one.

        Each has `index`, `name`, `description`, `star_count`, `is_official`, `is_automated`.
        Words: `tls_verify`, `settings`.
        """
        from rootless.images.registry import search as registry_search

        return registry_search.search(
            term, limit=registry_search.DEFAULT_LIMIT if limit is None else limit, **words
        )

    def tags(self, name: str, **words: Json) -> Strings:
        """All tags that a registry has for the repository of `name`.  Words as for `search`."""
        from rootless.images.registry import search as registry_search

        return registry_search.tags(name, **words)

    def names_in_registry(self, names: Strings, **words: Json) -> Strings:
        """Every tag of each of these repositories, as names.  Words as for `search`."""
        from rootless.images.names import reference

        return [
            f"{reference.parse(name).name}:{tag}"
            for name in names
            for tag in self.tags(name, **words)
        ]

    def distribution(self, name: str, auth_config: dict[str, str] | None = None) -> Json:
        """What a registry has under a name: {"Descriptor", "Platforms"}, docker's shape.

        Raises RegistryError, UsageError.
        """
        from rootless.engine.images import transfer as image_transfer

        return image_transfer.distribution(name, auth_config)

    def referrers(self, name: str, artifact_type: str = "", **words: Json) -> Tables:
        """Descriptors of what a registry has that refers to an image: signatures, attestations.

        Words as for `search`.
        """
        from rootless.images.registry import client as registry_client
        from rootless.images.registry import referrers as registry_referrers

        server = registry_client.connect(name, **words)
        try:
            wanted = server.reference
            digest = wanted.digest or server.manifest_digest(wanted.tag)
            digest = digest or server.manifest(wanted.tag)[2]
            return registry_referrers.listed(server, digest, artifact_type)
        finally:
            server.close()


def names_hello(name: str) -> bool:
    """Whether this names the image that the package carries."""
    return name in (
        "rootless/hello",
        "rootless/hello:latest",
        "docker.io/rootless/hello",
        "docker.io/rootless/hello:latest",
    )


def _is_elsewhere(name: str) -> bool:
    """Whether it says where an image is brought from, and is no name of one.

    `oci:1` and `dir:1` are names: only with a path behind them they are places.
    """
    kind, _, rest = name.partition(":")
    if kind in ("docker-archive", "oci-archive"):
        return True
    path = rest.startswith(("/", "./", "../", "~/"))
    return name.startswith("docker://") or (kind in ("oci", "dir") and path)
