"""Build checks: what in a Dockerfile works and is better not done, by the rules of the reference.

A finding is a warning; `# check=error=true` makes an error of it, `# check=skip=NAME` leaves a rule
out.  Scope: pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from rootless.build.dockerfile.expansion import expand
from rootless.build.dockerfile.frozen import Frozen
from rootless.build.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    Shell,
    Workdir,
)
from rootless.build.dockerfile.parser import Dockerfile, Line
from rootless.build.dockerfile.platforms import parse_platform
from rootless.build.dockerfile.references import is_image_name
from rootless.build.dockerfile.rules import RULES
from rootless.build.dockerfile.source import DockerfileError, Place, Warning_, nearest, printable
from rootless.build.dockerfile.stages import Stage, StageOrigin, Stages
from rootless.build.dockerfile.variables import Variables, expanded_default, platform_args

_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.I
)
_PUBLIC = re.compile(r"(?:^|_)public(?:_|$)", re.I)
_REMOTE = re.compile(r"https?://|git@|git://|ssh://", re.I)
_RESERVED = ("scratch", "context")


class Checks(Frozen):
    """Which rules are looked at, and whether a finding is an error.

    `skip` and `experimental`: names of rules, or `all`.
    """

    skip: frozenset[str] = frozenset()
    error: bool = False
    experimental: frozenset[str] = frozenset()

    def wants(self, name: str) -> bool:
        """Tell whether a rule is looked at."""
        if "all" in self.skip or name in self.skip:
            return False
        on = "all" in self.experimental or name in self.experimental
        return on or not RULES[name].experimental


def read_checks(dockerfile: Dockerfile, passed: str | None = None) -> Checks:
    """Read the directive `check`; `passed` (BUILDKIT_DOCKERFILE_CHECK) stands in for it.

    Raises DockerfileError.
    """
    directive = dockerfile.directives.get("check")
    if passed is not None:
        return _checks(passed, Place("BUILDKIT_DOCKERFILE_CHECK", 1, 1), passed)
    if directive is None:
        return Checks()
    return _checks(directive.value, directive.place, dockerfile.physical[directive.place.first - 1])


def _checks(value: str, place: Place, text: str) -> Checks:
    found: dict[str, str] = {}
    for option in value.split(";"):
        key, equals, words = option.strip().partition("=")
        key = key.strip()
        at = Place(place.file, place.first, place.last, text.find(option.strip()) + 1)
        if not option.strip():
            continue
        if key not in ("skip", "error", "experimental") or not equals:
            raise DockerfileError(
                f'check has no option "{key}"' if equals else f'check: "{key}" has no value',
                at,
                text=text,
                width=len(key),
                hint="as in check=skip=JSONArgsRecommended,StageNameCasing;error=true",
            )
        words = words.strip()
        if key == "error" and words.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise DockerfileError(
                f'check: error is true or false, not "{words}"', at, text=text, width=len(option)
            )
        found[key] = words
    return Checks(
        frozenset(_names(found.get("skip", ""))),
        found.get("error", "").lower() in ("true", "1", "t"),
        frozenset(_names(found.get("experimental", ""))),
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def check(
    dockerfile: Dockerfile,
    stages: Stages,
    *,
    checks: Checks | None = None,
    environments: Mapping[str, Collection[str]] | None = None,
    ignored: Callable[[str], bool] | None = None,
    every: bool = True,
) -> tuple[Warning_, ...]:
    """Return what the rules find, in the order of the file.

    `environments`: the names of variables that base images set, by reference; where an image is
    missing there, undefined variables are not looked for; None takes it that images set PATH.
    `ignored` tells whether a path of the context is excluded from it.  `every`: look at all
    stages, not only at those that the target needs.  Raises DockerfileError for what would fail.
    """
    found = _Findings(checks or read_checks(dockerfile))
    _check_lines(dockerfile, found)
    _check_from(stages, found)
    walk = _Walk(stages, found, environments, ignored)
    wanted = stages.all if every else sorted(stages.needed, key=lambda stage: stage.index)
    for stage in wanted:
        walk.stage(stage)
    return tuple(sorted(found.all, key=lambda warning: (warning.place.first, warning.place.column)))


def refuse(found: tuple[Warning_, ...], checks: Checks) -> DockerfileError | None:
    """Return the error that `check=error=true` makes of findings."""
    if not found or not checks.error:
        return None
    names = ", ".join(sorted({warning.rule for warning in found}))
    return DockerfileError(f"lint violation found for rules: {names}", found[0].place)


class _Findings:
    """Collects what was found, without the rules that are left out."""

    def __init__(self, checks: Checks) -> None:
        self.checks = checks
        self.all: list[Warning_] = []

    def add(self, name: str, line: Line, *values: str, near: str = "") -> None:
        rule = RULES[name]
        if self.checks.wants(name):
            text = printable(rule.text.format(*values))
            self.all.append(Warning_(name, text, line.at(near), rule.url, rule.description))


def _check_lines(dockerfile: Dockerfile, found: _Findings) -> None:
    """What a line shows by itself, and the case of all keywords."""
    words = [line.word for line in dockerfile.lines]
    lower = sum(word.islower() for word in words)
    small = lower > sum(word.isupper() for word in words)
    for line in dockerfile.lines:
        if line.gaps:
            found.add("NoEmptyContinuation", line, line.original)
        if line.word != (line.word.lower() if small else line.word.upper()):
            found.add(
                "ConsistentInstructionCasing",
                line,
                line.word,
                "lowercase" if small else "uppercase",
                near=line.word,
            )


def _check_from(stages: Stages, found: _Findings) -> None:
    """What FROM lines show, also of stages that nobody needs."""
    names: set[str] = set()
    declared = {name for arg in stages.global_args for name, _ in arg.args}
    defaults = _defaults(stages)
    for arg in stages.global_args:
        _check_arg(arg, found)
    for stage in stages.all:
        from_ = stage.written
        line = from_.line
        name = from_.name
        if name != name.lower():
            found.add("StageNameCasing", line, name, near=name)
        if name and _case_differs(line.word, from_.as_word):
            found.add("FromAsCasing", line, from_.as_word, line.word, near=f" {from_.as_word} ")
        if stage.name and stage.name in names:
            found.add("DuplicateStageName", line, stage.name, near=name)
        if stage.name in _RESERVED:
            found.add("ReservedStageName", line, stage.name, near=name)
        names.add(stage.name)
        _describe(found, line, "FROM", [name] if name else [])
        for variable in dict.fromkeys(stage.unset):
            if variable not in declared:
                meant = _meant(variable, [*declared, *stages.global_scope])
                near = _used(line, variable)
                found.add("UndefinedArgInFrom", line, variable, meant, near=near)
        if from_.platform:
            _check_platform(stages, stage, found)
        named = expand(from_.image, defaults.get, escape=line.escape)
        if "$" in from_.image and not (is_image_name(named) or named.lower() in names):
            found.add("InvalidDefaultArgInFrom", line, from_.image, near=from_.image)


def _defaults(stages: Stages) -> dict[str, str]:
    """The global scope when nothing is passed."""
    platforms = set(platform_args(stages.target.platform, stages.target.platform, ""))
    scope = {name: value for name, value in stages.global_scope.items() if name in platforms}
    for arg in stages.global_args:
        for name, default in arg.args:
            if default is not None:
                scope[name] = expanded_default(arg, default, scope)
    return scope


def _case_differs(word: str, as_word: str) -> bool:
    # a keyword of mixed case has its own rule
    if word.islower():
        return not as_word.islower()
    return word.isupper() and not as_word.isupper()


def _check_platform(stages: Stages, stage: Stage, found: _Findings) -> None:
    from_ = stage.written
    line = from_.line
    used: list[str] = []

    def lookup(name: str) -> str | None:
        used.append(name)
        return stages.global_scope.get(name)

    result = expand(from_.platform, lookup, escape=line.escape)
    if not used:
        platform = parse_platform(result)
        said = [result, result.replace("/", "_"), result.replace("/", "-")]
        if platform is not None:
            said += [platform.os, platform.architecture]
        # a stage named after its platform, to be chosen by name, has to be constant
        if not any(part and part in stage.name for part in said):
            found.add("FromPlatformFlagConstDisallowed", line, from_.platform, near=from_.platform)
    elif set(used) == {"TARGETPLATFORM"} and result == stages.global_scope["TARGETPLATFORM"]:
        found.add("RedundantTargetPlatform", line, from_.platform, near=from_.platform)


def _check_arg(arg: Arg, found: _Findings) -> None:
    for name, _ in arg.args:
        if _is_secret(name):
            found.add("SecretsUsedInArgOrEnv", arg.line, "ARG", name, near=name)
    _describe(found, arg.line, "ARG", [name for name, _ in arg.args])


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _PUBLIC.search(name)


def _describe(found: _Findings, line: Line, what: str, names: list[str]) -> None:
    """Look whether the comment above describes what is below it."""
    if not names or not line.comments or line.comments[-1].split(" ", 1)[0] in names:
        return
    shown = names[0] if len(names) == 1 else "<arg_key>"
    found.add("InvalidDefinitionDescription", line, what, shown)


def _meant(name: str, options: Iterable[str], sign: str = "") -> str:
    found = nearest(name, options)
    return f" (did you mean {sign}{found}?)" if found else ""


def _used(line: Line, name: str) -> str:
    """Return the variable as it is written where it is first used: `$name` or `${name`."""
    match = re.search(rf"\$\{{?{re.escape(name)}(?!\w)", "\n".join(line.physical))
    return match[0] if match else ""


class _Walk:
    """Goes through the stages with their variables."""

    def __init__(
        self,
        stages: Stages,
        found: _Findings,
        environments: Mapping[str, Collection[str]] | None,
        ignored: Callable[[str], bool] | None,
    ) -> None:
        self.stages = stages
        self.found = found
        self.environments = environments
        self.ignored = ignored
        # by stage: the variables at its end, whether all are known, SHELL and WORKDIR were there
        self.ends: dict[int, tuple[Variables, bool, bool, bool]] = {}

    def stage(self, stage: Stage) -> None:
        """Go through one stage, and before it through that from which it begins."""
        if stage.index in self.ends:
            return
        parent: Variables | None = None
        known, shell, workdir = True, False, False
        names: Collection[str] = ("PATH",)
        if isinstance(stage.origin, StageOrigin):
            self.stage(self.stages.all[stage.origin.index])
            parent, known, shell, workdir = self.ends[stage.origin.index]
        elif self.environments is not None and stage.from_.image != "scratch":
            known = stage.from_.image in self.environments
            names = ("PATH", *self.environments.get(stage.from_.image, ()))
        variables = self.stages.variables(stage, dict.fromkeys(names, ""), parent)
        last: dict[str, Instruction] = {}
        for instruction in stage.instructions:
            self._repeated(instruction, last)
            if isinstance(instruction, Cmd | Entrypoint) and instruction.argv is None and not shell:
                self.found.add(
                    "JSONArgsRecommended",
                    instruction.line,
                    instruction.keyword,
                    near=instruction.line.word,
                )
            shell = shell or isinstance(instruction, Shell)
            expanded = self._expanded(instruction, variables, known)
            self._simple(expanded, instruction)
            if isinstance(expanded, Workdir):
                if not workdir and not expanded.path.startswith("/"):
                    self.found.add(
                        "WorkdirRelativePath",
                        instruction.line,
                        expanded.path,
                        near=expanded.path,
                    )
                workdir = True
        self.ends[stage.index] = variables, known, shell, workdir

    def _repeated(self, instruction: Instruction, last: dict[str, Instruction]) -> None:
        if not isinstance(instruction, Cmd | Entrypoint | Healthcheck):
            return
        before = last.get(instruction.keyword)
        if before is not None:
            # the place is that of the one which is of no use
            self.found.add("MultipleInstructionsDisallowed", before.line, before.keyword)
        last[instruction.keyword] = instruction

    def _expanded(self, instruction: Instruction, variables: Variables, known: bool) -> Instruction:
        """Expand an instruction, and report the variables that it uses and that are not set."""
        unset: dict[str, None] = {}
        options = [*variables.environment, *variables.declared]

        def note(name: str) -> None:
            if not variables.is_declared(name):
                unset[name] = None

        if isinstance(instruction, Arg):
            variables.declare(instruction, unset=note)
            expanded: Instruction = instruction
        else:
            expanded = instruction.expanded(variables.lookup, unset=note)
        if isinstance(expanded, Env):
            for name, value in expanded.pairs:
                variables.set(name, value)
        if known:
            for name in unset:
                meant = _meant(name, options, "$")
                near = _used(instruction.line, name)
                self.found.add("UndefinedVar", instruction.line, name, meant, near=near)
        return expanded

    def _simple(self, expanded: Instruction, written: Instruction) -> None:
        """What an instruction shows by itself once its variables are replaced."""
        line = written.line
        if isinstance(expanded, Maintainer):
            self.found.add("MaintainerDeprecated", line, near=line.word)
        elif isinstance(expanded, Env | Label) and expanded.legacy:
            self.found.add("LegacyKeyValueFormat", line, expanded.keyword)
        if isinstance(expanded, Env):
            for name, _ in expanded.pairs:
                if _is_secret(name):
                    self.found.add("SecretsUsedInArgOrEnv", line, "ENV", name, near=name)
        elif isinstance(expanded, Arg):
            _check_arg(expanded, self.found)
        elif isinstance(written, Expose):
            self._expose(written)
        elif isinstance(expanded, Copy | Add):
            self._copied(expanded)

    def _expose(self, written: Expose) -> None:
        for word in written.ports:
            spec, slash, protocol = word.partition("/")
            if slash and "$" not in protocol and protocol != protocol.lower():
                self.found.add("ExposeProtoCasing", written.line, word, near=word)
            if ":" in re.sub(r"\$\{[^}]*\}", "", spec):
                self.found.add("ExposeInvalidFormat", written.line, word, near=word)

    def _copied(self, expanded: Copy | Add) -> None:
        if self.ignored is None or (isinstance(expanded, Copy) and expanded.from_):
            return
        word = "Copy" if isinstance(expanded, Copy) else "Add"
        for source in expanded.sources:
            path = source.lstrip("/").removeprefix("./").rstrip("/")
            if path and not _REMOTE.match(source) and self.ignored(path):
                self.found.add("CopyIgnoredFile", expanded.line, word, source, near=source)
