"""The program beside a container that serves layers which have not arrived; see `lazy_start`.

    python3 -IS lazy_server.py ORDERS

The monitor starts it as root of the container's user namespace, in the mount namespace that the
container leaves behind: it sees the host's files and network, and the container sees its mount.
In the container nothing but reads of files lead here; they name paths of the tables, which were
verified before.
"""

from __future__ import annotations

import os
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.chunked.table import Table
    from rootless.documents import Json
    from rootless.images.registry.client import Registry
    from rootless.images.transfer.arriving_blob import Arriving

VERSION = 1  # of the orders; lazy_start has the same
_HEADSTART = 1.0  # seconds that belong to what the container reads first
_PAUSES = (2, 5, 15, 30, 60)


def main() -> int:
    """Serve until SIGTERM; 1 and a line on standard error when that cannot be."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    sys.path.insert(0, os.path.dirname(package))
    from rootless import documents
    from rootless.errors import RootlessError

    orders = documents.read(sys.argv[1])
    try:
        documents.refuse_newer(sys.argv[1], orders, VERSION)
    except RootlessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.path[:] = orders["path"]
    os.environ.update(orders["environment"])
    try:
        Server(orders).run()
    except RootlessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


class Server:
    """All layers of one container that had not arrived when it was made."""

    def __init__(self, orders: Json) -> None:
        from rootless.images.record import Layer
        from rootless.images.store.store import ImageStore
        from rootless.images.transfer import arriving_blob

        self.orders = orders
        self.store = ImageStore(orders["data"])
        self._lock = threading.Lock()
        self._registry: Registry | None = None
        # as long as this is held no blob is removed, so it is let go when all have arrived
        self.guard = self.store.guard()
        self.layers: list[tuple[Table, Arriving]] = []
        for told in orders["layers"]:
            layer = Layer.from_dict(told)
            source = arriving_blob.Arriving(self.store, layer, told["kind"], self.connect)
            self.layers.append((_table(told), source))

    def connect(self) -> Registry:
        """The registry's client, shared by all threads."""
        from rootless.engine.containers import lazy_start
        from rootless.images.names import reference, registries

        with self._lock:
            if self._registry is None:
                name = reference.parse(self.orders["reference"])
                endpoints = list(registries.endpoints(name))
                number = min(self.orders["endpoint"], len(endpoints) - 1)
                self._registry = lazy_start.connect(name, endpoints[number])
            return self._registry

    def run(self) -> None:
        """Serve; returns after SIGTERM."""
        from rootless.storage.layers import lazy_fs

        tree = lazy_fs.Tree(list(self.layers), single=self.orders["single"])
        threading.Thread(target=self._background, daemon=True).start()
        lazy_fs.serve(tree, self.orders["mount"])

    def _background(self) -> None:
        """Bring the blobs, then unpack them: what every later container starts from."""
        from rootless.errors import RootlessError
        from rootless.storage.layers.lazy_fs import complain

        time.sleep(_HEADSTART)
        failures = 0
        for told, (found, source) in zip(self.orders["layers"], self.layers, strict=True):
            while True:
                try:
                    source.finish(lambda: False)
                    self._unpack(told, found)
                    break
                except (RootlessError, OSError) as error:
                    pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                    failures += 1
                    complain(
                        f"error: the layer {source.layer.digest[7:19]} has not arrived: {error}"
                        f" (tried again in {pause} s)"
                    )
                    time.sleep(pause)
        self.guard.close()
        complain("note: all layers have arrived")

    def _unpack(self, told: Json, found: Table) -> None:
        from rootless.storage.layers.lazy_fs import complain, differences
        from rootless.storage.layers.namespace_store import NamespaceLayerStore

        store = NamespaceLayerStore(self.orders["store"], single=self.orders["single"])
        store.ensure([(told["diff_id"], self.store.blob_path(told["digest"]))])
        for line in differences(found, store.path(told["diff_id"])):
            complain("error: " + line)


def _table(told: Json) -> Table:
    from rootless.chunked.places import Place

    with open(told["table"], "rb") as file:
        return Place.from_dict(told).read(file.read(), headers=False)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)
