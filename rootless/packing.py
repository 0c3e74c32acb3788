"""Writes what an installation has beside the package: the file of bytecode that `packed` reads,
the launchers that begin with it, and the module that a host's Python finds by `import rootless`."""

from __future__ import annotations

import ast
import marshal
import os

from rootless import packed
from rootless.packed import FUTURE, MARK, PACKAGE, source_of

_LAUNCHER = """#!{python} -IS
# {note}
import sys
sys.path += {paths}
try:
    try:
        # the module `packed` is in the file as well, so that nothing has to be looked for
        import _frozen_importlib_external as importing, marshal, os
        fd = os.open({file}, os.O_RDONLY | os.O_CLOEXEC)
        begin = os.pread(fd, {begin}, 0)
        if begin[:20] == {mark!r} + importing.MAGIC_NUMBER:
            names = {{"__name__": "rootless.packed", "__file__": {own!r}}}
            code = os.pread(fd, int.from_bytes(begin[20:24], "little"), {begin})
            exec(marshal.loads(code), names)
            names["take"](fd)
    except (OSError, ValueError, EOFError, TypeError):
        pass
    from rootless.{module} import main
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(main())
"""

# The libraries of the installation are nobody else's: only a process that imports this one sees
# them, at the end of its path, so that no other program finds versions that it did not choose, and
# pip does not take them for its own.
_LIBRARY = """# {note}
\"\"\"The library of the installation in {site}.\"\"\"

import importlib.util
import sys

sys.path += [path for path in {paths} if path not in sys.path]
_spec = importlib.util.spec_from_file_location(
    "rootless", {package!r} + "/__init__.py", submodule_search_locations=[{package!r}]
)
# whoever imports this module gets what stands here when it has run
sys.modules["rootless"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["rootless"])
if __name__ == "__main__":
    from rootless.cli.main import main

    sys.exit(main())
"""


def library(site: str, note: str) -> str:
    """A module `rootless.py` that becomes the package of an installation in `site`."""
    package = f"{site}/rootless"
    paths = [site, f"{package}/_vendor"]
    return _LIBRARY.format(note=note, site=site, paths=paths, package=package)


def launcher(
    python: str,
    module: str,
    note: str,
    paths: list[str],
    file: str = "",
    *,
    package: str = PACKAGE,
) -> str:
    """A program that starts `main` of a module under `python`, which finds its modules in `paths`.

    `file` is the file of bytecode, by default the one beside the package; `package` is where that
    will be when the program starts.
    """
    beside = f"{os.path.join(package, 'packed.')!r} + sys.implementation.cache_tag + '.bin'"
    return _LAUNCHER.format(
        python=python, module=module, note=note, paths=paths, file=repr(file) if file else beside,
        own=os.path.join(package, "packed.py"), mark=MARK, begin=packed.BEGIN,
    )  # fmt: skip


def write(file: str = "") -> str:
    """Make the file; its path.  Raises OSError."""
    found = {
        "rootless" + source[len(PACKAGE) : -3].replace("/", "."): source
        for source in sources(PACKAGE)
    }
    texts = {}
    for name, source in {**found, FUTURE: source_of(FUTURE)}.items():
        with open(source, "rb") as opened:
            texts[name.removesuffix(".__init__")] = (source, opened.read())
    imports = {name: _imports(text, set(texts)) for name, (_, text) in texts.items()}
    table: dict[str, bytes] = {}
    codes: list[bytes] = []
    own = b""
    at = 0
    for name, (source, text) in texts.items():
        code = compile(stripped(text), source, "exec", dont_inherit=True)
        both = (marshal.dumps(_needed(name, imports)), marshal.dumps(code))
        numbers = [number.to_bytes(4, "little") for number in (at, len(both[0]), len(both[1]))]
        package = bytes([source.endswith("/__init__.py")])
        table[name] = b"".join([package, *numbers, packed.version(os.stat(source))])
        if name == packed.__name__:
            own = both[1]
        codes += both
        at += len(both[0]) + len(both[1])
    head = marshal.dumps(table)
    file = file or packed.path()
    with open(file + ".new", "wb") as out:
        lengths = [len(part).to_bytes(4, "little") for part in (own, head)]
        out.writelines([MARK, packed.magic(), *lengths, own, head, *codes])
    os.replace(file + ".new", file)
    return file


def stripped(text: bytes) -> ast.Module:
    """A module without what costs at each start and changes nothing that it does.

    That is: what stands below `if TYPE_CHECKING`, annotations of functions, documentation.  Lines
    keep their numbers, for tracebacks; annotations in classes stay, because they may be fields.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
            words = node.args
            for one in [*words.posonlyargs, *words.args, *words.kwonlyargs]:
                one.annotation = None
            for two in (words.vararg, words.kwarg):
                if two is not None:
                    two.annotation = None
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, _without(body, needs_one=name == "body"))
    return tree


def _without(body: list[ast.stmt], *, needs_one: bool) -> list[ast.stmt]:
    made: list[ast.stmt] = []
    for one in body:
        match one:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                made += one.orelse
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                made.append(one)
    if needs_one and body and not made:
        made.append(ast.copy_location(ast.Pass(), body[0]))
    return made


def _imports(text: bytes, known: set[str]) -> list[str]:
    """What a module imports when it runs, and not in a function, of the modules that are known."""
    found: list[str] = []
    for one in ast.parse(text).body:
        if isinstance(one, ast.Import):
            found.extend(alias.name for alias in one.names)
        elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
            found.append(one.module)
            found.extend(f"{one.module}.{alias.name}" for alias in one.names)
    return [name for name in found if name in known]


def _needed(name: str, imports: dict[str, list[str]]) -> tuple[str, ...]:
    """All that a module leads to, each after what that leads to; nothing that leads back to it."""
    done: dict[str, None] = {}
    above: list[str] = [name]

    def visit(one: str) -> None:
        if one in done or one in above:
            return
        parent = one.rpartition(".")[0]
        above.append(one)
        for other in [*([parent] if parent else []), *imports[one]]:
            visit(other)
        above.pop()
        done[one] = None

    for one in imports[name]:
        visit(one)
    parents = {name[:at] for at, letter in enumerate(name) if letter == "."}
    return tuple(one for one in done if one not in parents and not _leads(one, name, imports))


def _leads(one: str, to: str, imports: dict[str, list[str]]) -> bool:
    seen, waiting = set(), [one]
    while waiting:
        at = waiting.pop()
        if at == to:
            return True
        if at not in seen:
            seen.add(at)
            waiting += imports[at]
    return False


def sources(directory: str) -> list[str]:
    """All modules of the package, as paths."""
    found = []
    for entry in sorted(os.scandir(directory), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in ("_vendor", "bin", "__pycache__"):
                found += sources(entry.path)
        elif entry.name.endswith(".py"):
            found.append(entry.path)
    return found
