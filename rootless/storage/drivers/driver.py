"""What a storage driver is, what it is given, and what it answers with.

A driver puts a container's root file system together.  Each has a module of its own beside this
one, with an object `DRIVER`; registry.py lists their names.  Code elsewhere asks a driver what it
can do and never what it is called.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rootless.userns.idmap import IdMaps


class Server:
    """A program that serves a file system (FUSE) to one container.

    The monitor starts it, in the container's user and mount namespace and as its root, and the
    launcher waits until something is mounted at `mount_point`, an existing directory of the host,
    before it starts the next one.  `argv[0]` is an absolute path; the program stays in the
    foreground and ends at SIGTERM.  It is ended after the container, and the container with it.
    `late`: its file may be closed to root of the container's map (`nomap`), so it keeps the
    person's ids, has all capabilities, and becomes root by itself.
    """

    __slots__ = ("argv", "late", "mount_point")

    def __init__(self, argv: list[str], mount_point: str, *, late: bool = False) -> None:
        self.argv = argv
        self.mount_point = mount_point
        self.late = late

    def as_json(self) -> list[str]:
        """For `container.json` and for workers: `[late, mount point, argv...]`."""
        return ["1" if self.late else "", self.mount_point, *self.argv]

    @classmethod
    def from_json(cls, value: list[str]) -> Server:
        """The opposite of `as_json`."""
        return cls(value[2:], value[1], late=bool(value[0]))


class KernelMount:
    """A file system of the kernel at `target`; `data`: its options, in which names are relative to
    the directory `base`."""

    __slots__ = ("base", "data", "kind", "target")

    def __init__(self, kind: str, target: str, data: str, base: str) -> None:
        self.kind = kind
        self.target = target
        self.data = data
        self.base = base

    def as_json(self) -> list[str]:
        """For workers: `[kind, target, data, base]`."""
        return [self.kind, self.target, self.data, self.base]


class RootMount:
    """What is to be mounted: `lowers` (topmost first), `upper`, `work`, at `merged`.

    `servers`: file systems that programs serve, in the order in which they are started: those of
    single layers first, then the one that serves `merged`, if the kernel does not.  `served`: some
    lower directories are empty until their servers run.  `single`: of one id; `late`: root of the
    map may not read this package; `options`: what `--storage-opt` says.

    `volatile`: nothing is ever written through to the disk, not even when a program in the
    container asks for it; only for what is removed at its end, and never mounted twice.
    """

    __slots__ = (
        "driver",
        "gidmapping",
        "late",
        "lowers",
        "memory",
        "merged",
        "options",
        "served",
        "servers",
        "single",
        "uidmapping",
        "upper",
        "volatile",
        "work",
    )

    def __init__(
        self, driver: Driver, directory: str, lowers: list[str], *, volatile: bool = False
    ) -> None:
        self.driver = driver
        self.volatile = volatile
        self.lowers = lowers
        self.upper = os.path.join(directory, "upper")
        self.work = os.path.join(directory, "work")
        self.merged = os.path.join(directory, "merged")
        self.uidmapping = self.gidmapping = ""
        self.memory = ""
        self.servers: list[Server] = []
        self.served = False
        self.late = self.single = False
        self.options: dict[str, str] = {}

    def writable(self) -> list[str]:
        """The directories to which root of the container writes."""
        return [self.upper, self.work] if self.driver.layered else [self.merged]

    def readable(self) -> list[str]:
        """Directories that together have the files before anything is mounted, topmost first."""
        return self.lowers if self.driver.layered else [self.merged]


class Driver:
    """One way to put a root file system together; a subclass says in what it differs."""

    name = ""
    """As `--storage-driver`, `info` and `inspect` have it."""
    title = ""
    """What reasons call it, where that is not its name."""
    works = ""
    """What `info` says of it where it can be used."""
    used = ""
    """What `doctor` says where it is the one that is used."""
    known_options: dict[str, str] = {}
    """What `--storage-opt` may set: a name, and what its value looks like; "": it has none."""

    # What it can do.
    layered = True
    """The layers are read where they lie, and what a container writes goes to `upper`.  Otherwise
    each container has all of its files in `merged`."""
    of_image = True
    """What is below a container's files is an image's, with which they can be compared."""
    served = False
    """A program shows the files; it runs in the container's user namespace."""
    nests = False
    """The program can as well run in a user namespace around the container's."""
    volatile_once = False
    """A mount with the option `volatile` cannot be made a second time."""
    plain_whiteouts = False
    """Deletions may be noted as plain files (`.wh.NAME`) in `upper`."""
    loses_noted_owners = False
    """Owners that layers keep in attributes (layers/attributes.py) would be shown as root's."""
    squashes_owners = False
    """With a single id it is the best one for files of other owners: it shows them as root's."""

    def why_not(self, maps: IdMaps, *, remapped: bool = False, data: str = "") -> str:
        """Why it cannot work here; empty if it can.

        `maps`: those the layers are stored with; `remapped`: the container has other ids; `data`:
        the data directory, whose file system decides.
        """
        return ""

    def remedy(self, problem: str) -> str:
        """What would mend what `why_not` said; empty where nothing simple does."""
        return ""

    def mounts(self, mount: RootMount) -> list[KernelMount]:
        """What the kernel mounts, after the servers have started.  Raises HostError."""
        return []

    def server(self, mount: RootMount) -> Server | None:
        """The program that serves `mount.merged`."""
        return None

    def mount_read_only(self, path: str, base: str, lowers: list[str]) -> bool:
        """Show layers (topmost first, below `base`) at `path`, to a process that is root of the
        namespace they belong to.  False where it does not do that.  Raises OSError."""
        return False

    def fill(self, mount: RootMount, maps: IdMaps, stored: IdMaps) -> None:
        """Put files into the directories, whose owners are those of the map `maps`."""

    def notice(self, why: str, *, fallback: bool, remapped: bool) -> tuple[str, str, bool] | None:
        """What the user is told of this choice: topic, text, and whether to say it each time.

        `fallback`: a better one could not be used.
        """
        if not fallback or remapped:
            return None
        return "driver", f"{self.name} serves containers' files: {why}", False

    # What containers tell that were made with it.

    def made(self, kinds: Collection[str], server: Sequence[str]) -> bool:
        """Whether a start that mounts file systems of these kinds, with this program for the
        root (its arguments), is one of this driver's."""
        return False

    def without_mapping(self, server: Sequence[str]) -> list[str]:
        """The program's arguments for a namespace that has the ids of storage."""
        return list(server)

    def notes_owners(self, server: Sequence[str]) -> bool:
        """Whether this program keeps owners and modes in attributes of the files in `upper`."""
        return False
