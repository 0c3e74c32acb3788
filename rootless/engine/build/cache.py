"""The build cache as a whole: what it keeps, how much room that takes, and letting go of it.

Scope: `builder du`, `builder prune`, and what the removal of images has to leave alone.  Layers and
keys are written by `layers`.
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.errors import DamagedDocument, RootlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.documents import Json
    from rootless.engine.collections import Collections

_EVERY = 3600  # seconds
LIMIT = 10 << 30
"""Bytes of layers that a build leaves in the cache at most."""


class Record:
    """One layer of the cache, or a cache mount: `used` is when a build last needed it."""

    def __init__(self, kind: str, top: str, name: str) -> None:
        self.kind = kind
        self.top = top
        self.name = name
        self.keys: list[str] = []
        self.used = 0.0
        self.size = -1
        self.diff_id = ""

    @property
    def path(self) -> str:
        """Its directory."""
        return os.path.join(self.top, "caches" if self.kind == "mount" else "layers", self.name)


def tops(data_dir: str) -> Iterator[str]:
    """The cache's directory for each way in which ids are kept."""
    base = os.path.join(data_dir, "build")
    for name in documents.names_in(base):
        path = os.path.join(base, name)
        if os.path.isdir(os.path.join(path, "keys")):
            yield path


def diff_ids(data_dir: str) -> set[str]:
    """Layers of images that the cache needs as well."""
    from rootless.engine.build.layers import LAYER_SHAPE

    found = set()
    for top in tops(data_dir):
        for name in documents.names_in(os.path.join(top, "layers")):
            path = os.path.join(top, "layers", name)
            if not os.path.islink(os.path.join(path, "fs")):
                continue
            try:
                facts = documents.read_as(os.path.join(path, "layer.json"), LAYER_SHAPE, "")
            except (OSError, DamagedDocument):
                continue
            if diff_id := facts.get("diff_id"):
                found.add(diff_id)
    return found


def is_busy(data_dir: str) -> bool:
    """Whether a build runs, which may need any layer that is here."""
    directory = os.path.join(data_dir, "build")
    if not os.path.isdir(directory):
        return False
    try:
        documents.Lock(os.path.join(directory, "lock"), blocking=False).close()
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def records(data_dir: str) -> list[Record]:
    """Everything that the cache has, what was used last at the end."""
    from rootless.engine.build.layers import KEY_SHAPE, LAYER_SHAPE

    made = []
    for top in tops(data_dir):
        layers = {name: Record("layer", top, name) for name in _names(top, "layers")}
        for file in documents.names_in(os.path.join(top, "keys")):
            path = os.path.join(top, "keys", file)
            try:
                key = documents.read_as(path, KEY_SHAPE, "")
                used = os.stat(path).st_mtime
            except (OSError, DamagedDocument):
                continue
            found = layers.get(key["layer"].removeprefix("build:"))
            if found is not None:
                found.keys.append(path)
                found.used = max(found.used, used)
        for one in layers.values():
            try:
                path = os.path.join(one.path, "layer.json")
                facts = documents.read_as(path, LAYER_SHAPE, "")
                one.diff_id = facts.get("diff_id") or ""
                one.size = int(facts["size"])
            except (OSError, DamagedDocument):
                pass
            one.used = one.used or os.stat(one.path).st_mtime
        made += list(layers.values())
        for name in _names(top, "caches"):
            mount = Record("mount", top, name)
            mount.used = os.stat(mount.path).st_mtime
            made.append(mount)
    return sorted(made, key=lambda one: one.used)


def _names(top: str, kind: str) -> list[str]:
    base = os.path.join(top, kind)
    return [name for name in documents.names_in(base) if os.path.isdir(os.path.join(base, name))]


def measure(engine: Collections, found: list[Record]) -> None:
    """Count the bytes of those of which nobody knows."""
    from rootless.userns import calls

    found = [one for one in found if one.size < 0]
    paths = [os.path.realpath(os.path.join(one.path, "fs")) for one in found]
    there = [path for path in paths if os.path.isdir(path)]
    if not there:
        return
    told = calls.call(
        "rootless.storage.trees.usage:usage_worker", {"paths": there}, maps=engine.context.maps
    )
    sizes = dict(zip(there, [row[1] for row in told], strict=True))
    for one, path in zip(found, paths, strict=True):
        one.size = sizes.get(path, 0)


def usage(engine: Collections) -> list[Json]:
    """For `builder du`: the newest first."""
    found = records(engine.context.data_dir)
    measure(engine, found)
    return [
        {
            "ID": one.name, "Type": "exec.cachemount" if one.kind == "mount" else "regular",
            "Size": max(one.size, 0), "LastUsedAt": one.used, "Shared": bool(one.diff_id),
            "InUse": False,
        }
        for one in reversed(found)
    ]  # fmt: skip


def prune(
    engine: Collections, *, all: bool = False, keep: int = 0, until: float | None = None
) -> Json:
    """Remove from the cache what was used longest ago; {"CachesDeleted", "SpaceReclaimed"}.

    `keep`: bytes that may stay; `until`: nothing that was used after that time; `all`: layers that
    images have as well are let go of, too (they stay as the images').  Raises UsageError while a
    build runs.
    """
    directory = os.path.join(engine.context.data_dir, "build")
    gone: list[str] = []
    freed = 0
    if not os.path.isdir(directory):
        return {"CachesDeleted": gone, "SpaceReclaimed": freed}
    try:
        lock = documents.Lock(os.path.join(directory, "lock"), blocking=False)
    except BlockingIOError:
        raise UsageError("a build is running, and needs what is in the cache") from None
    with lock:
        found = records(engine.context.data_dir)
        measure(engine, found)
        total = sum(max(one.size, 0) for one in found)
        for one in found:
            if until is not None and one.used > until:
                continue
            if keep and total <= keep:
                break
            if one.diff_id and not all:
                continue
            _remove(engine, one)
            gone.append(one.name)
            total -= max(one.size, 0)
            freed += 0 if one.diff_id else max(one.size, 0)
    from rootless.engine.images import remove as image_remove

    image_remove.sweep(engine.images)
    return {"CachesDeleted": gone, "SpaceReclaimed": freed}


def _remove(engine: Collections, one: Record) -> None:
    from rootless.storage.trees import remove as trees_remove

    for path in one.keys:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    trees_remove.remove(one.path, engine.context.maps)


def limit(engine: Collections) -> None:
    """Keep the cache below `LIMIT`, looked at once an hour; never while another build runs."""
    stamp = os.path.join(engine.context.data_dir, "build", "limited")
    try:
        if time.time() - os.stat(stamp).st_mtime < _EVERY:
            return
    except OSError:
        pass
    try:
        with open(stamp, "w"):
            os.utime(stamp)
        prune(engine, all=True, keep=LIMIT)
    except (OSError, RootlessError):
        return  # the next one tries again


def seconds(text: str) -> float:
    """`until=24h` as a moment.  Raises UsageError."""
    from rootless.build.dockerfile import values

    found = values.duration(text)
    if found is None:
        raise UsageError(f'until="{text}" is no time', hint="as in until=24h")
    return time.time() - found / 1e9


def size(text: str) -> int:
    """Return the bytes of `5g`.  Raises UsageError."""
    from rootless.cgroups import limits

    return limits.size(text)
