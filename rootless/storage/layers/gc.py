"""Unpacked layers that nothing needs, removed beside commands that unpack and start containers.

A layer is first renamed out of the way; then it is asked once more what is needed, and what is goes
back.  Whoever makes a container has its directory before it looks for layers, and an image's record
is written before its layers are unpacked: so whoever saw a layer that was about to go is seen by
the second question.  `.gone-NAME` is what a sweep left that was killed between the two.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import StorageError
from rootless.storage.layers.store import LayerStore
from rootless.storage.trees import remove as trees_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.userns.idmap import IdMaps

_GONE = ".gone-"


def short(diff_id: str) -> str:
    """The name of a layer's directory."""
    return diff_id.rpartition(":")[2][:32]


def sweep(
    data_dir: str, maps: list[IdMaps], wanted: Callable[[], set[str] | None], *, measure: bool
) -> tuple[set[str], int]:
    """Remove layers whose short names `wanted` does not give; (names removed, bytes freed).

    `maps`: those that layers are kept for.  `wanted` gives None while somebody is making what may
    need any of them; then all stay.  Without `measure` the bytes are 0.  Raises StorageError.
    """
    removed: set[str] = set()
    freed = 0
    top = os.path.join(data_dir, "layers")
    if not os.path.isdir(top):
        return removed, freed
    try:
        with documents.Lock(os.path.join(top, ".sweep.lock")):
            for one in {each.storage_key(): each for each in maps}.values():
                layers = LayerStore(data_dir, one)
                if os.path.isdir(layers.directory):
                    names, count = _one_map(layers, wanted, measure)
                    removed |= names
                    freed += count
    except OSError as error:
        raise StorageError(
            f"cannot remove layers below {top}: {error.strerror}",
            hint="check the file system of this path",
        ) from None
    return removed, freed


def _one_map(
    layers: LayerStore, wanted: Callable[[], set[str] | None], measure: bool
) -> tuple[set[str], int]:
    needed = wanted()
    freed = _leftovers(layers, needed, measure)
    if needed is None:
        return set(), freed
    candidates = [name for name in layers.list() if name not in needed]
    for name in candidates:
        os.rename(_path(layers, name), _path(layers, _GONE + name))
    needed = wanted()
    gone = set()
    for name in candidates:
        if needed is None or name in needed:
            _back(layers, name)
        else:
            gone.add(name)
    freed += _remove(layers, [_GONE + name for name in sorted(gone)], measure)
    return gone, freed


def _path(layers: LayerStore, name: str) -> str:
    return os.path.join(layers.directory, name)


def _back(layers: LayerStore, name: str) -> None:
    try:
        os.rename(_path(layers, _GONE + name), _path(layers, name))
    except OSError:
        # it was unpacked again meanwhile
        _remove(layers, [_GONE + name], False)


def _leftovers(layers: LayerStore, needed: set[str] | None, measure: bool) -> int:
    """What sweeps and unpackers left that were killed."""
    doomed = []
    for entry in list(documents.names_in(layers.directory)):
        if entry.startswith(_GONE):
            name = entry[len(_GONE) :]
            if needed is None or name in needed:
                _back(layers, name)
            else:
                doomed.append(entry)
        elif entry.startswith(".tmp-") and _abandoned(layers, entry[5:].partition("-")[0]):
            doomed.append(entry)
        elif entry.endswith(".lock") and len(entry) == 38:
            _abandoned(layers, entry[1:-5])
    return _remove(layers, doomed, measure)


def _abandoned(layers: LayerStore, name: str) -> bool:
    """Whether nobody unpacks this layer now; removes the lock of the dead."""
    path = _path(layers, f".{name}.lock")
    try:
        with documents.Lock(path, blocking=False):
            os.unlink(path)
        return True
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(layers: LayerStore, names: list[str], measure: bool) -> int:
    if not names:
        return 0
    paths = [_path(layers, name) for name in names]
    freed = 0
    if measure:
        from rootless.userns import calls

        request = {"paths": paths}
        told = calls.call("rootless.storage.trees.usage:usage_worker", request, maps=layers.maps)
        freed = sum(row[1] for row in told)
    for path in paths:
        if not trees_remove.remove(path, layers.maps):
            raise StorageError(
                f"cannot remove the layer {path}", hint=f"rootless unshare rm -rf {path}"
            )
    return freed
