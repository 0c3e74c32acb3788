"""Which flags of the tools, as their `--help` has them, no line of the list tries."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from differential.answers import commands_of, verb_of
from differential.listing import Line

# Verb -> option -> its short form, or ""
Flags = dict[str, dict[str, str]]

# What only a swarm, or a daemon with plugins and a content trust server, has: the verb is tried,
# its flags mean nothing where the verb is unknown.
WHOLE = ("swarm", "service", "stack", "node", "config", "plugin", "trust", "buildx", "completion")
OPTION = re.compile(r"^\s+(?:-(\w), |\s*)--([a-z][\w-]*)")


def flags_of(tool: str) -> Flags:
    """Every verb of a tool with its flags.

    run has what create has, and is tried instead of it where that is easier to see.
    """
    found: Flags = {}
    # as the package has it, whatever else is on the search path
    for words, text in _helps([f"/usr/bin/{tool}"]):
        flags = found.setdefault(_verb(words), {})
        for line in text.splitlines():
            if match := OPTION.match(line):
                flags[match[2]] = match[1] or ""
    return found


def _verb(words: list[str]) -> str:
    verb = verb_of(words)
    return {"create": "run"}.get(verb, verb)


def _helps(words: list[str]) -> Iterator[tuple[list[str], str]]:
    done = subprocess.run([*words, "--help"], capture_output=True, text=True, check=False)
    yield words, done.stdout
    commands = False
    for line in done.stdout.splitlines():
        if line.endswith("Commands:"):
            commands = True
        elif not line.strip():
            commands = False
        elif (commands and (match := re.match(r"  ([a-z][\w-]*)\*?\s", line))
              and match[1] not in ("help", *words)):  # fmt: skip
            yield from _helps([*words, match[1]])


def tried(lines: list[Line]) -> dict[str, set[str]]:
    """Verb -> what of it looks like a flag in some line."""
    found: dict[str, set[str]] = {}
    for line in lines:
        for words in commands_of(line.text):
            verb = _verb(words)
            for word in words[1:]:
                if word.startswith("--"):
                    # flags before the verb are those of the tool
                    for one in ("", verb):
                        found.setdefault(one, set()).add(word[2:].partition("=")[0])
                elif word.startswith("-"):
                    for one in ("", verb):
                        found.setdefault(one, set()).update(word[1:])
    return found


def untried(tool: str, lines: list[Line]) -> list[str]:
    """The flags that no line has, as `verb --flag`."""
    seen = tried(lines)
    missing = []
    for verb, flags in flags_of(tool).items():
        if verb.split(" ")[0] in WHOLE:
            continue
        for long, short in flags.items():
            if not {long, short} & seen.get(verb, set()) - {""}:
                missing.append(f"{verb} --{long}")
    return missing
