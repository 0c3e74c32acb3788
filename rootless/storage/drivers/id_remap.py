"""The ids of a container that differ from those with which its image is stored.

A driver that serves files can show them with other owners, so nothing has to be copied or changed.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.userns.idmap import Extents, IdMaps

_OVERFLOW = 65534  # what stat(2) shows for an owner that is not mapped (user_namespaces(7))


def mapping(view: Extents, stored: Extents) -> str:
    """fuse-overlayfs' uidmapping: for every id of the image, the id that this namespace has for
    the host id with which the layers store it.  `beneath:shown:count`, separated by colons.

    A person's own id, which stores the files of the image's root, may not exist in the container
    (`nomap`): they are seen with the overflow id, which then stands for root and for nobody else.
    Raises UsageError when that id is not mapped either.
    """
    parts: list[tuple[int, int, int]] = []
    lost = False
    for inside, outside, size in stored:
        found = False
        for view_in, view_out, view_size in view:
            low = max(outside, view_out)
            high = min(outside + size, view_out + view_size)
            if low < high:
                found = True
                parts.append((inside + low - outside, view_in + low - view_out, high - low))
        lost = lost or (inside == 0 and not found)
    if lost:
        if not any(first <= _OVERFLOW < first + size for first, _, size in view):
            raise UsageError(
                "this id map has neither your own id, to which the image's files belong, "
                f"nor {_OVERFLOW} to stand for it",
                hint="map 0 (your own id) somewhere, or 65535 ids and more",
            )
        parts = _without(parts, _OVERFLOW) + [(0, _OVERFLOW, 1)]
    parts.sort()
    return ":".join(f"{beneath}:{shown}:{count}" for shown, beneath, count in parts)


def _without(parts: list[tuple[int, int, int]], beneath: int) -> list[tuple[int, int, int]]:
    made = []
    for shown, first, count in parts:
        if first <= beneath < first + count:
            before = beneath - first
            made.append((shown, first, before))
            made.append((shown + before + 1, beneath + 1, count - before - 1))
        else:
            made.append((shown, first, count))
    return [part for part in made if part[2] > 0]


def texts(maps: IdMaps, stored: IdMaps) -> tuple[str, str]:
    """`mapping` of uids and of gids.  Raises UsageError."""
    return mapping(maps.uids, stored.uids), mapping(maps.gids, stored.gids)


def around(view: Extents, stored: Extents) -> str:
    """The same for a server in the namespace in which the layers are stored, which shows the files
    to a namespace within: `view` may lack any of the layers' ids.

    An id of the image is beneath what it is there, and is shown as the id that the container's own
    one has in the outer namespace.
    """
    parts = sorted((shown, inside, count) for inside, shown, count in within(view, stored))
    return ":".join(f"{beneath}:{shown}:{count}" for shown, beneath, count in parts)


def within(view: Extents, stored: Extents) -> Extents:
    """`view`, a map of host ids, as a map of the ids of the namespace `stored`."""
    made = []
    for inside, host, size in view:
        for outer, start, length in stored:
            low, high = max(host, start), min(host + size, start + length)
            if low < high:
                made.append((inside + low - host, outer + low - start, high - low))
    return tuple(sorted(made))
