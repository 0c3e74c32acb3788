"""Copy an image, or an index with all its images, from one place to another.

Scope: the order of things, and the digests.  Every blob is compared with its digest on its way, so
a damaged or hostile source is found out before anything refers to what it gave; manifests are
written after everything they name, and the name last.

What a hostile index could try: nesting without end, or ten images that each name the same ten.
Every manifest is copied once, and there are bounds for depth and number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from rootless import documents
from rootless.errors import DigestMismatch, Interrupted, RegistryError, UsageError
from rootless.images.formats import manifests, media_types, platforms
from rootless.images.formats.manifests import Descriptor
from rootless.images.registry import parallel
from rootless.images.transports.base import Fetch, Source, Target
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.trust.verify import Trust

PARALLEL = 3
_DEPTH = 3
_MANIFESTS_MAX = 1000


class Copied:
    """What was written: the digest, media type and size (bytes) of the manifest or index."""

    __slots__ = ("digest", "media_type", "size")

    def __init__(self, digest: str, media_type: str, size: int) -> None:
        self.digest = digest
        self.media_type = media_type
        self.size = size


def copy(
    source: Source,
    target: Target,
    *,
    all: bool = False,
    bare: bool = False,
    platform: str | None = None,
    preserve: bool = False,
    format: str = "",
    compress: str = "",
    level: int | None = None,
    progress: Progress | None = None,
    trust: Trust | None = None,
) -> Copied:
    """Copy what `source` names to `target`, and close neither.

    `all`: an index with all its images; else the image for `platform`, by default this host's.
    `bare`: of an index nothing but itself, its images being there already.
    `preserve`: fail rather than change a digest.  `format`: `oci` or `v2s2`.  `compress`: the
    form of all layers (`gzip`, `zstd`, `zstd:chunked`, `none`), `level` how hard is tried.
    `trust` is asked before any blob is read, by default what the user's policy.json says.
    Raises UsageError, ImageNotFound, RegistryError, StorageError, DigestMismatch.
    """
    if all and platform:
        raise UsageError("--all and --platform exclude each other", hint="give one of them")
    media_types.check(compress, level)
    work = _Copy(source, target, preserve, format, compress, progress or Progress())
    work.level = level
    work.bare = bare
    work.trust = trust
    target.sources(source.repositories)
    copied = work.run(all, platforms.parse(platform) if platform else platforms.host())
    target.finish()
    return copied


class _Copy:
    def __init__(
        self,
        source: Source,
        target: Target,
        preserve: bool,
        format: str,
        compress: str,
        progress: Progress,
    ) -> None:
        self.source = source
        self.target = target
        self.preserve = preserve
        self.family = media_types.family(format)
        if not preserve and not self.family and target.family == "oci":
            self.family = target.family
        if compress == media_types.CHUNKED and not self.family:
            # only OCI's descriptors have annotations, which say where the table is
            self.family = "oci"
        self.compress = compress
        self.level: int | None = None
        self.progress = progress
        self.bare = False
        self.trust: Trust | None = None
        self.done: dict[str, Copied] = {}

    def run(self, all: bool, wanted: platforms.Platform) -> Copied:
        data, media_type = self.source.top()
        digest = _digest(data)
        document = manifests.parse(data)
        chain = [digest]
        for _ in range(_DEPTH):
            listed = manifests.entries(document, media_type)
            if listed is None or all:
                break
            entry = platforms.choose(listed, wanted, self.source.name)
            data, media_type, digest = self._read(Descriptor.read(entry))
            document = manifests.parse(data)
            chain.insert(0, digest)
        if not self.bare:
            from rootless.images.trust.verify import Trust

            self._ask(self.trust or Trust(), document, media_type, chain, set())
        return self._any(data, media_type, digest, top=True, depth=0)

    def _ask(
        self,
        trust: Trust,
        document: dict[str, Json],
        media_type: str,
        chain: list[str],
        asked: set[str],
    ) -> None:
        """Whether the policy allows every image that is copied; `chain` begins with the one asked
        for and goes up.  Of an index the images count, because a list that was put together here
        names images of several places."""
        asked.add(chain[0])
        listed = manifests.entries(document, media_type)
        if not listed:
            self.source.ask(trust, chain)
            return
        for entry in listed:
            wanted = Descriptor.read(entry)
            if wanted.digest in asked:
                continue
            if len(asked) >= _MANIFESTS_MAX:
                raise _too_many()
            if wanted.media_type in (manifests.OCI_INDEX, manifests.DOCKER_INDEX):
                if len(chain) > _DEPTH:
                    raise _too_deep()
                data, kind, digest = self._read(wanted)
                self._ask(trust, manifests.parse(data), kind, [digest, *chain], asked)
            else:
                asked.add(wanted.digest)
                self.source.ask(trust, [wanted.digest, *chain])

    def _read(self, descriptor: Descriptor) -> tuple[bytes, str, str]:
        data = self.source.manifest(descriptor)
        digest = _digest(data)
        if digest != descriptor.digest:
            raise DigestMismatch(
                f"a manifest of {self.source.name} has the digest {digest} "
                f"instead of {descriptor.digest}",
                hint="the source is damaged or was tampered with; try another one",
            )
        return data, descriptor.media_type, digest

    def _any(self, data: bytes, media_type: str, digest: str, *, top: bool, depth: int) -> Copied:
        if digest in self.done and not top:
            return self.done[digest]
        if len(self.done) >= _MANIFESTS_MAX:
            raise _too_many()
        document = manifests.parse(data)
        listed = manifests.entries(document, media_type)
        media_type = media_type or manifests.media_type_of(document)
        if listed is None:
            changed = self._image(document, media_type)
        else:
            if depth >= _DEPTH:
                raise _too_deep()
            changed = document if self.bare else self._index(document, listed, depth)
        wanted = media_types.converted(media_type, self.family)
        if wanted != media_type or changed != document:
            if self.preserve:
                raise UsageError(
                    f"{self.target.name} cannot hold {self.source.name} without a change",
                    hint="leave --preserve-digests out, or --format and --compression-format",
                )
            if wanted != media_type or "mediaType" in changed:
                changed = {**changed, "mediaType": wanted}
            media_type, data = wanted, documents.dumps(changed).encode()
        copied = Copied(_digest(data), media_type, len(data))
        self.target.put_manifest(data, media_type, copied.digest, top=top)
        self.done[digest] = copied
        return copied

    def _index(
        self, document: dict[str, Json], listed: list[dict[str, Json]], depth: int
    ) -> dict[str, Json]:
        made: list[Json] = []
        for entry in listed:
            wanted = Descriptor.read(entry)
            # a hostile index may name one manifest thousands of times
            copied = self.done.get(wanted.digest)
            if copied is None:
                data, media_type, digest = self._read(wanted)
                copied = self._any(data, media_type, digest, top=False, depth=depth + 1)
            if copied.digest == wanted.digest:
                made.append(entry)
                continue
            new = {"mediaType": copied.media_type, "digest": copied.digest, "size": copied.size}
            made.append({**entry, **new})
        return {**document, "manifests": made}

    def _image(self, document: dict[str, Json], media_type: str) -> dict[str, Json]:
        """Bring what a manifest names; returns the manifest with what had to change."""
        layers = manifests.any_layers(document)
        config = Descriptor.read(document.get("config"))
        made: list[dict[str, Json]] = list(layers)
        first: dict[str, int] = {}
        jobs: list[parallel.Job] = [lambda cancelled: self._blob(config, None, cancelled)]

        def job(number: int) -> parallel.Job:
            def work(cancelled: parallel.Cancelled) -> None:
                made[number] = self._layer(layers[number], cancelled)

            return work

        for number, layer in enumerate(layers):
            # An image may have the same layer several times: one of them is worth copying.
            if first.setdefault(layer["digest"], number) == number and not media_types.is_foreign(
                layer
            ):
                jobs.append(job(number))
        parallel.run(jobs, PARALLEL if self.target.parallel else 1)
        made = [made[first[layer["digest"]]] for layer in layers]
        result = dict(document)
        result["layers"] = [self._spelled(layer) for layer in made]
        result["config"] = self._spelled(document["config"])
        return result

    def _spelled(self, descriptor: dict[str, Json]) -> dict[str, Json]:
        given = descriptor.get("mediaType", "")
        wanted = media_types.converted(given, self.family)
        return descriptor if wanted == given else {**descriptor, "mediaType": wanted}

    def _layer(self, layer: dict[str, Json], cancelled: parallel.Cancelled) -> dict[str, Json]:
        descriptor = Descriptor.read(layer)
        now = media_types.compression_of(descriptor.media_type)
        wanted = now if now is None else self._form(now)
        if now is None or wanted is None or media_types.is_in_form(layer, now, wanted):
            self._blob(descriptor, None, cancelled)
            return layer
        key = "form:" + descriptor.digest
        self.progress.start(key, f"{wanted or 'plain'} {descriptor.digest[7:19]}", descriptor.size)
        chunks = self._watched(self._verified(descriptor)(0), key)
        spool = media_types.Spool(chunks, now, wanted, self.level)
        try:
            self.progress.finish(key)
            media_type = media_types.with_compression(descriptor.media_type, wanted)
            made = Descriptor(spool.digest, spool.size, media_type)
            self._blob(made, spool.read, cancelled)
        finally:
            spool.close()
        new = {"mediaType": media_type, "digest": spool.digest, "size": spool.size}
        changed = {**media_types.strip_annotations(layer), **new}
        if spool.annotations:
            changed["annotations"] = {**(changed.get("annotations") or {}), **spool.annotations}
        return changed

    def _form(self, now: str) -> str:
        """Which compression a layer is to have."""
        if self.target.layers == "plain":
            return ""
        if self.compress:
            return "" if self.compress == "none" else self.compress
        if self.target.layers == "compressed" and not now and not self.preserve:
            return "gzip"
        return now

    def _watched(self, chunks: Iterable[bytes], key: str) -> Iterator[bytes]:
        for chunk in chunks:
            self.progress.advance(key, len(chunk))
            yield chunk

    def _blob(
        self, descriptor: Descriptor, fetch: Fetch | None, cancelled: parallel.Cancelled
    ) -> None:
        given = fetch or self._verified(descriptor)

        def stoppable(offset: int) -> Iterator[bytes]:
            for chunk in given(offset):
                if cancelled():
                    raise Interrupted("the transfer was interrupted")
                yield chunk

        key = descriptor.digest
        self.progress.start(key, descriptor.digest[7:19], descriptor.size)
        note = self.target.has(descriptor)
        if not note:
            self.target.put(
                descriptor,
                stoppable,
                lambda count: self.progress.advance(key, count),
            )
        self.progress.finish(key, note)

    def _verified(self, descriptor: Descriptor) -> Fetch:
        """The source's bytes; the last of them are given only when all were right."""

        def fetch(offset: int) -> Iterator[bytes]:
            chunks = self.source.blob(descriptor, offset)
            # What begins in the middle has no digest; it is the rest of an upload, and the
            # registry compares the whole.
            return chunks if offset else checked(chunks, descriptor, self.source.name)

        return fetch


def checked(chunks: Iterable[bytes], wanted: Descriptor, name: str) -> Iterator[bytes]:
    """Yield the same bytes; the last of them only if all were right.  Raises DigestMismatch."""
    hasher, have = hashlib.sha256(), 0
    for chunk in chunks:
        have += len(chunk)
        hasher.update(chunk)
        if have > wanted.size:
            raise _mismatch(f"the blob {wanted.digest} of {name} is longer than the "
                            f"{wanted.size} bytes that were promised")  # fmt: skip
        if have == wanted.size and hasher.hexdigest() != wanted.digest[7:]:
            raise _mismatch(f"a blob of {name} has the digest sha256:{hasher.hexdigest()} "
                            f"instead of {wanted.digest}")  # fmt: skip
        yield chunk
    if have < wanted.size:
        raise _mismatch(
            f"the blob {wanted.digest} of {name} ended after {have} of {wanted.size} bytes"
        )


def _mismatch(message: str) -> DigestMismatch:
    return DigestMismatch(
        message, hint="the source is damaged or was tampered with; try another one"
    )


def _too_many() -> RegistryError:
    return manifests.invalid(f"it leads to more than {_MANIFESTS_MAX} manifests")


def _too_deep() -> RegistryError:
    return manifests.invalid("indexes within indexes within indexes")


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
