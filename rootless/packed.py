"""All of the package's bytecode in one file: half as many system calls at the start of a command.

Importing a module from a directory costs five or six system calls and a few path searches; `run`
imports seventy.  install.sh writes the file beside the package, its launcher calls `use`.  Nothing
depends on it: a module whose source has changed since, and every module when the file is missing,
damaged or another Python's, is imported as usual.

The file: a mark, the length of the head, the head: marshal of (Python's magic number, table);
then the code objects, each marshalled.  table: module name -> (is it a package, offset from the
end of the head, length, its source's mtime in ns and size).
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MARK = b"rootless pack 1\n"


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
    table: dict[str, tuple[bool, int, int, int, int]] = {}
    codes = []
    at = 0
    for source in _sources(_PACKAGE):
        name = "rootless" + source[len(_PACKAGE) : -3].replace("/", ".")
        package = name.endswith(".__init__")
        with open(source, "rb") as opened:
            found = os.fstat(opened.fileno())
            code = compile(opened.read(), source, "exec", dont_inherit=True)
        data = marshal.dumps(code)
        key = name.removesuffix(".__init__")
        table[key] = (package, at, len(data), found.st_mtime_ns, found.st_size)
        codes.append(data)
        at += len(data)
    head = marshal.dumps((_magic(), table))
    file = file or path()
    with open(file + ".new", "wb") as out:
        out.write(_MARK + len(head).to_bytes(4, "little") + head)
        out.writelines(codes)
    os.replace(file + ".new", file)
    return file


def _magic() -> bytes:
    # importlib.util, which has it too, would cost more than it saves
    import _frozen_importlib_external

    return _frozen_importlib_external.MAGIC_NUMBER


def _sources(directory: str) -> list[str]:
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

    def __init__(
        self, fd: int, table: dict[str, tuple[bool, int, int, int, int]], base: int
    ) -> None:
        self.fd = fd
        self.table = table
        self.base = base
        self.spec = type(sys.__spec__)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is in the file and has not changed since."""
        entry = self.table.get(name)
        if entry is None:
            return None
        package, _, _, changed, size = entry
        place = _PACKAGE + name[8:].replace(".", "/")
        source = place + "/__init__.py" if package else place + ".py"
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

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run its code."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """The code of a module (also for `python -m`)."""
        _, at, length, _, _ = self.table[name]
        code: CodeType = marshal.loads(os.pread(self.fd, length, self.base + at))
        return code
