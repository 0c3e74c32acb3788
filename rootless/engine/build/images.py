"""Base images for a build, and the image that it becomes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from rootless import documents
from rootless.build import config as configuration
from rootless.build import keys
from rootless.build.executor import Outcome
from rootless.build.protocols import BaseImage, Chain, Kept
from rootless.engine.build.layers import BuildLayers
from rootless.engine.build.request import RegistryAccess, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.images.record import ImageRecord, Layer
    from rootless.images.store.store import ImageStore

_PACKERS = 2


class BaseImages:
    """`rootless.build.protocols.Images` with the engine's images."""

    def __init__(self, engine: Collections, access: RegistryAccess | None = None) -> None:
        self.engine = engine
        self.access = access or RegistryAccess()
        self.records: dict[str, ImageRecord] = {}
        self.named: dict[str, ImageRecord] = {}
        self.layers: dict[str, Layer] = {}
        self._lock = threading.Lock()

    def find(self, reference: str, platform: str, pull: str) -> BaseImage:
        """The image, here and unpacked."""
        engine = self.engine
        with self._lock:
            record = engine.images.for_run(
                reference, pull, platform or None, tls_verify=self.access.tls_verify,
                settings=self.access.settings,
            )  # fmt: skip
            _not_by_chance(reference, record)
            engine.images.unpack(record, engine.context.maps)
            data = engine.images.store.read_blob(record.config_digest)
            self.records[record.id] = record
            self.named[reference] = record
            for layer in record.layers:
                self.layers[layer.diff_id] = layer
        document = documents.loads(data.decode())
        chain = tuple(layer.diff_id for layer in record.layers)
        return BaseImage(record.id, reference, document, chain)


class Storing:
    """From an outcome to an image.  `stamp`: the time of everything in it; `clamp`: the latest."""

    def __init__(
        self,
        layers: BuildLayers,
        bases: BaseImages,
        *,
        stamp: int | None = None,
        clamp: int | None = None,
        rewrite: bool = False,
        form: str = "oci",
        squash: str = "",
        beside: Callable[[Outcome, list[str]], dict[str, Json]] | None = None,
        request: Request | None = None,
    ) -> None:
        self.engine = layers.engine
        self.layers = layers
        self.bases = bases
        self.stamp = stamp
        self.clamp = clamp
        # SOURCE_DATE_EPOCH alone speaks of the configuration, and of files only with this
        self.rewrite = rewrite
        self.form = form
        self.squash = squash
        # of these layers, what stands in the configuration besides
        self.beside = beside
        # annotations, and what else of the configuration is no instruction's
        self.request = request
        self._sizes: dict[str, int] = {}

    @property
    def as_made(self) -> bool:
        """Whether the files in the image have the times that they have here."""
        return self.stamp is None and not (self.rewrite and self.clamp is not None)

    def store(self, outcome: Outcome, names: Sequence[str]) -> ImageRecord:
        """Keep the image, with these names.  Raises StorageError."""
        from rootless.engine.images.unpack import Making
        from rootless.images.formats import manifests
        from rootless.images.names import reference
        from rootless.images.store import assemble

        canonical = [reference.parse(name).canonical for name in names]
        with Making(self.engine.images) as store, store.guard():
            packed = self._layers(outcome, store)
            diff_ids = [layer.diff_id for layer in packed]
            document = self._document(outcome, diff_ids)
            if self.beside is not None:
                document.update(self.beside(outcome, diff_ids))
            # what is invalid is found before anything is written
            manifests.record("sha256:" + "0" * 64, "sha256:" + "0" * 64, packed, document)
            data = documents.dumps(document).encode()
            record = assemble.keep(store, data, document, packed, canonical, form=self.form,
                                   annotations=self._annotations(document))  # fmt: skip
        return record

    def _annotations(self, document: dict[str, Json]) -> dict[str, str]:
        """Of the manifest of the image with this configuration."""
        if self.request is None:
            return {}
        here = platform_of(document)
        found = {
            one.key: one.value
            for one in self.request.annotations
            if one.kind == "manifest" and one.platform in ("", here)
        }
        if self.request.created_annotation:
            found["org.opencontainers.image.created"] = str(document["created"])
        return found

    def _document(self, outcome: Outcome, diff_ids: list[str]) -> dict[str, Any]:
        document = self._finished(outcome, diff_ids)
        request = self.request
        if request is not None:
            if request.os_version:
                document["os.version"] = request.os_version
            if request.os_features:
                document["os.features"] = list(request.os_features)
            if request.no_history:
                document.pop("history", None)
        return document

    def _finished(self, outcome: Outcome, diff_ids: list[str]) -> dict[str, Any]:
        config = outcome.config
        if self.squash:
            base = self._new(outcome) if self.squash == "new" else 0
            if len(diff_ids) > base:
                _squashed(config, base)
        if self.stamp is not None:
            for entry in config.history:
                entry["created"] = configuration.stamp(self.stamp)
            return config.finished(self.stamp, diff_ids)
        if self.clamp is not None:
            return config.finished(self.clamp, diff_ids, clamp=self.clamp)
        return config.finished(self._created(outcome), diff_ids)

    def _created(self, outcome: Outcome) -> float:
        """The time of the image: of the first build that came to it, so that one whose every step
        is in the cache is the same image again."""
        config = outcome.config
        known = {"config": config.inner, "author": config.document.get("author", "")}
        key = keys.of_step(outcome.key, "image", known)
        kept = self.layers.find(key)
        if kept is None:
            kept = Kept("", {"created": time.time()})
            self.layers.remember(key, kept)
        self.layers.used(key, kept, ())
        return float(kept.facts["created"])

    # ------------------------------------------------------------ layers

    def ahead(self, name: str, below: Chain) -> None:
        """Pack a layer that the image is going to have, unless its blob is here.  Raises
        StorageError; the caller holds the store's guard."""
        with self.layers.moving(shared=True):
            if self._known(name, self.engine.images.store) is None:
                self._packed(name, below, self.engine.images.store)

    def _layers(self, outcome: Outcome, store: ImageStore) -> list[Layer]:
        chain = outcome.layers
        if self.squash:
            return self._squashed_layers(outcome, store)
        # who packs opens directories that nobody may exchange for a link meanwhile
        with self.layers.moving(shared=True):
            known = [self._known(name, store) for name in chain]
            if None not in known:
                return [one for one in known if one is not None]
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(_PACKERS, thread_name_prefix="pack") as pool:
                waiting = {
                    number: pool.submit(self._packed, chain[number], chain[:number], store)
                    for number, one in enumerate(known)
                    if one is None
                }
                made = [
                    waiting[number].result() if one is None else one
                    for number, one in enumerate(known)
                ]
        if self.as_made:
            with self.layers.moving(shared=False):
                for name in dict.fromkeys(chain):
                    if name not in self.bases.layers:
                        self.layers.hand_over(name)
        return made

    def _known(self, name: str, store: ImageStore) -> Layer | None:
        """A layer whose blob is here."""
        base = self.bases.layers.get(name)
        if base is not None:
            self._whole(name)
            store.rely(base.digest)
            return self._pushable(base, store)
        from rootless.images.record import Layer

        facts = self.layers.facts(name)
        if self.as_made and "digest" in facts:
            store.rely(facts["digest"])
            if store.has_blob(facts["digest"]):
                return Layer(facts["digest"], facts["diff_id"], facts["media_type"], facts["bytes"])
        return None

    def _pushable(self, layer: Layer, store: ImageStore) -> Layer:
        """Where something is attested of the image: a layer that pushing leaves as it is, because
        a registry gets compressed ones only and the digest that was attested would be another."""
        from rootless.images.store import assemble, layer_ingest

        attested = self.request is not None and self.request.provenance
        if not attested or assemble.kind_of(layer.media_type):
            return layer
        with open(store.blob_path(layer.digest), "rb") as source:
            return assemble.layer_of(layer_ingest.ingest(store, source))

    def blob_of(self, name: str, below: Chain, store: ImageStore) -> Layer:
        """A layer as a blob of the store.  Raises StorageError."""
        with self.layers.moving(shared=True):
            return self._known(name, store) or self._packed(name, below, store)

    def _packed(self, name: str, below: Chain, store: ImageStore) -> Layer:
        stamp, clamp = self.stamp, self.clamp if self.rewrite else None
        request = self.layers.pack_request(name, below, clamp, stamp)
        packed = self._pack("rootless.storage.rootfs.layer_export:layer_worker", request, store)
        if self.as_made:
            self.layers.note(
                name, diff_id=packed.diff_id, digest=packed.digest, media_type=packed.media_type,
                bytes=packed.size, size=self._sizes.get(packed.digest, -1),
            )  # fmt: skip
        return packed

    def _whole(self, diff_id: str) -> None:
        """A base that was pulled lazily is completed, as for push and save."""
        for record in self.bases.records.values():
            if any(layer.diff_id == diff_id for layer in record.layers):
                self.engine.images.fetch_missing(record.id)
                return

    def _new(self, outcome: Outcome) -> int:
        """How many layers are the base image's own."""
        count = 0
        while count < len(outcome.layers) and outcome.layers[count] in self.bases.layers:
            count += 1
        return count

    def _squashed_layers(self, outcome: Outcome, store: ImageStore) -> list[Layer]:
        """--squash: one layer of what the build made; --squash-all: one of everything."""
        base = self._new(outcome) if self.squash == "new" else 0
        below, above = outcome.layers[:base], outcome.layers[base:]
        kept = [one for one in (self._known(name, store) for name in below) if one is not None]
        if not above:
            return kept
        request: Json = {
            "stack": self.layers.directories(above), "root": base == 0, "skip": [],
            "lowers": self.layers.directories(below), "owners": self.layers.owners(above),
            "stamp": self.stamp, "clamp": self.clamp if self.rewrite else None,
        }  # fmt: skip
        worker = "squashed_worker" if base else "union_worker"
        function = f"rootless.storage.rootfs.layer_export:{worker}"
        with self.layers.moving(shared=True):
            return [*kept, self._pack(function, request, store)]

    def _pack(self, function: str, request: Json, store: ImageStore) -> Layer:
        from rootless.images.store import assemble
        from rootless.images.store import layer_ingest as packed

        reading, writing = os.pipe()
        answers: list[Json] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                head = {"function": function, "request": request}
                answers.append(self.layers.workers.call(head, writing))
            except BaseException as error:
                failed.append(error)
            finally:
                os.close(writing)

        def check() -> None:
            thread.join()
            if failed:
                raise failed[0]

        thread = threading.Thread(target=work)
        thread.start()
        with open(reading, "rb") as source:
            arrived = packed.ingest(store, source, check=check)
        unfit = answers[0]["unfit"]
        if unfit:
            self.engine.context.notice(
                "build", f"left out of the image, because its name would mean a deletion: "
                f"{unfit[0]}", always=True,
            )  # fmt: skip
        self._sizes[arrived.digest] = int(answers[0]["bytes"])
        return assemble.layer_of(arrived)


def _squashed(config: configuration.Config, base: int) -> None:
    """One history entry for one layer, after those of the base image's `base` layers."""
    created = config.history[-1]["created"] if config.history else configuration.stamp(0)
    kept: list[Json] = []
    layers = 0
    for entry in config.history:
        empty = entry.get("empty_layer")
        if layers == base and (not empty or entry.get("comment") == configuration.COMMENT):
            break
        kept.append(entry)
        layers += 0 if empty else 1
    one = {"created": created, "created_by": "squash", "comment": configuration.COMMENT}
    config.history = [*kept, one]


def platform_of(document: Mapping[str, Json]) -> str:
    """`linux/arm64/v8`, of a configuration."""
    parts = [document.get(name) for name in ("os", "architecture", "variant")]
    return "/".join(str(one) for one in parts if one)


def source_date() -> int | None:
    """Return the time that SOURCE_DATE_EPOCH asks for, None without one.  Raises UsageError."""
    from rootless.images.store import commit

    return commit.source_date()


def _not_by_chance(name: str, record: ImageRecord) -> None:
    """`FROM 0` is a mistake, and not the image whose id happens to begin so."""
    from rootless.errors import ImageNotFound
    from rootless.images.names import filenames, reference

    chance = len(name) < 12 and record.id.startswith(name)
    if chance and not {*filenames.candidates(reference.parse(name))} & {*record.names}:
        raise ImageNotFound(
            f"there is no image {name}", hint="give 12 digits of an id, or a stage a name"
        )
