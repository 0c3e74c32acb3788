"""Stages: what each begins from, which of them the target needs, the scope of FROM.

Scope: pure.  Images and contexts are named here and found elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rootless.build.dockerfile.expansion import ExpansionError, expand
from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.instructions import (
    Arg,
    Copy,
    From,
    Instruction,
    Onbuild,
    Run,
    read,
)
from rootless.build.dockerfile.mounts import mount_source
from rootless.build.dockerfile.parser import Dockerfile
from rootless.build.dockerfile.platforms import Platform, parse_platform
from rootless.build.dockerfile.source import did_you_mean
from rootless.build.dockerfile.variables import (
    BUILDER_ARGS,
    PROXIES,
    Variables,
    expanded_default,
    platform_args,
)
from rootless.errors import UsageError


class Scratch(Frozen):
    """Nothing: an empty root without configuration."""


class StageOrigin(Frozen):
    """A stage of the same file."""

    index: int


class ImageOrigin(Frozen):
    """An image, as it was named, for a platform."""

    reference: str
    platform: Platform


class ContextOrigin(Frozen):
    """A context that was given a name."""

    name: str


Origin = Scratch | StageOrigin | ImageOrigin | ContextOrigin


class Stage(Frozen):
    """A stage.  `name` is in small letters, or empty.

    `from_`: its FROM, expanded; `written`: as it stood there.  `triggers`: what ONBUILD of the
    stage that it begins from puts in front of `instructions`.  `unset`: variables that FROM used
    and that are not set.
    """

    index: int
    name: str
    origin: Origin
    platform: Platform
    from_: From
    written: From
    instructions: tuple[Instruction, ...] = ()
    triggers: tuple[Instruction, ...] = ()
    unset: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What progress calls it: its name, else `stage-N`."""
        return self.name or f"stage-{self.index}"


class Stages(Frozen):
    """All stages of a file, for one target and one platform.

    `needed`: the stages that the target needs, itself last, each after those that it needs.
    `global_scope`: the variables of FROM.
    """

    all: tuple[Stage, ...]
    target: Stage
    needed: tuple[Stage, ...]
    global_scope: Mapping[str, str]
    passed: Mapping[str, str]
    contexts: Collection[str]
    global_args: tuple[Arg, ...] = ()

    def find(self, name: str) -> Stage | None:
        """Return the stage of this name, whatever the case; of several the last."""
        return _named(self.all, name)

    def resolve(self, name: str, stage: Stage) -> Origin:
        """Say what `--from=name` or a mount's `from=name` is: context, stage, number or image."""
        return _resolve(self.all, name, stage.platform, self.contexts)

    def variables(
        self, stage: Stage, environment: Mapping[str, str], parent: Variables | None = None
    ) -> Variables:
        """Return the variables at the beginning of a stage.

        `environment`: that of the base image; `parent`: the variables at the end of the stage
        that it begins from, which then count alone.
        """
        if parent is not None:
            return parent.copy()
        return Variables(self.global_scope, self.passed, environment)

    def unconsumed(self) -> tuple[str, ...]:
        """Return the names that were passed and that no ARG of a needed stage declares."""
        declared = {name for arg in self.global_args for name, _ in arg.args}
        for stage in self.needed:
            for instruction in (*stage.triggers, *stage.instructions):
                if isinstance(instruction, Arg):
                    declared |= {name for name, _ in instruction.args}
        known = declared | set(PROXIES) | BUILDER_ARGS | set(platform_args(*_ANY, ""))
        return tuple(name for name in self.passed if name not in known)


_ANY = (Platform(), Platform())


def stages(
    dockerfile: Dockerfile,
    *,
    build_args: Mapping[str, str] | None = None,
    target: str = "",
    platform: Platform | None = None,
    build_platform: Platform | None = None,
    contexts: Collection[str] = (),
) -> Stages:
    """Read the instructions of a file and sort them into stages.

    `platform`: what is built for; `build_platform`: where.  `contexts`: names given with
    --build-context, which come before stages and images of that name.  Raises DockerfileError,
    and UsageError for a target that is not there.
    """
    passed = dict(build_args or {})
    platform = platform or Platform()
    build_platform = build_platform or platform
    before, groups = _grouped(dockerfile)
    last = groups[-1][0]
    scope = platform_args(build_platform, platform, target.lower() or last.name.lower())
    scope |= {name: value for name, value in passed.items() if name in scope}
    for arg in before:
        _declare_globally(arg, scope, passed)
    found: list[Stage] = []
    for written, instructions in groups:
        found.append(_stage(found, written, instructions, scope, platform, contexts))
    all_stages = tuple(found)
    chosen = _named(all_stages, target) if target else all_stages[-1]
    if chosen is None:
        names = [stage.name for stage in all_stages if stage.name]
        hint = did_you_mean(target, names) or ("there are " + " ".join(names) if names else "")
        raise UsageError(f'no stage "{target}" in {dockerfile.name}', hint=hint)
    needed = tuple(_needed(all_stages, chosen, contexts))
    return Stages(all_stages, chosen, needed, scope, passed, contexts, before)


def _grouped(
    dockerfile: Dockerfile,
) -> tuple[tuple[Arg, ...], list[tuple[From, tuple[Instruction, ...]]]]:
    """Return the ARGs in front, and each FROM with what follows it."""
    before: list[Arg] = []
    groups: list[tuple[From, list[Instruction]]] = []
    for line in dockerfile.lines:
        instruction = read(line)
        if isinstance(instruction, From):
            groups.append((instruction, []))
        elif groups:
            groups[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            before.append(instruction)
        else:
            raise line.error(
                f"{line.keyword} before the first FROM",
                near=line.word,
                hint="only ARG and comments may stand there",
            )
    if not groups:
        raise dockerfile.lines[-1].error("there is no FROM in the file")
    return tuple(before), [(written, tuple(rest)) for written, rest in groups]


def _declare_globally(arg: Arg, scope: dict[str, str], passed: Mapping[str, str]) -> None:
    for name, default in arg.args:
        if name in passed:
            scope[name] = passed[name]
        elif default is not None:
            scope[name] = expanded_default(arg, default, scope)


def _stage(
    earlier: list[Stage],
    written: From,
    instructions: tuple[Instruction, ...],
    scope: Mapping[str, str],
    platform: Platform,
    contexts: Collection[str],
) -> Stage:
    line = written.line
    unset: list[str] = []

    def expanded(text: str, what: str) -> str:
        try:
            result = expand(text, scope.get, escape=line.escape, unset=unset.append)
        except ExpansionError as error:
            raise line.error(f"FROM: {error.message}", near=text, hint=error.hint) from None
        if not result:
            names = " ".join(f"${name}" for name in unset)
            raise line.error(
                f'FROM: the {what} "{text}" is empty once its variables are replaced',
                near=text,
                hint=f"not set before the first FROM: {names}" if names else "",
            )
        return result

    image = expanded(written.image, "image")
    wanted = platform
    if written.platform:
        text = expanded(written.platform, "platform")
        read_platform = parse_platform(text, platform)
        if read_platform is None:
            raise line.error(
                f'FROM: "{text}" is no platform',
                near=written.platform,
                hint="as in linux/amd64 or linux/arm/v7",
            )
        wanted = read_platform
    name = written.name.lower()
    index = len(earlier)
    from_ = From(line, image, written.name, str(wanted), written.as_word)
    if name and name in contexts:
        # a context of the stage's own name stands in for the whole of it
        return Stage(index, name, ContextOrigin(name), wanted, from_, written)
    origin = _base(earlier, image, wanted, contexts)
    triggers: tuple[Instruction, ...] = ()
    if isinstance(origin, StageOrigin):
        base = earlier[origin.index]
        wanted = wanted if written.platform else base.platform
        triggers = tuple(
            trigger.inner
            for trigger in base.instructions
            if isinstance(trigger, Onbuild) and trigger.inner is not None
        )
    return Stage(index, name, origin, wanted, from_, written, instructions, triggers, tuple(unset))


def _base(
    earlier: list[Stage], image: str, platform: Platform, contexts: Collection[str]
) -> Origin:
    """Say what FROM names: unlike COPY it knows no numbers, and only stages above it."""
    if (context := _context(image, contexts)) is not None:
        return context
    if (stage := _named(earlier, image)) is not None:
        return StageOrigin(stage.index)
    return Scratch() if image == "scratch" else ImageOrigin(image, platform)


def _resolve(
    known: tuple[Stage, ...], name: str, platform: Platform, contexts: Collection[str]
) -> Origin:
    if (context := _context(name, contexts)) is not None:
        return context
    if (stage := _named(known, name)) is not None:
        return StageOrigin(stage.index)
    if name.isascii() and name.isdecimal() and int(name[:9]) < len(known):
        return StageOrigin(int(name))
    return Scratch() if name == "scratch" else ImageOrigin(name, platform)


def _context(name: str, contexts: Collection[str]) -> ContextOrigin | None:
    """Find a context by the name of a stage or an image, which may be written in full."""
    short = name.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")
    for candidate in (name, name.lower(), short):
        if candidate in contexts:
            return ContextOrigin(candidate)
    return None


def _named(known: Collection[Stage], name: str) -> Stage | None:
    wanted = name.lower()
    found = None
    for stage in known:
        if stage.name and stage.name == wanted:
            found = stage
    return found


def dependencies(
    known: tuple[Stage, ...], stage: Stage, contexts: Collection[str] = ()
) -> Iterator[tuple[Instruction, Origin]]:
    """Yield what a stage takes from elsewhere, and which instruction does."""
    yield stage.from_, stage.origin
    for instruction in (*stage.triggers, *stage.instructions):
        names: list[str] = []
        if isinstance(instruction, Copy) and instruction.from_:
            names = [instruction.from_]
        elif isinstance(instruction, Run):
            names = [mount_source(flag) for flag in instruction.mount_flags]
        for name in names:
            if name:
                yield instruction, _checked(known, name, instruction, stage, contexts)


def _checked(
    known: tuple[Stage, ...],
    name: str,
    instruction: Instruction,
    stage: Stage,
    contexts: Collection[str],
) -> Origin:
    origin = _resolve(known, name, stage.platform, contexts)
    if isinstance(origin, ImageOrigin) and name.isascii() and name.isdecimal():
        last = len(known) - 1
        raise instruction.line.error(
            f"{instruction.keyword}: there is no stage {name}",
            near=name,
            hint=f"the last has number {last}" if last else "the only one has number 0",
        )
    return origin


def _needed(known: tuple[Stage, ...], target: Stage, contexts: Collection[str]) -> list[Stage]:
    """Sort what the target needs.  A stack of its own: the depth is a stranger's."""
    done: list[Stage] = []
    state: dict[int, bool] = {}
    path: list[tuple[Stage, Iterator[tuple[Instruction, Origin]]]] = []

    def enter(stage: Stage) -> None:
        state[stage.index] = False
        path.append((stage, dependencies(known, stage, contexts)))

    enter(target)
    while path:
        stage, rest = path[-1]
        for instruction, origin in rest:
            if not isinstance(origin, StageOrigin) or state.get(origin.index):
                continue
            if origin.index in state:
                other = known[origin.index]
                raise instruction.line.error(
                    f"{instruction.keyword}: the stages {stage.label} and {other.label} need each "
                    "other"
                    if other is not stage
                    else f"{instruction.keyword}: the stage {stage.label} needs itself",
                    near=instruction.line.word,
                )
            enter(known[origin.index])
            break
        else:
            path.pop()
            state[stage.index] = True
            done.append(stage)
    return done
