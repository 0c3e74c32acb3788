"""From what a user names as a context to a directory and a Dockerfile."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from rootless.build import resolve
from rootless.build.contexts import git
from rootless.build.ignore import Patterns
from rootless.errors import NotFound, UsageError

_MOST_DOCKERFILE = 16 << 20
_IGNORE_FILES = (".containerignore", ".dockerignore")
_MAGIC = (
    (0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ\0"), (0, b"\x28\xb5\x2f\xfd"), (257, b"ustar"),
)  # fmt: skip


@dataclass
class Givers:
    """What other rooms do for contexts.

    `unpack(file, directory)` puts an archive, plain or compressed, into an empty directory;
    `fetch(address, directory)` brings a file from an http address and returns its path there.
    """

    unpack: Callable[[BinaryIO, str], None]
    fetch: Callable[[str, str], str]
    scratch: str
    secret: Callable[[str], bytes | None] = field(default=lambda _: None)


@dataclass
class Context:
    """A directory, what of it is left out, and the Dockerfile.  A context manager: at the end what
    was made for it is removed."""

    path: str
    dockerfile: bytes = b""
    dockerfile_name: str = "Dockerfile"
    ignore: Patterns | None = None
    ignore_name: str = ""
    temporary: str = ""
    shown: str = ""
    commit: str = ""

    def open(self) -> int:
        """A descriptor of its top.  The caller closes it."""
        return resolve.open_root(self.path)

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was made."""
        if self.temporary:
            _remove(self.temporary)
            self.temporary = ""


def open_context(
    name: str,
    file: str | None,
    givers: Givers,
    *,
    stdin: BinaryIO | None = None,
    ignore_file: str | None = None,
    as_docker: bool = False,
    dockerfile: bytes | None = None,
) -> Context:
    """The context `name` and its Dockerfile `file` (None: the usual names; `-`: from `stdin`).

    `dockerfile`: its content, which is given apart; the context's ignore file holds all the same,
    and `name` may be os.devnull, for no files.  Raises UsageError, NotFound.
    """
    if dockerfile is not None:
        context = _empty(givers) if name == os.devnull else _place(name, givers, stdin)
        try:
            _find_ignore(context, "-", ignore_file)
        except BaseException:
            context.close()
            raise
        context.dockerfile, context.dockerfile_name = dockerfile, file or "Dockerfile"
        return context
    if name == "-" and file == "-":
        raise UsageError("the context and the Dockerfile cannot both be standard input")
    context = _place(name, givers, stdin)
    try:
        if context.dockerfile and file is None:
            return context
        _find_dockerfile(context, file, stdin, as_docker=as_docker)
        _find_ignore(context, file, ignore_file)
    except BaseException:
        context.close()
        raise
    return context


def open_named(name: str, givers: Givers) -> Context:
    """A further context (--build-context NAME=WHERE) that is no image.  It has its own ignore file.

    Raises UsageError, NotFound.
    """
    context = _place(name, givers, None)
    try:
        _find_ignore(context, None, None)
    except BaseException:
        context.close()
        raise
    return context


def _place(name: str, givers: Givers, stdin: BinaryIO | None) -> Context:
    if name == "-":
        if stdin is None:
            raise UsageError("there is no standard input to read the context from")
        return _from_stream(stdin, givers, "-")
    if git.is_repository(name):
        temporary = _temporary(givers)
        try:
            found = git.checkout(name, temporary, secret=givers.secret)
        except BaseException:
            _remove(temporary)
            raise
        return Context(found.path, temporary=temporary, shown=found.shown, commit=found.commit)
    if name.startswith(("http://", "https://")):
        temporary = _temporary(givers)
        try:
            fetched = givers.fetch(name, temporary)
            with open(fetched, "rb") as file:
                context = _from_stream(file, givers, name)
        finally:
            _remove(temporary)
        return context
    path = os.path.abspath(os.path.expanduser(name))
    if os.path.isdir(path):
        return Context(path, shown=name)
    if os.path.isfile(path):
        with open(path, "rb") as file:
            head = file.read(512)
            file.seek(0)
            if not _is_archive(head):
                raise UsageError(
                    f"the context {name} is a file, and no archive",
                    hint="name a directory, and the Dockerfile with -f",
                )
            return _from_stream(file, givers, name)
    raise UsageError(f"the context {name} does not exist", hint="a directory, as in: build -t x .")


def _remove(path: str) -> None:
    # brings compressors along, which most builds do without
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _temporary(givers: Givers) -> str:
    import tempfile

    os.makedirs(givers.scratch, 0o700, exist_ok=True)
    return tempfile.mkdtemp(prefix="context-", dir=givers.scratch)


def _empty(givers: Givers) -> Context:
    temporary = _temporary(givers)
    path = os.path.join(temporary, "context")
    os.mkdir(path, 0o755)
    return Context(path, temporary=temporary)


def _is_archive(head: bytes) -> bool:
    return any(head[at : at + len(magic)] == magic for at, magic in _MAGIC)


def _from_stream(stream: BinaryIO, givers: Givers, shown: str) -> Context:
    """An archive, or a Dockerfile alone."""
    head = b""
    while len(head) < 512 and (part := stream.read(512 - len(head))):
        head += part
    temporary = _temporary(givers)
    context = Context(os.path.join(temporary, "context"), temporary=temporary, shown=shown)
    try:
        os.mkdir(context.path, 0o755)
        if _is_archive(head):
            givers.unpack(_Again(head, stream), context.path)  # type: ignore[arg-type]
            return context
        data = _small(head + stream.read(_MOST_DOCKERFILE + 1 - len(head)), "the Dockerfile")
        if not data.strip():
            raise UsageError("the Dockerfile on standard input is empty" if shown == "-" else
                             f"{shown} is empty")  # fmt: skip
        context.dockerfile = data
        return context
    except BaseException:
        context.close()
        raise


class _Again:
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if self._head:
            if size is None or size < 0:
                data, self._head = self._head, b""
                return data + self._stream.read()
            data, self._head = self._head[:size], self._head[size:]
            return data
        return self._stream.read(size)

    def readable(self) -> bool:
        return True


def _find_dockerfile(
    context: Context, file: str | None, stdin: BinaryIO | None, *, as_docker: bool
) -> None:
    if file == "-":
        if stdin is None:
            raise UsageError("there is no standard input to read the Dockerfile from")
        context.dockerfile = _small(stdin.read(_MOST_DOCKERFILE + 1), "the Dockerfile")
        return
    if file is None:
        names = ["Dockerfile"] if as_docker else ["Containerfile", "Dockerfile"]
        for name in names:
            data = _inside(context, name)
            if data is not None:
                context.dockerfile, context.dockerfile_name = data, name
                return
        raise NotFound(
            f"there is no {' and no '.join(names)} in {context.shown}",
            hint="name it with -f, relative to the current directory",
        )
    # as docker: below the current directory first, where a context is a directory of this host
    path = os.path.abspath(os.path.expanduser(file))
    if not context.temporary:
        for candidate in (path, os.path.join(context.path, file)):
            data = _of_host(candidate, f"the Dockerfile {file}")
            if data is not None:
                context.dockerfile, context.dockerfile_name = data, file
                return
    else:
        data = _inside(context, file)
        if data is None:
            data = _of_host(path, f"the Dockerfile {file}")
        if data is not None:
            context.dockerfile, context.dockerfile_name = data, file
            return
    raise NotFound(f"the Dockerfile {file} does not exist")


def _inside(context: Context, name: str) -> bytes | None:
    """A file of the context, whose links may not lead out of it."""
    root = context.open()
    try:
        found = _read_small(root, name)
        if found is None and resolve.lookup(root, resolve.canonical(root, name)) is not None:
            raise UsageError(f"{name} of the context is not a file that can be read")
        return found
    finally:
        os.close(root)


def _read_small(root: int, name: str) -> bytes | None:
    found = resolve.read_file(root, name, _MOST_DOCKERFILE + 1)
    return None if found is None else _small(found, name)


def _of_host(path: str, shown: str) -> bytes | None:
    """A regular file at a path that the user has named, None for none.  What lies there may be of
    a stranger's tree: nobody writes to a pipe in it, so none is waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return _small(opened.read(_MOST_DOCKERFILE + 1), shown)


def _small(data: bytes, shown: str) -> bytes:
    """Refuse what is too large: a part of an ignore file would let through what the rest excludes,
    and a part of a Dockerfile is another Dockerfile."""
    if len(data) > _MOST_DOCKERFILE:
        raise UsageError(f"{shown} is larger than {_MOST_DOCKERFILE >> 20} MiB")
    return data


def _find_ignore(context: Context, file: str | None, given: str | None) -> None:
    if given is not None:
        try:
            with open(os.path.expanduser(given), "rb") as opened:
                data = _small(opened.read(_MOST_DOCKERFILE + 1), f"--ignorefile {given}")
        except OSError as error:
            raise UsageError(f"--ignorefile {given}: {(error.strerror or '').lower()}") from None
        _take(context, data, given)
        return
    if file not in (None, "-") and not context.temporary:
        path = os.path.abspath(os.path.expanduser(str(file)))
        beside = path if os.path.isfile(path) else os.path.join(context.path, str(file))
        found = _of_host(beside + ".dockerignore", f"{file}.dockerignore")
        if found is not None:
            _take(context, found, f"{file}.dockerignore")
            return
    root = context.open()
    try:
        names = [f"{context.dockerfile_name}.dockerignore", *_IGNORE_FILES]
        for name in names:
            found = _read_small(root, name)
            if found is not None:
                _take(context, found, name)
                return
    finally:
        os.close(root)


def _take(context: Context, data: bytes, name: str) -> None:
    context.ignore = Patterns.parse(data.decode("utf-8", "surrogateescape"))
    context.ignore_name = name
