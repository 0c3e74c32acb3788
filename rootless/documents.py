"""JSON documents on disk: read, written by atomic rename, guarded by locks.

`import json` costs as much as half a container's start because it compiles regular expressions
for callers that this project does not have; the C scanner and encoder beneath it cost nothing.
They are used directly where they fit, and the json package wherever they do not.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

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
    except BaseException:
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
