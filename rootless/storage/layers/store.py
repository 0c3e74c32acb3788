"""Unpacked layers, shared by all containers of all images that have them."""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import StorageError
from rootless.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps


_SMALL = 1 << 20  # bytes
_SIZE = "size"
_EXCHANGE = "rootless.storage.layers.store:exchange_worker"


def _sync(directory: str) -> None:
    """Bring everything to the disk: a name that is there after a power failure must be whole.

    One call for the file system instead of one for each file.
    """
    from rootless import kernel

    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.calls.syncfs(fd)
    finally:
        os.close(fd)


class LayerStore:
    """The layers of one data directory as one id map sees them."""

    def __init__(self, data_dir: str, maps: IdMaps) -> None:
        self.maps = maps
        self.directory = os.path.join(data_dir, "layers", maps.storage_key())

    def path(self, diff_id: str) -> str:
        """The directory of a layer, whether it exists or not."""
        return os.path.join(self.directory, diff_id.rpartition(":")[2][:32], "fs")

    def stack(self, diff_ids: Sequence[str]) -> list[str]:
        """Directories of an image's layers (lowest first), topmost first, each once.

        A layer that comes twice (an empty one does, often) is of use at its topmost place only:
        there it has all it has.  The kernel's overlay refuses it a second time.
        """
        return list(dict.fromkeys([self.path(one) for one in reversed(diff_ids)]))

    def missing(self, diff_ids: Iterable[str]) -> list[str]:
        """Those that have not been unpacked."""
        return [one for one in diff_ids if not os.path.isdir(self.path(one))]

    def ensure(self, layers: Sequence[tuple[str, str]], progress: Progress | None = None) -> None:
        """Unpack (diff id, path of the blob) pairs that are not there; two at once.

        Any number of processes may do this: one unpacks, the others wait and use it.
        """
        paths.ensure(self.directory, 0o711)
        watch = progress or Progress()
        if len(layers) == 1:
            self._one(layers[0][0], layers[0][1], watch)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda pair: self._one(pair[0], pair[1], watch), layers):
                pass

    def _one(self, diff_id: str, blob: str, watch: Progress) -> None:
        final = os.path.dirname(self.path(diff_id))
        name = os.path.basename(final)
        with self._lock(name) as lock:
            if os.path.isdir(os.path.join(final, "fs")):
                os.unlink(os.path.join(self.directory, f".{name}.lock"))
                return
            for one in documents.names_in(self.directory):
                if one.startswith(f".tmp-{name}-"):
                    self._remove(os.path.join(self.directory, one))
            temporary = os.path.join(self.directory, f".tmp-{name}-{os.getpid()}")
            key = "unpack-" + name
            # what is done at once is not worth a line
            watched = os.stat(blob).st_size > _SMALL
            if watched:
                watch.start(key, f"unpacking {diff_id.rpartition(':')[2][:12]}", None)
            os.makedirs(os.path.join(temporary, "fs"), 0o755)
            os.chmod(temporary, 0o711)
            os.chmod(os.path.join(temporary, "fs"), 0o755)
            try:
                self._unpack(diff_id, blob, temporary, lock.fd)
                _sync(temporary)
                self._clear(final)
                os.rename(temporary, final)
            except BaseException:
                self._remove(temporary)
                raise
            finally:
                os.unlink(os.path.join(self.directory, f".{name}.lock"))
            if watched:
                watch.finish(key)

    def _lock(self, name: str) -> documents.Lock:
        """The lock of a layer.  Its holder unlinks the file, so one that was waited for may be a
        file without a name, which guards nothing any more."""
        path = os.path.join(self.directory, f".{name}.lock")
        while True:
            lock = documents.Lock(path)
            try:
                if os.stat(path).st_ino == os.fstat(lock.fd).st_ino:
                    return lock
            except FileNotFoundError:
                pass
            lock.close()

    def _work(self, function: str, request: Json, lock: int) -> Json:
        """Run a function inside the user namespace."""
        from rootless.userns import calls

        # when we are killed the lock is held until the last one that writes here has gone
        return calls.call(function, request, maps=self.maps, pass_fds=(lock,))

    def size(self, diff_id: str) -> int:
        """Bytes of the files in a layer: what docker calls its size; -1 if not counted."""
        try:
            with open(os.path.join(os.path.dirname(self.path(diff_id)), _SIZE), "rb") as file:
                return int(file.read(32))
        except (OSError, ValueError):
            return -1

    def keep_size(self, diff_id: str, size: int) -> None:
        """Note what was counted; where that cannot be written it is counted again."""
        try:
            directory = os.path.dirname(self.path(diff_id))
            documents.write_bytes(os.path.join(directory, _SIZE), str(size).encode())
        except OSError:
            pass

    def _unpack(self, diff_id: str, blob: str, directory: str, lock: int) -> None:
        request = {
            "target": os.path.join(directory, "fs"),
            "blob": blob,
            "diff_id": diff_id,
            "single": self.maps.single,
        }
        from rootless.storage.layers import dedup

        table = dedup.table_of(blob)
        if table is not None:
            request["donors"] = dedup.donors(table, self.directory)
        told = self._work("rootless.storage.layers.unpack:unpack_worker", request, lock)
        try:
            documents.write_bytes(os.path.join(directory, _SIZE), str(told["content"]).encode())
        except OSError:
            pass  # it is counted when somebody asks
        if table is not None:
            from rootless.chunked import index

            digest = "sha256:" + os.path.basename(blob)
            index.write(os.path.join(directory, index.NAME), digest, table)

    def adopt(self, diff_id: str, files: str) -> bool:
        """Take a directory with the files of this layer; False if the layer is here already.

        What was the directory is a link to the layer afterwards, in one step: whoever mounts it by
        its old name at the same time finds it.  It lies below the same data directory, and was made
        with the same ids.
        """
        paths.ensure(self.directory, 0o711)
        final = os.path.dirname(self.path(diff_id))
        name = os.path.basename(final)
        with self._lock(name):
            try:
                if os.path.isdir(os.path.join(final, "fs")):
                    return False
                self._clear(final)
                os.mkdir(final, 0o711)
                os.chmod(final, 0o711)
                target = os.path.join(final, "fs")
                # it leads to itself until it is exchanged
                os.symlink(target, target)
                request = {"one": files, "other": target}
                try:
                    exchange_worker(request)
                except PermissionError:
                    from rootless.userns import calls

                    # the top of the files belongs to another id
                    calls.call(
                        "rootless.storage.layers.store:exchange_worker", request, maps=self.maps
                    )
            finally:
                os.unlink(os.path.join(self.directory, f".{name}.lock"))
        return True

    def _clear(self, final: str) -> None:
        """Remove what somebody left who was killed while he adopted."""
        if os.path.lexists(final) and not os.path.isdir(os.path.join(final, "fs")):
            self._remove(final)

    def list(self) -> Iterable[str]:
        """Shortened diff ids of the layers there are."""
        return [one for one in documents.names_in(self.directory) if len(one) == 32]

    def remove(self, diff_id: str) -> None:
        """Remove a layer.  Nothing may use it any more."""
        self._remove(os.path.dirname(self.path(diff_id)))

    def _remove(self, path: str) -> None:
        from rootless.storage.trees import remove as trees_remove

        if not trees_remove.remove(path, self.maps):
            raise StorageError(
                f"cannot remove the layer {path}", hint="rootless unshare rm -rf " + path
            )


def exchange_worker(request: Json) -> Json:
    """{"one", "other"}: exchange two names, whoever owns what they are."""
    from rootless import kernel

    at = kernel.AT_FDCWD
    kernel.calls.renameat2(at, request["one"], at, request["other"], kernel.RENAME_EXCHANGE)
    return {}


def rename_worker(request: Json) -> Json:
    """{"from", "to"}: rename a directory that may belong to any id."""
    os.rename(request["from"], request["to"])
    return {}
