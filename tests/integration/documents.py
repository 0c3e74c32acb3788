"""Examples in the documentation, found and run: what a document shows must be what happens."""

from __future__ import annotations

import re
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Example:
    """A block of code in a document, and the `text` block that follows it directly, if any."""

    def __init__(self, where: str, language: str, code: str, shown: str | None) -> None:
        self.where = where
        self.language = language
        self.code = code
        self.shown = shown


def examples(name: str, language: str) -> list[Example]:
    """All blocks of a language in a document, in order; `where` is `docs/python.md:12`."""
    text = (TREE / name).read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    found = []
    for number, block in enumerate(blocks):
        if block[1] != language:
            continue
        shown = None
        if number + 1 < len(blocks):
            following = blocks[number + 1]
            if following[1] == "text" and not text[block.end() : following.start()].strip():
                shown = following[2]
        line = text.count("\n", 0, block.start()) + 1
        found.append(Example(f"{name}:{line}", language, block[2], shown))
    return found
