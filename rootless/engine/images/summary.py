"""An image in a list, in the shape of `podman images --format json`.

Scope: one element of the list.  Source: podman-images(1).
"""

from __future__ import annotations

from rootless.engine.common import times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.images.record import ImageRecord


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
