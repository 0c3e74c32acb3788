"""--cache-to and --cache-from: what steps came to, given to other machines and taken from them.

Scope: an artifact with the keys of a build and the layers that they lead to (docs/dev/formats.md,
"A build cache that is given away"), in a registry or an OCI layout, or beside the configuration of
an image (inline).  A layer that a step is found to need is fetched then, and is a layer of this
host's own cache from there on.

What is fetched was made by others, as base images are: its form is checked, every blob against its
digest, the signature policy is asked; what steps would have come to here nobody can check.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rootless import documents, paths
from rootless.build.progress import Progress, WarningEvent
from rootless.build.protocols import Chain, Kept
from rootless.engine.build.layers import BuildLayers
from rootless.engine.build.request import CachePlace, RegistryAccess
from rootless.errors import RootlessError, StorageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.build.executor import Outcome
    from rootless.documents import Json
    from rootless.engine.build.images import Storing
    from rootless.engine.build.workers import Workers
    from rootless.engine.collections import Collections
    from rootless.images.formats.manifests import Descriptor
    from rootless.images.record import Layer
    from rootless.images.transports.base import Source, Target

MEDIA_TYPE = "application/vnd.rootless.buildcache.v1+json"
INLINE = "rootless.buildcache.v1"
_MOST = 32 << 20  # bytes of the document
_UNPACK = "rootless.storage.layers.unpack:unpack_worker"


def _hex(value: Json) -> bool:
    return type(value) is str and len(value) == 64 and not value.strip("0123456789abcdef")


def _digest(value: Json) -> bool:
    return type(value) is str and value[:7] == "sha256:" and _hex(value[7:])


def _layer_or_none(value: Json) -> bool:
    return value == "" or _digest(value)


def _owner(value: Json) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(one) is int and 0 <= one < 1 << 32 for one in value)
    )


KEYS: Json = {"*": {"layer": _layer_or_none, "created": (int, float)}}
SHAPE: Json = {"version": int, "keys": KEYS, "owners?": {"*": {"*": _owner}}, "layers": [_digest]}


@dataclass
class _Found:
    """What was read of a place."""

    place: CachePlace
    source: Source
    keys: dict[str, tuple[str, float]]
    layers: dict[str, Descriptor]
    owners: dict[str, dict[str, list[int]]] = field(default_factory=dict)


class SharedLayers(BuildLayers):
    """Layers that are looked for in other caches as well, and remembered for those to come."""

    def __init__(
        self,
        engine: Collections,
        workers: Workers,
        progress: Progress,
        access: RegistryAccess,
        *,
        platform: str = "",
        oldest: float = 0,
    ) -> None:
        """`oldest`: what was made before that moment is not taken, from no cache."""
        super().__init__(engine, workers)
        self.progress = progress
        self.access = access
        self.platform = platform
        self.oldest = oldest
        self.steps: dict[str, tuple[Kept, Chain]] = {}
        self._found: list[_Found] = []
        self._locks: dict[str, threading.Lock] = {}
        self._brought: dict[str, str] = {}
        self._one = threading.Lock()

    # ------------------------------------------------------------ taking

    def open(self, places: Sequence[CachePlace]) -> None:
        """Read what these caches have.  One that cannot be had is a warning, and no error: the
        first build of all has none to begin with."""
        for place in places:
            name = f"importing the cache of {place}"
            number = self.progress.step(name)
            self.progress.state(number, "started")
            source: Source | None = None
            try:
                source = _source(place, self.access)
                self._found.append(self._read(place, source))
            except (RootlessError, OSError) as error:
                if source is not None:
                    source.close()
                self.progress.state(number, "done")
                self._warn(f"the cache of {place} is not used: {_said(error)}")
                continue
            self.progress.state(number, "done")

    def _read(self, place: CachePlace, source: Source) -> _Found:
        from rootless.engine.images import trust as image_trust
        from rootless.images.formats import manifests, platforms
        from rootless.images.formats.manifests import Descriptor

        data, media_type = source.top()
        chain = [_sum(data)]
        document = manifests.parse(data)
        listed = manifests.entries(document, media_type)
        if listed is not None:
            wanted = platforms.parse(self.platform) if self.platform else platforms.host()
            entry = Descriptor.read(platforms.choose(listed, wanted, source.name))
            data = source.manifest(entry)
            if _sum(data) != entry.digest:
                raise StorageError("its manifest is not what its digest says")
            chain.insert(0, entry.digest)
            document = manifests.parse(data)
        source.ask(image_trust.rules(self.engine.context), chain)
        config = Descriptor.read(document.get("config"))
        told = documents.loads(_small(source, config).decode("utf-8", "replace"))
        layers = [Descriptor.read(one) for one in manifests.any_layers(document)]
        if config.media_type == MEDIA_TYPE:
            if not documents.fits(told, SHAPE) or len(told["layers"]) != len(layers):
                raise StorageError("it is damaged")
            if told["version"] != 1:
                raise StorageError(f"it has the version {told['version']}, and 1 is known here")
            names, owners = told["layers"], told.get("owners") or {}
        else:
            names, owners = manifests.diff_ids(told), {}
            told = {"keys": told.get(INLINE)}
            if told["keys"] is None:
                raise StorageError("it is an image without a cache beside it")
            if not documents.fits(told["keys"], KEYS) or len(names) != len(layers):
                raise StorageError("it is damaged")
        known = dict(zip(names, layers, strict=True))
        usable = {
            key: (one["layer"], float(one["created"]))
            for key, one in told["keys"].items()
            if _hex(key) and (not one["layer"] or one["layer"] in known)
        }
        return _Found(place, source, usable, known, owners)

    def find(self, key: str) -> Kept | None:
        """What a step with this key came to, here or elsewhere."""
        kept = super().find(key)
        if kept is not None and self._young(kept.facts.get("created") or 0):
            return kept
        for found in list(self._found):
            entry = found.keys.get(key)
            if entry is None or not self._young(entry[1]):
                continue
            try:
                layer = self._bring(found, entry[0]) if entry[0] else ""
            except (RootlessError, OSError) as error:
                self._found.remove(found)
                self._warn(f"the cache of {found.place} is used no further: {_said(error)}")
                continue
            kept = Kept(layer, {"created": entry[1]})
            self.remember(key, kept)
            return kept
        return None

    def _young(self, created: Json) -> bool:
        return not self.oldest or float(created) >= self.oldest

    def _bring(self, found: _Found, diff_id: str) -> str:
        """The layer, fetched and unpacked; once, whoever asks."""
        with self._one:
            lock = self._locks.setdefault(diff_id, threading.Lock())
        with lock:
            known = self._brought.get(diff_id)
            if known is None:
                known = self._fetched(found, diff_id)
                self._brought[diff_id] = known
        return known

    def _fetched(self, found: _Found, diff_id: str) -> str:
        from rootless.images.store import ingest

        wanted = found.layers[diff_id]
        store = self.engine.images.store
        name = os.urandom(16).hex()
        draft = self.draft(())
        try:
            making = os.path.join(draft.directory, "layer")
            paths.directory(making, 0o711)
            paths.directory(os.path.join(making, "fs"), 0o755)
            # nothing is collected until it is unpacked
            with store.guard():
                ingest.ingest(
                    store, wanted.digest, wanted.size,
                    lambda offset: found.source.blob(wanted, offset),
                )  # fmt: skip
                request = {
                    "target": os.path.join(making, "fs"), "diff_id": diff_id,
                    "blob": store.blob_path(wanted.digest), "single": self.single, "owners": True,
                }  # fmt: skip
                told = self.workers.call({"function": _UNPACK, "request": request})
            owners = {**(told.get("owners") or {}), **found.owners.get(diff_id, {})}
            facts = {
                "size": told["content"], "owners": owners if self.single else {},
                "diff_id": diff_id, "digest": wanted.digest, "media_type": wanted.media_type,
                "bytes": wanted.size,
            }  # fmt: skip
            documents.write(os.path.join(making, "layer.json"), facts)
            os.rename(making, os.path.join(self.top, "layers", name))
        finally:
            self.abandon(draft)
        return f"build:{name}"

    def used(self, key: str, kept: Kept, parent: Chain) -> None:
        """See `protocols.Layers`."""
        super().used(key, kept, parent)
        self.steps[key] = (kept, parent)

    def close(self) -> None:
        """Let go of the caches as well."""
        for found in self._found:
            found.source.close()
        self._found = []
        super().close()

    def _warn(self, text: str) -> None:
        self.progress.warning(WarningEvent("", text, "", 0))

    # ------------------------------------------------------------ giving

    def export(
        self, places: Sequence[CachePlace], outcomes: Sequence[Outcome], storing: Storing
    ) -> None:
        """Write the steps of this build there.  Raises StorageError, RegistryError."""
        for place in places:
            if place.kind == "inline":
                continue  # it is in the image's configuration
            number = self.progress.step(f"exporting the cache to {place}")
            self.progress.state(number, "started")
            try:
                self._write(place, outcomes, storing)
            except RootlessError as error:
                if place.ignore_errors:
                    self.progress.state(number, "done")
                    self._warn(f"the cache was not written to {place}: {_said(error)}")
                    continue
                self.progress.state(number, "failed", error=str(error))
                raise
            self.progress.state(number, "done")

    def _write(self, place: CachePlace, outcomes: Sequence[Outcome], storing: Storing) -> None:
        from rootless.images.formats import manifests
        from rootless.images.formats.manifests import Descriptor

        wanted = {layer for outcome in outcomes for layer in outcome.layers}
        names: dict[str, Layer] = {}
        told: dict[str, Json] = {}
        owners: dict[str, Json] = {}
        store = self.engine.images.store
        with store.guard():
            for key, (kept, parent) in list(self.steps.items()):
                if place.mode == "min" and kept.layer and kept.layer not in wanted:
                    continue
                diff_id = ""
                if kept.layer:
                    if kept.layer not in names:
                        names[kept.layer] = storing.blob_of(kept.layer, parent, store)
                    diff_id = names[kept.layer].diff_id
                    if given := self.facts(kept.layer).get("owners"):
                        owners[diff_id] = given
                told[key] = {"layer": diff_id, "created": float(kept.facts.get("created") or 0)}
            layers = list({layer.diff_id: layer for layer in names.values()}.values())
            document = {
                "version": 1, "keys": dict(sorted(told.items())), "owners": owners,
                "layers": [layer.diff_id for layer in layers],
            }  # fmt: skip
            data = documents.dumps(document).encode()
            config = Descriptor(_sum(data), len(data), MEDIA_TYPE)
            manifest = manifests.manifest_bytes(config, layers)
            target = _target(place, self.access)
            try:
                for layer in layers:
                    blob = Descriptor(layer.digest, layer.size, layer.media_type)
                    if not target.has(blob):
                        path = store.blob_path(layer.digest)
                        target.put(blob, _Reader(path).read, lambda _: None)
                if not target.has(config):
                    target.put(config, lambda offset: [data[offset:]], lambda _: None)
                target.put_manifest(manifest, manifests.OCI_MANIFEST, _sum(manifest), top=True)
                target.finish()
            finally:
                target.close()

    def inline(self, outcome: Outcome, diff_ids: Sequence[str]) -> dict[str, Json]:
        """What goes into the configuration of an image with these layers."""
        if len(outcome.layers) != len(diff_ids):
            raise UsageError(
                "a squashed image has not the layers that --cache-to type=inline speaks of",
                hint="--cache-to type=registry,ref=NAME",
            )
        of = dict(zip(outcome.layers, diff_ids, strict=True))
        told = {
            key: {
                "layer": of.get(kept.layer, ""),
                "created": float(kept.facts.get("created") or 0),
            }
            for key, (kept, _) in sorted(self.steps.items())
            if not kept.layer or kept.layer in of
        }
        return {INLINE: told}


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a blob from `offset` on."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            while data := file.read(1 << 18):
                yield data


def _source(place: CachePlace, access: RegistryAccess) -> Source:
    if place.kind == "local":
        from rootless.images.transports import layout, layout_files

        if not os.path.isdir(place.where):
            raise StorageError(f"there is no directory {place.where}")
        return layout.LayoutSource(layout_files.Tree(place.where), place.digest or place.tag)
    from rootless.images.transports import registry

    return registry.RegistrySource(place.where, access.tls_verify, access.settings)


def _target(place: CachePlace, access: RegistryAccess) -> Target:
    if place.kind == "local":
        from rootless.images.transports import layout

        return layout.LayoutTarget(place.where, place.tag)
    from rootless.images.transports import registry

    return registry.RegistryTarget(place.where, access.tls_verify, access.settings)


def _small(source: Source, descriptor: Descriptor) -> bytes:
    """A document of bounded size that is what its digest says."""
    if descriptor.size > _MOST:
        raise StorageError(f"its document has {descriptor.size} bytes")
    parts: list[bytes] = []
    total = 0
    for part in source.blob(descriptor, 0):
        total += len(part)
        if total > descriptor.size:
            break
        parts.append(part)
    data = b"".join(parts)
    if _sum(data) != descriptor.digest:
        raise StorageError("its document is not what its digest says")
    return data


def _sum(data: bytes) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(data).hexdigest()


def _said(error: BaseException) -> str:
    if isinstance(error, RootlessError):
        return error.message
    return (getattr(error, "strerror", None) or str(error)).lower()


def oldest(seconds: float | None) -> float:
    """The moment before which --cache-ttl takes nothing; 0 without one."""
    return time.time() - seconds if seconds is not None else 0.0
