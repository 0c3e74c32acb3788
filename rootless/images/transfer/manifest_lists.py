"""Manifest lists that are put together here: one name, an image for each platform.

Scope: the documents `images/lists/QUOTED`, and the index that each stands for.  A member is an
image of this host's store, or one that stays in its registry until the list is pushed.
Source: OCI image index specification 1.1; the verbs of `podman manifest`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from rootless import documents, paths
from rootless.errors import DamagedDocument, ImageNotFound, NotFound, RegistryError, UsageError
from rootless.images.formats import manifests, platforms
from rootless.images.formats.manifests import Descriptor
from rootless.images.names import filenames, reference
from rootless.images.record import LIST, LIST_VERSION
from rootless.images.registry.http import Settings
from rootless.images.store.store import ImageStore
from rootless.images.transfer import copy as transfer_copy
from rootless.images.transports.base import Source
from rootless.images.transports.local import StoreSource, known_repositories
from rootless.images.transports.registry import RegistrySource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.record import ListDocument, MemberDocument
    from rootless.images.trust.verify import Trust

STORE = "store"


class Lists:
    """The manifest lists of one data directory."""

    def __init__(self, data_dir: str) -> None:
        self.store = ImageStore(data_dir)
        self.directory = os.path.join(data_dir, "images/lists")

    def names(self) -> list[str]:
        """Return canonical names of all lists."""
        return [filenames.unquote(one) for one in documents.names_in(self.directory)
                if not one.endswith(".tmp")]  # fmt: skip

    def exists(self, name: str) -> bool:
        """Return whether there is a list of this name."""
        try:
            return os.path.exists(self._path(name))
        except UsageError:
            return False

    def get(self, name: str) -> ListDocument:
        """Return {"name", "manifests", "annotations"}; members have their `source` beside the
        descriptor.  Raises ImageNotFound, DamagedDocument, NewerDocument."""
        path = self._path(name)
        try:
            found: ListDocument = documents.read_as(
                path,
                LIST,
                f"remove it and make it again: rootless manifest rm {name}",
                newest=LIST_VERSION,
            )
        except FileNotFoundError:
            raise ImageNotFound(
                f"there is no manifest list {name}",
                hint=f"rootless manifest create {name}",
            ) from None
        found["version"] = LIST_VERSION
        return found

    def create(self, name: str, *, amend: bool = False) -> str:
        """Make an empty list; its canonical name.  Raises UsageError if there is one."""
        canonical = _tagged(name).canonical
        if self.exists(name):
            if amend:
                return canonical
            raise UsageError(
                f"the manifest list {name} exists already", hint="--amend goes on with it"
            )
        self.put({"version": LIST_VERSION, "name": canonical, "manifests": [], "annotations": {}})
        return canonical

    def put(self, value: ListDocument) -> None:
        """Write a list."""
        paths.ensure(self.directory)
        documents.write(self._path(value["name"]), value)

    def replace(
        self, name: str, members: list[MemberDocument], annotations: dict[str, str]
    ) -> None:
        """Write a list with exactly these members.  The caller holds the store's guard, with their
        blobs."""
        canonical = _tagged(name).canonical
        with self._writing():
            self.put(
                {
                    "version": LIST_VERSION,
                    "name": canonical,
                    "manifests": members,
                    "annotations": annotations,
                }
            )

    def member(self, image: str) -> MemberDocument:
        """An image of the store, as a list has it.  The caller holds the store's guard."""
        return self._members(image, False, None, None)[0]

    def remove(self, name: str) -> None:
        """Forget a list; its images stay.  Raises ImageNotFound."""
        try:
            self.get(name)
        except DamagedDocument:
            pass
        os.unlink(self._path(name))

    def blobs(self) -> list[str]:
        """Return digests of what the store is to keep for lists."""
        found: list[str] = []
        for name in self.names():
            for member in self.get(name)["manifests"]:
                found += member.get("blobs", [])
        return found

    def add(
        self,
        name: str,
        image: str,
        *,
        all: bool = False,
        changes: dict[str, Json] | None = None,
        tls_verify: bool | None = None,
        settings: Settings | None = None,
    ) -> list[str]:
        """Add an image of the store or of a registry; the digests that came in.

        `all`: every image of an index.  `changes`: as for `annotate`.
        Raises ImageNotFound, RegistryError, UsageError.
        """
        self.get(name)
        with self.store.guard():
            # what comes from a registry may take long: others change the list meanwhile
            members = self._members(image, all, tls_verify, settings)
            self.store.rely(*[digest for one in members for digest in one.get("blobs", [])])
            with self._writing():
                value = self.get(name)
                for member in members:
                    _change(member, changes or {})
                    old = [one for one in value["manifests"] if one["digest"] != member["digest"]]
                    value["manifests"] = [*old, member]
                self.put(value)
        return [one["digest"] for one in members]

    def annotate(self, name: str, image: str, changes: dict[str, Json]) -> str:
        """Change what the list says of one of its images; its digest.  Raises NotFound."""
        with self._writing():
            value = self.get(name)
            member = self._member(value, image)
            _change(member, changes)
            self.put(value)
        return str(member["digest"])

    def drop(self, name: str, image: str) -> str:
        """Take an image out of the list; its digest.  Raises NotFound."""
        with self._writing():
            value = self.get(name)
            member = self._member(value, image)
            value["manifests"] = [one for one in value["manifests"] if one is not member]
            self.put(value)
        return str(member["digest"])

    def index(self, name: str) -> bytes:
        """Return the OCI index that a list stands for: the same list, the same bytes."""
        value = self.get(name)
        listed = [
            {key: part for key, part in member.items() if key not in ("source", "blobs")}
            for member in value["manifests"]
        ]
        document: dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_INDEX,
            "manifests": listed,
        }
        if value.get("annotations"):
            document["annotations"] = value["annotations"]
        return documents.dumps(document).encode()

    def _member(self, value: ListDocument, image: str) -> MemberDocument:
        digest = image if image.startswith("sha256:") else image.rpartition("@")[2]
        if not reference.is_digest(digest):
            digest = self.store.resolve(image).manifest_digest
        for member in value["manifests"]:
            if member["digest"] == digest:
                return member
        raise NotFound(
            f"the manifest list {value['name']} has no image {image}",
            hint=f"rootless manifest inspect {value['name']} shows what it has",
        )

    def _members(
        self, image: str, all: bool, tls_verify: bool | None, settings: Settings | None
    ) -> list[MemberDocument]:
        if not image.startswith("docker://"):
            try:
                record = self.store.resolve(image)
            except ImageNotFound:
                pass
            else:
                self.store.rely(*record.blobs())
                data = self.store.read_blob(record.manifest_digest)
                made = _descriptor(data, record.manifest_digest, STORE)
                made["platform"] = _platform(record.os, record.architecture, record.variant)
                made["blobs"] = record.blobs()
                return [made]
        source = RegistrySource(image.removeprefix("docker://"), tls_verify, settings)
        try:
            return _remote(source, all)
        finally:
            source.close()

    def _writing(self) -> documents.Lock:
        """Held from reading a list to writing it: two that add at once both stay."""
        paths.ensure(self.directory)
        return documents.Lock(self.directory + ".lock")

    def _path(self, name: str) -> str:
        """Where a list is, or is to be: a short name is first that of a list made here, as with
        images."""
        wanted = _tagged(name)
        path = os.path.join(self.directory, filenames.quote(wanted.canonical))
        if wanted.short:
            here = os.path.join(self.directory, filenames.quote(filenames.candidates(wanted)[0]))
            return here if os.path.exists(here) else path
        return path


class ListSource(Source):
    """A manifest list with its images, as something to copy from."""

    def __init__(
        self,
        lists: Lists,
        name: str,
        tls_verify: bool | None = None,
        settings: Settings | None = None,
        *,
        home: str = "",
    ) -> None:
        """`home`: the registry for which a password of the settings was given; members that lie
        elsewhere are asked without it."""
        self.name = name
        self._home = home
        self.store = lists.store
        self._index = lists.index(name)
        self._from = {one["digest"]: one["source"] for one in lists.get(name)["manifests"]}
        self._words = (tls_verify, settings)
        self._remotes: dict[str, RegistrySource] = {}
        # of each blob, the image that it is part of
        self._owner: dict[str, str] = {}
        self._lock = self.store.guard()
        # a lease keeps what it names: nothing of the list is collected while it is copied
        self.store.rely(*lists.blobs())

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        return self._index, manifests.OCI_INDEX

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        remote = self._remote(descriptor.digest)
        if remote is None:
            data = self.store.read_blob(descriptor.digest)
        else:
            data = remote.manifest(descriptor)
        document = manifests.parse(data)
        for entry in manifests.entries(document, descriptor.media_type) or ():
            self._from.setdefault(
                str(entry.get("digest")), self._from.get(descriptor.digest, STORE)
            )
        for part in [document.get("config"), *manifests.any_layers(document)]:
            if isinstance(part, dict):
                self._owner.setdefault(str(part.get("digest")), descriptor.digest)
        return data

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        remote = self._remote(self._owner[descriptor.digest])
        if remote is not None:
            return remote.blob(descriptor, offset)
        return StoreSource.stored(self.store, descriptor, offset, self.name)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source.  For images of the store the policy was asked when they came."""
        remote = self._remote(digests[0])
        if remote is not None:
            # the last is the list itself, which only this host has
            remote.ask(trust, digests[:-1])

    def repositories(self, digest: str, host: str) -> list[str]:
        """See Source."""
        remote = self._remote(self._owner.get(digest, ""))
        if remote is not None:
            return remote.repositories(digest, host)
        return known_repositories(self.store, host).get(digest, [])

    def _remote(self, digest: str) -> RegistrySource | None:
        """The registry that has an image, None for one of the store."""
        where = self._from.get(digest, STORE)
        if where == STORE:
            return None
        if where not in self._remotes:
            verify, settings = self._words
            if settings is not None and reference.parse(where).registry != self._home:
                settings = Settings(authfile=settings.authfile, cert_dir=settings.cert_dir)
            self._remotes[where] = RegistrySource(where, verify, settings)
        return self._remotes[where]

    def close(self) -> None:
        """See Source."""
        self._lock.close()
        for one in self._remotes.values():
            one.close()


def _remote(source: RegistrySource, all: bool) -> list[MemberDocument]:
    data, media_type = source.top()
    listed = manifests.entries(manifests.parse(data), media_type)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    if listed is None:
        made = _descriptor(data, digest, f"{source.reference.name}@{digest}", media_type)
        made["platform"] = _platform_of(source, data)
        return [made]
    if not all:
        listed = [platforms.choose(listed, platforms.host(), source.name)]
    found: list[MemberDocument] = []
    for entry in listed:
        one = Descriptor.read(entry)
        member: Json = {**entry, "source": f"{source.reference.name}@{one.digest}"}
        found.append(member)
    return found


def _platform_of(source: RegistrySource, data: bytes) -> dict[str, Json]:
    config = Descriptor.read(manifests.parse(data).get("config"))
    if config.size > manifests.MAXIMUM:
        raise RegistryError(
            f"the configuration of {source.name} has {config.size} bytes",
            hint="the image is damaged; build or push it again",
        )
    text = b"".join(transfer_copy.checked(source.blob(config, 0), config, source.name))
    found = manifests.platform(manifests.parse(text))
    return _platform(found.os, found.architecture, found.variant)


def _platform(os: str, architecture: str, variant: str) -> dict[str, Json]:
    made: dict[str, Json] = {"architecture": architecture, "os": os}
    if variant:
        made["variant"] = variant
    return made


def _descriptor(data: bytes, digest: str, source: str, media_type: str = "") -> MemberDocument:
    kind = media_type or manifests.media_type_of(manifests.parse(data))
    return {"mediaType": kind, "digest": digest, "size": len(data), "source": source}


def _change(member: MemberDocument, changes: dict[str, Json]) -> None:
    """`changes`: `os`, `architecture`, `variant`, `os.version`, `os.features`, `features`, and
    `annotations`, which are added to those there are."""
    platform = dict(member.get("platform") or {})
    for key, part in changes.items():
        if part and key != "annotations":
            lists = key.endswith("features") and isinstance(part, str)
            platform[key] = [part] if lists else part
    if platform:
        member["platform"] = platform
    if changes.get("annotations"):
        member["annotations"] = {**(member.get("annotations") or {}), **changes["annotations"]}


def _tagged(name: str) -> reference.Reference:
    parsed = reference.parse(name)
    if parsed.digest:
        raise UsageError(f"a manifest list cannot be called {name}", hint="give a name with a tag")
    return parsed
