"""Manifests that refer to an image: signatures, lists of contents, attestations.

Scope: the referrers API, and the tag `sha256-HEX` that stands in for it on older registries.
Source: OCI distribution specification 1.1, "Listing Referrers", "Referrers Tag Schema".
"""

from __future__ import annotations

from urllib.parse import quote

from rootless import documents
from rootless.errors import ImageNotFound, RegistryError
from rootless.images.formats import manifests
from rootless.images.names.reference import is_digest
from rootless.images.registry import uploads
from rootless.images.registry.client import Registry
from rootless.images.registry.http import follow
from rootless.images.registry.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_PAGES = 100


def tag_of(digest: str) -> str:
    """Return the tag under which an old registry keeps the index of referrers."""
    return digest.replace(":", "-")


def listed(server: Registry, digest: str, artifact_type: str = "") -> list[dict[str, Json]]:
    """Return descriptors of the manifests whose subject is `digest`, of one artifact type if given.

    Raises RegistryError.
    """
    path = f"referrers/{digest}"
    if artifact_type:
        path += f"?artifactType={quote(artifact_type, safe='')}"
    found: list[dict[str, Json]] = []
    for _ in range(_PAGES):
        reply = server.send("GET", path, {"Accept": manifests.OCI_INDEX})
        if reply.status in (400, 404, 405):
            reply.close()
            found = _by_tag(server, digest)
            break
        server.check(reply, (200,))
        filtered = "artifactType" in reply.headers.get("OCI-Filters-Applied", "")
        following = next_page(reply.headers.get("Link", ""))
        data = server.body(reply)
        found += manifests.entries(manifests.parse(data), manifests.OCI_INDEX) or []
        if not following:
            if filtered:
                return found
            break
        path = follow(reply.url, following)
    if artifact_type:
        found = [one for one in found if one.get("artifactType") == artifact_type]
    return found


def next_page(link: str) -> str:
    """Return the address in a Link header with rel="next", "" without one (RFC 8288)."""
    for part in link.split(","):
        target, _, rest = part.strip().partition(">")
        if target.startswith("<") and 'rel="next"' in rest.replace("rel=next", 'rel="next"'):
            return target[1:]
    return ""


def note(
    server: Session, subject: dict[str, Json], data: bytes, media_type: str, digest: str
) -> None:
    """Add a manifest to the index of its subject's referrers, on a registry without the API.

    Two writers at once may lose one entry, as the specification says of this scheme.
    """
    wanted = manifests.Descriptor.read(subject).digest
    document = manifests.parse(data)
    kind = document.get("artifactType")
    config = document.get("config")
    if not kind and isinstance(config, dict):
        kind = config.get("mediaType")
    entry: dict[str, Json] = {"mediaType": media_type, "digest": digest, "size": len(data)}
    if isinstance(kind, str) and kind:
        entry["artifactType"] = kind
    if isinstance(document.get("annotations"), dict):
        entry["annotations"] = document["annotations"]
    reader = Registry(server.reference, server.endpoint, server.settings)
    try:
        known = _by_tag(reader, wanted)
    finally:
        reader.close()
    others = [one for one in known if one.get("digest") != digest]
    index = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_INDEX,
        "manifests": [*others, entry],
    }
    packed = documents.dumps(index).encode()
    uploads.put_manifest(server, packed, manifests.OCI_INDEX, tag_of(wanted))


def _by_tag(server: Registry, digest: str) -> list[dict[str, Json]]:
    if not is_digest(digest):
        raise RegistryError(f"{digest} is not a digest", hint="sha256: and 64 hexadecimal digits")
    try:
        data, media_type, _ = server.manifest(tag_of(digest))
    except ImageNotFound:
        return []
    return manifests.entries(manifests.parse(data), media_type) or []
