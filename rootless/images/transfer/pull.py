"""Pull an image: from a registry, or from what a transport prefix names.

Scope: the order of things.  The record is written last, so an image is there whole or not at all;
blobs that arrived before an interruption are found again by the next pull.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from rootless.chunked import places
from rootless.errors import DigestMismatch, NotFound, RegistryError, RootlessError, UsageError
from rootless.images.formats import manifests, platforms
from rootless.images.names import reference, registries, shortnames
from rootless.images.registry import parallel
from rootless.images.registry.client import Registry
from rootless.images.registry.http import Settings
from rootless.images.store import ingest
from rootless.images.store.store import ImageRecord, ImageStore, Layer
from rootless.images.transfer import chunked_pull
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.trust.verify import Trust

PARALLEL = 3
_ARCHIVES = ("oci", "oci-archive", "docker-archive")
_INDEX_DEPTH = 3


def pull(
    store: ImageStore,
    name: str,
    *,
    platform: str | None = None,
    tls_verify: bool | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    layers: Callable[[], list[str]] | None = None,
    lazy: bool = False,
    on_layer: Callable[[Layer], None] | None = None,
    trust: Trust | None = None,
    settle: Callable[[], None] | None = None,
) -> ImageRecord:
    """Bring the image `name` into the store, or make sure it is still the newest.

    `name` is a reference, `docker://REFERENCE`, `oci:DIRECTORY[:TAG]`, `oci-archive:FILE[:TAG]`,
    `docker-archive:FILE[:REFERENCE]` or `dir:DIRECTORY`.  `platform` is `os/arch[/variant]`, this
    host's by default.
    An unchanged image costs one request.  `layers` gives directories with unpacked layers
    (`layers/MAPKEY`): of layers with a table of contents only what those lack is fetched.
    `lazy`: such layers stay away, and are fetched when they are needed (lazy_start, another pull).
    `on_layer` hears of each layer that is here, from several threads, the others still arriving;
    it keeps garbage collection away as long as it works.  `settle` is called when all are here,
    before the image has a record: what it raises means that there is no such image.
    `trust` says which images may be had, by default what the user's policy.json says.
    Raises UsageError, ImageNotFound, RegistryError, DigestMismatch, StorageError, HostError.
    """
    progress = progress or Progress()
    wanted = platforms.parse(platform) if platform else platforms.host()
    transport, colon, rest = name.partition(":")
    if colon and transport in _ARCHIVES:
        from rootless.images import transports
        from rootless.images.transfer import load

        path, select = transports.split_path(rest)
        if not path:
            raise UsageError(f"{name} names no path", hint="write oci-archive:FILE[:TAG]")
        found = load.load(
            store, path, progress, select=select, platform=platform, expect=transport, trust=trust
        )
        if len(found) > 1:
            raise UsageError(
                f"{path} holds {len(found)} images",
                hint="name one: " + ", ".join(n for record in found for n in record.names),
            )
        return found[0]

    if colon and transport == "dir":
        return _from_directory(store, rest, platform, progress, trust)

    def job(registry: Registry, named: reference.Reference) -> _Pull:
        made = _Pull(store, named, registry, wanted, bool(platform), progress)
        made.layers = layers or list
        made.on_layer = on_layer or _ignore
        made.settle = settle or made.settle
        made.lazy = lazy
        made.trust = trust
        return made

    found_names = shortnames.candidates(name.removeprefix("docker://"))
    for number, candidate in enumerate(found_names):
        try:
            return _from_servers(
                store,
                candidate,
                registries.endpoints(candidate, tls_verify=tls_verify),
                job,
                settings,
                progress,
            )
        except (RegistryError, NotFound) as error:
            if number == len(found_names) - 1:
                raise
            progress.message(f"{candidate.familiar} cannot be pulled: {error.message}")
    raise AssertionError("a name means something")


def _from_servers(
    store: ImageStore,
    name: reference.Reference,
    endpoints: list[registries.Endpoint],
    job: Callable[[Registry, reference.Reference], _Pull],
    settings: Settings | None,
    progress: Progress,
) -> ImageRecord:
    """Mirrors in turn, then the registry itself, which decides."""
    for endpoint in endpoints:
        registry = Registry(name, endpoint, settings)
        try:
            with store.guard():
                return job(registry, name).run()
        except (RegistryError, NotFound, DigestMismatch) as error:
            # A mirror may be down, stale or damaged.
            if not endpoint.mirror:
                raise
            progress.message(f"the mirror {endpoint.host} does not help: {error.message}")
        finally:
            registry.close()
    raise AssertionError("the registry itself is always among the endpoints")


def is_local(name: str) -> bool:
    """Return whether this names a file or a directory, and no registry."""
    transport, colon, _ = name.partition(":")
    return bool(colon) and transport in (*_ARCHIVES, "dir")


def _from_directory(
    store: ImageStore, path: str, platform: str | None, progress: Progress, trust: Trust | None
) -> ImageRecord:
    """What `copy … dir:PATH` wrote, called after the directory, as an OCI layout would be."""
    from rootless.images.transfer import copy as transfer_copy
    from rootless.images.transports import directory as transport_directory
    from rootless.images.transports import local as transport_local

    source = transport_directory.DirectorySource(path)
    stem = os.path.basename(os.path.abspath(path)).lower()
    try:
        name = reference.parse(f"localhost/{stem}").canonical
    except UsageError:
        raise UsageError(
            f'an image cannot be called after the directory "{stem}"', hint="rename it"
        ) from None
    with store.guard():
        target = transport_local.StoreTarget(store, name)
        transfer_copy.copy(source, target, platform=platform, progress=progress, trust=trust)
    if target.record is None:
        raise AssertionError("the top manifest was put")
    return target.record


def _ignore(_: Layer) -> None:
    pass


class _Pull:
    """One pull from one registry."""

    def __init__(
        self,
        store: ImageStore,
        name: reference.Reference,
        registry: Registry,
        wanted: platforms.Platform,
        explicit: bool,
        progress: Progress,
    ) -> None:
        self.store = store
        self.name = name
        self.registry = registry
        self.wanted = wanted
        self.explicit = explicit
        self.progress = progress
        self.layers: Callable[[], list[str]] = list
        self.on_layer: Callable[[Layer], None] = _ignore
        self.settle: Callable[[], None] = lambda: None
        self.annotations: dict[str, dict[str, Json]] = {}
        self.lazy = False
        self.trust: Trust | None = None
        self.away: set[str] = set()

    def run(self) -> ImageRecord:
        tag = self.name.digest or self.name.tag
        here = self._unchanged(tag)
        if here is not None:
            self._check_trust([here.manifest_digest, *[d.rpartition("@")[2] for d in here.digests]])
            return self._keep(here, here.digests)
        data, media_type, top = self.registry.manifest(tag)
        document = manifests.parse(data)
        digest = top
        for _ in range(_INDEX_DEPTH):
            entries = manifests.entries(document, media_type)
            if entries is None:
                break
            chosen = manifests.Descriptor.read(
                platforms.choose(entries, self.wanted, self.name.familiar)
            )
            data, media_type, digest = self.registry.manifest(chosen.digest)
            document = manifests.parse(data)
        else:
            raise manifests.invalid("indexes within indexes within indexes")
        manifest = manifests.read_manifest(document)
        self._check_trust([digest, top])
        config = self._config(manifest.config)
        self._check_platform(config)
        layers = manifests.join_layers(manifest, config)
        self.annotations = {one.digest: one.annotations for one in manifest.layers}
        wanted = {layer.digest: layer for layer in layers}
        if self.lazy:
            for one in manifest.layers:
                if places.has_table(one.annotations):
                    wanted.pop(one.digest, None)
                    self.away.add(one.digest)
        # The largest first: what takes longest to unpack is to begin early.
        ordered = sorted(wanted.values(), key=lambda layer: layer.size, reverse=True)
        parallel.run([self._layer_job(layer) for layer in ordered], PARALLEL)
        self.settle()
        ingest.ingest_bytes(self.store, data)
        record = manifests.record(digest, manifest.config.digest, layers, config)
        return self._keep(record, [f"{self.name.name}@{top}"])

    def _check_trust(self, digests: list[str]) -> None:
        from rootless.images.trust.verify import Trust

        (self.trust or Trust()).registry(self.registry, self.name, digests)

    def _keep(self, record: ImageRecord, digests: list[str]) -> ImageRecord:
        record.digests = digests
        names = [] if self.name.digest else [f"{self.name.name}:{self.name.tag}"]
        if set(names) <= set(record.names) and self.store.get(record.id) is not None:
            old = self.store.get(record.id)
            if old is not None and old.to_dict() == record.to_dict():
                return record
        return self.store.put(record, names, away=self.away)

    def _unchanged(self, tag: str) -> ImageRecord | None:
        """The image we have, if the name still stands for it and nothing of it is missing."""
        try:
            record = self.store.resolve(self.name.canonical)
        except RootlessError:
            return None
        if not self.wanted.runs(
            platforms.Platform(record.os, record.architecture, record.variant)
        ) or not all(self.store.has_blob(layer.digest, layer.size) for layer in record.layers):
            return None
        if not self.store.has_blob(record.config_digest):
            return None
        digest = self.name.digest or self.registry.manifest_digest(tag)
        return record if f"{self.name.name}@{digest}" in record.digests else None

    def _config(self, wanted: manifests.Descriptor) -> dict[str, Json]:
        ingest.ingest(self.store, wanted.digest, wanted.size, self._fetch(wanted.digest, wanted))
        return manifests.parse(self.store.read_blob(wanted.digest))

    def _fetch(self, digest: str, descriptor: manifests.Descriptor) -> ingest.Fetch:
        def fetch(offset: int) -> Iterator[bytes]:
            return self.registry.blob(digest, descriptor.size, offset)

        return fetch

    def _check_platform(self, config: dict[str, Json]) -> None:
        found = manifests.platform(config)
        if found.architecture and not self.wanted.runs(found):
            # An image without an index may be for anything; running it here would only give
            # "exec format error" much later.
            hint = f"pull with --platform {found} if you can emulate it"
            if self.explicit:
                hint = "this name has an image for one platform only"
            raise RegistryError(
                f"{self.name.familiar} is an image for {found}, not for {self.wanted}", hint=hint
            )

    def _layer_job(self, layer: Layer) -> parallel.Job:
        descriptor = manifests.Descriptor(layer.digest, layer.size, layer.media_type)

        def job(cancelled: parallel.Cancelled) -> None:
            key = layer.digest
            self.progress.start(key, layer.digest[7:19], layer.size)
            said = chunked_pull.bring(
                self.store,
                layer,
                self.annotations.get(layer.digest, {}),
                self.layers,
                chunked_pull.ranges_of(self.registry, layer.digest),
                self._fetch(layer.digest, descriptor),
                on_bytes=lambda n: self.progress.advance(key, n),
                cancelled=cancelled,
            )
            self.progress.finish(key, said)
            self.on_layer(layer)

        return job
