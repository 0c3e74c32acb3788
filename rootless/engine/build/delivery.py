"""What becomes of what was built: an image with names, pushed or in an archive, or plain files.

Scope: --output, --push, --tag.  How an outcome becomes an image is `images.Storing`.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from rootless.build import executor
from rootless.build.progress import Progress, WarningEvent
from rootless.engine.build.images import Storing
from rootless.engine.build.layers import BuildLayers
from rootless.engine.build.request import Output, Request
from rootless.errors import Conflict, RootlessError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.collections import Collections
    from rootless.images.record import ImageRecord

_UNION = "rootless.storage.rootfs.layer_export:union_worker"


@dataclass(frozen=True)
class Built:
    """What came of it: the image, where one was kept, and what the Dockerfile could do without.

    `digest`: of the manifest, as the registry has it where the image was pushed.
    """

    image: ImageRecord | None
    warnings: tuple[WarningEvent, ...]
    outcome: executor.Outcome
    digest: str = ""


class Delivery:
    """Takes outcomes, and gives what was asked for."""

    def __init__(
        self,
        engine: Collections,
        request: Request,
        storing: Storing,
        layers: BuildLayers,
        progress: Progress,
    ) -> None:
        self.engine = engine
        self.request = request
        self.storing = storing
        self.layers = layers
        self.progress = progress
        self.tags = names(request)
        self.digest = ""

    def deliver(self, outcome: executor.Outcome) -> Built:
        """All outputs.  Raises StorageError, RegistryError, UsageError."""
        image = self._told("exporting", lambda: self._keep(outcome))
        if image is not None:
            self.digest = image.manifest_digest
            for name in self.tags:
                self.engine.images.event("tag", image, name)
            self.engine.images.event("build", image)
        if any(output.pushes for output in self.request.outputs):
            for tag in self.tags:
                self._told(f"pushing {tag}", lambda tag=tag: self._push(tag))  # type: ignore[misc]
        return Built(image, outcome.warnings, outcome, self.digest)

    def _told(self, name: str, work: Work) -> ImageRecord | None:
        number = self.progress.step(name)
        self.progress.state(number, "started")
        try:
            image = work()
        except BaseException as error:
            self.progress.state(number, "failed", error=str(error))
            raise
        self.progress.state(number, "done", digest=f"sha256:{image.id}" if image else "")
        return image

    def _keep(self, outcome: executor.Outcome) -> ImageRecord | None:
        image: ImageRecord | None = None
        for output in self.request.outputs:
            if output.kind in ("image", "oci", "docker"):
                if image is None:
                    image = self.storing.store(outcome, self.tags)
                if output.kind != "image":
                    self._archive(image, output)
            elif output.kind == "tar":
                self._tar(outcome, output)
            elif output.kind == "local":
                self._local(outcome, output)
        return image

    def _push(self, tag: str) -> None:
        access = self.request.registry
        # its own display would write over that of the build
        progress = self.engine.context.progress
        quiet, progress.quiet = progress.quiet, True
        try:
            told = self.engine.images.push(
                tag, tls_verify=access.tls_verify, settings=access.settings
            )
        finally:
            progress.quiet = quiet
        self.digest = told["Digest"]

    # ------------------------------------------------------------ archives and files

    def _archive(self, image: ImageRecord, output: Output) -> None:
        form = "oci-archive" if output.kind == "oci" else "docker-archive"
        found = list(image.names) or [image.id]
        wanted = [name for name in found if _is_among(name, self.tags)] or found[:1]
        if output.target == "-":
            assert self.request.stdout is not None
            self.engine.images.save(wanted, self.request.stdout, format=form)
        else:
            self.engine.images.save(wanted, output.target, format=form)

    def _head(self, outcome: executor.Outcome) -> dict[str, Json]:
        stack = {"stack": self.layers.directories(outcome.layers), "root": False, "skip": []}
        return {"function": _UNION, "request": stack}

    def _tar(self, outcome: executor.Outcome, output: Output) -> None:
        head = self._head(outcome)
        if output.target == "-":
            assert self.request.stdout is not None
            self.layers.workers.call(head, self.request.stdout.fileno())
            return
        temporary = f"{output.target}.{os.getpid()}.tmp"
        try:
            with open(temporary, "wb") as file:
                self.layers.workers.call(head, file.fileno())
            os.rename(temporary, output.target)
        except BaseException as error:
            if os.path.exists(temporary):
                os.unlink(temporary)
            if isinstance(error, OSError):
                raise _unwritable(output.target, error) from None
            raise

    def _local(self, outcome: executor.Outcome, output: Output) -> None:
        """The files, into a directory, as the user's own."""
        from rootless.engine.build import fetching

        if os.path.exists(output.target) and not os.path.isdir(output.target):
            raise Conflict(f"--output {output.target} is no directory")
        try:
            os.makedirs(output.target, exist_ok=True)
        except OSError as error:
            raise _unwritable(output.target, error) from None
        reading, writing = os.pipe()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                self.layers.workers.call(self._head(outcome), writing)
            except BaseException as error:
                failed.append(error)
            finally:
                os.close(writing)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            with open(reading, "rb") as source:
                fetching.unpack(source, output.target)
        except RootlessError as error:
            # what could not be packed cannot be unpacked either, and says why
            thread.join()
            raise (failed or [error])[0] from None
        thread.join()
        if failed:
            raise failed[0]


if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], ImageRecord | None]


def names(request: Request) -> list[str]:
    """Names of the image: of --tag, and of name= of its outputs."""
    found = list(request.tags)
    for output in request.outputs:
        found += [one.strip() for one in output.values.get("name", "").split(",") if one.strip()]
    return list(dict.fromkeys(found))


def _is_among(name: str, tags: list[str]) -> bool:
    from rootless.images.names import reference

    return name in [reference.parse(tag).canonical for tag in tags]


def _unwritable(path: str, error: OSError) -> StorageError:
    return StorageError(f"cannot write {path}: {(error.strerror or '').lower()}")
