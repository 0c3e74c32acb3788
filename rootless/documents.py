"""JSON documents on disk: read, written by atomic rename, guarded by locks.

`import json` costs as much as half a container's start because it compiles regular expressions
for callers that this project does not have; the C scanner and encoder beneath it cost nothing.
They are used directly where they fit, and the json package wherever they do not.

A document may have been cut short by a disk, or changed by a person: `read_as` compares what it
reads with a shape, so that whoever uses it need not expect anything else:

    str  int  float (an int, too)  bool  None    a value of that kind; text without NUL
    [shape]                                      a list of such
    {"key": shape, "key?": shape}                a table; keys with ? may be missing
    {"*": shape}                                 a table of such
    (shape, shape)                               one of these
    frozenset({"a", "b"})                        one of these texts
    a function                                   whatever it says yes to
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rootless.errors import DamagedDocument

    # a JSON value as the decoder gives it
    Json = Any


class _ScannerOptions:
    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


def loads(text: str) -> Json:
    """Decode one JSON document.  Raises ValueError."""
    try:
        from _json import make_scanner

        stripped = text.strip(" \t\n\r")
        value, end = make_scanner(_ScannerOptions())(stripped, 0)  # type: ignore[arg-type]
        if end == len(stripped):
            return value
    except (
        ImportError, StopIteration, TypeError, AttributeError, SystemError, RecursionError
    ):  # fmt: skip
        # SystemError: what it says of text that ends too early, where json would add the words
        pass
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dumps(value: Json, *, indent: bool = False) -> str:
    """Encode as JSON; keys keep their order; compact unless `indent`."""
    if not indent:
        try:
            from _json import encode_basestring_ascii, make_encoder

            encode = make_encoder(
                None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True
            )
            return "".join(encode(value, 0))
        except (ImportError, TypeError):
            pass
    import json

    if indent:
        return json.dumps(value, indent=4)
    return json.dumps(value, separators=(",", ":"))


def _refuse(value: object) -> str:
    raise ValueError(f"{value!r} has no form in JSON")


def read(path: str) -> Json:
    """The document at `path`.  Raises OSError, ValueError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    finally:
        os.close(fd)
    return loads(b"".join(parts).decode())


def read_as(path: str, shape: Json, remedy: str, *, newest: int | None = None) -> Json:
    """The document at `path`, of that shape.  Raises OSError, DamagedDocument, NewerDocument.

    `remedy` is the hint: what the user can do about a damaged one.  `newest`: the highest "version"
    that the caller understands; a document without one is of version 0.
    """
    try:
        found = read(path)
    except ValueError:
        raise damaged(path, _not_json(path), remedy) from None
    if newest is not None:
        refuse_newer(path, found, newest)
    if not fits(found, shape):
        raise damaged(path, fault(found, shape), remedy)
    return found


def refuse_newer(path: str, found: Json, newest: int) -> None:
    """Raise NewerDocument for a document of a version above `newest`."""
    version = found.get("version", 0) if type(found) is dict else 0
    if type(version) is not int or version <= newest:
        return
    from rootless.errors import NewerDocument

    problem = f"it has the version {version}, and {newest} is the newest that is known here"
    raise NewerDocument(
        f"the document {path} was written by a newer rootless: {problem}",
        hint="update rootless: the document is not damaged, and is not repaired",
        path=path,
        problem=problem,
    )


def damaged(path: str, problem: str, remedy: str) -> DamagedDocument:
    """The error that says so."""
    from rootless.errors import DamagedDocument

    return DamagedDocument(
        f"the document {path} is damaged: {problem}", hint=remedy, path=path, problem=problem
    )


def _not_json(path: str) -> str:
    return "it is empty" if os.path.getsize(path) == 0 else "it is not JSON"


_NOTHING = object()


_members: dict[int, list[tuple[str, bool, Json]]] = {}


def _listed(shape: dict[str, Json]) -> list[tuple[str, bool, Json]]:
    """The keys of a shape, whether they must be there, and their shapes; kept with the shape.

    Lists of a thousand containers go through this, so no key is looked at twice.
    """
    made = [(key.removesuffix("?"), key[-1] != "?", shape[key]) for key in shape if key != "*"]
    _members[id(shape)] = made
    _shapes.append(shape)  # an id is that of one thing for as long as the thing is there
    return made


_shapes: list[Json] = []
function = type(_listed)


def fits(value: Json, shape: Json) -> bool:
    """Whether a value has a shape."""
    kind = type(shape)
    if kind is dict:
        if type(value) is not dict:
            return False
        listed = _members.get(id(shape))
        for name, required, inner in _listed(shape) if listed is None else listed:
            found = value.get(name, _NOTHING)
            if found is _NOTHING:
                if required:
                    return False
            elif inner is str:
                if type(found) is not str or not text(found):
                    return False
            elif type(found) is inner is not float:
                continue
            elif type(inner) is function:
                if not inner(found):
                    return False
            elif not fits(found, inner):
                return False
        if "*" in shape:
            inner = shape["*"]
            for key in value:
                if not (type(key) is str and text(key) and fits(value[key], inner)):
                    return False
        return True
    if kind is function:
        return bool(shape(value))
    if shape is str:
        return type(value) is str and text(value)
    if shape is float:
        # as JSON says it, and no infinity
        return type(value) in (int, float) and -1e300 < value < 1e300
    if kind is type:
        return type(value) is shape
    if kind is list:
        return type(value) is list and all([fits(one, shape[0]) for one in value])
    if kind is tuple:
        return any([fits(value, one) for one in shape])
    if kind is frozenset:
        return type(value) is str and value in shape
    if shape is None:
        return value is None
    return bool(shape(value))


def words(value: Json) -> bool:
    """[str], in one go."""
    try:
        return type(value) is list and text("".join(value))
    except TypeError:
        return False


def texts(value: Json) -> bool:
    """{"*": str}, in one go."""
    try:
        return type(value) is dict and text("".join(value)) and text("".join(value.values()))
    except TypeError:
        return False


def text(value: str) -> bool:
    """Whether a text can be a path, an argument, or printed: odd bytes are escaped, NUL is none."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def fault(value: Json, shape: Json, at: str = "") -> str:
    """What does not fit, in words: `its "created" is missing`."""
    if type(shape) is dict and type(value) is dict:
        for key in value if "*" in shape else shape:
            name = key.removesuffix("?")
            inner = shape["*"] if "*" in shape else shape[key]
            if "*" in shape or name in value:
                if not (text(name) and fits(value[name], inner)):
                    return fault(value[name], inner, f"{at}.{name}" if at else name)
            elif name == key:
                return f'"{at}.{name}" is missing' if at else f'"{name}" is missing'
    elif type(shape) is list and type(value) is list:
        for number, one in enumerate(value):
            if not fits(one, shape[0]):
                return fault(one, shape[0], f"{at}[{number}]")
    if not at:
        return f"it is {_KINDS.get(type(value), 'something else')} and not what belongs there"
    return f'its "{ascii(at)[1:-1]}" is not what belongs there'


_KINDS = {dict: "a table", list: "a list", str: "a text", int: "a number", float: "a number",
          bool: "true or false", type(None): "null"}  # fmt: skip


def write(path: str, value: Json, *, durable: bool = False) -> None:
    """Replace the document at `path` in one step; a reader sees the old one or the new one."""
    write_bytes(path, dumps(value).encode(), durable=durable)


def write_bytes(path: str, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """As `write`, for bytes.  `durable` waits for the disk; use it for what cannot be had again."""
    temporary = f"{path}.{os.getpid()}.{_serial()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # write(2) knows no names, and whoever tells of it needs one
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise


_count = iter(range(1 << 62))


def _serial() -> int:
    return next(_count)


class Lock:
    """An advisory lock on a file, held by this process until closed (flock(2)); a context manager.

    The kernel drops it when the process dies, so `kill -9` leaves no lock behind.
    """

    def __init__(self, path: str, *, shared: bool = False, blocking: bool = True) -> None:
        """Raises BlockingIOError when `blocking` is false and somebody else holds it."""
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._hold(fd, shared=shared, blocking=blocking)

    def _hold(self, fd: int, *, shared: bool, blocking: bool) -> None:
        import fcntl

        self.fd = fd
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(fd, kind if blocking else kind | fcntl.LOCK_NB)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DirectoryLock(Lock):
    """As Lock, on a directory itself: whoever makes what is in it holds this while it lives."""

    def __init__(self, path: str, *, blocking: bool = False) -> None:
        """Raises BlockingIOError when somebody holds it and not `blocking`, FileNotFoundError."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._hold(fd, shared=False, blocking=blocking)


def names_in(directory: str) -> Iterator[str]:
    """Names in a directory, sorted; none if it does not exist."""
    try:
        return iter(sorted(os.listdir(directory)))
    except FileNotFoundError:
        return iter(())
