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
from rootless.engine.images.manifests import Manifests
from rootless.errors import Conflict, RootlessError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.build.stage import Left
    from rootless.documents import Json
    from rootless.engine.build.provenance import Facts
    from rootless.engine.collections import Collections
    from rootless.images.record import ImageRecord, MemberDocument

_UNION = "rootless.storage.rootfs.layer_export:union_worker"


@dataclass(frozen=True)
class Built:
    """What came of it: the image, where one was kept, and what the Dockerfile could do without.

    `digest`: of the manifest or index, as the registry has it where it was pushed; `identity`: what
    --iidfile has, the digest of the configuration, and of an index its own.
    """

    image: ImageRecord | None
    warnings: tuple[WarningEvent, ...]
    outcome: executor.Outcome
    digest: str = ""
    identity: str = ""


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
        self.outcomes: list[executor.Outcome] = []
        self.images: list[ImageRecord] = []
        self.members: list[MemberDocument] = []
        self.attested: list[MemberDocument] = []
        # what the index is going to name stays until it is written
        self._lease = engine.images.store.guard()

    def add(self, outcome: executor.Outcome, facts: Facts | None = None) -> None:
        """An outcome, for each platform one.  Raises StorageError, RegistryError, UsageError."""
        self.outcomes.append(outcome)
        name = "exporting"
        if len(self.request.platforms) > 1:
            name += f" {outcome.platform}"
        image = self._told(name, lambda: self._keep(outcome))
        if image is None:
            return
        self.images.append(image)
        if indexed(self.request):
            self._members(image, outcome, facts)

    def failed(self, left: Left) -> None:
        """Keep what there was before a step that failed as an image without a name."""
        state = left.state
        if not state.chain:
            return
        outcome = executor.Outcome(
            state.config, state.chain, state.key, state.created, left.stage.platform
        )
        left.image = self.storing.store(outcome, ()).id

    def finish(self) -> Built:
        """What is known when all are there: names, the index, archives, the registry."""
        image = self.images[0] if self.images else None
        lists = Manifests(self.engine.context)
        if image is not None:
            self.digest = image.manifest_digest
            if indexed(self.request):
                self._index(lists)
            else:
                for tag in map(_canonical, self.tags):
                    if lists.exists(tag):
                        lists.remove(tag)  # an index of an earlier build
            for name in self.tags:
                self.engine.images.event("tag", image, name)
            self.engine.images.event("build", image)
        if any(output.pushes for output in self.request.outputs):
            for tag in self.tags:
                self._told(f"pushing {tag}", lambda tag=tag: self._push(tag))  # type: ignore[misc]
        several = len(self.images) > 1
        identity = f"sha256:{image.id}" if image is not None and not several else self.digest
        warnings = tuple(dict.fromkeys(one for done in self.outcomes for one in done.warnings))
        return Built(image, warnings, self.outcomes[-1], self.digest, identity)

    def close(self) -> None:
        """Let go of what was kept for the index."""
        self._lease.close()

    def _members(self, image: ImageRecord, outcome: executor.Outcome, facts: Facts | None) -> None:
        """What the index has of an image: itself, and what is attested of it."""
        from rootless.images.transfer.manifest_lists import Lists

        member = Lists(self.engine.context.data_dir).member(image.id)
        notes = self._notes("manifest-descriptor", str(outcome.platform))
        if notes:
            member["annotations"] = notes
        self.members.append(member)
        if facts is not None:
            from rootless.engine.build import provenance

            told = provenance.statement(
                facts, image, self.tags, self.storing.bases, str(outcome.platform)
            )
            self.attested.append(
                provenance.keep(self.engine.images.store, told, image.manifest_digest)
            )

    def _notes(self, kind: str, platform: str = "") -> dict[str, str]:
        return {
            one.key: one.value
            for one in self.request.annotations
            if one.kind == kind and one.platform in ("", platform)
        }

    def _index(self, lists: Manifests) -> None:
        members = [*self.members, *self.attested]
        notes = self._notes("index")
        for tag in self.tags:
            lists.lists.replace(tag, members, notes)
            self._name(tag)
        if self.request.manifest:
            name = self.request.manifest
            if not lists.exists(name):
                lists.create(name)
            for image in self.images:
                lists.add(name, image.id)
        name = self.request.manifest or (self.tags[0] if self.tags else "")
        made = not name
        if made:
            name = f"localhost/build-{os.urandom(8).hex()}:index"
            lists.lists.replace(name, members, notes)
        try:
            self.digest = lists.digest(name)
            for output in self.request.outputs:
                if output.kind == "oci":
                    self._index_archive(lists, name, output)
        finally:
            if made:
                lists.remove(name)

    def _name(self, tag: str) -> None:
        """Let the name mean the image that runs here as well, and no older one."""
        from rootless.errors import ImageNotFound
        from rootless.images.formats import platforms

        here = platforms.host()
        for image in self.images:
            there = platforms.Platform(image.os, image.architecture, image.variant)
            if here.runs(there):
                self.engine.images.store.tag(image.id, tag)
                return
        try:
            self.engine.images.store.untag(tag)
        except ImageNotFound:
            return

    def _index_archive(self, lists: Manifests, name: str, output: Output) -> None:
        import shutil
        import tempfile

        if output.target != "-":
            if os.path.exists(output.target):
                os.unlink(output.target)
            lists.push(name, f"oci-archive:{output.target}")
            return
        assert self.request.stdout is not None
        with tempfile.TemporaryDirectory(dir=self.layers.scratch) as directory:
            path = os.path.join(directory, "index.tar")
            lists.push(name, f"oci-archive:{path}")
            with open(path, "rb") as file:
                shutil.copyfileobj(file, self.request.stdout)

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
                    tags = () if indexed(self.request) else self.tags
                    image = self.storing.store(outcome, tags)
                if output.kind != "image" and not indexed(self.request):
                    self._archive(image, output)
            elif output.kind == "tar":
                self._tar(outcome, output)
            elif output.kind == "local":
                self._local(outcome, self._beside(outcome, output))
        return image

    def _beside(self, outcome: executor.Outcome, output: Output) -> Output:
        """Of several platforms each has a directory of its own, as buildx names them."""
        if len(self.request.platforms) < 2:
            return output
        name = str(outcome.platform).replace("/", "_")
        return Output("local", os.path.join(output.target, name), output.values)

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


def indexed(request: Request) -> bool:
    """Whether the result is an index: several images, or one with attestations."""
    return len(request.platforms) > 1 or bool(request.provenance or request.manifest)


def names(request: Request) -> list[str]:
    """Names of the image: of --tag, and of name= of its outputs."""
    found = list(request.tags)
    for output in request.outputs:
        found += [one.strip() for one in output.values.get("name", "").split(",") if one.strip()]
    return list(dict.fromkeys(found))


def _is_among(name: str, tags: list[str]) -> bool:
    return name in map(_canonical, tags)


def _canonical(tag: str) -> str:
    from rootless.images.names import reference

    return reference.parse(tag).canonical


def _unwritable(path: str, error: OSError) -> StorageError:
    return StorageError(f"cannot write {path}: {(error.strerror or '').lower()}")
