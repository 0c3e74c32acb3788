"""Reader of the tables beside it, and what a Dockerfile without RUN makes of an image.

A table has blocks: `--- NAME`, with options such as `--build-arg a=1` in brackets after it; the
lines of a Dockerfile; lines that begin with `=> ` and say what is expected.  Lines that begin with
`%%` are comments.  In a Dockerfile `§` is FROM scratch, `{cr}` a carriage return and `{nothing}` an
empty text.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rootless.build.dockerfile import instructions as kinds
from rootless.build.dockerfile.parser import parse
from rootless.build.dockerfile.stages import Stage, StageOrigin, Stages, stages
from rootless.build.dockerfile.variables import Variables

TABLES = Path(__file__).parent / "tables"
_HEAD = re.compile(r"--- (?P<name>.*?)(?:  \[(?P<options>.*)\])?")


class Row(NamedTuple):
    """One block of a table."""

    name: str
    options: dict[str, list[str]]
    text: str
    expected: list[str]

    @property
    def build_args(self) -> dict[str, str]:
        """What --build-arg says."""
        return dict(word.split("=", 1) for word in self.options.get("--build-arg", []))

    @property
    def target(self) -> str:
        """What --target says."""
        return self.options.get("--target", [""])[0]


def rows(table: str) -> list[Row]:
    """Read a table by its name."""
    found: list[Row] = []
    lines: list[str] = []
    for line in (TABLES / f"{table}.txt").read_text(encoding="utf-8").splitlines():
        head = _HEAD.fullmatch(line)
        if line.startswith("%%"):
            continue
        if head:
            options: dict[str, list[str]] = {}
            words = shlex.split(head["options"] or "")
            for flag, value in zip(words[::2], words[1::2], strict=True):
                options.setdefault(flag, []).append(value)
            lines = []
            found.append(Row(head["name"], options, "", []))
        elif line.startswith("=> "):
            found[-1].expected.append(line[3:])
        elif not found[-1].expected:
            lines.append(line)
            found[-1] = found[-1]._replace(text=_text(lines))
    assert len({row.name for row in found}) == len(found), "two blocks have one name"
    return found


def names(table: list[Row]) -> list[str]:
    """Names for pytest."""
    return [row.name for row in table]


def _text(lines: list[str]) -> str:
    written = ["FROM scratch" if line == "§" else line for line in lines]
    return "\n".join(written).replace("{cr}", "\r").replace("{nothing}", "") + "\n"


def read(text: str, build_args: Mapping[str, str] | None = None, target: str = "") -> Stages:
    """Read a Dockerfile to its stages."""
    return stages(parse(text.encode()), build_args=build_args, target=target)


class Image:
    """What the target comes to: its configuration, its here-documents, its mounts and commands."""

    def __init__(self, found: Stages) -> None:
        self.found = found
        self.config: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.copies: list[kinds.Copying] = []
        self.runs: list[tuple[kinds.Run, dict[str, str]]] = []
        self.variables = self._stage(found.target)

    def _stage(self, stage: Stage) -> Variables:
        parent = None
        if isinstance(stage.origin, StageOrigin):
            parent = self._stage(self.found.all[stage.origin.index])
        self.config.pop("OnBuild", None)
        self.here: set[str] = set()
        variables = self.found.variables(stage, {}, parent)
        for instruction in (*stage.triggers, *stage.instructions):
            self._apply(instruction, variables)
        return variables

    def _apply(self, written: kinds.Instruction, variables: Variables) -> None:
        config = self.config
        if isinstance(written, kinds.Arg):
            variables.declare(written)
            return
        done = written.expanded(variables.lookup)
        if isinstance(done, kinds.Env):
            environment = dict(pair.split("=", 1) for pair in config.get("Env", []))
            for name, value in done.pairs:
                variables.set(name, value)
                environment[name] = value
            config["Env"] = [f"{name}={value}" for name, value in environment.items()]
        elif isinstance(done, kinds.Label):
            config["Labels"] = config.get("Labels", {}) | dict(done.pairs)
        elif isinstance(done, kinds.Cmd | kinds.Entrypoint):
            shell = config.get("Shell", ["/bin/sh", "-c"])
            key = done.keyword.capitalize()
            argv = [*shell, done.shell] if done.argv is None else list(done.argv)
            config.pop(key, None)
            if argv:
                config[key] = argv
            if key == "Entrypoint" and "Cmd" not in self.here:
                config.pop("Cmd", None)
            self.here.add(key)
        elif isinstance(done, kinds.Expose):
            config["ExposedPorts"] = sorted({*config.get("ExposedPorts", []), *done.ports})
        elif isinstance(done, kinds.Volume):
            config["Volumes"] = sorted({*config.get("Volumes", []), *done.paths})
        elif isinstance(done, kinds.User):
            config["User"] = done.user
        elif isinstance(done, kinds.Workdir):
            before = config.get("WorkingDir", "/")
            absolute = done.path.startswith("/")
            joined = posixpath.normpath(posixpath.join(before, done.path))
            config["WorkingDir"] = done.path if absolute else joined
        elif isinstance(done, kinds.Stopsignal):
            config["StopSignal"] = done.signal
        elif isinstance(done, kinds.Shell):
            config["Shell"] = list(done.argv)
        elif isinstance(done, kinds.Maintainer):
            config["author"] = done.name
        elif isinstance(done, kinds.Onbuild):
            config["OnBuild"] = [*config.get("OnBuild", []), done.trigger]
        elif isinstance(done, kinds.Healthcheck):
            config["Healthcheck"] = _health(done)
        elif isinstance(done, kinds.Copying):
            self.copies.append(done)
            for document in done.inline:
                self.files[document.name] = document.text
        elif isinstance(done, kinds.Run):
            self.runs.append((done, dict(variables.environment) | variables.proxies))


def _health(done: kinds.Healthcheck) -> dict[str, Any]:
    found = {
        "Test": list(done.test),
        "Interval": done.interval,
        "Timeout": done.timeout,
        "StartPeriod": done.start_period,
        "StartInterval": done.start_interval,
        "Retries": done.retries,
    }
    return {key: value for key, value in found.items() if value}
