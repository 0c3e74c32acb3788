"""The layers, for a process that is root of the namespace they belong to already.

Scope: the server of lazy layers, and `image mount` from within `rootless unshare`.  What works on
the layers is the same; it only need not enter the namespace.
"""

from __future__ import annotations

import os
import subprocess
import sys

from rootless import documents
from rootless.storage.layers.store import LayerStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


class NamespaceLayerStore(LayerStore):
    """The layers in `directory` (`layers/MAPKEY`); with `single` owners are left alone."""

    def __init__(self, directory: str, *, single: bool) -> None:
        from rootless.userns import idmap

        # what the namespace's own root sees: itself, or everybody
        extents = ((0, 0, 1 if single else 1 << 32),)
        self.maps = idmap.IdMaps(extents, extents, caller=(0, 0))
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

    def _remove(self, path: str) -> None:
        from rootless.storage.trees.remove import remove_worker

        remove_worker({"path": path})
