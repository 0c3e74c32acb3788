"""The file with all bytecode: used where it fits, and never instead of what the sources say."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rootless
from rootless import packed

PACKAGE = Path(rootless.__file__).parent


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with its file of bytecode."""
    path = tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, path / "rootless", ignore=shutil.ignore_patterns("__pycache__", "bin"))
    ask(path, "packed.write()")
    return path


def ask(tree: Path, code: str) -> str:
    """What a fresh interpreter prints that has the copy on its path."""
    begin = f"import sys; sys.path.insert(0, {str(tree)!r})\nfrom rootless import packed\n"
    words = [sys.executable, "-ISB", "-c", begin + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TELL = """
packed.use()
from rootless import errors, engine
import rootless.engine.names as names
print(type(errors.__loader__).__name__, type(names.__loader__).__name__)
print(names.__file__, engine.__path__, names.check.__code__.co_filename)
"""


def test_modules_come_from_the_file(tree: Path) -> None:
    loaders, places = ask(tree, TELL).splitlines()
    assert loaders == "_Finder _Finder"
    source = tree / "rootless/engine/names.py"
    assert places == f"{source} ['{tree}/rootless/engine'] {source}"


def test_every_module_is_in_it(tree: Path) -> None:
    said = ask(tree, "print(len(packed._sources(packed._PACKAGE)))")
    data = (tree / "rootless" / Path(packed.path()).name).read_bytes()
    length = int.from_bytes(data[16:20], "little")
    _, table = marshal.loads(data[20 : 20 + length])
    assert len(table) == int(said) == len(list(PACKAGE.rglob("*.py")))
    assert "rootless.cli.lean" in table and "rootless.cli" in table


def test_a_source_that_changed_counts(tree: Path) -> None:
    source = tree / "rootless/engine/names.py"
    old = source.read_text()
    try:
        source.write_text(old + "\n# changed\n")
        assert ask(tree, TELL).splitlines()[0] == "_Finder SourceFileLoader"
    finally:
        source.write_text(old)
        ask(tree, "packed.write()")


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "other-python"])
def test_a_file_that_cannot_be_used_is_not(tree: Path, tmp_path: Path, damage: str) -> None:
    data = (tree / "rootless" / Path(packed.path()).name).read_bytes()
    length = int.from_bytes(data[16:20], "little")
    file = tmp_path / "pack"
    magic, table = marshal.loads(data[20 : 20 + length])
    other = marshal.dumps((b"\0\0" + magic[2:], table))
    texts = {
        "empty": b"",
        "cut": data[: 20 + length // 2],
        "noise": os.urandom(4096),
        "other-python": data[:16] + len(other).to_bytes(4, "little") + other + data[20 + length :],
    }
    if damage in texts:
        file.write_bytes(texts[damage])
    code = TELL.replace("packed.use()", f"packed.use({str(file)!r})")
    assert ask(tree, code).splitlines()[0] == "SourceFileLoader SourceFileLoader"


def test_a_traceback_shows_the_source(tree: Path) -> None:
    code = """
packed.use()
import traceback
from rootless.engine import names
try:
    names.check("-x")
except Exception:
    print(traceback.format_exc())
"""
    assert "raise UsageError(" in ask(tree, code)
