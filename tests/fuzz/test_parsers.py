"""The parsers in C read mutated plans, orders, frames, messages and maps under the sanitizers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import TREE

SOURCE = Path(__file__).parent / "parsers.c"
TARGETS = ("records", "orders", "frames", "attach", "keys", "notify", "maps")


class Change(NamedTuple):
    """In `file` (below the tree) `old`, which is there once, becomes `new`."""

    file: str
    old: str
    new: str


# what each target must find when it is taken out
PROTECTIONS = {
    "records": Change("helpers/lib/records.c", "bytes >= length - at || ", ""),
    "orders": Change("helpers/monitor/orders.c", "i < r->argc ? r->argv[i] : \"\"", "r->argv[i]"),
    "frames": Change("helpers/lib/channel.c", "i < take && one->small_length < sizeof one->small",
                     "i < take"),
    "attach": Change("helpers/programs/attach.c",
                     "i < take && frame.small_length < sizeof frame.small", "i < take"),
    "keys": Change("helpers/programs/attach.c", "passed[4096 + sizeof keys]", "passed[2048]"),
    "notify": Change("helpers/monitor/sd_notify.c", "!allowed(line) || ", ""),
    "maps": Change("helpers/lib/id_maps.c", "m->words == MOST_WORDS - 1 || ", ""),
}  # fmt: skip


def build(scratch: Path, *changes: Change) -> Path:
    """The driver with the parsers of this tree, or with a change in them; made once."""
    name = hashlib.sha256(repr(changes).encode()).hexdigest()[:12]
    program = scratch / f"parsers-{name}"
    if program.exists():
        return program
    helpers = scratch / f"parsers-{name}-{os.getpid()}"
    shutil.copytree(TREE / "helpers", helpers, dirs_exist_ok=True)
    for change in changes:
        path = helpers / Path(change.file).relative_to("helpers")
        text = path.read_text()
        assert text.count(change.old) == 1, f"{change.file} has not once: {change.old}"
        path.write_text(text.replace(change.old, change.new))
    flags = "-std=gnu11 -O1 -g -w -fsanitize=address,undefined -fno-sanitize-recover=all".split()
    words = ["gcc", *flags, f"-I{helpers}", "-o", helpers / "parsers", SOURCE]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (helpers / "parsers").rename(program)
    return program


def feed(program: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the driver; nothing that it never frees is of interest."""
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:handle_abort=0",
           "UBSAN_OPTIONS": "print_stacktrace=1:abort_on_error=1"}  # fmt: skip
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=100, env=env,
                          input=given)  # fmt: skip


@pytest.mark.parametrize("seconds", [0, pytest.param(9, marks=pytest.mark.long)])
@pytest.mark.parametrize("target", TARGETS)
def test_mutated_input_does_no_harm(scratch: Path, target: str, seconds: int) -> None:
    # the long run goes on where the daily one ends
    words = ["100000", "0", str(seconds)] if seconds else ["0", "4000"]
    done = feed(build(scratch), target, *words)
    assert done.returncode == 0, done.stderr[-8000:]
    assert "inputs" in done.stdout


@pytest.mark.parametrize("target", [
    "records", *(pytest.param(one, marks=pytest.mark.long) for one in TARGETS[1:])
])  # fmt: skip
def test_a_check_that_is_missing_is_found(scratch: Path, target: str) -> None:
    program = build(scratch, PROTECTIONS[target])
    done = feed(program, target, "0", "100000")
    assert done.returncode != 0 and "input: " in done.stderr, done.stdout
    # the input that is printed shows it again
    shown = done.stderr.partition("input: ")[2].split()[0]
    again = feed(program, target, "-", given=shown)
    # what stands beside the input (keys that were chosen, pieces of a stream) is not in it
    assert again.returncode != 0 or target in ("keys", "frames"), again.stdout
