"""What a build needs of the rest of the program: images, layers, and somebody who runs a step.

The room knows neither the engine nor storage: `rootless.engine.build` implements these with both,
the unit tests on plain directories.  A layer is known by a name, which only `Layers` understands;
files are named by the layers that they are made of, lowest first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

Chain = tuple[str, ...]


@dataclass(frozen=True)
class BaseImage:
    """An image that a stage begins with, or that files are copied from.

    `id` has 64 hex digits; `config` is the whole configuration document; `layers` its files.
    """

    id: str
    reference: str
    config: Mapping[str, Json]
    layers: Chain


class Images(Protocol):
    """Finds images."""

    def find(self, reference: str, platform: str, pull: str) -> BaseImage:
        """The image, unpacked.  `platform` may be empty; `pull` is missing, always, newer, never.

        Raises ImageNotFound, RegistryError.
        """


@dataclass(frozen=True)
class Kept:
    """What the cache has of a step: its layer, "" where no file changed, and small facts."""

    layer: str
    facts: Mapping[str, Json] = field(default_factory=dict)


class Snapshot(Protocol):
    """Files in the making, above a chain of layers."""

    @property
    def parent(self) -> Chain:
        """What it began with."""


class Layers(Protocol):
    """Keeps layers and what the cache knows of them.  Safe from several threads."""

    @property
    def single(self) -> bool:
        """Whether a single id is mapped: files cannot be given to others."""

    @property
    def unpacker(self) -> str:
        """The function ("module:name") that unpacks an archive for ADD, see `copying`."""

    def find(self, key: str) -> Kept | None:
        """What a step with this key came to, if its layer is still here."""

    def remember(self, key: str, kept: Kept) -> None:
        """Note it; from here on it is not lost whatever happens to this process."""

    def used(self, key: str, kept: Kept, parent: Chain) -> None:
        """A step above these layers came to that, now or when it was done."""

    def begin(self, parent: Chain) -> Snapshot:
        """A writable snapshot."""

    def work(
        self,
        function: str,
        request: dict[str, Json],
        *,
        snapshot: Snapshot | None = None,
        trees: Mapping[int, Chain] | None = None,
    ) -> Json:
        """Run one of our functions ("module:name") where the files can be reached.

        The snapshot's top is put into the request as "root"; the files of `trees[n]`, read-only,
        as "top" of the request's source number n, or, with n -1, of the request itself.  Raises
        what the function raises.
        """

    def finish(self, snapshot: Snapshot, owners: Mapping[str, Sequence[int]] | None = None) -> str:
        """Make a layer of it; "" where nothing was written.  The snapshot is used up.

        `owners`: whose files are that could not be given away (see `single`).
        """

    def abandon(self, snapshot: Snapshot) -> None:
        """Remove it."""

    def fetch(self, address: str, checksum: str) -> tuple[str, str, str, int | None]:
        """(path, name, digest, time in ns or None) of a file at an http address."""

    def reach(self, address: str) -> tuple[str, list[tuple[str, str]]]:
        """The address that git is to be given for that of a repository, and settings of git.

        Raises UsageError for one that is not to be asked.
        """


@dataclass(frozen=True)
class StepMount:
    """What a step sees beside its own files, and no layer ever has.

    kind      target is                      source is
    tree      files of `chain` (a file or directory `source` of them)
    bind      a path of this host
    cache     a directory that lasts; `source` is its name, `chain` what it begins with
    tmpfs     an empty one of `size` bytes
    secret    a file with `data`             ssh: a socket of this host
    text      an executable file with `data`
    """

    kind: str
    target: str
    source: str = ""
    chain: Chain = ()
    read_only: bool = True
    sharing: str = "shared"
    size: int = 0
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Process:
    """One RUN.  `environment` is complete but for HOME; `secrets` come on top of it and are in no
    key, log or error."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    user: str
    cwd: str
    mounts: Sequence[StepMount] = ()
    network: str = "default"
    security: str = "sandbox"
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    name: str = ""


Sink = Callable[[int, bytes], None]

Settled = Callable[[str, Chain], None]
"""Gets a layer that the image will have, as soon as it is there, and those below it."""


class Steps(Protocol):
    """Runs steps.  Safe from several threads."""

    def run(self, snapshot: Snapshot, process: Process, log: Sink, cancel: Event) -> int:
        """Run it in the snapshot; its exit status.  `log(1 or 2, bytes)` gets what it writes.

        Ends it and raises Interrupted when `cancel` is set.  Raises RuntimeFailure and its kin.
        """
