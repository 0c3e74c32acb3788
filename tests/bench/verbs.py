#!/usr/bin/python3
"""How much processor time passes before a verb begins its own work, for every verb.

    python tests/bench/verbs.py [--times N] [--than TREE]

Each verb is called with as many words as it needs, N times (default 11), with all bytecode in one
file as install.sh has it; its own work is left out.  With --than another built tree is measured in
turn with this one.  Prints a table in Markdown: medians in milliseconds, and with --than their
ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
START = """\
import sys
sys.path += {paths}
from rootless import packed
packed.use({file})
from rootless.cli import main
main.perform = lambda *_: 0
sys.exit(main.main())
"""
PACK = "import sys; sys.path += {paths}; from rootless import packing; packing.write({file})"
VERBS = """\
import sys
sys.path += {paths}
from rootless.cli.table import VERBS
for name, (module, _) in VERBS.items():
    verb = __import__("rootless.cli.verbs." + module, fromlist=["VERB"]).VERB
    print(name, verb.minimum, sep=";")
"""


def program(tree: Path, directory: Path) -> list[str]:
    """The words that start a tree's command without the work of its verbs."""
    paths = [str(tree), sysconfig.get_paths()["purelib"]]
    file = str(directory / f"{tree.name}.bin")
    subprocess.run([PYTHON, "-IS", "-c", PACK.format(paths=paths, file=repr(file))], check=True)
    script = directory / f"{tree.name}.py"
    script.write_text(START.format(paths=paths, file=repr(file)))
    return [PYTHON, "-IS", str(script)]


def verbs(tree: Path) -> list[list[str]]:
    """The words of every verb, with as many words after it as it needs."""
    paths = [str(tree), sysconfig.get_paths()["purelib"]]
    words = [PYTHON, "-IS", "-c", VERBS.format(paths=paths)]
    done = subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE)
    rows = [line.split(";") for line in done.stdout.splitlines()]
    return [[*name.split(), *["x"] * int(count)] for name, count in rows if name != "runtime"]


def once(words: list[str], home: str) -> float:
    """Milliseconds of processor time of one use."""
    environment = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    actions = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    pid = os.posix_spawn(words[0], words, environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"error: {' '.join(words)}: {os.waitstatus_to_exitcode(status)}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="processor time before a verb's own work")
    parser.add_argument("--times", type=int, default=11)
    parser.add_argument("--than", type=Path, help="another built tree, the one before")
    given = parser.parse_args()
    trees = [TREE] if given.than is None else [given.than.resolve(), TREE]
    with tempfile.TemporaryDirectory() as name:
        programs = [program(tree, Path(name)) for tree in trees]
        sums = [0.0] * len(trees)
        print("| verb | before | after | after / before |" if given.than else "| verb | ms |")
        print("|---|---|---|---|" if given.than else "|---|---|")
        # those that both have
        for words in [one for one in verbs(trees[0]) if one in verbs(TREE)]:
            taken: list[list[float]] = [[] for _ in trees]
            for turn in range(given.times + 1):
                for at, start in enumerate(programs):
                    milliseconds = once([*start, *words], name)
                    if turn:  # the first fills caches
                        taken[at].append(milliseconds)
            found = [statistics.median(one) for one in taken]
            sums = [total + one for total, one in zip(sums, found, strict=True)]
            _row(" ".join(words), found)
            sys.stdout.flush()
        _row("**all**", sums)


def _row(name: str, found: list[float]) -> None:
    cells = [f"{one:.1f}" for one in found]
    if len(found) == 2:
        cells.append(f"{found[1] / found[0]:.2f}")
    print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
