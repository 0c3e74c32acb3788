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
    # and one of Python's own that every module begins with
    assert len(table) - 1 == int(said) == len(list(PACKAGE.rglob("*.py")))
    assert "__future__" in table
    assert "rootless.cli.lean" in table and "rootless.cli" in table


ALONE = """
import sys
kept = set(sys.modules)
for name in sorted(known):
    for one in set(sys.modules) - kept:
        if one.startswith("rootless"):
            del sys.modules[one]
            if one.count(".") == 1:
                vars(sys.modules["rootless"]).pop(one.partition(".")[2], None)
    try:
        __import__(name)
        said = "good"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    made = sorted(one for one in sys.modules if one.startswith("rootless"))
    wrong = [one for one in made
             if getattr(sys.modules[one].__spec__, "name", one) != one
             or "." in one and getattr(sys.modules[one.rpartition(".")[0]],
                                       one.rpartition(".")[2], None) is not sys.modules[one]]
    print(name, said, made, wrong)
"""


@pytest.mark.slow
def test_each_module_alone_brings_what_it_would_without_the_file(tree: Path) -> None:
    """What a module needs at once is made before it, in an order that works for each of them."""
    data = (tree / "rootless" / Path(packed.path()).name).read_bytes()
    length = int.from_bytes(data[16:20], "little")
    _, table = marshal.loads(data[20 : 20 + length])
    known = f"known = {sorted(set(table) - {'__future__', 'rootless.__main__'})!r}\n"
    paths = f"sys.path += {[path for path in sys.path if 'site-packages' in path]!r}\n"
    usual = ask(tree, known + paths + ALONE).splitlines()
    fast = ask(tree, "packed.use()\n" + known + paths + ALONE).splitlines()
    assert fast == usual
    assert all(line.endswith(" []") for line in fast), [x for x in fast if not x.endswith(" []")]
    assert "rootless.engine.engine good" in "\n".join(fast)


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
