"""`--userns auto[:size=N,...]`: a range of subordinate ids for one container alone.

What one container may touch no other can, not even by a way out of both.  The range is written to
`containers/ID/auto` under a lock, and is free again when that directory has gone.
Source: podman-run(1), --userns auto; containers-storage.conf(5) for the sizes.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import DamagedDocument, HostError, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.draft import Place, Request, Source
    from rootless.userns import idmap
    from rootless.userns.idmap import Extents

_LEAST = 1024
_MOST = 65536
_NOBODY = 65534
_FORM = "auto[:size=N,uidmapping=C:H:N,gidmapping=C:H:N]"


class Wanted:
    """What stands behind `auto:`."""

    __slots__ = ("gids", "size", "uids")

    def __init__(self, text: str) -> None:
        """Raises UsageError."""
        self.size = 0
        self.uids: list[str] = []
        self.gids: list[str] = []
        for part in filter(None, text.split(",")):
            key, _, value = part.partition("=")
            if key == "size" and value.isdigit() and 0 < int(value) <= _MOST:
                self.size = int(value)
            elif key in ("uidmapping", "gidmapping") and value.count(":") in (1, 2):
                (self.uids if key == "uidmapping" else self.gids).append(value)
            else:
                raise UsageError(f'invalid --userns "auto:{text}"', hint=_FORM)


def give(request: Request, source: Source, place: Place, text: str) -> idmap.IdMaps:
    """Choose the range for a container whose directory exists; returns its map.

    Raises UsageError, HostError when the ids do not suffice.
    """
    from rootless.userns import idmap

    wanted = Wanted(text)
    base = request.ctx.maps
    if base.single:
        raise HostError("--userns auto needs subordinate ids", hint=base.why)
    size = wanted.size or _size(request, source)
    directory = request.ctx.containers_dir
    with documents.Lock(os.path.join(request.ctx.data_dir, "auto.lock")):
        taken = _taken(directory, base)
        start = _free(base.uids, base.gids, size, taken)
        documents.write(os.path.join(place.directory, "auto"), [start, size])
    forced = idmap.custom(wanted.uids, wanted.gids, base) if wanted.uids or wanted.gids else None
    uids = _filled(forced.uids if forced else (), base.uids, start, size)
    gids = _filled(forced.gids if forced else (), base.gids, start, size)
    return idmap.IdMaps(
        uids, gids, f"auto: {size} ids of this container alone; {base.why}", caller=base.caller
    )


def _taken(directory: str, base: idmap.IdMaps) -> list[tuple[int, int]]:
    """Ranges (first id of the base map, count) of the containers there are.

    A range that cannot be read is taken from the container's map: nobody else may get it.
    Raises DamagedDocument where neither can be read.
    """
    from rootless.engine.containers import record

    made = []
    for name in documents.names_in(directory):
        path = os.path.join(directory, name, "auto")
        try:
            start, size = documents.read_as(path, _is_range, record.remedy(name[:12]))
            made.append((start, size))
        except OSError:
            continue
        except DamagedDocument:
            maps = record.read(os.path.join(directory, name), name)["maps"]
            for _, outside, count in maps["uids"]:
                inner = base.from_host_uid(outside)
                if inner is not None:
                    made.append((inner, count))
    return made


def _is_range(value: Json) -> bool:
    return (
        type(value) is list
        and len(value) == 2
        and all([type(one) is int and 0 < one < 1 << 32 for one in value])
    )


def _free(uids: Extents, gids: Extents, size: int, taken: list[tuple[int, int]]) -> int:
    """Return the lowest id of the base map from which `size` ids are free; 0 is the user."""
    last = min(max(i + n for i, _, n in extents) for extents in (uids, gids))
    at = 1
    for first, count in sorted(taken):
        if at + size <= first:
            break
        at = max(at, first + count)
    if at + size > last:
        raise HostError(
            f"no {size} ids are left for --userns auto: {sum(n for _, n in taken)} of "
            f"{last - 1} belong to {len(taken)} other containers",
            hint="remove containers, take less with auto:size=N, or ask for more in /etc/subuid",
        )
    return at


def _filled(forced: Extents, base: Extents, start: int, size: int) -> Extents:
    """The forced pieces, and the range for all other ids below `size`."""
    from rootless.userns import idmap

    pieces = list(forced)
    at = 0
    for inside, _, count in [*sorted(forced), (size, 0, 0)]:
        if at < min(inside, size):
            length = min(inside, size) - at
            pieces += idmap.compose(((at, start + at, length),), base)
        at = max(at, inside + count)
    return tuple(sorted(pieces))


def _size(request: Request, source: Source) -> int:
    """As many ids as the image's accounts need, a thousand at least."""
    highest = 0
    user = (request.options.user or source.config.get("User") or "").partition(":")
    numbers = [one for one in (user[0], user[2]) if one.isdigit()]
    if source.image is not None:
        from rootless.storage.rootfs.read_file import read_lowers

        try:
            lowers = request.stores.images.unpack(source.image, request.ctx.maps)
            for path in ("/etc/passwd", "/etc/group"):
                text = read_lowers(lowers, path) or b""
                for line in text.decode("utf-8", "replace").splitlines():
                    numbers += [one for one in line.split(":")[2:4] if one.isdigit()]
        except (OSError, RootlessError):
            pass  # told where the layers are needed
    for word in numbers:
        if int(word) < _NOBODY:
            highest = max(highest, int(word) + 1)
    return min(max(highest, _LEAST), _MOST)
