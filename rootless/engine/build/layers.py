"""Snapshots, layers and what the cache knows: `rootless.build.protocols.Layers` on disk.

    DATA/build/MAPKEY/
      new/PID-RANDOM/          a snapshot in the making; locked while its maker lives
      layers/NAME/fs           a layer: the upper directory of the step that made it
      layers/NAME/layer.json   its size, owners that a single id could not give, and "diff_id" when
                               it has been packed: then `fs` is a link into the layer store
      keys/KEY.json            what a step with this key came to: {"layer", "facts", "used"}
      caches/NAME/             directories of RUN --mount=type=cache

A step is written down by renaming its directory and then its key, so whoever is killed loses no
finished step, and what is half made has no name that anybody looks for.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence

from rootless import documents, paths
from rootless.build.protocols import Chain, Kept, Snapshot
from rootless.engine.containers import rootfs as container_rootfs
from rootless.errors import DamagedDocument, RootlessError
from rootless.storage.drivers import registry as driver_registry
from rootless.storage.layers.store import LayerStore
from rootless.storage.rootfs import prepare as rootfs_prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.build.workers import Workers
    from rootless.engine.collections import Collections
    from rootless.storage.drivers.driver import RootMount

_OURS = "build:"
_INSIDE = "rootless.engine.build.inside:"
_RENAME = "rootless.storage.layers.store:rename_worker"
_COPY = "rootless.storage.drivers.copy_layers:copy_worker"
_TICK = 0.012  # seconds; the coarsest clock that kernels stamp files with has 10 ms
_TREES = 3
LAYER_SHAPE: Json = {
    "size": int, "owners": {"*": [int]}, "diff_id?": str, "digest?": str, "bytes?": int,
    "media_type?": str,
}  # fmt: skip
KEY_SHAPE: Json = {"layer": str, "facts": {"*": lambda _: True}, "used": float}


class Draft:
    """A snapshot: the directory in which a step's files are made."""

    def __init__(self, directory: str, parent: Chain, mount: RootMount) -> None:
        self.directory = directory
        self._parent = parent
        self.mount = mount
        self.lock: documents.DirectoryLock | None = documents.DirectoryLock(directory)
        # of the driver copy: when the tree was ready, and mount points that are in it
        self.mark = 0
        self.points: Json = {"made": [], "parents": {}}
        self.clean: list[str] = []

    @property
    def parent(self) -> Chain:
        """What it began with."""
        return self._parent

    def advance(self, chain: Chain, lowers: list[str]) -> None:
        """Of the driver copy: it holds these layers now, and the next step begins with it."""
        self._parent = chain
        self.mount.lowers = lowers or self.mount.lowers
        self.points = {"made": [], "parents": {}}
        self.clean = []

    def release(self) -> None:
        """Let go of the lock."""
        if self.lock is not None:
            self.lock.close()
            self.lock = None


class BuildLayers:
    """The layers of one engine's builds, with the ids of its storage."""

    def __init__(self, engine: Collections, workers: Workers) -> None:
        self.engine = engine
        self.maps = engine.context.maps
        self.workers = workers
        self.store = LayerStore(engine.context.data_dir, self.maps)
        self.top = os.path.join(engine.context.data_dir, "build", self.maps.storage_key())
        self.choice = driver_registry.choose(
            engine.context.storage_driver, self.maps, self.maps, engine.context.storage_options,
            data=engine.context.data_dir,
        )  # fmt: skip
        # of the driver copy: trees that are ready for the next step, by what they hold
        self._ready: dict[Chain, Draft] = {}
        self._guard = threading.Lock()
        # whether ADD may ask addresses of this machine
        self.own_host = False
        self._doomed: queue.Queue[str] = queue.Queue()
        self._remover: threading.Thread | None = None

    @property
    def single(self) -> bool:
        """Whether a single id is mapped."""
        return self.maps.single

    @property
    def scratch(self) -> str:
        """Where contexts are unpacked."""
        return os.path.join(self.engine.context.data_dir, "build", "contexts")

    @property
    def unpacker(self) -> str:
        """What unpacks archives for ADD."""
        return _INSIDE + "unpack"

    def prepare(self) -> None:
        """Make the directories, and remove what builds left that were killed."""
        self.engine.context.prepare()
        paths.ensure(os.path.join(self.engine.context.data_dir, "build"), 0o711)
        for name in ("", "new", "layers", "keys", "caches"):
            paths.ensure(os.path.join(self.top, name), 0o711)
        paths.ensure(self.scratch)
        self._sweep()

    def _sweep(self) -> None:
        directory = os.path.join(self.top, "new")
        doomed = []
        for name in documents.names_in(directory):
            path = os.path.join(directory, name)
            try:
                documents.DirectoryLock(path).close()
            except BlockingIOError:
                continue
            except OSError:
                continue
            # whoever has just made it has not locked it yet
            if time.time() - os.lstat(path).st_mtime > 60:
                doomed.append(path)
        self._remove(doomed)
        self._sweep_contexts()

    def _sweep_contexts(self) -> None:
        """Unless somebody builds: what was unpacked or fetched for builds that were killed, and
        what their ends could not remove, because an archive has directories that are read-only."""
        left = [os.path.join(self.scratch, name) for name in documents.names_in(self.scratch)]
        if not left:
            return
        lock = os.path.join(self.engine.context.data_dir, "build", "lock")
        try:
            with documents.Lock(lock, blocking=False):
                self._remove(left)
        except BlockingIOError:
            return

    def _remove(self, doomed: list[str]) -> None:
        from rootless.engine.build import workers

        plain = [path for path in doomed if not _plainly(path)]
        workers.removed(plain, self.workers)

    # ------------------------------------------------------------ the cache

    def find(self, key: str) -> Kept | None:
        """What a step with this key came to, if its layer is still here."""
        path = self._key_path(key)
        try:
            found = documents.read_as(path, KEY_SHAPE, "rootless builder prune")
        except (OSError, DamagedDocument):
            return None  # it is made again
        layer = found["layer"]
        if not _is_time(found["facts"].get("created", 0)):
            return None
        if layer.startswith(_OURS):
            # without its record nobody knows whose its files are
            name = layer.removeprefix(_OURS)
            if not (name.isalnum() and name.isascii()) or not self.facts(layer):
                return None
        try:
            if layer and not os.path.isdir(self.path(layer)):
                return None
        except (OSError, ValueError):
            return None
        return Kept(layer, found["facts"])

    def remember(self, key: str, kept: Kept) -> None:
        """Note it."""
        value = {"layer": kept.layer, "facts": dict(kept.facts), "used": time.time()}
        try:
            documents.write(self._key_path(key), value)
        except OSError as error:
            from rootless import disks

            raise disks.refused(self.top, error, what="cannot write") from None

    def used(self, key: str, kept: Kept, parent: Chain) -> None:
        """Note that a key was used: what was used longest ago goes first."""
        try:
            os.utime(self._key_path(key))
        except OSError:
            pass

    def _key_path(self, key: str) -> str:
        return os.path.join(self.top, "keys", f"{key}.json")

    # ------------------------------------------------------------ layers

    def path(self, layer: str) -> str:
        """The directory with a layer's files, whether it exists or not."""
        if not layer.startswith(_OURS):
            return self.store.path(layer)
        own = os.path.join(self._directory(layer), "fs")
        # an image has it as well, and the layer store keeps the files
        return os.readlink(own) if os.path.islink(own) else own

    def _directory(self, layer: str) -> str:
        return os.path.join(self.top, "layers", layer.removeprefix(_OURS))

    def facts(self, layer: str) -> Json:
        """What is known of a layer of ours; {} if nothing is."""
        try:
            path = os.path.join(self._directory(layer), "layer.json")
            return documents.read_as(path, LAYER_SHAPE, "rootless builder prune")
        except (OSError, DamagedDocument):
            return {}

    def owners(self, chain: Chain) -> dict[str, list[int]]:
        """Whose files of these layers are, as far as a single id could not give them away."""
        found: dict[str, list[int]] = {}
        for layer in chain:
            if layer.startswith(_OURS):
                found.update(self.facts(layer).get("owners") or {})
        return found

    def note(self, layer: str, **more: Json) -> None:
        """Add to what is known of a layer of ours."""
        value = {"size": -1, "owners": {}, **self.facts(layer), **more}
        documents.write(os.path.join(self._directory(layer), "layer.json"), value)

    def directories(self, chain: Chain) -> list[str]:
        """Directories of these layers, topmost first, each once."""
        return list(dict.fromkeys([self.path(one) for one in reversed(chain)]))

    def begin(self, parent: Chain) -> Draft:
        """A writable snapshot."""
        with self._guard:
            ready = self._ready.pop(parent, None)
        return ready or self.draft(parent)

    def draft(self, parent: Chain) -> Draft:
        """A writable snapshot, as this module knows it."""
        directory = os.path.join(self.top, "new", f"{os.getpid()}-{os.urandom(8).hex()}")
        paths.directory(directory, 0o711)
        lowers = self.directories(parent)
        mount = rootfs_prepare.prepare(
            directory, lowers, self.choice, volatile=True, maps=self.maps
        )
        draft = Draft(directory, parent, mount)
        if self._copies:
            request = {
                "layers": list(reversed(mount.lowers)),
                "target": mount.merged,
                "single": self.single,
            }
            self.workers.call({"function": _COPY, "request": request})
            self._mark(draft)
        return draft

    @property
    def _copies(self) -> bool:
        """Whether a tree of plain files stands in for an overlay."""
        return not self.choice.driver.layered

    def _mark(self, draft: Draft) -> None:
        """Note the time: what is changed later has a later one."""
        path = os.path.join(draft.directory, "mark")
        with open(path, "w"):
            pass
        os.utime(path)
        draft.mark = os.stat(path).st_ctime_ns
        time.sleep(_TICK)

    def show_points(
        self, draft: Draft, wanted: Sequence[tuple[str, str]], texts: Mapping[str, str]
    ) -> None:
        """Put mount points (path, "d" or "f") there while a step runs, where its image has none;
        they are in no layer.  `texts`: files of ours, by path."""
        if not self._copies:
            skeleton = _skeleton(draft.directory, wanted, texts)
            draft.mount.lowers = [*draft.mount.lowers, skeleton]
            draft.points = {"made": [path for path, _ in wanted], "parents": {}}
            server = self.choice.driver.server(draft.mount)
            draft.mount.servers = [] if server is None else [server]
            return
        points = [[path, kind, ""] for path, kind in wanted]
        points += [[path, "f", text] for path, text in texts.items()]
        draft.points = self.work(
            "rootless.engine.build.copies:put_worker", {"points": points}, snapshot=draft
        )
        draft.points["own"] = [path.lstrip("/") for path in texts]
        self._mark(draft)

    def take_points(self, draft: Draft) -> None:
        """After the step."""
        if self._copies:
            draft.clean = self.work(
                "rootless.engine.build.copies:take_worker", dict(draft.points), snapshot=draft
            )
            return
        # a directory of the image that hides what is below it has hidden the skeleton as well
        upper = draft.mount.upper
        left = [
            path.lstrip("/")
            for path in draft.points["made"]
            if os.path.lexists(os.path.join(upper, path.lstrip("/")))
        ]
        if left:
            request = {"root": upper, "made": sorted(left), "parents": {}, "own": []}
            function = "rootless.engine.build.copies:take_worker"
            self.workers.call({"function": function, "request": request})

    def operations(self, draft: Draft) -> list[Json]:
        """What mounts a snapshot."""
        return [
            [name, list(words)] for name, words in container_rootfs.mount_operations(draft.mount)
        ]

    def work(
        self,
        function: str,
        request: dict[str, Json],
        *,
        snapshot: Snapshot | None = None,
        trees: Mapping[int, Chain] | None = None,
        stdout: int | None = None,
    ) -> Json:
        """Run a function where the files can be reached."""
        head: Json = {"function": function, "request": request, "mounts": [], "servers": []}
        if self.single and "single" in request:
            request["single"] = True
        extra: list[Draft] = []
        try:
            if snapshot is not None:
                assert isinstance(snapshot, Draft)
                self._add(head, snapshot)
                request["root"] = snapshot.mount.merged
            for number, chain in (trees or {}).items():
                directories = self.directories(chain)
                # where whiteouts may be plain files, only who serves the layers hides them
                if len(directories) == 1 and not self.choice.driver.plain_whiteouts:
                    top = directories[0]
                else:
                    draft = self.draft(chain)
                    extra.append(draft)
                    self._add(head, draft)
                    top = draft.mount.merged
                source = request if number < 0 else request["sources"][number]
                source["top"] = top
                if self.single:
                    source["owners"] = self.owners(chain)
            return self.workers.call(head, stdout)
        finally:
            for draft in extra:
                self.abandon(draft)

    def _add(self, head: Json, draft: Draft) -> None:
        head["mounts"].append(self.operations(draft))
        head["servers"] += [server.as_json() for server in draft.mount.servers]

    def finish(self, snapshot: Snapshot, owners: Mapping[str, Sequence[int]] | None = None) -> str:
        """Make a layer of it; "" where nothing was written."""
        assert isinstance(snapshot, Draft)
        if self._copies:
            return self._finish_copy(snapshot, owners or {})
        upper = snapshot.mount.upper
        if not os.listdir(upper) and _same_top(snapshot):
            self.abandon(snapshot)
            return ""
        name = os.urandom(16).hex()
        final = os.path.join(self.top, "layers", name)
        making = os.path.join(snapshot.directory, "layer")
        paths.directory(making, 0o711)
        value = {"size": -1, "owners": {path: [*pair] for path, pair in (owners or {}).items()}}
        documents.write(os.path.join(making, "layer.json"), value)
        try:
            os.rename(upper, os.path.join(making, "fs"))
        except PermissionError:
            # its top belongs to another id
            request = {"from": upper, "to": os.path.join(making, "fs")}
            self.workers.call({"function": _RENAME, "request": request})
        os.rename(making, final)
        self.abandon(snapshot)
        return _OURS + name

    def _finish_copy(self, draft: Draft, owners: Mapping[str, Sequence[int]]) -> str:
        """As `finish`; the tree stays for the step that comes next."""
        making = os.path.join(draft.directory, "layer")
        paths.directory(making, 0o711)
        paths.directory(os.path.join(making, "fs"), 0o755)
        request: dict[str, Json] = {
            "lowers": self.directories(draft.parent),
            "mark": draft.mark,
            "target": os.path.join(making, "fs"),
            "single": False,
            "clean": draft.clean,
        }
        told = self.work("rootless.engine.build.copies:layer_worker", request, snapshot=draft)
        name = ""
        if told["changed"]:
            value = {"size": -1, "owners": {path: [*pair] for path, pair in owners.items()}}
            documents.write(os.path.join(making, "layer.json"), value)
            name = os.urandom(16).hex()
            os.rename(making, os.path.join(self.top, "layers", name))
        else:
            self._remove([making])
        layer = _OURS + name if name else ""
        self._keep(draft, (*draft.parent, layer) if layer else draft.parent)
        return layer

    def _keep(self, draft: Draft, chain: Chain) -> None:
        """Keep a tree for the next step; few of them, because each is as large as an image."""
        draft.advance(chain, self.directories(chain))
        self._mark(draft)
        with self._guard:
            doomed = [self._ready.pop(chain)] if chain in self._ready else []
            self._ready[chain] = draft
            while len(self._ready) > _TREES:
                doomed.append(self._ready.pop(next(iter(self._ready))))
        for one in doomed:
            self.abandon(one)

    def close(self) -> None:
        """Remove the trees that no step came for."""
        with self._guard:
            left, self._ready = list(self._ready.values()), {}
        for draft in left:
            self.abandon(draft)
        with self._guard:
            remover, self._remover = self._remover, None
        if remover is not None:
            self._doomed.put("")
            remover.join()

    def abandon(self, snapshot: Snapshot) -> None:
        """Remove it: meanwhile the next step may begin."""
        assert isinstance(snapshot, Draft)
        with self._guard:
            if self._remover is None:
                self._remover = threading.Thread(target=self._remove_all, name="remove")
                self._remover.start()
            self._doomed.put(snapshot.directory)
        snapshot.release()

    def _remove_all(self) -> None:
        while path := self._doomed.get():
            try:
                self._remove([path])
            except (OSError, RootlessError):
                continue  # it is left to the next build's sweep

    def fetch(self, address: str, checksum: str) -> tuple[str, str, str, int | None]:
        """A file at an http address."""
        from rootless.engine.build import fetching

        return fetching.fetch(self.engine, self.scratch, address, checksum, own_host=self.own_host)

    def reach(self, address: str) -> tuple[str, list[tuple[str, str]]]:
        """Where git is to go for a repository."""
        from rootless.engine.build import repositories

        return repositories.reach(address, own_host=self.own_host)

    # ------------------------------------------------------------ packing

    def pack_request(self, layer: str, below: Chain, clamp: int | None, stamp: int | None) -> Json:
        """What `packing.layer_worker` needs to write a layer as a tar."""
        return {
            "upper": self.path(layer),
            "lowers": self.directories(below),
            "skip": [],
            "plain": self.choice.driver.plain_whiteouts or self._copies,
            "stamp": stamp,
            "clamp": clamp,
            "owners": self.facts(layer).get("owners") or {},
        }

    def moving(self, *, shared: bool) -> documents.Lock:
        """Held by who hands layers over, and shared by who needs them to stay where they are."""
        return documents.Lock(os.path.join(self.top, "moving.lock"), shared=shared)

    def hand_over(self, layer: str) -> None:
        """Give the files of a packed layer to the layer store, which images look into."""
        diff_id = self.facts(layer).get("diff_id")
        own = os.path.join(self._directory(layer), "fs")
        if diff_id and not os.path.islink(own):
            self.store.adopt(diff_id, own)


def _skeleton(directory: str, wanted: Sequence[tuple[str, str]], texts: Mapping[str, str]) -> str:
    """A directory with mount points and files of ours, to lie below all layers."""
    top = os.path.join(directory, "skeleton")
    os.mkdir(top, 0o755)
    files = {path: "" for path, kind in wanted if kind == "f"} | dict(texts)
    for path in [path for path, kind in wanted if kind == "d"]:
        os.makedirs(os.path.join(top, path.lstrip("/")), 0o755, exist_ok=True)
    for path, text in files.items():
        inner = os.path.join(top, path.lstrip("/"))
        os.makedirs(os.path.dirname(inner), 0o755, exist_ok=True)
        if not os.path.lexists(inner):
            with open(inner, "w", encoding="utf-8") as file:
                file.write(text)
    return top


def _same_top(draft: Draft) -> bool:
    """Whether a step has left the top directory itself as it was."""
    upper, lower = os.stat(draft.mount.upper), os.stat(draft.mount.lowers[0])
    ours = os.stat(draft.directory)
    owner = (ours.st_uid, ours.st_gid)
    same_owner = (upper.st_uid, upper.st_gid) == owner or (upper.st_uid, upper.st_gid) == (
        lower.st_uid, lower.st_gid,
    )  # fmt: skip
    return same_owner and (upper.st_mode == lower.st_mode or not draft.parent)


def _is_time(value: Json) -> bool:
    return type(value) in (int, float) and 0 <= value < 1 << 40


def _plainly(path: str) -> bool:
    """Remove a tree as ourselves, without a worker; whether that went."""
    import shutil

    # what the kernel keeps in the work directory of an overlay has mode 0, and is ours: no
    # process of a step ever sees that directory
    for name in ("work/work", "work/work/incompat", "work/work/incompat/volatile"):
        try:
            os.chmod(os.path.join(path, name), 0o700)
        except OSError:
            break
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
