#!/usr/bin/python3
"""The table of differences between rootless and the tools that it is held against.

    tests/run tests/differential -m '' --junitxml=/tmp/found.xml      # all lines of the list
    tests/differential/table.py take /tmp/found.xml                   # take in what was found
    tests/differential/table.py print [--verdict gap] [WORD]
    tests/differential/table.py count
    tests/differential/table.py docs                                  # write docs/compatibility.md

`take` keeps the verdict and the reason of a difference that is still there, takes out what no
longer differs, and adds what is new as a gap.  Lines that were not run keep their entries.
"""

from __future__ import annotations

import argparse
import collections
import json
import signal
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from differential import compare, listing
from differential.compare import Entry

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/compatibility.md"


def found_in(paths: list[Path]) -> Iterator[tuple[str, str, list[list[str]]]]:
    """Line, name that rootless was called by, differences, from reports of pytest."""
    for path in paths:
        for one in ElementTree.parse(path).iter("property"):
            if one.get("name") == "differences":
                line, called, differences = json.loads(one.get("value", ""))
                yield line, called, differences


def take(paths: list[Path]) -> None:
    """Take in what a run has found."""
    entries = {entry.key: entry for entry in compare.load()}
    lines = {line.id for line in listing.load()}
    kept = {key: entry for key, entry in entries.items() if entry.command in lines}
    for line, called, differences in found_in(paths):
        kept = {key: entry for key, entry in kept.items() if key[:2] != (line, called)}
        for against, aspect, theirs, ours in differences:
            made = Entry(line, called, against, aspect, theirs, ours)
            old = entries.get(made.key)
            if old:
                made = replace(made, verdict=old.verdict, reason=old.reason)
            kept[made.key] = made
    compare.write(kept.values())
    new = len([key for key in kept if key not in entries])
    gone = len([key for key in entries if key not in kept])
    print(f"{len(kept)} differences, {new} of them new; {gone} are gone")


def show(verdict: str, word: str) -> None:
    """Print entries."""
    last = ""
    for entry in compare.load():
        if verdict and entry.verdict != verdict or word not in json.dumps(entry.key):
            continue
        if entry.command != last:
            last = entry.command
            print(f"\n{entry.command}")
        print(f"    {entry.aspect}: {entry.verdict}{': ' if entry.reason else ''}{entry.reason}")
        for name, said in ((entry.against, entry.theirs), (entry.called, entry.ours)):
            first, *rest = said.splitlines() or [""]
            print("\n".join([f"        {name:9} {first}", *(f"{'':18} {one}" for one in rest)]))


def count() -> None:
    """Print how many lines there are, and how many differences with which verdict."""
    lines = listing.load()
    entries = compare.load()
    print(f"{len(lines)} lines, {sum(line.daily for line in lines)} of them daily")
    differing = {entry.command for entry in entries}
    unanswered = [line for line in lines if line.against != "podman"]
    print(f"{len(lines) - len(differing) - len(unanswered)} the same in everything, "
          f"{len(unanswered)} wait for an answer of docker")  # fmt: skip
    for verdict, number in collections.Counter(entry.verdict for entry in entries).most_common():
        of = len({entry.command for entry in entries if entry.verdict == verdict})
        print(f"{number} differences of {of} lines: {verdict}")


HEAD = """# Compatibility with podman and docker

Command lines for podman and docker are command lines for `rootless`. Where the two exclude each
other, it does what docker does.

The lines below are from the table of the differential tests (`tests/differential`), in which the
same command lines run through podman and `rootless`. What is not done yet is not here: for that see
`tests/differential/table.py print --verdict gap`.
"""
TITLES = {"on purpose": "Differs on purpose", "impossible": "Impossible without root"}


def document() -> str:
    """The text of docs/compatibility.md."""
    known = compare.reasons()
    examples: dict[str, list[str]] = {}
    for entry in compare.load():
        line = entry.command.partition(": ")[2]
        if line not in examples.setdefault(entry.reason, []):
            examples[entry.reason].append(line)
    text = HEAD
    for verdict in compare.TOLD:
        text += f"\n## {TITLES[verdict]}\n\n"
        for reason in known.values():
            if reason.verdict == verdict and reason.name in examples:
                shown = sorted(examples[reason.name], key=len)[:2]
                text += f"- {reason.says.strip()}\n" + "".join(f"  `{one}`\n" for one in shown)
    return text


def main() -> None:
    """Do what the words say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("take").add_argument("report", nargs="+", type=Path)
    shown = verbs.add_parser("print")
    shown.add_argument("--verdict", default="", choices=["", *compare.VERDICTS])
    shown.add_argument("word", nargs="?", default="")
    verbs.add_parser("count")
    verbs.add_parser("docs")
    given = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if given.verb == "take":
        take(given.report)
    elif given.verb == "print":
        show(given.verdict, given.word)
    elif given.verb == "docs":
        DOCUMENT.write_text(document())
    else:
        count()


if __name__ == "__main__":
    main()
