"""What --call=outline and --call=targets print: targets, arguments, secrets, and what they are for.

A comment directly above FROM or ARG that begins with the name of the stage or the argument
describes it.  Scope: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from rootless.build.dockerfile.expansion import expand
from rootless.build.dockerfile.instructions import Arg, Env, Run
from rootless.build.dockerfile.parser import Line
from rootless.build.dockerfile.report import Location, location
from rootless.build.dockerfile.source import printable
from rootless.build.dockerfile.stages import Stage, StageOrigin, Stages
from rootless.build.dockerfile.variables import Variables


class _Named(TypedDict):
    name: str
    location: Location


class Argument(_Named, total=False):
    """A build argument, with the value that it has now."""

    description: str
    value: str


class Wanted(_Named, total=False):
    """A secret, or a key of ssh."""

    required: bool


class CacheMount(TypedDict):
    """A cache."""

    ID: str
    location: Location


class Outline(TypedDict, total=False):
    """What a target can be given and what it uses."""

    name: str
    description: str
    args: list[Argument]
    secrets: list[Wanted]
    ssh: list[Wanted]
    cache: list[CacheMount]


class _Target(TypedDict):
    name: str
    location: Location


class Target(_Target, total=False):
    """A stage that can be built."""

    default: bool
    description: str
    base: str
    platform: str


class Targets(TypedDict):
    """All stages, in their order."""

    targets: list[Target]


def description(line: Line, name: str) -> str:
    """Return what the comment above says of a name, or nothing."""
    for comment in line.comments:
        if name and comment.startswith(name + " "):
            return comment[len(name) + 1 :].strip()
    return ""


def targets(found: Stages) -> Targets:
    """Return the stages of a file."""
    listed: list[Target] = []
    for stage in found.all:
        from_ = stage.written
        target: Target = {"name": from_.name, "location": location(from_.line.place)}
        if stage is found.all[-1]:
            target["default"] = True
        if about := description(from_.line, from_.name):
            target["description"] = about
        target["base"] = from_.image
        if from_.platform:
            target["platform"] = from_.platform
        listed.append(target)
    return {"targets": listed}


def outline(found: Stages) -> Outline:
    """Return what the target can be given and what it uses."""
    from_ = found.target.written
    made: Outline = {}
    if from_.name:
        made["name"] = from_.name
    if about := description(from_.line, from_.name):
        made["description"] = about
    collected = _Collected(found)
    for stage in found.needed:
        collected.stage(stage)
    made["args"] = sorted(collected.args.values(), key=_line_of)
    made["secrets"] = list(collected.secrets.values())
    made["ssh"] = list(collected.ssh.values())
    made["cache"] = list(collected.caches.values())
    return made


def _line_of(argument: Argument) -> int:
    return argument["location"]["ranges"][0]["start"]["line"]


class _Collected:
    """Goes through the stages that the target needs."""

    def __init__(self, found: Stages) -> None:
        self.found = found
        self.args: dict[str, Argument] = {}
        self.secrets: dict[str, Wanted] = {}
        self.ssh: dict[str, Wanted] = {}
        self.caches: dict[str, CacheMount] = {}
        self.ends: dict[int, Variables] = {}
        self._of_from()

    def _of_from(self) -> None:
        """Take the arguments of before the first FROM that the FROM of a needed stage uses."""
        used: set[str] = set()

        def lookup(name: str) -> str | None:
            used.add(name)
            return self.found.global_scope.get(name)

        for stage in self.found.needed:
            for text in (stage.written.image, stage.written.platform):
                expand(text, lookup, escape=stage.written.line.escape)
        # a default may use others, which stand above it
        for arg in reversed(self.found.global_args):
            for name, default in arg.args:
                if name in used:
                    self._arg(arg, name, self.found.global_scope.get(name))
                    expand(default or "", lookup, escape=arg.line.escape)

    def _arg(self, arg: Arg, name: str, value: str | None) -> None:
        made: Argument = {"name": name, "location": location(arg.line.place)}
        if about := description(arg.line, name):
            made["description"] = about
        if value is not None:
            made["value"] = value
        self.args[name] = made

    def stage(self, stage: Stage) -> None:
        """Go through one stage; that from which it begins came before."""
        parent = None
        if isinstance(stage.origin, StageOrigin):
            parent = self.ends.get(stage.origin.index)
        variables = self.found.variables(stage, {}, parent)
        inherited = {name: arg for arg in self.found.global_args for name, _ in arg.args}
        for instruction in (*stage.triggers, *stage.instructions):
            if isinstance(instruction, Arg):
                declared = dict(instruction.args)
                for name, value in variables.declare(instruction):
                    # of one that is only taken over, the first declaration says what it is for
                    alone = declared[name] is None and name in inherited
                    self._arg(inherited[name] if alone else instruction, name, value)
            elif isinstance(instruction, Env):
                for name, text in instruction.expanded(variables.lookup).pairs:
                    variables.set(name, text)
            elif isinstance(instruction, Run):
                self._mounts(instruction.expanded(variables.lookup))
        self.ends[stage.index] = variables

    def _mounts(self, run: Run) -> None:
        place = location(run.line.place)
        for mount in run.mounts:
            if mount.type == "cache":
                name = mount.id or mount.target
                self.caches.setdefault(name, {"ID": name, "location": place})
            elif mount.type in ("secret", "ssh"):
                where = self.secrets if mount.type == "secret" else self.ssh
                name = mount.id or mount.source or mount.target.rpartition("/")[2] or "default"
                wanted: Wanted = {"name": name, "location": place}
                before = where.get(name)
                if mount.required or (before is not None and before.get("required")):
                    wanted["required"] = True
                where[name] = wanted


def targets_text(listed: Targets) -> str:
    """Return what --call=targets prints."""
    rows = [("TARGET", "DESCRIPTION")]
    for target in listed["targets"]:
        name = target["name"]
        if target.get("default"):
            name = f"{name} (default)" if name else "(default)"
        rows.append((name, target.get("description", "")))
    return _table(rows)


def outline_text(made: Outline) -> str:
    """Return what --call=outline prints."""
    head = f"TARGET:      {printable(made.get('name', 'default'))}\n"
    if about := made.get("description"):
        head += f"DESCRIPTION: {printable(about)}\n"
    blocks = [head]
    if args := made.get("args"):
        blocks.append(
            _table(
                [
                    ("BUILD ARG", "VALUE", "DESCRIPTION"),
                    *((a["name"], a.get("value", ""), a.get("description", "")) for a in args),
                ]
            )
        )
    for title, wanted in (("SECRET", made.get("secrets")), ("SSH", made.get("ssh"))):
        if wanted:
            rows = [(w["name"], "true" if w.get("required") else "") for w in wanted]
            blocks.append(_table([(title, "REQUIRED"), *rows]))
    if caches := made.get("cache"):
        blocks.append(_table([("CACHE",), *((cache["ID"],) for cache in caches)]))
    return "\n".join(blocks)


def _table(rows: Iterable[Sequence[str]]) -> str:
    """Return columns, as wide as what is in them, with three spaces between."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
    return "\n".join(lines) + "\n"
