"""Commands on a store whose documents are damaged, many of them quickly.

Scope: what test_documents_damaged.py shares.  `Driver` is one process that has everything loaded
and forks for each command, so that a case costs milliseconds; `changed` makes a document's damaged
forms.  Run as a program it is that process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SHAPES: list[Any] = [
    None, True, 0, -1, 10**30, 1.5, "", "x", "/", "a\0b", "\ud800", [], [None], ["x"], [[]], {},
    {"x": 1}, {"\ud800": ""},
]  # fmt: skip
BYTES = b'0"{[\\,: \x00\xffa}'


def changed(text: bytes) -> Iterator[bytes]:
    """All damaged forms of a document: cut, with a byte less or another one, of other shapes."""
    for at in range(len(text)):
        yield text[:at]
        yield text[:at] + text[at + 1 :]
        byte = BYTES[at % len(BYTES)]
        yield text[:at] + bytes([byte if text[at] != byte else 0x31]) + text[at + 1 :]
    yield from shaped(text)


def shaped(text: bytes) -> Iterator[bytes]:
    """Every value of it, and the whole, replaced by one of another shape; every key taken out."""
    whole = json.loads(text)
    for path in _paths(whole, ()):
        for value in [*SHAPES, "infinite", "missing"]:
            if not path and value == "missing":
                continue
            copy = json.loads(text)
            if path:
                holder = copy
                for step in path[:-1]:
                    holder = holder[step]
                if value == "missing":
                    del holder[path[-1]]
                else:
                    holder[path[-1]] = value
            else:
                copy = value
            yield json.dumps(copy).replace('"infinite"', "1e999").encode()
    yield b"[" * 100_000
    yield b"9" * 5000


def _paths(value: Any, at: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield at
    inner: Any = value.items() if isinstance(value, dict) else ()
    for key, one in (
        inner if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    ):
        yield from _paths(one, (*at, key))


class Driver:
    """Runs commands in children of one process."""

    def __init__(self, words: Sequence[str], env: dict[str, str], work: Path) -> None:
        self.process = subprocess.Popen(
            [*words[:2], __file__, words[2]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=env, cwd=work,
        )  # fmt: skip

    def __call__(self, path: Path, data: bytes, words: list[str], whole: bytes) -> tuple[int, str]:
        """Exit status and standard error of a command while a document has other contents."""
        assert self.process.stdin is not None and self.process.stdout is not None
        order = {"path": str(path), "data": data.hex(), "words": words, "whole": whole.hex()}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["said"]

    def close(self) -> None:
        """No more of it."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def main() -> None:
    """Take orders, a line of JSON each."""
    entry = Path(sys.argv[1]).read_text().splitlines()
    # the lines of the entry script that say where the package is
    exec("\n".join(line for line in entry if not line.startswith("sys.exit")), {})
    from rootless.cli import main as cli_main
    from rootless.cli import table

    for name in table.VERBS:
        table.load(name)
    command = cli_main.main
    said = os.memfd_create("said")
    null = os.open(os.devnull, os.O_RDWR)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        path, words = Path(order["path"]), order["words"]
        before = bytes.fromhex(order["whole"])
        replace(path, bytes.fromhex(order["data"]))
        os.ftruncate(said, 0)
        os.lseek(said, 0, os.SEEK_SET)
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            for fd, to in ((null, 0), (null, 1), (said, 2)):
                os.dup2(fd, to)
            signal.alarm(20)
            code = 1
            try:
                code = command(words)
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        replace(path, before)
        told = os.pread(said, 4000, 0).decode(errors="replace")
        code = os.waitstatus_to_exitcode(status)
        sys.stdout.write(json.dumps({"code": code, "said": told}) + "\n")
        sys.stdout.flush()


def replace(path: Path, data: bytes) -> None:
    """Other contents for a document, as a person's editor gives them."""
    if path.exists() and path.read_bytes() == data:
        return
    new = path.with_name(path.name + ".edited")
    new.write_bytes(data)
    new.chmod(0o644)
    new.rename(path)


if __name__ == "__main__":
    main()
