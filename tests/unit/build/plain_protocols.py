"""The build room's protocols on plain directories, without any privilege."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from rootless.build.protocols import BaseImage, Chain, Kept, Process, Sink, Snapshot
from rootless.errors import ImageNotFound

# Python knows filters since 3.11.4
TRUSTED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}


class Directory:
    """A snapshot: a copy of what is below."""

    def __init__(self, path: str, parent: Chain) -> None:
        self.path = path
        self._parent = parent

    @property
    def parent(self) -> Chain:
        return self._parent


def unpack(fd: int, copier: Any, destination: str) -> bool:
    """ADD of an archive by the standard library."""
    with open(f"/proc/self/fd/{fd}", "rb") as file:
        try:
            archive = tarfile.open(fileobj=file)  # noqa: SIM115
        except tarfile.TarError:
            return False
        with archive:
            target = copier.directory(destination)
            archive.extractall(f"/proc/self/fd/{target}", **TRUSTED)
            os.close(target)
    return True


class PlainLayers:
    """Each layer is the whole tree up to it; ids are left alone, as with a single id."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.count = 0
        self.known: dict[str, Kept] = {}
        self.calls: list[str] = []
        self.owners: dict[str, Mapping[str, Sequence[int]]] = {}
        self._lock = threading.Lock()

    single = True
    unpacker = f"{__name__}:unpack"

    def find(self, key: str) -> Kept | None:
        return self.known.get(key)

    def remember(self, key: str, kept: Kept) -> None:
        self.known[key] = kept

    def used(self, key: str, kept: Kept, parent: Chain) -> None:
        pass

    def path(self, chain: Chain) -> str:
        if chain:
            return os.path.join(self.top, chain[-1])
        empty = os.path.join(self.top, "empty")
        os.makedirs(empty, exist_ok=True)
        return empty

    def begin(self, parent: Chain) -> Directory:
        with self._lock:
            self.count += 1
            path = os.path.join(self.top, f"layer{self.count}")
        shutil.copytree(self.path(parent), path, symlinks=True)
        os.chmod(path, 0o755)
        return Directory(path, parent)

    def work(
        self,
        function: str,
        request: dict[str, Any],
        *,
        snapshot: Snapshot | None = None,
        trees: Mapping[int, Chain] | None = None,
    ) -> Any:
        self.calls.append(function)
        if "single" in request:
            request["single"] = True
        if isinstance(snapshot, Directory):
            request["root"] = snapshot.path
        for number, chain in (trees or {}).items():
            (request if number < 0 else request["sources"][number])["top"] = self.path(chain)
        module, _, name = function.partition(":")
        old = os.umask(0o022)
        try:
            return getattr(import_module(module), name)(request)
        finally:
            os.umask(old)

    def finish(self, snapshot: Snapshot, owners: Mapping[str, Sequence[int]] | None = None) -> str:
        assert isinstance(snapshot, Directory)
        name = os.path.basename(snapshot.path)
        self.owners[name] = owners or {}
        return name

    def abandon(self, snapshot: Snapshot) -> None:
        assert isinstance(snapshot, Directory)
        shutil.rmtree(snapshot.path)

    def fetch(self, address: str, checksum: str) -> tuple[str, str, str, int | None]:
        raise NotImplementedError

    def reach(self, address: str) -> tuple[str, list[tuple[str, str]]]:
        raise NotImplementedError


class PlainImages:
    """Images that a test made."""

    def __init__(self, images: dict[str, BaseImage]) -> None:
        self.images = images
        self.asked: list[str] = []

    def find(self, reference: str, platform: str, pull: str) -> BaseImage:
        self.asked.append(reference)
        try:
            return self.images[reference]
        except KeyError:
            raise ImageNotFound(f"no image {reference}") from None


class NotedSteps:
    """Runs nothing: notes what should be run, and writes a file named after the step."""

    def __init__(self) -> None:
        self.ran: list[Process] = []
        self.status = 0

    def run(self, snapshot: Snapshot, process: Process, log: Sink, cancel: threading.Event) -> int:
        assert isinstance(snapshot, Directory)
        self.ran.append(process)
        log(1, b"ran\n")
        with open(os.path.join(snapshot.path, f"ran{len(self.ran)}"), "w") as file:
            file.write(" ".join(process.argv))
        return self.status
