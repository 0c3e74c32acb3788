"""The list of command lines: the files of the directory commands.

    [box]                           the world that the following lines start in, see worlds.py
    * podman ps -a                  * : also in the daily run
    docker: docker stack ls         only docker knows this: its answer must have been recorded
    # a remark

A line is one of the shell, in which `podman` and `docker` are the tool that is tried.  What makes a
line is its text and its world, so no line needs a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from differential.answers import commands_of, verb_of

COMMANDS = Path(__file__).parent / "commands"


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    world: str
    text: str
    daily: bool
    # the tool whose answer ours is held against
    against: str
    file: str

    @property
    def id(self) -> str:
        """World and text."""
        return f"{self.world}: {self.text}"

    @property
    def terminal(self) -> bool:
        """Whether somebody types it at a terminal."""
        typed = re.search(r" (-it|-ti|-i -t|-t -i) ", self.text) is not None
        return typed and self.file in ("first_commands.txt", "examples.txt")

    @property
    def verbs(self) -> list[str]:
        """The tool's verbs in it."""
        return [verb_of(words) for words in commands_of(self.text)]


def load() -> list[Line]:
    """All lines, in the order of the files."""
    found: dict[str, Line] = {}
    for path in sorted(COMMANDS.glob("*.txt")):
        world = ""
        for number, text in enumerate(path.read_text().splitlines(), 1):
            text = text.strip()
            if not text or text.startswith("#"):
                continue
            if match := re.fullmatch(r"\[([\w-]+)\]", text):
                world = match[1]
                continue
            daily = text.startswith("* ")
            text = text.removeprefix("* ")
            against = "docker" if text.startswith("docker: ") else "podman"
            text = text.removeprefix("docker: ")
            line = Line(world, text, daily, against, path.name)
            if not world or line.id in found:
                raise ValueError(
                    f"{path.name}:{number}: {'twice' if world else 'no world'}: {text}"
                )
            found[line.id] = line
    return list(found.values())
