"""What --check prints: findings with the lines around them, or the JSON that others read.

Scope: pure.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypedDict

from rootless.build.dockerfile.parser import Dockerfile
from rootless.build.dockerfile.source import DockerfileError, Place, Warning_, printable

_AROUND = 2
_LINES_MAX = 10
_RULER = "-" * 20


class Position(TypedDict):
    """A line, from 1."""

    line: int


class Range(TypedDict):
    """Lines, both included."""

    start: Position
    end: Position


class Location(TypedDict):
    """Where in the first of the sources something is."""

    ranges: list[Range]


class Finding(TypedDict):
    """One finding of a rule."""

    ruleName: str
    description: str
    url: str
    detail: str
    location: Location


class Source(TypedDict):
    """A file, its bytes in base64."""

    filename: str
    data: str
    language: str


class BuildError(TypedDict):
    """What keeps the file from being built."""

    message: str
    location: Location


class _Results(TypedDict):
    warnings: list[Finding]
    sources: list[Source]


class Results(_Results, total=False):
    """All that --check finds."""

    buildError: BuildError


def summary(found: Sequence[Warning_]) -> str:
    """Return the sentence that says how many findings there are."""
    if not found:
        return "Check complete, no warnings found."
    count = "1 warning has" if len(found) == 1 else f"{len(found)} warnings have"
    return f"Check complete, {count} been found!"


def text(
    found: Sequence[Warning_], dockerfile: Dockerfile, error: DockerfileError | None = None
) -> str:
    """Return what --check prints."""
    blocks = [summary(found)]
    for warning in found:
        address = f" - {warning.url}" if warning.url else ""
        head = f"WARNING: {warning.rule}{address}\n{warning.text}"
        blocks.append(f"{head}\n{_around(warning.place, dockerfile)}")
    if error is not None:
        blocks.append(f"ERROR: {error.report()}")
    return "\n\n".join(blocks) + "\n"


def results(
    found: Sequence[Warning_],
    dockerfile: Dockerfile,
    data: bytes,
    error: DockerfileError | None = None,
) -> Results:
    """Return the document of `--call=check,format=json`.  `data`: the bytes of the file."""
    made: Results = {
        "warnings": [
            {
                "ruleName": warning.rule,
                "description": warning.description,
                "url": warning.url,
                "detail": warning.text,
                "location": location(warning.place),
            }
            for warning in found
        ],
        "sources": [
            {
                "filename": dockerfile.name,
                "data": base64.b64encode(data).decode("ascii"),
                "language": "Dockerfile",
            }
        ],
    }
    if error is not None:
        made["buildError"] = {"message": error.sentence, "location": location(error.place)}
    return made


def location(place: Place) -> Location:
    """Return a place as the documents of builders have it."""
    return {"ranges": [{"start": {"line": place.first}, "end": {"line": place.last}}]}


def _around(place: Place, dockerfile: Dockerfile) -> str:
    """Return the lines of a place and some around them, those of the place marked."""
    last = min(place.last, place.first + _LINES_MAX - 1)
    begin = max(place.first - _AROUND, 1)
    end = min(last + _AROUND, len(dockerfile.physical))
    lines = []
    for number in range(begin, end + 1):
        sign = ">>>" if place.first <= number <= last else "   "
        shown = printable(dockerfile.physical[number - 1], tabs=True)
        lines.append(f"{number:4} | {sign} {shown}".rstrip())
    return "\n".join([f"{place}", _RULER, *lines, _RULER])
