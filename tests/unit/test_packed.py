"""The file with all bytecode: used where it fits, and never instead of what the sources say."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rootless
from rootless import packed, packing

PACKAGE = Path(rootless.__file__).parent
WRITE = "from rootless import packing; packing.write()"


def parts(data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Mark and magic number, the code that reads it, the table, the modules."""
    code, table = (int.from_bytes(data[at : at + 4], "little") for at in (20, 24))
    first = packed.BEGIN + code
    return data[:20], data[packed.BEGIN : first], data[first : first + table], data[first + table :]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with its file of bytecode."""
    path = tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, path / "rootless", ignore=shutil.ignore_patterns("__pycache__", "bin"))
    ask(path, WRITE)
    return path


def ask(tree: Path, code: str) -> str:
    """What a fresh interpreter prints that has the copy on its path."""
    begin = f"import sys; sys.path.insert(0, {str(tree)!r})\nfrom rootless import packed\n"
    words = [sys.executable, "-ISB", "-c", begin + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


TELL = """
packed.use()
from rootless import errors, engine
import rootless.engine.containers.names as names
print(type(errors.__loader__).__name__, type(names.__loader__).__name__)
print(names.__file__, engine.__path__, names.check.__code__.co_filename)
"""


def test_modules_come_from_the_file(tree: Path) -> None:
    loaders, places = ask(tree, TELL).splitlines()
    assert loaders == "_Finder _Finder"
    source = tree / "rootless/engine/containers/names.py"
    assert places == f"{source} ['{tree}/rootless/engine'] {source}"


def test_every_module_is_in_it(tree: Path) -> None:
    said = ask(tree, "from rootless import packing; print(len(packing.sources(packed.PACKAGE)))")
    data = (tree / "rootless" / Path(packed.path()).name).read_bytes()
    table = marshal.loads(parts(data)[2])
    # and one of Python's own that every module begins with
    assert len(table) - 1 == int(said) == len(list(PACKAGE.rglob("*.py")))
    assert "__future__" in table
    assert "rootless.cli.main" in table and "rootless.cli" in table


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
    table = marshal.loads(parts(data)[2])
    known = f"known = {sorted(set(table) - {'__future__', 'rootless.__main__'})!r}\n"
    paths = f"sys.path += {[path for path in sys.path if 'site-packages' in path]!r}\n"
    usual = ask(tree, known + paths + ALONE).splitlines()
    fast = ask(tree, "packed.use()\n" + known + paths + ALONE).splitlines()
    assert fast == usual
    assert all(line.endswith(" []") for line in fast), [x for x in fast if not x.endswith(" []")]
    assert "rootless.engine.engine good" in "\n".join(fast)


def test_a_source_that_changed_counts(tree: Path) -> None:
    source = tree / "rootless/engine/containers/names.py"
    old = source.read_text()
    try:
        source.write_text(old + "\n# changed\n")
        assert ask(tree, TELL).splitlines()[0] == "_Finder SourceFileLoader"
    finally:
        source.write_text(old)
        ask(tree, WRITE)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "short", "noise", "other-python"])
def test_a_file_that_cannot_be_used_is_not(tree: Path, tmp_path: Path, damage: str) -> None:
    data = (tree / "rootless" / Path(packed.path()).name).read_bytes()
    first, code, table, modules = parts(data)
    lengths, file = data[20 : packed.BEGIN], tmp_path / "pack"
    texts = {
        "empty": b"",
        "cut": data[: packed.BEGIN + len(code) + len(table) // 2],
        "short": data[: packed.BEGIN + len(code) // 2],
        "noise": os.urandom(4096),
        "other-python": first[:16] + b"\0\0" + first[18:] + lengths + code + table + modules,
    }
    if damage in texts:
        file.write_bytes(texts[damage])
    code = TELL.replace("packed.use()", f"packed.use({str(file)!r})")
    assert ask(tree, code).splitlines()[0] == "SourceFileLoader SourceFileLoader"
    assert started(tree, file, tmp_path) == "SourceFileLoader"


def started(tree: Path, file: Path | None, scratch: Path) -> str:
    """Whose modules a launcher runs: it prints the loader of the one with `main`."""
    text = ask(tree, "from rootless import packing; print(packing.launcher("
                     f"{sys.executable!r}, 'errors', 'a test', [{str(tree)!r}], "
                     f"{str(file or '')!r}))")  # fmt: skip
    lines = text.replace("from rootless.errors import main", "from rootless import errors")
    lines = lines.replace("sys.exit(main())", "print(type(errors.__loader__).__name__)")
    script = scratch / "launcher"
    script.write_text(lines)
    done = subprocess.run([sys.executable, "-ISB", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_launcher_begins_with_it(tree: Path, tmp_path: Path) -> None:
    assert started(tree, None, tmp_path) == "_Finder"


def test_a_traceback_shows_the_source(tree: Path) -> None:
    code = """
packed.use()
import traceback
from rootless.engine.containers import names
try:
    names.check("-x")
except Exception:
    print(traceback.format_exc())
"""
    assert "raise UsageError(" in ask(tree, code)


@pytest.mark.parametrize(
    "first",
    [
        "import rootless; name = rootless.Engine.__module__",
        "from rootless import Engine; import rootless; name = Engine.__module__",
        "import rootless.errors; import rootless; name = 'rootless.engine.engine'",
    ],
)
def test_a_module_leads_to_the_library_of_an_installation(
    tree: Path, tmp_path: Path, first: str
) -> None:
    module = tmp_path / "rootless.py"
    module.write_text(ask(tree, "from rootless import packing; "
                                f"print(packing.library({str(tree)!r}, 'a test'))"))  # fmt: skip
    begin = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); before = list(sys.path)\n"
    end = "\nprint(name, rootless.__file__, sys.modules['rootless'] is rootless)\n" + (
        "print(*(place for place in sys.path if place not in before))"
    )
    done = subprocess.run([sys.executable, "-IB", "-c", begin + first + end], text=True,
                          capture_output=True, timeout=60)  # fmt: skip
    assert done.stderr == ""
    # the libraries of the installation are last, and only in a process that asked for it
    assert done.stdout.splitlines() == [
        f"rootless.engine.engine {tree}/rootless/__init__.py True",
        f"{tree} {tree}/rootless/_vendor",
    ]
    done = subprocess.run([sys.executable, module, "version"], capture_output=True, text=True)
    assert rootless.__version__ in done.stdout, done.stderr


def test_what_only_readers_need_is_left_out() -> None:
    code = compile(packing.stripped(SOURCE), "x", "exec", dont_inherit=True)
    names: dict[str, Any] = {}
    exec(code, names)
    assert "json" not in names and names["f"](1, y=2) == (1, (), 2, {})
    assert names["f"].__doc__ is None and names["f"].__annotations__ == {}
    assert names["C"].__annotations__ == {"field": "int"} and names["D"]().g() is None
    with pytest.raises(ZeroDivisionError) as caught:
        names["C"].fail()
    assert caught.traceback[-1].lineno + 1 == SOURCE.splitlines().index(b"        1 / 0") + 1


SOURCE = b'''"""A module."""
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    import json
class C:
    """A class."""
    field: int
    @staticmethod
    def fail():
        """A function."""
        1 / 0
def f(x: json.X, *z: int, y: int = 3, **w: int) -> int:
    """A function."""
    return x, z, y, w
class D:
    if TYPE_CHECKING:
        def g(self) -> int: ...
    else:
        def g(self):
            """Only this."""
'''
