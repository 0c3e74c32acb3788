"""The storage drivers there are, and which of them a container gets: found by trying."""

from __future__ import annotations

from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import TypedDict

    from rootless.storage.drivers.driver import Driver
    from rootless.userns.idmap import IdMaps

    class Listed(TypedDict):
        """What `info` says of a driver."""

        Name: str
        Usable: bool
        Reason: str


# In the order in which they are tried.  The module of each has its name, with _ for -.
NAMES = (
    "overlay",
    "fuse-overlayfs",
    "python-fuse",
    "copy",
)

# The one of `--rootfs`, where nothing is to be chosen.
DIRECTORY = "directory"


def get(name: str) -> Driver:
    """The driver of that name, one of NAMES or DIRECTORY.  Loads its module and no other."""
    path = "rootless.storage.drivers." + name.replace("-", "_")
    driver: Driver = __import__(path, fromlist=["DRIVER"]).DRIVER
    return driver


def recorded(name: str) -> Driver:
    """The driver that a container was made with, by what its record says.

    For a name that this version does not know, or where the record is damaged: what most drivers
    do.
    """
    if name in NAMES or name == DIRECTORY:
        return get(name)
    from rootless.storage.drivers.driver import Driver

    return Driver()


def all_drivers() -> Iterator[Driver]:
    """All that can be chosen, in the order in which they are tried."""
    return map(get, NAMES)


def of_start(kinds: Collection[str], server: Sequence[str]) -> Driver:
    """The driver of a start that mounts file systems of these kinds, and whose root is served by
    this program (its arguments; none without one)."""
    for driver in all_drivers():
        if driver.made(kinds, server):
            return driver
    from rootless.storage.drivers.driver import Driver

    return Driver()


class Choice:
    """`driver` and `why` it was taken; `fallback`: a better one could not be used; `remap`: the
    container sees other ids than those the layers are stored with, as (uid, gid) option texts
    (id_remap.py); `options`: what `--storage-opt` says; `nested`: the container's user namespace is
    to lie within one that has the ids of storage, where its server works."""

    __slots__ = ("driver", "fallback", "nested", "options", "remap", "why")

    def __init__(
        self, driver: Driver, why: str, remap: tuple[str, str] = ("", ""), *, fallback: bool = False
    ) -> None:
        self.driver = driver
        self.why = why
        self.fallback = fallback
        self.remap = remap
        self.options: dict[str, str] = {}
        self.nested = False

    def notice(self) -> tuple[str, str, bool] | None:
        """What the user is told of it: topic, text, and whether to say it each time."""
        return self.driver.notice(self.why, fallback=self.fallback, remapped=self.remap != ("", ""))


def choose(
    requested: str | None,
    maps: IdMaps,
    storage_maps: IdMaps,
    options: list[str] | None = None,
    *,
    nest: bool = False,
    data: str = "",
) -> Choice:
    """Find the first driver that works, or the one that was asked for.

    `nest`: whether the container's namespace is new, so that another one can be put around it.
    `data`: the data directory, whose file system decides; the user's own without.
    Raises UsageError for an unknown name or option, HostError for a driver that cannot work here.
    """
    if requested and requested not in NAMES:
        raise UsageError(f'unknown storage driver "{requested}"', hint=", ".join(NAMES))
    remap = ("", "")
    unseen = ""
    if maps.uids != storage_maps.uids or maps.gids != storage_maps.gids:
        from rootless.storage.drivers import id_remap

        try:
            remap = id_remap.texts(maps, storage_maps)
        except UsageError:
            # a server runs in the container's namespace, where these owners are all "nobody"
            unseen = "the container lacks the ids to which the image's files belong"
            remap = id_remap.texts(storage_maps, maps)
    problems: list[str] = []
    for name in (requested,) if requested else NAMES:
        driver = get(name)
        problem = driver.why_not(storage_maps, remapped=remap != ("", ""), data=data)
        nested = bool(unseen) and nest and driver.nests and not storage_maps.single
        if unseen and driver.served and not nested:
            problem = unseen
        if not problem:
            why = "asked for" if requested else "; ".join(problems) or driver.works
            made = Choice(driver, why, remap, fallback=bool(problems))
            if nested:
                made.nested = True
                made.remap = (
                    id_remap.around(maps.uids, storage_maps.uids),
                    id_remap.around(maps.gids, storage_maps.gids),
                )
            if options:
                from rootless.storage.drivers import options as driver_options

                made.options = driver_options.parse(driver, options)
            return made
        problems.append(f"{driver.title or driver.name}: {problem}")
    raise HostError(
        f"the storage driver {problems[0].replace(': ', ' cannot be used: ', 1)}",
        hint="leave out --storage-driver for the best one that works; rootless info lists them",
    )


def squashing(maps: IdMaps) -> str | None:
    """The name of a driver that works here and shows files of all owners as root's, if any."""
    for driver in all_drivers():
        if driver.squashes_owners and not driver.why_not(maps):
            return driver.name
    return None


def listed(maps: IdMaps, data: str = "") -> list[Listed]:
    """List every driver: its name, whether it can be used here, and why or why not."""
    made: list[Listed] = []
    for driver in all_drivers():
        problem = driver.why_not(maps, data=data)
        made.append({"Name": driver.name, "Usable": not problem, "Reason": problem or driver.works})
    return made
