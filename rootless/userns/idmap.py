"""Id maps: which id inside a user namespace is which id of the host.

An extent is (first id inside, first id outside, how many), as a line of /proc/PID/uid_map; see
user_namespaces(7).  "Outside" always means the namespace of the caller, called the host here.
Scope: computing maps.  Writing them is the business of the programs that make the namespace.
"""

from __future__ import annotations

import os

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class MapsRecord(TypedDict):
        """A map as documents keep it."""

        uids: list[list[int]]
        gids: list[list[int]]
        why: str
        caller: list[int]
        single: bool


Extent = tuple[int, int, int]
Extents = tuple[Extent, ...]

# the kernel takes 340 lines, and no more bytes than a page in the one write that it allows
MOST_EXTENTS = 340
_MOST_BYTES = 4095
# what keep-id may add by cutting an extent in two
_RESERVE = 4
_IDS = (1 << 32) - 1


def translate(extents: Extents, number: int) -> int | None:
    """Translate an id from inside to outside; None if it is not mapped."""
    for inside, outside, size in extents:
        if inside <= number < inside + size:
            return outside + number - inside
    return None


def translate_back(extents: Extents, number: int) -> int | None:
    """Translate an id from outside to inside; None if it is not mapped."""
    for inside, outside, size in extents:
        if outside <= number < outside + size:
            return inside + number - outside
    return None


class IdMaps:
    """The uids and gids of a container, and how they were chosen.  Immutable by agreement."""

    __slots__ = ("caller", "gids", "uids", "why")

    def __init__(
        self,
        uids: Extents,
        gids: Extents,
        why: str = "",
        *,
        caller: tuple[int, int] | None = None,
    ) -> None:
        """`caller` has the host uid and gid of the user, by default of this process."""
        self.uids = uids
        self.gids = gids
        self.why = why
        self.caller = caller or (os.getuid(), os.getgid())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMaps) and (self.uids, self.gids) == (other.uids, other.gids)

    def __hash__(self) -> int:
        return hash((self.uids, self.gids))

    def __repr__(self) -> str:
        return f"IdMaps({self.uids}, {self.gids}, {self.why!r})"

    @property
    def single(self) -> bool:
        """Whether the caller's own ids are all there are: no helper needed, no chown possible."""
        return all(
            len(extents) == 1 and extents[0][1:] == (own, 1)
            for extents, own in zip((self.uids, self.gids), self.caller, strict=True)
        )

    @property
    def root_is_caller(self) -> bool:
        """Whether uid 0 of the container is the user who starts it."""
        return translate(self.uids, 0) == self.caller[0]

    def proc_text(self, which: str) -> str:
        """Return the lines for /proc/PID/uid_map (`which` is "uids") or gid_map ("gids")."""
        extents = self.uids if which == "uids" else self.gids
        return "".join(f"{inside} {outside} {size}\n" for inside, outside, size in extents)

    def to_host_uid(self, number: int) -> int | None:
        """Return the host's uid of a container's uid, or None if it is not mapped."""
        return translate(self.uids, number)

    def to_host_gid(self, number: int) -> int | None:
        """Return the host's gid of a container's gid, or None if it is not mapped."""
        return translate(self.gids, number)

    def from_host_uid(self, number: int) -> int | None:
        """Return the container's uid of a host's uid, or None if it is not mapped."""
        return translate_back(self.uids, number)

    def from_host_gid(self, number: int) -> int | None:
        """Return the container's gid of a host's gid, or None if it is not mapped."""
        return translate_back(self.gids, number)

    def storage_key(self) -> str:
        """Return a short file name; two maps have the same one only if files look the same in both.

        With a single id every file belongs to the user, whatever that id is called inside.
        """
        if self.single:
            return "single"
        key = "m" + _key(self.uids)
        if self.gids != self.uids:
            key += "." + _key(self.gids)
        if len(key) <= 80:
            return key
        # too long for a name: FNV-1a of 128 bits, because hashlib is slow to load
        value = 0x6C62272E07BB014262B821756295C58D
        for byte in key.encode():
            value = (value ^ byte) * 0x1000000000000000000013B % (1 << 128)
        return f"mh{value:032x}"

    def as_dict(self) -> MapsRecord:
        """Return the map as a JSON value."""
        return {
            "uids": [list(extent) for extent in self.uids],
            "gids": [list(extent) for extent in self.gids],
            "why": self.why,
            "caller": list(self.caller),
            "single": self.single,
        }

    @classmethod
    def from_dict(cls, value: MapsRecord) -> IdMaps:
        """Make a map from what `as_dict` returned."""
        uids = tuple((a, b, c) for a, b, c in value["uids"])
        gids = tuple((a, b, c) for a, b, c in value["gids"])
        uid, gid = value["caller"]
        return cls(uids, gids, value["why"], caller=(uid, gid))


def _key(extents: Extents) -> str:
    parts = []
    expected = 0
    for inside, outside, size in extents:
        # most maps have no holes, and then the first id inside need not be in the name
        hole = "" if inside == expected else f"{inside:x}-"
        parts.append(f"{hole}{outside:x}" + (f"+{size:x}" if size > 1 else ""))
        expected = inside + size
    return "_".join(parts)


# ------------------------------------------------------------ arithmetic of extents


def compose(first: Extents, second: Extents) -> Extents:
    """Return the map that goes through `first` and then through `second`; what is unmapped is left
    out."""
    result: list[Extent] = []
    for inside, middle, size in first:
        for start, outside, length in second:
            low, high = max(middle, start), min(middle + size, start + length)
            if low < high:
                result.append((inside + low - middle, outside + low - start, high - low))
    result.sort()
    # neighbours are not joined: newuidmap(1) wants each line within one range of /etc/subuid
    return tuple(result)


def _consecutive(pieces: list[tuple[int, int]], start: int = 0) -> Extents:
    """Extents for ranges (first, count) of the host, laid end to end from `start` inside."""
    extents: list[Extent] = []
    length = 0
    for first, count in pieces:
        length += len(f"{start} {first} {count}\n")
        if len(extents) > MOST_EXTENTS - _RESERVE or length > _MOST_BYTES - 40 * _RESERVE:
            break
        extents.append((start, first, count))
        start += count
    return tuple(extents)


def _usable(
    ranges: list[tuple[int, int]], allowed: list[tuple[int, int]], taken: int
) -> list[tuple[int, int]]:
    """Pieces of `ranges` that the namespace around us has, without `taken` and without repetition.

    An extent of a nested map may not cross the extents of the map above it, so they cut too.
    """
    used = [(taken, 1)]
    result: list[tuple[int, int]] = []
    for first, count in ranges:
        for start, length in allowed:
            low, high = max(first, start), min(first + count, start + length)
            pieces = [(low, high)] if low < high else []
            for other, size in used:
                pieces = [
                    (a, b)
                    for begin, end in pieces
                    for a, b in ((begin, min(end, other)), (max(begin, other + size), end))
                    if a < b
                ]
            for begin, end in pieces:
                result.append((begin, end - begin))
                used.append((begin, end - begin))
    return result


# ------------------------------------------------------------ the maps that users can choose


def single_maps(uid: int, gid: int, why: str) -> IdMaps:
    """Return the map with one id: root of the container is the user, and no other id exists in
    it."""
    return IdMaps(((0, uid, 1),), ((0, gid, 1),), why, caller=(uid, gid))


def default_maps() -> IdMaps:
    """Return the best map for this user: root is the caller, all other ids are subordinate ones.

    Falls back to a single id and says in `why` what is missing.  Never raises.
    """
    from rootless.userns import subids
    from rootless.userns.helpers import obstacle, outer_ranges, privileged

    uid, gid = os.getuid(), os.getgid()
    uid_ranges, gid_ranges = subids.ranges(uid)
    if not (uid_ranges and gid_ranges):
        if privileged():
            why = "running as root without subordinate ids: the ids of this namespace as they are"
            uids, gids = _identity(outer_ranges("uid")), _identity(outer_ranges("gid"))
            return IdMaps(uids, gids, why, caller=(uid, gid))
        name = subids.user_name(uid)
        missing = "/etc/subuid" if not uid_ranges else "/etc/subgid"
        why = f"{missing} has no range of subordinate ids for {name}"
        return single_maps(uid, gid, f"{why}; as root: {subids.grant(uid)}")
    if not privileged():
        problem = obstacle()
        if problem:
            return single_maps(uid, gid, problem)
    uid_pieces = _usable(uid_ranges, outer_ranges("uid"), uid)
    gid_pieces = _usable(gid_ranges, outer_ranges("gid"), gid)
    if not (uid_pieces and gid_pieces):
        why = "the subordinate ids are not mapped in the user namespace that this runs in"
        return single_maps(uid, gid, f"{why}; start the outer container with more ids")
    uids = ((0, uid, 1), *_consecutive(uid_pieces, 1))
    gids = ((0, gid, 1), *_consecutive(gid_pieces, 1))
    count = sum(size for _, size in uid_pieces)
    return IdMaps(
        uids, gids, f"{count} subordinate ids by newuidmap and newgidmap", caller=(uid, gid)
    )


def _identity(ranges: list[tuple[int, int]]) -> Extents:
    """Every id that exists here as itself; root is uid 0, so it is the caller in this map too."""
    return tuple((first, first, count) for first, count in ranges)


def keep_id(base: IdMaps, uid: int | None = None, gid: int | None = None) -> IdMaps:
    """Map the caller's ids to `uid` and `gid` inside (default: the same numbers); others move up.

    Raises UsageError.
    """
    if (base.to_host_uid(0), base.to_host_gid(0)) != base.caller:
        raise UsageError("keep-id needs a map whose root is the caller")
    uid = base.caller[0] if uid is None else uid
    gid = base.caller[1] if gid is None else gid
    for number in (uid, gid):
        if not 0 <= number < _IDS:
            raise UsageError(f"keep-id: {number} is not an id", hint="ids are 0 to 4294967294")
    return IdMaps(
        compose(_kept(base.uids, uid), base.uids),
        compose(_kept(base.gids, gid), base.gids),
        f"keep-id: you are {uid}:{gid} inside; {base.why}",
        caller=base.caller,
    )


def _kept(base: Extents, number: int) -> Extents:
    """Container id -> id of the base map, where the base's 0 is called `number`."""
    last = max(inside + size for inside, _, size in base)
    pieces = [(0, 1, min(number, last - 1)), (number, 0, 1)]
    if last - 1 > number:
        pieces.append((number + 1, number + 1, last - 1 - number))
    return tuple(piece for piece in pieces if piece[2] > 0)


def no_map(base: IdMaps) -> IdMaps:
    """Return the map without the caller's own ids; root is the first subordinate id.

    Raises HostError without subordinate ids.
    """
    if base.single:
        raise HostError("nomap needs subordinate ids", hint=base.why)
    most = 1 << 32
    shift: Extents = ((0, 1, most),)
    return IdMaps(
        compose(shift, base.uids),
        compose(shift, base.gids),
        f"nomap: your own ids do not exist inside; {base.why}",
        caller=base.caller,
    )


def custom(uid_specs: list[str], gid_specs: list[str], base: IdMaps) -> IdMaps:
    """Return the map that `--uidmap` and `--gidmap` describe, `container:intermediate[:size]` each.

    Intermediate ids are those of `base`, with `@` in front those of the host.  If only one of the
    two kinds is given it serves for both.  Raises UsageError.
    """
    uids = _specified("--uidmap", uid_specs or gid_specs, base.uids)
    gids = _specified("--gidmap", gid_specs or uid_specs, base.gids)
    if not (uids and gids):
        raise UsageError("--uidmap needs a value", hint="for example --uidmap 0:0:1")
    return IdMaps(uids, gids, "as given by --uidmap and --gidmap", caller=base.caller)


def _specified(flag: str, specs: list[str], base: Extents) -> Extents:
    wanted: list[Extent] = []
    for spec in specs:
        fields = spec.split(":")
        host = len(fields) > 1 and fields[1].startswith("@")
        if host:
            fields[1] = fields[1][1:]
        if not (2 <= len(fields) <= 3 and all(f.isascii() and f.isdigit() for f in fields)):
            raise UsageError(
                f'{flag} "{spec}" is not container:intermediate:size',
                hint=f"for example {flag} 0:1:1000, or {flag} 0:@{base[0][1]}:1 with an id of the"
                " host",
            )
        inside, middle = int(fields[0]), int(fields[1])
        size = int(fields[2]) if len(fields) == 3 else 1
        if size < 1 or inside + size > _IDS or middle + size > _IDS:
            raise UsageError(f'{flag} "{spec}" is out of range', hint="ids are 0 to 4294967294")
        if host:
            pieces = [
                (inside + max(middle, outside) - middle, start + max(middle, outside) - outside, n)
                for start, outside, length in base
                if (n := min(middle + size, outside + length) - max(middle, outside)) > 0
            ]
        else:
            pieces = [(inside, middle, size)]
        for piece in pieces:
            wanted.append(piece)
        if sum(n for _, _, n in compose(tuple(pieces), base)) != size:
            raise UsageError(
                f'{flag} "{spec}" names ids that you do not have',
                hint="you have " + ", ".join(_spoken(extent) for extent in base),
            )
    result = compose(tuple(wanted), base)
    if len(result) > MOST_EXTENTS:
        raise UsageError(f"{flag} describes {len(result)} extents, the kernel takes {MOST_EXTENTS}")
    for side, what in ((0, "inside"), (1, "on the host")):
        ordered = sorted((extent[side], extent[2]) for extent in result)
        for (first, count), (second, _) in zip(ordered, ordered[1:], strict=False):
            if first + count > second:
                raise UsageError(f"{flag} maps the id {second} {what} twice")
    return result


def _spoken(extent: Extent) -> str:
    inside, outside, size = extent
    if size == 1:
        return f"{inside} (host {outside})"
    return f"{inside} to {inside + size - 1} (host {outside} to {outside + size - 1})"
