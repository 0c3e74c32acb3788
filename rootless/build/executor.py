"""Carries out a graph: stages that do not need each other side by side, each in a thread.

Scope: when a stage runs, what it begins with, what happens when one fails.  What an instruction
does is in `stage`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from rootless.build import graph as graphs
from rootless.build import hashing, keys, sources
from rootless.build.config import Config
from rootless.build.contexts import Context
from rootless.build.dockerfile import instructions, lint
from rootless.build.dockerfile.parser import Dockerfile, Line, parse
from rootless.build.dockerfile.platforms import Platform, parse_platform
from rootless.build.dockerfile.source import DockerfileError, Warning_
from rootless.build.dockerfile.stages import (
    ContextOrigin,
    ImageOrigin,
    Scratch,
    Stage,
    StageOrigin,
    Stages,
    stages,
)
from rootless.build.options import BuildOptions
from rootless.build.progress import Progress, WarningEvent
from rootless.build.protocols import BaseImage, Chain, Images, Kept, Layers, Settled, Steps
from rootless.build.stage import StageRun
from rootless.build.state import Room, State, Tree
from rootless.errors import Interrupted, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json

_COPYING = "rootless.build.copying:"


@dataclass(frozen=True)
class Outcome:
    """What was built: `config` before it is finished (layers and times are put in by whoever
    stores it), `layers` lowest first, `key` of the files, `created` in seconds since the epoch."""

    config: Config
    layers: Chain
    key: str
    created: float
    platform: Platform
    warnings: tuple[WarningEvent, ...] = ()


@dataclass
class Plan:
    """A Dockerfile that was read for a build."""

    dockerfile: Dockerfile
    graph: graphs.Graph
    platform: Platform
    warnings: list[WarningEvent] = field(default_factory=list)


def read(context: Context, options: BuildOptions, here: Platform) -> Plan:
    """Read the Dockerfile and say what is to be done.  Raises DockerfileError, UsageError."""
    platform = here
    if options.platform:
        found = parse_platform(options.platform, here)
        if found is None:
            raise UsageError(
                f'--platform "{options.platform}" is no platform', hint="as in linux/arm64"
            )
        platform = found
    dockerfile = parse(context.dockerfile, context.dockerfile_name)
    found_stages = stages(
        dockerfile,
        build_args=options.build_args,
        target=options.target,
        platform=platform,
        build_platform=here,
        contexts=list(options.contexts),
    )
    return Plan(dockerfile, graphs.plan(found_stages), platform)


def findings(
    plan: Plan, options: BuildOptions, context: Context
) -> tuple[tuple[Warning_, ...], DockerfileError | None]:
    """What the rules find, and the error that this is where the file says so."""
    passed = options.build_args.get("BUILDKIT_DOCKERFILE_CHECK")
    checks = lint.read_checks(plan.dockerfile, passed)
    ignore = context.ignore
    found = lint.check(
        plan.dockerfile,
        plan.graph.stages,
        checks=checks,
        ignored=(lambda path: ignore.excludes(path, False)) if ignore is not None else None,
    )
    return found, lint.refuse(found, checks)


def checked(plan: Plan, options: BuildOptions, context: Context) -> list[WarningEvent]:
    """What the rules find, to be told.  Raises DockerfileError where that is an error."""
    found, refused = findings(plan, options, context)
    if refused is not None:
        raise refused
    return [
        WarningEvent(one.rule, one.text, one.place.file, one.place.first, one.url) for one in found
    ]


class _Result:
    """What a stage came to, for those that wait for it (concurrent.futures loads logging)."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._state: State | None = None
        self._done = threading.Event()

    def succeed(self, state: State) -> None:
        self._state = state
        self._done.set()

    def fail(self, error: BaseException) -> None:
        self.error = error
        self._done.set()

    def wait(self) -> State:
        self._done.wait()
        if self.error is not None:
            raise self.error
        assert self._state is not None
        return self._state


class Executor:
    """One build."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        options: BuildOptions,
        *,
        images: Images,
        layers: Layers,
        steps: Steps,
        scratch: str,
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
        settled: Settled | None = None,
    ) -> None:
        """`settled` is given each layer of the result as soon as it is there."""
        self.plan = plan
        self._settled = settled
        self.graph = plan.graph
        self.stages: Stages = plan.graph.stages
        self.context = context
        self.options = options
        self.images = images
        self.layers = layers
        self.progress = progress or Progress()
        self.cancel = cancel or threading.Event()
        self._results: dict[int, _Result] = {}
        self._found: dict[ImageOrigin, BaseImage] = {}
        self._image_steps: dict[str, int] = {}
        self._lock = threading.Lock()
        self._memories: dict[str, hashing.Memory] = {}
        self._slots = threading.BoundedSemaphore(max(1, options.jobs))
        self.room = Room(
            options=options,
            layers=layers,
            steps=steps,
            progress=self.progress,
            context=context,
            cancel=self.cancel,
            memory=self._memory,
            scratch=scratch,
            tree=self._tree,
            running=lambda: self._slots,
            warn=self._warn,
        )

    def run(self) -> Outcome:
        """Everything that the target needs.  Raises the first failure; nothing runs on then."""
        nodes = self.graph.nodes
        for node in nodes:
            self._results[node.stage.index] = _Result()
        threads = [
            threading.Thread(target=self._guarded, args=(node,), name=f"stage {node.stage.label}")
            for node in nodes
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            # ^C arrives in this thread
            self.cancel.set()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            raise
        finally:
            for memory in self._memories.values():
                memory.save()
        self._raise_first()
        state = self._results[nodes[-1].stage.index].wait()
        return Outcome(
            self._with_options(state.config),
            state.chain,
            state.key,
            state.created,
            nodes[-1].stage.platform,
            tuple(self.plan.warnings),
        )

    def _raise_first(self) -> None:
        failures = [one.error for one in self._results.values() if one.error is not None]
        real = [one for one in failures if not isinstance(one, Interrupted)]
        if failures:
            raise (real or failures)[0]

    def _guarded(self, node: graphs.Node) -> None:
        result = self._results[node.stage.index]
        try:
            for number in node.needs:
                self._results[number].wait()
            if self.cancel.is_set():
                raise Interrupted("the build was ended")
            result.succeed(self._stage(node))
        except BaseException as error:
            self.cancel.set()
            result.fail(error)

    # ------------------------------------------------------------ stages

    def _stage(self, node: graphs.Node) -> State:
        stage = node.stage
        state, instructions = self._begin(stage)
        instructions += node.steps
        total = sum(isinstance(one, graphs.CHANGES_FILES) for one in instructions)
        settled = self._settled if stage.index in self._final() else None
        run = StageRun(self.room, stage, state, 0, total, settled=settled)
        run.run(instructions)
        return state

    def _final(self) -> set[int]:
        """The target and the stages that it begins with, whose layers it has."""
        by_index = {node.stage.index: node.stage for node in self.graph.nodes}
        stage = self.graph.nodes[-1].stage
        found = {stage.index}
        while isinstance(stage.origin, StageOrigin):
            stage = by_index[stage.origin.index]
            found.add(stage.index)
        return found

    def _begin(self, stage: Stage) -> tuple[State, list[instructions.Instruction]]:
        """What a stage begins with, and the triggers that its image has for it."""
        origin = stage.origin
        if isinstance(origin, StageOrigin):
            base = self._results[origin.index].wait()
            made = State(base.config.child(), base.chain, base.key, base.created, base.step)
            assert base.variables is not None
            made.variables = self.stages.variables(stage, {}, base.variables)
            return made, []
        if isinstance(origin, Scratch):
            config = Config.scratch(
                stage.platform.os, stage.platform.architecture, stage.platform.variant
            )
            made = State(config, (), keys.of_base(""), self._moment())
            made.variables = self.stages.variables(stage, {})
            return made, []
        if isinstance(origin, ContextOrigin):
            named = self.options.contexts[origin.name]
            if not named.image:
                return self._from_context(stage, named.context), []
            origin = ImageOrigin(named.image, stage.platform)
        image = self._image(origin)
        before = Config(image.config)
        if not self.options.inherit_labels:
            before.inner.pop("Labels", None)
        state = State(
            before.child(), image.layers, keys.of_base(" ".join(image.layers)),
            _seconds(str(image.config.get("created") or "")),
        )  # fmt: skip
        state.step = self._image_step(image)
        state.variables = self.stages.variables(stage, before.env)
        triggers: list[instructions.Instruction] = [
            instructions.read_trigger(text, image.reference) for text in before.triggers
        ]
        return state, triggers

    def _from_context(self, stage: Stage, context: Context | None) -> State:
        """FROM of a context that is a directory: its files, and no configuration."""
        assert context is not None
        found = sources.Sources()
        found.add_context(context, ["."], self._memory(context))
        key = keys.of_step("", "context-base", {"sources": found.key})
        kept = self.layers.find(key)
        if kept is None:
            snapshot = self.layers.begin(())
            request: dict[str, Json] = {
                "destination": "/", "directory": True, "sources": found.requests, "single": False,
            }  # fmt: skip
            try:
                self.layers.work(_COPYING + "copy_worker", request, snapshot=snapshot)
            except BaseException:
                self.layers.abandon(snapshot)
                raise
            kept = Kept(self.layers.finish(snapshot), {"created": time.time()})
            self.layers.remember(key, kept)
        config = Config.scratch(
            stage.platform.os, stage.platform.architecture, stage.platform.variant
        )
        chain = (kept.layer,) if kept.layer else ()
        created = float(kept.facts.get("created") or self._moment())
        state = State(config, chain, key, created)
        config.record(created, f"FROM {stage.from_.image}", empty=not kept.layer)
        state.variables = self.stages.variables(stage, {})
        return state

    def _moment(self) -> float:
        """The time of what has no time of its own, the same for the same build."""
        return 0.0

    # ------------------------------------------------------------ images and trees

    def _image(self, origin: ImageOrigin) -> BaseImage:
        with self._lock:
            found = self._found.get(origin)
            if found is None:
                platform = (
                    ""
                    if origin.platform == self.plan.platform and (not self.options.platform)
                    else str(origin.platform)
                )
                found = self.images.find(origin.reference, platform, self.options.pull)
                self._found[origin] = found
        return found

    def _image_step(self, image: BaseImage) -> int:
        with self._lock:
            known = self._image_steps.get(image.reference)
            if known is None:
                known = self.progress.step(f"FROM {image.reference}")
                self._image_steps[image.reference] = known
                new = True
            else:
                new = False
        if new:
            self.progress.state(known, "cached")
        return known

    def _tree(self, name: str, stage: Stage) -> Tree:
        """What COPY --from and a mount's from= name.  Their stages have been built by now."""
        origin = self.stages.resolve(name, stage)
        if isinstance(origin, StageOrigin):
            state = self._results[origin.index].wait()
            return Tree(state.chain, state.key, step=state.step)
        if isinstance(origin, Scratch):
            return Tree((), keys.of_base(""))
        if isinstance(origin, ContextOrigin):
            named = self.options.contexts[origin.name]
            if not named.image:
                return Tree(context=named.context)
            origin = ImageOrigin(named.image, stage.platform)
        image = self._image(origin)
        step = self._image_step(image)
        return Tree(image.layers, keys.of_base(" ".join(image.layers)), step=step)

    def _memory(self, context: Context) -> hashing.Memory:
        with self._lock:
            found = self._memories.get(context.path)
            if found is None:
                # of what is unpacked for this build alone nothing is worth remembering
                found = hashing.Memory("") if context.temporary else hashing.Memory.of(context.path)
                self._memories[context.path] = found
            return found

    def _warn(self, line: Line, text: str) -> None:
        event = WarningEvent("", text, line.place.file, line.place.first)
        self.plan.warnings.append(event)
        self.progress.warning(event)

    def _with_options(self, config: Config) -> Config:
        if self.options.labels:
            config.set_labels(list(self.options.labels.items()))
        for name in self.options.unset_labels:
            (config.inner.get("Labels") or {}).pop(name, None)
        if self.options.env:
            config.set_env(list(self.options.env))
        if self.options.unset_env:
            kept = {
                name: value
                for name, value in config.env.items()
                if name not in self.options.unset_env
            }
            config.inner["Env"] = [f"{name}={value}" for name, value in kept.items()]
        return config


def _seconds(text: str) -> float:
    """The time of a configuration; 0 for none that can be read."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
