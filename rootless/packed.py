"""All of the package's bytecode in one file: half as many system calls at the start of a command.

Importing a module from a directory costs five or six system calls and a few path searches; `run`
imports seventy.  install.sh writes the file beside the package (packing.py), its launchers read
this module from it and call `take`.  Nothing depends on it: a module whose source has changed
since, and every module when the file is missing, damaged or another Python's, is imported as usual.

The import system's own work for a module costs as much as running it.  So a module comes with all
that it will import: before it runs these are made without asking that system.

The file: a mark; Python's magic number; the lengths of the next two parts; this module's code; the
table; then every module, as marshal of the modules that it needs at once in the order of their
running, and marshal of its code without what only readers and mypy need (packing.stripped).  table:
module name -> an entry of little-endian numbers: is it a package (1 byte), offset from the end of
the table (4), lengths of the two parts (4, 4), its source's mtime in ns (8) and size (4).  The
table is read whole by every command, and bytes are read faster than tuples.
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

PACKAGE = os.path.dirname(os.path.abspath(__file__))
MARK = b"rootless pack 4\n"
FUTURE = "__future__"
BEGIN = 28
"""Length of what is before this module's code."""


def path() -> str:
    """Where the file of this Python is kept."""
    return os.path.join(PACKAGE, f"packed.{sys.implementation.cache_tag}.bin")


def use(file: str = "") -> None:
    """Import this package's modules from the file from now on, where it has them."""
    try:
        fd = os.open(file or path(), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    take(fd)


def take(fd: int) -> None:
    """The same with the file open; it is closed if it cannot be used."""
    try:
        begin = os.pread(fd, BEGIN, 0)
        code, length = (int.from_bytes(begin[at : at + 4], "little") for at in (20, 24))
        if begin[:20] != MARK + magic():
            raise ValueError(begin)
        head = os.pread(fd, length, BEGIN + code)
        if len(head) < length:
            raise ValueError(begin)
        table = marshal.loads(head)
    except (OSError, ValueError, EOFError, TypeError):
        os.close(fd)
        return
    sys.meta_path.insert(0, _Finder(fd, table, BEGIN + code + length))


def magic() -> bytes:
    """What tells this Python's bytecode from others'."""
    # importlib.util, which has it too, would cost more than it saves
    import _frozen_importlib_external

    return _frozen_importlib_external.MAGIC_NUMBER


def version(found: os.stat_result) -> bytes:
    """What tells a source from what it was."""
    return found.st_mtime_ns.to_bytes(8, "little") + found.st_size.to_bytes(4, "little")


def source_of(name: str) -> str:
    """Where the source of a module is, as the rest of Python's library lies beside `os`."""
    if name == FUTURE:
        return str(getattr(os, "__file__", "")).replace("os.py", "__future__.py")
    return PACKAGE + name[8:].replace(".", "/")


class _Finder:
    """Finder and loader in one (https://docs.python.org/3/reference/import.html)."""

    def __init__(self, fd: int, table: "dict[str, bytes]", base: int) -> None:
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
        package = entry[0]
        place = source_of(name)
        source = place + "/__init__.py" if package else place + ".py"
        if name == FUTURE:
            source = place
        try:
            found = os.stat(source)
        except OSError:
            return None
        if entry[13:] != version(found):
            return None
        spec = self.spec(name, self, origin=source, is_package=bool(package))  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """The usual kind of module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run its code, after that of all that it imports."""
        # the locks of the import system are passed by: with other threads it does all by itself
        if not _thread._count():
            for one in self._needed(module.__name__):
                if one not in sys.modules:
                    self._make(one)
        exec(self.get_code(module.__name__), module.__dict__)

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

    def _needed(self, name: str) -> "tuple[str, ...]":
        entry = self.table[name]
        begin, length = int.from_bytes(entry[1:5], "little"), int.from_bytes(entry[5:9], "little")
        found: tuple[str, ...] = marshal.loads(os.pread(self.fd, length, self.base + begin))
        return found

    def get_code(self, name: str) -> "CodeType":
        """The code of a module."""
        entry = self.table[name]
        begin, needed, length = (int.from_bytes(entry[at : at + 4], "little") for at in (1, 5, 9))
        found: CodeType = marshal.loads(os.pread(self.fd, length, self.base + begin + needed))
        return found
