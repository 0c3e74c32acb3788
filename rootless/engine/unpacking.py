"""Unpacking by a process that is root of the user namespace already: the server of lazy layers."""

from __future__ import annotations

import os
import subprocess
import sys

from rootless import documents
from rootless.storage.layers import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from rootless.chunked.table import Table
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps


class _Inside(LayerStore):
    """A store whose workers need not enter the namespace; what they do is the same."""

    def __init__(self, directory: str, maps: IdMaps) -> None:
        self.maps = maps
        self.directory = directory

    def _work(self, function: str, request: Json, lock: int) -> Json:
        from rootless.userns import calls

        order = os.memfd_create("rootless-call", os.MFD_CLOEXEC)
        read, write = os.pipe()
        text = documents.dumps(
            {"path": sys.path, "function": function, "request": request, "become_root": False}
        )
        with open(order, "wb", closefd=False) as file:
            file.write(text.encode())
        os.lseek(order, 0, os.SEEK_SET)
        argv = [sys.executable, "-IS", calls.WORKER, str(order), str(write)]
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, pass_fds=(order, write, lock)
        ) as process:
            os.close(order)
            os.close(write)
            with open(read, "rb") as file:
                answer = file.read()
        return calls.result(answer, process.returncode, function)


def store_inside(directory: str, single: bool) -> LayerStore:
    """The layers in `directory`, for a process inside the namespace that they belong to."""
    from rootless.userns import idmap

    # what the namespace's own root sees: itself, or everybody
    extents = ((0, 0, 1 if single else 1 << 32),)
    return _Inside(directory, idmap.IdMaps(extents, extents, caller=(0, 0)))


def differences(table: Table, root: str) -> Iterator[str]:
    """Where an unpacked layer is not what its table of contents said, at most five lines.

    A table is made by whoever made the tar, but nothing forces the two to agree: a container that
    was started early saw the table's files, and people should know when those were others.
    """
    count = 0
    for entry in table.entries:
        name = entry.path.rpartition("/")[2]
        if entry.kind != "reg" or name.startswith(".wh.") or name in _OWN:
            continue
        try:
            found = os.lstat(os.path.join(root, entry.path))
        except OSError:
            found = None
        if found is None or found.st_size != entry.size or found.st_mode & 0o7777 != entry.mode:
            yield f"the layer's table of contents lied about {entry.path!r}"
            count += 1
            if count == 5:
                return


_OWN = ("stargz.index.json", ".prefetch.landmark", ".no.prefetch.landmark")
