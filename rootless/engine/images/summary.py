"""An image in a list: the shapes of docker's API and of `podman images --format json`.

Scope: one element of the list.  Sources: docker's API v1.45 (ImageList), podman-images(1).
"""

from __future__ import annotations

from rootless.engine.common import times
from rootless.images.names import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.record import ImageRecord


def docker(record: ImageRecord, size: int, *, containers: int = -1) -> Json:
    """An element of docker's list; `containers`: how many use it, -1 where nobody counted."""
    return {
        "Id": f"sha256:{record.id}",
        "ParentId": "",
        "RepoTags": [reference.parse(name).familiar for name in record.names],
        "RepoDigests": list(record.digests),
        "Created": int(times.moment_or_zero(record.created)),
        "Size": size,
        "SharedSize": -1,
        "VirtualSize": size,
        "Labels": labels(record),
        "Containers": containers,
    }


def podman(record: ImageRecord, size: int, *, containers: int) -> Json:
    """An element of podman's list; where it has no names, it says that it is dangling."""
    names = list(record.names)
    return {
        "Id": record.id,
        "ParentId": "",
        "RepoTags": None,
        "RepoDigests": list(record.digests),
        "Size": size,
        "SharedSize": 0,
        "VirtualSize": size,
        "Labels": labels(record),
        "Containers": containers,
        **({"Names": names} if names else {"Dangling": True}),
        "Digest": record.manifest_digest,
        **({"History": names} if names else {}),
        "Created": int(times.moment_or_zero(record.created)),
        "CreatedAt": record.created or "1970-01-01T00:00:00Z",
    }


def labels(record: ImageRecord) -> dict[str, str] | None:
    """Its labels, None where it has none."""
    return record.config.get("Labels") or None
