"""`run --lazy`: a container is started while the layers of its image still arrive.

Layers with a table of contents (zstd:chunked, eStargz) are served by a program beside the
container (lazy_server), which fetches what is read, brings the rest meanwhile, and unpacks
the layers in the end, so that the next container finds them as any others.
An image whose layers are not here was pulled by `pull --lazy`, or lost a blob: it is started this
way as well where that can be, and completed first where it cannot.
"""

from __future__ import annotations

import os
import sys

from rootless import documents
from rootless.errors import RootlessError
from rootless.storage.drivers.driver import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.draft import Place, Request
    from rootless.engine.containers.ref import ContainerRef
    from rootless.images.record import ImageRecord, Layer
    from rootless.images.registry.client import Registry
    from rootless.storage.drivers.registry import Choice
    from rootless.userns.idmap import IdMaps

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lazy_server.py")
ORDERS = "lazy.json"
VERSION = 1
# what of the environment the registry's client, and where things are kept, depend on
_VARIABLES = (
    "HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "ROOTLESS_STALL_SECONDS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "all_proxy", "no_proxy",
)  # fmt: skip


def provide(
    request: Request, record: ImageRecord, place: Place, choice: Choice, own: IdMaps, maps: IdMaps
) -> tuple[list[str], list[Server]] | None:
    """Layer directories (topmost first) and the server of those that have not arrived.

    `own` is the container's map, `maps` the one that layers are stored with.  None where all layers
    are here, or must be: then they are fetched and unpacked as ever.
    """
    from rootless.storage.layers.store import LayerStore

    ctx, store = request.ctx, request.stores.images.store
    layers = LayerStore(ctx.data_dir, maps)
    away = [
        one
        for one in record.layers
        if not os.path.isdir(layers.path(one.diff_id)) and not store.has_blob(one.digest, one.size)
    ]
    if not away:
        return None
    obstacle = _obstacle(choice, own, maps, record)
    if not obstacle:
        ctx.prepare()
        try:
            described = _Described(request, record, place, away, single=own.single)
        except RootlessError as error:
            obstacle = error.message
    if obstacle:
        if request.options.lazy:
            ctx.notice(
                "lazy", f"the image is fetched before it is started: {obstacle}", always=True
            )
        return None
    here = [
        (one.diff_id, store.blob_path(one.digest))
        for one in record.layers
        if one not in away and not os.path.isdir(layers.path(one.diff_id))
    ]
    if here:
        layers.ensure(here, progress=ctx.progress)
    described.write(layers.directory)
    places = {one.digest: str(number) for number, one in enumerate(away)}
    directories = [
        os.path.join(described.mount_point, places[one.digest])
        if one.digest in places
        else layers.path(one.diff_id)
        for one in reversed(record.layers)
    ]
    argv = [sys.executable, "-IS", _PROGRAM, described.path]
    # a layer that comes twice counts where it is topmost
    return list(dict.fromkeys(directories)), [Server(argv, described.mount_point)]


def _obstacle(choice: Choice, own: IdMaps, maps: IdMaps, record: ImageRecord) -> str:
    from importlib.util import find_spec

    if not choice.driver.layered:
        return "the storage driver copies all files"
    if own.uids != maps.uids or own.gids != maps.gids or not maps.root_is_caller:
        return "this id map differs from the one that layers are stored with"
    if find_spec("fuse") is None:
        return "fuse-python is not installed"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if not record.digests:
        return "no registry is known for it"
    return ""


class _Described:
    """What the server is told, and the tables of contents, fetched and looked at."""

    def __init__(
        self,
        request: Request,
        record: ImageRecord,
        place: Place,
        away: list[Layer],
        *,
        single: bool,
    ) -> None:
        """Raises RootlessError: a layer has no table that can be used, the registry is gone."""
        from rootless.images.formats import manifests
        from rootless.images.names import reference, registries

        self.directory = place.directory
        self.mount_point = os.path.join(place.directory, "lazy")
        self.path = os.path.join(place.directory, ORDERS)
        store = request.stores.images.store
        manifest = manifests.read_manifest(manifests.parse(store.read_blob(record.manifest_digest)))
        notes = {one.digest: one.annotations for one in manifest.layers}
        self._tails: list[bytes] = []
        self._single = single
        name = reference.parse(record.digests[0])
        endpoints = list(registries.endpoints(name))
        for number, endpoint in enumerate(endpoints):
            try:
                self._layers = self._tables(connect(name, endpoint), away, notes)
                break
            except RootlessError:
                # as with a pull: a mirror may be down, the registry has the last word
                self._tails = []
                if number + 1 == len(endpoints):
                    raise
        self._orders: Json = {
            "version": VERSION,
            "path": sys.path,
            "environment": {key: os.environ[key] for key in _VARIABLES if key in os.environ},
            "data": request.ctx.data_dir,
            "reference": record.digests[0],
            "endpoint": number,
            "single": self._single,
            "mount": self.mount_point,
        }

    def _tables(
        self, registry: Registry, away: list[Layer], notes: dict[str, dict[str, Json]]
    ) -> list[Json]:
        from rootless.chunked import places, table
        from rootless.images.transfer import arriving_blob
        from rootless.storage.layers import lazy_fs

        made: list[Json] = []
        try:
            for number, layer in enumerate(away):
                place = places.annotated(notes.get(layer.digest, {}), layer.size)
                if place is None:
                    promised = places.stargz(notes.get(layer.digest, {}))
                    if not promised:
                        raise table.wrong(f"the layer {layer.digest[7:19]} has none")
                    size = min(layer.size, places.FOOTER_SIZE)
                    footer = arriving_blob.fetch_tail(registry, layer.digest, size, layer.size)
                    place = places.of_footer(footer, layer.size, promised)
                    if place is None:
                        raise table.wrong(f"the layer {layer.digest[7:19]} has no footer")
                tail = arriving_blob.fetch_tail(
                    registry, layer.digest, layer.size - place.start, layer.size
                )
                found = place.read(tail, headers=False)
                # of both: what a reader of one byte makes the server hold in memory
                if any(
                    max(c.size, c.end - c.start) > table.LARGEST_CHUNK
                    for e in found.entries
                    for c in e.chunks
                ):
                    raise table.wrong(f"the layer {layer.digest[7:19]} has too large chunks")
                # what cannot be a tree is refused here, where it can be fetched instead
                lazy_fs.Tree([(found, None)], single=self._single)
                self._tails.append(tail)
                tail_path = os.path.join(self.directory, f"lazy-{number}.table")
                made.append({**layer.to_dict(), "table": tail_path, **place.to_dict()})
        finally:
            registry.close()
        return made

    def write(self, layers: str) -> None:
        """The files in the container's directory; `layers` is where unpacked layers are kept."""
        for layer, tail in zip(self._layers, self._tails, strict=True):
            documents.write_bytes(layer["table"], tail)
        os.mkdir(self.mount_point, 0o755)
        # a proxy's address may have a password in it
        orders = {**self._orders, "layers": self._layers, "store": layers}
        documents.write_bytes(self.path, documents.dumps(orders).encode(), mode=0o600)


def connect(name: object, endpoint: object) -> Registry:
    """A client that does not try for minutes: somebody waits for the bytes of a file."""
    from rootless.images.registry.client import Registry
    from rootless.images.registry.http import Settings

    return Registry(name, endpoint, Settings(attempts=2, backoff=0.2))  # type: ignore[arg-type]


def complaints(container: ContainerRef) -> list[str]:
    """What the server could not read, for `logs` and `inspect`."""
    if not os.path.exists(os.path.join(container.directory, ORDERS)):
        return []
    try:
        path = os.path.join(container.directory, "helpers.log")
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.startswith(("error: ", "note: "))]
    except OSError:
        return []
    return lines[-10:]
