"""`engine.images.build`: a context and options in, an image out.

Scope: introduces the build room to images, storage and the runtime.  The command line and the API
are clients of `build`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace

from rootless import documents
from rootless.build import executor
from rootless.build.contexts import Context, Givers, open_context, open_named
from rootless.build.dockerfile.instructions import Run
from rootless.build.dockerfile.platforms import Platform
from rootless.build.options import BuildOptions, NamedContext
from rootless.build.progress import Event, Progress, WarningEvent
from rootless.build.protocols import Process, Sink, Snapshot
from rootless.build.stage import StepFailed
from rootless.engine.build import provenance, step_options
from rootless.engine.build.delivery import Built as Built
from rootless.engine.build.delivery import Delivery, indexed, names
from rootless.engine.build.images import BaseImages, Storing
from rootless.engine.build.layers import BuildLayers
from rootless.engine.build.packing import Packing
from rootless.engine.build.request import Output as Output
from rootless.engine.build.request import Request as Request
from rootless.engine.build.workers import Workers
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.build.shared_cache import SharedLayers
    from rootless.engine.build.steps import RunSteps
    from rootless.engine.collections import Collections


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
    tags = names(request)
    for tag in tags:
        _check_tag(tag)
    _check_annotations(request)
    _check_index(request, tags)
    if any(output.pushes for output in request.outputs) and not tags:
        raise UsageError("nothing can be pushed without a name", hint="-t REGISTRY/NAME:TAG")
    engine.context.prepare()
    step_options.check(engine, request.step)
    if workers is None:
        with Workers(engine.context.maps) as own:
            made = build(engine, request, receiver, cancel, own)
        from rootless.engine.build import cache

        cache.limit(engine)
        return made
    progress = Progress(receiver)
    layers, shared = _layers(engine, workers, request, progress)
    layers.own_host = "network.host" in request.options.allow
    layers.prepare()
    with closing(layers), _in_use(engine), _Contexts(engine, layers, request) as contexts:
        if shared is not None:
            shared.open(request.cache_from)
        bases = BaseImages(engine, request.registry)
        storing = _storing(request, layers, bases)
        if shared is not None and any(one.kind == "inline" for one in request.cache_to):
            storing.beside = shared.inline
        delivery = Delivery(engine, request, storing, layers, progress)
        plans = [
            _plan(contexts, request, platform, progress)
            for platform in request.platforms or (request.options.platform,)
        ]
        for plan, _ in plans:
            _runnable(plan)
        with closing(delivery):
            for plan, options in plans:
                ahead = _ahead(request, storing)
                run = executor.Executor(
                    plan,
                    contexts.main,
                    options,
                    images=bases,
                    layers=layers,
                    steps=_Steps(layers, request.step, request.in_ci),
                    scratch=layers.scratch,
                    progress=progress,
                    cancel=cancel,
                    settled=ahead.settled if ahead is not None else None,
                )
                began = time.time()
                try:
                    with ahead or nullcontext():
                        outcome = run.run()
                except StepFailed as error:
                    if request.keep_failed and error.left is not None:
                        delivery.failed(error.left)
                    raise
                facts = provenance.Facts(
                    request, plan, contexts.main.dockerfile, began, time.time()
                ) if request.provenance else None  # fmt: skip
                delivery.add(outcome, facts)
            built = delivery.finish()
            if shared is not None:
                shared.export(request.cache_to, delivery.outcomes, Storing(layers, bases))
            return built


def _storing(request: Request, layers: BuildLayers, bases: BaseImages) -> Storing:
    return Storing(
        layers, bases, stamp=request.options.timestamp, clamp=request.options.epoch,
        rewrite=request.rewrite, form=request.form, squash=request.squash, request=request,
    )  # fmt: skip


def _plan(
    contexts: _Contexts, request: Request, platform: str, progress: Progress
) -> tuple[executor.Plan, BuildOptions]:
    """What is to be done for one platform, with what there is to say of the Dockerfile."""
    title = f"{platform} " if len(request.platforms) > 1 else ""
    options = replace(
        request.options, contexts=contexts.named, platform=platform, step_title=title
    )  # fmt: skip
    plan = executor.read(contexts.main, options, here())
    for warning in executor.checked(plan, options, contexts.main):
        plan.warnings.append(warning)
        progress.warning(warning)
    unconsumed = plan.graph.stages.unconsumed()
    if unconsumed:
        text = f"no ARG declares what was given: {' '.join(unconsumed)}"
        warning = WarningEvent("", text, contexts.main.dockerfile_name, 1)
        plan.warnings.append(warning)
        progress.warning(warning)
    return plan, options


def _runnable(plan: executor.Plan) -> None:
    """Refuse now what cannot be run here.  Raises HostError."""
    for node in plan.graph.nodes:
        if node.stage.platform != here() and any(isinstance(one, Run) for one in node.steps):
            from rootless.engine.build import foreign

            foreign.check(node.stage.platform)


def _layers(
    engine: Collections, workers: Workers, request: Request, progress: Progress
) -> tuple[BuildLayers, SharedLayers | None]:
    """The layers of a build, and the same again where caches of others have to do with it."""
    if not (request.cache_from or request.cache_to or request.cache_ttl is not None):
        return BuildLayers(engine, workers), None
    from rootless.engine.build import shared_cache

    made = shared_cache.SharedLayers(
        engine, workers, progress, request.registry, platform=request.options.platform,
        oldest=shared_cache.oldest(request.cache_ttl),
    )  # fmt: skip
    return made, made


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


def _ahead(request: Request, storing: Storing) -> Packing | None:
    """What packs layers while steps run, where layers are kept as they are made."""
    if request.squash or not storing.as_made:
        return None
    if not any(output.kind in ("image", "oci", "docker") for output in request.outputs):
        return None
    return Packing(storing)


def here() -> Platform:
    """The platform of this host."""
    from rootless.images.formats import platforms

    found = platforms.host()
    return Platform(found.os, found.architecture, found.variant)


def _check_annotations(request: Request) -> None:
    if not (request.annotations or request.created_annotation):
        return
    if request.form == "docker":
        raise UsageError("--format docker has no annotations", hint="leave --format out")
    for one in request.annotations:
        if one.kind not in ("manifest", "manifest-descriptor") and not indexed(request):
            raise UsageError(
                f"--annotation {one.kind}:{one.key}: the result is no index of several images",
                hint="leave the type out",
            )


def _check_index(request: Request, tags: list[str]) -> None:
    """Refuse outputs that an index cannot go to.  Raises UsageError."""
    if not indexed(request):
        return
    several = len(request.platforms) > 1
    for output in request.outputs:
        if output.kind == "docker" or (output.kind == "tar" and several):
            raise UsageError(
                f"--output type={output.kind} has no room for an index of several images",
                hint="type=oci, or one platform without attestations",
            )
    if request.provenance and request.form == "docker":
        raise UsageError("--format docker has no attestations", hint="leave --format out")
    named = bool(tags or request.manifest)
    keeps = any(output.kind == "image" for output in request.outputs)
    if keeps and not named:
        raise UsageError(
            "an index of several images or with attestations needs a name", hint="-t NAME"
        )


def check_name(name: str) -> None:
    """Refuse what is no name of an image.  Raises UsageError."""
    from rootless.images.names import reference

    reference.parse(name)


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

    def __init__(self, layers: BuildLayers, options: ContainerOptions, in_ci: bool) -> None:
        self._layers = layers
        self._options = options
        self._in_ci = in_ci
        self._made: RunSteps | None = None
        self._lock = threading.Lock()

    def run(self, snapshot: Snapshot, process: Process, log: Sink, cancel: threading.Event) -> int:
        """See `steps.RunSteps`."""
        with self._lock:
            if self._made is None:
                from rootless.engine.build.steps import RunSteps, forget_secrets

                forget_secrets()
                self._made = RunSteps(self._layers, self._options, in_ci=self._in_ci)
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
            self.main = open_context(
                request.context,
                request.file,
                givers,
                stdin=request.stdin,
                ignore_file=request.ignore_file,
                as_docker=request.as_docker,
                dockerfile=request.dockerfile,
            )
            self._opened.append(self.main)
            if request.from_image:
                self.named[_first_base(self.main)] = NamedContext(image=request.from_image)
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


def _first_base(context: Context) -> str:
    """What the first FROM names, to be replaced by --from.  Raises DockerfileError, UsageError."""
    from rootless.build.dockerfile import parser

    for line in parser.parse(context.dockerfile, context.dockerfile_name).lines:
        if line.keyword == "FROM":
            words = [one for one in line.text.split() if not one.startswith("--")]
            name = words[0] if words else ""
            if name == "scratch" or "$" in name:
                raise UsageError(f"--from: the first FROM is of {name}, which is no image's name")
            return name.lower()
    raise UsageError("--from: the Dockerfile has no FROM")


def _secret(options: BuildOptions, name: str) -> bytes | None:
    given = options.secrets.get(name)
    return given() if given is not None else None
