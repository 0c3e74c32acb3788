"""`engine.images.build`: a context and options in, an image out.

Scope: introduces the build room to images, storage and the runtime.  The command line and the API
are clients of `build`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from rootless import documents
from rootless.build import executor
from rootless.build.contexts import Context, Givers, open_context, open_named
from rootless.build.dockerfile.platforms import Platform
from rootless.build.options import BuildOptions, NamedContext
from rootless.build.progress import Event, Progress, WarningEvent
from rootless.build.protocols import Process, Sink, Snapshot
from rootless.engine.build.images import BaseImages, Storing
from rootless.engine.build.layers import BuildLayers
from rootless.engine.build.workers import Workers
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import Conflict, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.build.steps import RunSteps
    from rootless.engine.collections import Collections
    from rootless.images.record import ImageRecord


_UNION = "rootless.storage.rootfs.layer_export:union_worker"


@dataclass(frozen=True)
class Output:
    """--output: `kind` is image, local, tar, oci or docker; `target` a path, or - for a stream."""

    kind: str
    target: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """What a build is asked for.

    `context`: a directory, an archive, an address, a repository, or - for `stdin`; `file`: the
    Dockerfile (None: the usual names); `options`: of the build room; `contexts`: --build-context,
    by name; `step`: what holds for every RUN.
    """

    context: str
    file: str | None = None
    tags: Sequence[str] = ()
    options: BuildOptions = field(default_factory=BuildOptions)
    contexts: Mapping[str, str] = field(default_factory=dict)
    stdin: BinaryIO | None = None
    stdout: BinaryIO | None = None
    ignore_file: str | None = None
    as_docker: bool = False
    outputs: Sequence[Output] = (Output("image"),)
    form: str = "oci"
    rewrite: bool = False
    squash: str = ""
    step: ContainerOptions = field(default_factory=lambda: ContainerOptions(""))
    dockerfile: bytes | None = None


@dataclass(frozen=True)
class Built:
    """What came of it: the image, where one was kept, and what the Dockerfile could do without."""

    image: ImageRecord | None
    warnings: tuple[WarningEvent, ...]
    outcome: executor.Outcome


def build(
    engine: Collections,
    request: Request,
    receiver: Callable[[Event], None] = lambda _: None,
    cancel: threading.Event | None = None,
    workers: Workers | None = None,
) -> Built:
    """Build; events go to `receiver`, and `cancel` ends it.  `workers` may serve several builds.

    Raises DockerfileError, StepFailed, UsageError, NotFound and what images and storage raise.
    """
    for tag in request.tags:
        _check_tag(tag)
    engine.context.prepare()
    if workers is None:
        with Workers(engine.context.maps) as own:
            made = build(engine, request, receiver, cancel, own)
        from rootless.engine.build import cache

        cache.limit(engine)
        return made
    layers = BuildLayers(engine, workers)
    layers.prepare()
    with closing(layers), _in_use(engine), _Contexts(engine, layers, request) as contexts:
        options = replace(request.options, contexts=contexts.named)
        plan = executor.read(contexts.main, options, here())
        progress = Progress(receiver)
        for warning in executor.checked(plan, options, contexts.main):
            plan.warnings.append(warning)
            progress.warning(warning)
        unconsumed = plan.graph.stages.unconsumed()
        if unconsumed:
            text = f"no ARG declares what was given: {' '.join(unconsumed)}"
            warning = WarningEvent("", text, contexts.main.dockerfile_name, 1)
            plan.warnings.append(warning)
            progress.warning(warning)
        bases = BaseImages(engine)
        outcome = executor.Executor(
            plan,
            contexts.main,
            options,
            images=bases,
            layers=layers,
            steps=_Steps(layers, request.step),
            scratch=layers.scratch,
            progress=progress,
            cancel=cancel,
        ).run()
        storing = Storing(
            layers, bases, stamp=options.timestamp, clamp=options.epoch,
            rewrite=request.rewrite, form=request.form, squash=request.squash,
        )  # fmt: skip
        image = _deliver(engine, request, outcome, storing, layers, progress)
    return Built(image, outcome.warnings, outcome)


def describe(engine: Collections, request: Request, what: str, form: str) -> tuple[str, int]:
    """Say something of a Dockerfile without building: text, and the exit status.

    `what`: graph, check, outline or targets; `form`: text or json.  Raises as `build`.
    """
    from rootless.build.dockerfile import outline, report

    with Workers(engine.context.maps) as workers:
        layers = BuildLayers(engine, workers)
        layers.prepare()
        with _Contexts(engine, layers, request) as contexts:
            main = contexts.main
            options = replace(request.options, contexts=contexts.named)
            plan = executor.read(main, options, here())
            stages = plan.graph.stages
            if what == "graph":
                return documents.dumps(plan.graph.as_json(), indent=True) + "\n", 0
            if what == "outline":
                made = outline.outline(stages)
                return (_json(made) if form == "json" else outline.outline_text(made)), 0
            if what == "targets":
                listed = outline.targets(stages)
                return (_json(listed) if form == "json" else outline.targets_text(listed)), 0
            found, error = executor.findings(plan, options, main)
            if form == "json":
                told = _json(report.results(found, plan.dockerfile, main.dockerfile, error))
            else:
                told = report.text(found, plan.dockerfile, error)
            return told, 1 if found or error else 0


def _json(value: object) -> str:
    return documents.dumps(value, indent=True) + "\n"


def here() -> Platform:
    """The platform of this host."""
    from rootless.images.formats import platforms

    found = platforms.host()
    return Platform(found.os, found.architecture, found.variant)


def _check_tag(tag: str) -> None:
    from rootless.images.names import reference

    if "@" in reference.parse(tag).canonical:
        raise UsageError(f"{tag} cannot be given to an image: it contains a digest")


def _in_use(engine: Collections) -> documents.Lock:
    """Held while a build runs: layers that it stands on are not swept away."""
    directory = os.path.join(engine.context.data_dir, "build")
    return documents.Lock(os.path.join(directory, "lock"), shared=True)


class _Steps:
    """Runs steps with what a build that finds all of them in the cache need not load."""

    def __init__(self, layers: BuildLayers, options: ContainerOptions) -> None:
        self._layers = layers
        self._options = options
        self._made: RunSteps | None = None
        self._lock = threading.Lock()

    def run(self, snapshot: Snapshot, process: Process, log: Sink, cancel: threading.Event) -> int:
        """See `steps.RunSteps`."""
        with self._lock:
            if self._made is None:
                from rootless.engine.build.steps import RunSteps, forget_secrets

                forget_secrets()
                self._made = RunSteps(self._layers, self._options)
        return self._made.run(snapshot, process, log, cancel)


class _Contexts:
    """The main context and those with names; a context manager."""

    def __init__(self, engine: Collections, layers: BuildLayers, request: Request) -> None:
        from rootless.engine.build import fetching

        scratch = layers.scratch
        givers = Givers(
            unpack=fetching.unpack,
            fetch=lambda address, directory: fetching.fetch_to(engine, directory, address)[0],
            scratch=scratch,
            secret=lambda name: _secret(request.options, name),
        )
        self.named: dict[str, NamedContext] = {}
        self._opened: list[Context] = []
        try:
            if request.dockerfile is not None:
                self.main = Context(
                    request.context, request.dockerfile, request.file or "Dockerfile"
                )
            else:
                self.main = open_context(
                    request.context,
                    request.file,
                    givers,
                    stdin=request.stdin,
                    ignore_file=request.ignore_file,
                    as_docker=request.as_docker,
                )
            self._opened.append(self.main)
            for name, where in request.contexts.items():
                self.named[name.lower()] = self._one(where, givers)
        except BaseException:
            self.__exit__()
            raise

    def _one(self, where: str, givers: Givers) -> NamedContext:
        for prefix in ("docker-image://", "container-image://"):
            if where.startswith(prefix):
                return NamedContext(image=where[len(prefix) :])
        for prefix in ("target:", "oci-layout://", "input:"):
            if where.startswith(prefix):
                raise UsageError(
                    f"--build-context {where} is not offered",
                    hint="a directory, an archive, an address, a repository or docker-image://NAME",
                )
        context = open_named(where, givers)
        self._opened.append(context)
        return NamedContext(context=context)

    def __enter__(self) -> _Contexts:
        return self

    def __exit__(self, *_: object) -> None:
        for context in self._opened:
            context.close()


def _secret(options: BuildOptions, name: str) -> bytes | None:
    given = options.secrets.get(name)
    return given() if given is not None else None


# ------------------------------------------------------------ what becomes of it


def _deliver(
    engine: Collections,
    request: Request,
    outcome: executor.Outcome,
    storing: Storing,
    layers: BuildLayers,
    progress: Progress,
) -> ImageRecord | None:
    image: ImageRecord | None = None
    number = progress.step("exporting")
    progress.state(number, "started")
    try:
        for output in request.outputs:
            if output.kind in ("image", "oci", "docker"):
                if image is None:
                    image = storing.store(outcome, request.tags)
                if output.kind != "image":
                    _archive(engine, image, output, request)
            elif output.kind == "tar":
                _tar(outcome, output, layers, request)
            elif output.kind == "local":
                _local(outcome, output, layers)
    except BaseException as error:
        progress.state(number, "failed", error=str(error))
        raise
    progress.state(number, "done", digest=f"sha256:{image.id}" if image is not None else "")
    if image is not None:
        for name in request.tags:
            engine.images.event("tag", image, name)
        engine.images.event("build", image)
    return image


def _archive(engine: Collections, image: ImageRecord, output: Output, request: Request) -> None:
    form = "oci-archive" if output.kind == "oci" else "docker-archive"
    names = list(image.names) or [image.id]
    wanted = [name for name in names if _is_among(name, request.tags)] or names[:1]
    if output.target == "-":
        assert request.stdout is not None
        engine.images.save(wanted, request.stdout, format=form)
    else:
        engine.images.save(wanted, output.target, format=form)


def _is_among(name: str, tags: Sequence[str]) -> bool:
    from rootless.images.names import reference

    return name in [reference.parse(tag).canonical for tag in tags]


def _stack(outcome: executor.Outcome, layers: BuildLayers) -> Json:
    return {"stack": layers.directories(outcome.layers), "root": False, "skip": []}


def _tar(outcome: executor.Outcome, output: Output, layers: BuildLayers, request: Request) -> None:
    head = {
        "function": _UNION, "request": _stack(outcome, layers),
    }  # fmt: skip
    if output.target == "-":
        assert request.stdout is not None
        layers.workers.call(head, request.stdout.fileno())
        return
    temporary = f"{output.target}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        try:
            layers.workers.call(head, file.fileno())
            os.rename(temporary, output.target)
        except BaseException:
            os.unlink(temporary)
            raise


def _local(outcome: executor.Outcome, output: Output, layers: BuildLayers) -> None:
    """The files, into a directory, as the user's own."""
    from rootless.engine.build import fetching

    if os.path.exists(output.target) and not os.path.isdir(output.target):
        raise Conflict(f"--output {output.target} is no directory")
    os.makedirs(output.target, exist_ok=True)
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        head = {
            "function": _UNION,
            "request": _stack(outcome, layers),
        }
        try:
            layers.workers.call(head, writing)
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(writing)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        with open(reading, "rb") as source:
            fetching.unpack(source, output.target)
    finally:
        thread.join()
    if failed:
        raise failed[0]
