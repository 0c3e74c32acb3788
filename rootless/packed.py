"""All of the package's bytecode in one file: half as many system calls at the start of a command.

Importing a module from a directory costs five or six system calls and a few path searches; `run`
imports seventy.  install.sh writes the file beside the package, its launcher calls `use`.  Nothing
depends on it: a module whose source has changed since, and every module when the file is missing,
damaged or another Python's, is imported as usual.

The import system's own work for a module costs as much as running it.  So a module comes with all
that it will import: before it runs these are made without asking that system.

The file: a mark, the length of the head, the head: marshal of (Python's magic number, table);
then the code objects, each marshalled.  table: module name -> (is it a package, offset from the
end of the head, length, its source's mtime in ns and size, the modules that it needs at once in
the order of their running).
"""

# no `from __future__`, here and in the package's own module: that is a file of its own to be found

import _thread
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    Entry = tuple[bool, int, int, int, int, tuple[str, ...]]

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MARK = b"rootless pack 2\n"
_FUTURE = "__future__"


def path() -> str:
    """Where the file of this Python is kept."""
    return os.path.join(_PACKAGE, f"packed.{sys.implementation.cache_tag}.bin")


def use(file: str = "") -> None:
    """Import this package's modules from the file from now on, where it has them."""
    try:
        fd = os.open(file or path(), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        begin = os.pread(fd, 20, 0)
        length = int.from_bytes(begin[16:], "little")
        head = os.pread(fd, length, 20)
        if begin[:16] != _MARK or len(head) < length:
            raise ValueError(file)
        magic, table = marshal.loads(head)
        if magic != _magic():
            raise ValueError(file)
    except (OSError, ValueError, EOFError, TypeError):
        os.close(fd)
        return
    sys.meta_path.insert(0, _Finder(fd, table, 20 + length))


def write(file: str = "") -> str:
    """Make the file; its path.  Raises OSError."""
    found = {
        "rootless" + source[len(_PACKAGE) : -3].replace("/", "."): source
        for source in _sources(_PACKAGE)
    }
    texts = {}
    for name, source in {**found, _FUTURE: _source_of(_FUTURE)}.items():
        with open(source, "rb") as opened:
            texts[name.removesuffix(".__init__")] = (source, opened.read())
    imports = {name: _imports(text, set(texts)) for name, (_, text) in texts.items()}
    table: dict[str, Entry] = {}
    codes = []
    at = 0
    for name, (source, text) in texts.items():
        status = os.stat(source)
        data = marshal.dumps(compile(text, source, "exec", dont_inherit=True))
        package = source.endswith("/__init__.py")
        needed = _needed(name, imports)
        table[name] = (package, at, len(data), status.st_mtime_ns, status.st_size, needed)
        codes.append(data)
        at += len(data)
    head = marshal.dumps((_magic(), table))
    file = file or path()
    with open(file + ".new", "wb") as out:
        out.write(_MARK + len(head).to_bytes(4, "little") + head)
        out.writelines(codes)
    os.replace(file + ".new", file)
    return file


def _imports(text: bytes, known: "set[str]") -> "list[str]":
    """What a module imports when it runs, and not in a function, of the modules that are known."""
    import ast

    found: list[str] = []

    def look(statements: "list[ast.stmt]") -> None:
        for one in statements:
            if isinstance(one, ast.Import):
                found.extend(alias.name for alias in one.names)
            elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
                found.append(one.module)
                found.extend(f"{one.module}.{alias.name}" for alias in one.names)

    look(ast.parse(text).body)
    return [name for name in found if name in known]


def _needed(name: str, imports: "dict[str, list[str]]") -> "tuple[str, ...]":
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


def _leads(one: str, to: str, imports: "dict[str, list[str]]") -> bool:
    seen, waiting = set(), [one]
    while waiting:
        at = waiting.pop()
        if at == to:
            return True
        if at not in seen:
            seen.add(at)
            waiting += imports[at]
    return False


def _magic() -> bytes:
    # importlib.util, which has it too, would cost more than it saves
    import _frozen_importlib_external

    return _frozen_importlib_external.MAGIC_NUMBER


def _source_of(name: str) -> str:
    """Where the source of a module is, as the rest of Python's library lies beside `os`."""
    if name == _FUTURE:
        return os.__file__.replace("os.py", "__future__.py")
    return _PACKAGE + name[8:].replace(".", "/")


def _sources(directory: str) -> "list[str]":
    found = []
    for entry in sorted(os.scandir(directory), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in ("_vendor", "bin", "__pycache__"):
                found += _sources(entry.path)
        elif entry.name.endswith(".py"):
            found.append(entry.path)
    return found


class _Finder:
    """Finder and loader in one (https://docs.python.org/3/reference/import.html)."""

    def __init__(self, fd: int, table: "dict[str, Entry]", base: int) -> None:
        self.fd = fd
        self.table = table
        self.base = base
        self.spec = type(sys.__spec__)

    def find_spec(
        self,
        name: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """The spec of a module that is in the file and has not changed since."""
        entry = self.table.get(name)
        if entry is None:
            return None
        package, _, _, changed, size, _ = entry
        place = _source_of(name)
        source = place + "/__init__.py" if package else place + ".py"
        if name == _FUTURE:
            source = place
        try:
            found = os.stat(source)
        except OSError:
            return None
        if (found.st_mtime_ns, found.st_size) != (changed, size):
            return None
        spec = self.spec(name, self, origin=source, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """The usual kind of module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run its code, after that of all that it imports."""
        name = module.__name__
        # the locks of the import system are passed by: with other threads it does all by itself
        if not _thread._count():
            for one in self.table[name][5]:
                if one not in sys.modules:
                    self._make(one)
        exec(self.get_code(name), module.__dict__)

    def _make(self, name: str) -> None:
        """What `import` would do; not for a module whose source has changed."""
        spec = self.find_spec(name)
        parent, _, last = name.rpartition(".")
        if spec is None or (parent and parent not in sys.modules):
            return
        made = type(sys)(name)
        made.__spec__, made.__file__ = spec, spec.origin
        made.__loader__ = self  # type: ignore[assignment]
        made.__package__ = parent
        if spec.submodule_search_locations is not None:
            made.__path__ = spec.submodule_search_locations
            made.__package__ = name
        sys.modules[name] = made
        try:
            exec(self.get_code(name), made.__dict__)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        if parent:
            setattr(sys.modules[parent], last, made)

    def get_code(self, name: str) -> "CodeType":
        """The code of a module (also for `python -m`)."""
        _, at, length, _, _, _ = self.table[name]
        code: CodeType = marshal.loads(os.pread(self.fd, length, self.base + at))
        return code
