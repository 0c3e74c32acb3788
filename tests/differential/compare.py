"""Where two answers differ, aspect by aspect, and the table that says what is thought of each."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from differential.answers import Answer

TABLE = Path(__file__).parent / "differences.jsonl"
REASONS = Path(__file__).parent / "reasons.toml"

# docs/compatibility.md has a part for each of these
TOLD = ("on purpose", "impossible")
VERDICTS = {
    "same": "it differs in what nobody relies on, or because of the host of the tests",
    "other tool": "it is what the other tool does, which is followed here",
    "on purpose": "it differs, and is meant to",
    "impossible": "it cannot be had without root",
    "gap": "not done yet",
}


@dataclass(frozen=True)
class Difference:
    """One aspect in which a tool and the one that it is held against differ."""

    command: str
    # the name that rootless is called by
    called: str
    # the tool that it is held against
    against: str
    aspect: str
    theirs: str
    ours: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What an entry is found by."""
        return self.command, self.called, self.against, self.aspect


@dataclass(frozen=True)
class Entry(Difference):
    """A difference that is known."""

    verdict: str = "gap"
    # a name of reasons.toml, which has the sentence; a gap may have none
    reason: str = ""


def compare(theirs: Answer, ours: Answer) -> Iterator[tuple[str, str, str]]:
    """Aspect, theirs, ours of each difference."""
    if theirs.status != ours.status:
        yield "status", str(theirs.status), str(ours.status)
        if 0 in (theirs.status, ours.status):
            return  # all else follows from it
    if theirs.streams != ours.streams:
        yield "streams", theirs.streams, ours.streams
    elif theirs.form != ours.form:
        yield "form", theirs.form, ours.form
    if theirs.form == ours.form and theirs.output != ours.output:
        yield "output", theirs.output or "", ours.output or ""
    if theirs.columns and ours.columns and theirs.columns != ours.columns:
        yield "columns", "  ".join(theirs.columns), "  ".join(ours.columns)
    if theirs.fields and ours.fields:
        yield from _fields(theirs.fields, ours.fields)
    for kind in sorted({*theirs.effects, *ours.effects}):
        one, other = theirs.effects.get(kind, {}), ours.effects.get(kind, {})
        if one != other:
            yield kind, _said(one), _said(other)


def _said(effects: dict[str, str]) -> str:
    return "; ".join(f"{name}: {what}" for name, what in sorted(effects.items())) or "nothing"


def _fields(theirs: dict[str, str], ours: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for path in sorted({*theirs, *ours}):
        one, other = theirs.get(path, "-"), ours.get(path, "-")
        if one == other or "null" in (one, other) and "-" not in (one, other):
            continue
        missing = ours if other == "-" else theirs
        # what is inside a field that is missing is missing too, and an empty array has no elements
        parents = [path[:end] for end, sign in enumerate(path) if end and sign in ".["]
        if any({side.get(parent, "-") for side in (theirs, ours)} & {"-", "null"}
               or path.startswith(parent + "[]") and parent + "[]" not in missing
               for parent in parents):  # fmt: skip
            continue
        yield f"field {path}", one, other


# ------------------------------------------------- the table


def load(path: Path = TABLE) -> list[Entry]:
    """The entries of the table."""
    if not path.exists():
        return []
    return [Entry(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]


def write(entries: Iterable[Entry], path: Path = TABLE) -> None:
    """Write the table, sorted."""
    lines = [json.dumps(asdict(entry), ensure_ascii=False) for entry in
             sorted(entries, key=lambda entry: entry.key)]  # fmt: skip
    path.write_text("".join(f"{line}\n" for line in lines))


@dataclass(frozen=True)
class Reason:
    """Why something differs.  `says` is for users, where docs/compatibility.md has it."""

    name: str
    verdict: str
    says: str


def reasons() -> dict[str, Reason]:
    """All reasons, by name."""
    return {name: Reason(name, **data) for name, data in tomllib.loads(REASONS.read_text()).items()}


def wrong(entry: Entry, known: dict[str, Reason]) -> str:
    """What is wrong with an entry's verdict, or nothing."""
    if entry.verdict not in VERDICTS:
        return f"no such verdict: {entry.verdict}"
    if not entry.reason:
        return "" if entry.verdict == "gap" else f"no reason why it is {entry.verdict!r}"
    reason = known.get(entry.reason)
    if reason is None:
        return f"no such reason: {entry.reason}"
    if reason.verdict != entry.verdict:
        return f"the reason {reason.name} is for {reason.verdict!r}, not {entry.verdict!r}"
    return ""


def complaints(known: Iterable[Entry], found: Iterable[Difference]) -> list[str]:
    """What of one command is not in the table, is there and not so, or is different now."""
    entries = {entry.key: entry for entry in known}
    differences = {one.key: one for one in found}
    said = []
    for key, one in differences.items():
        entry = entries.get(key)
        shown = f"{one.aspect}: {one.against} {one.theirs!r}, {one.called} {one.ours!r}"
        if entry is None:
            said.append(f"a new difference\n    {shown}")
        elif (entry.theirs, entry.ours) != (one.theirs, one.ours):
            said.append(f"the table has {one.against} {entry.theirs!r}, {one.called} "
                        f"{entry.ours!r}\n    {shown}")  # fmt: skip
    said += [f"no longer differs, take it out of the table: {entry.aspect}"
             for key, entry in entries.items() if key not in differences]  # fmt: skip
    return said
