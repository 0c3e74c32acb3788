"""Images in registries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rootless.errors import DigestMismatch, NotFound, RegistryError, RootlessError, UsageError
from rootless.images.formats import manifests
from rootless.images.formats.manifests import Descriptor
from rootless.images.names import reference, registries
from rootless.images.registry import uploads
from rootless.images.registry.client import Registry
from rootless.images.transports.base import Fetch, OnBytes, Source, Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.images.registry.http import Settings
    from rootless.images.trust.verify import Trust

_MOUNTS_TRIED = 2


class RegistrySource(Source):
    """An image of a registry, or of the first of its mirrors that has it."""

    def __init__(
        self, name: str, tls_verify: bool | None = None, settings: Settings | None = None
    ) -> None:
        self.reference = reference.parse(name)
        self.name = self.reference.familiar
        self._endpoints = registries.endpoints(self.reference, tls_verify=tls_verify)
        self._settings = settings
        self.registry: Registry | None = None

    def top(self) -> tuple[bytes, str]:
        """See Source."""
        refusal: RootlessError | None = None
        wanted = self.reference.digest or self.reference.tag
        for endpoint in self._endpoints:
            found = Registry(self.reference, endpoint, self._settings)
            try:
                data, media_type, _ = found.manifest(wanted)
            except (RegistryError, NotFound, DigestMismatch) as error:
                found.close()
                refusal = error
                continue
            self.registry = found
            return data, media_type
        raise refusal or AssertionError("the registry itself is always among the endpoints")

    def opened(self) -> Registry:
        """Return the server that answered."""
        if self.registry is None:
            self.top()
        assert self.registry is not None
        return self.registry

    def manifest(self, descriptor: Descriptor) -> bytes:
        """See Source."""
        return self.opened().manifest(descriptor.digest)[0]

    def blob(self, descriptor: Descriptor, offset: int) -> Iterator[bytes]:
        """See Source."""
        return self.opened().blob(descriptor.digest, descriptor.size, offset)

    def ask(self, trust: Trust, digests: list[str]) -> None:
        """See Source."""
        trust.registry(self.opened(), self.reference, digests)

    def repositories(self, digest: str, host: str) -> list[str]:
        """See Source."""
        there = self.opened().endpoint
        return [there.repository] if there.host == host else []

    def close(self) -> None:
        """See Source."""
        if self.registry is not None:
            self.registry.close()


class RegistryTarget(Target):
    """A repository, and the tag in it."""

    layers = "compressed"

    def __init__(
        self, name: str, tls_verify: bool | None = None, settings: Settings | None = None
    ) -> None:
        self.reference = reference.parse(name)
        self.name = self.reference.familiar
        endpoint = registries.endpoints(self.reference, tls_verify=tls_verify)[-1]
        self.registry = Registry(self.reference, endpoint, settings, access="pull,push")
        self.chunk = 0
        self._find: Callable[[str, str], list[str]] = lambda digest, host: []

    def sources(self, find: Callable[[str, str], list[str]]) -> None:
        """See Target."""
        self._find = find

    def has(self, descriptor: Descriptor) -> str:
        """See Target."""
        if uploads.has_blob(self.registry, descriptor.digest):
            return "already exists"
        endpoint = self.registry.endpoint
        others = [one for one in self._find(descriptor.digest, endpoint.host)
                  if one != endpoint.repository]  # fmt: skip
        for repository in others[:_MOUNTS_TRIED]:
            self.registry.also(f"repository:{repository}:pull")
            if uploads.mount(self.registry, descriptor.digest, repository):
                return f"mounted from {repository}"
        return ""

    def put(self, descriptor: Descriptor, fetch: Fetch, on_bytes: OnBytes) -> None:
        """See Target."""
        uploads.upload(
            self.registry,
            descriptor.digest,
            descriptor.size,
            fetch,
            chunk=self.chunk,
            on_bytes=on_bytes,
        )

    def put_manifest(self, data: bytes, media_type: str, digest: str, *, top: bool) -> None:
        """See Target.  With a subject, also the tag by which old registries find referrers."""
        name = digest
        if top and self.reference.tag:
            name = self.reference.tag
        elif top and self.reference.digest and self.reference.digest != digest:
            raise UsageError(
                f"the image has the digest {digest}, not {self.reference.digest}",
                hint="push to a tag, or give --preserve-digests and the right digest",
            )
        noted = uploads.put_manifest(self.registry, data, media_type, name)
        subject = manifests.parse(data).get("subject")
        if isinstance(subject, dict) and not noted:
            from rootless.images.registry import referrers

            referrers.note(self.registry, subject, data, media_type, digest)

    def close(self) -> None:
        """See Target."""
        self.registry.close()
