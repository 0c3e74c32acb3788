"""Which files a source of COPY or ADD names, in a context or in the files of a stage.

Scope: from words and flags to a list of entries; nothing is copied and nothing hashed here.
Sources: dockerfile reference, COPY; experiments with BuildKit (what a wildcard follows, where
`--exclude` begins, what `--parents` keeps).

The tree may be hostile: see `resolve`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from rootless.build import patterns, resolve
from rootless.errors import NotFound, UsageError

KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p"}


class Excluding(Protocol):
    """Patterns as in .dockerignore (`rootless.build.ignore.Patterns`)."""

    def excludes(self, path: str, is_dir: bool = ...) -> bool:
        """Whether this path is left out."""


@dataclass(frozen=True)
class Entry:
    """One thing to be copied.  `source` is its path in the tree without links, `name` where it goes
    below the destination; `kind` is f, d, l (symbolic link) or p (named pipe)."""

    kind: str
    source: str
    name: str
    mode: int
    device: int
    inode: int
    size: int
    time: int
    changed: int

    def pack(self) -> list[object]:
        """For a request to a worker."""
        return [
            self.kind, self.source, self.name, self.mode, self.device, self.inode, self.size,
            self.time, self.changed,
        ]  # fmt: skip

    @classmethod
    def unpack(cls, row: list[object]) -> Entry:
        """The inverse of `pack`."""
        return cls(*row)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Selected:
    """What one name came to.  `tree`: its entries go below the destination, which is a directory;
    otherwise there is one entry, and its name is used only if the destination is a directory."""

    tree: bool
    entries: list[Entry] = field(default_factory=list)


def select(
    root: int,
    word: str,
    *,
    parents: bool = False,
    exclude: Excluding | None = None,
    ignore: Excluding | None = None,
) -> list[Selected]:
    """Everything that a source names, in order.

    `exclude` speaks of paths below a source that is a directory, with `parents` below the place
    where kept parents begin; `ignore` of paths in the whole tree.  Raises NotFound for a name
    without wildcards (or a link that one matched) of nothing, UsageError for a bad pattern.
    """
    walker = _Walker(root, exclude, ignore)
    if parents:
        return walker.with_parents(word)
    made = []
    for path in walker.matches(word):
        selected = walker.named(path, word)
        if selected is not None:
            made.append(selected)
    return made


class _Walker:
    def __init__(self, root: int, exclude: Excluding | None, ignore: Excluding | None) -> None:
        self.root = root
        self.exclude = exclude
        self.ignore = ignore

    # names and wildcards

    def matches(self, word: str) -> list[str]:
        """Paths that a word names; itself, if it has no wildcards."""
        components = resolve.parts_of(word)
        if not any(patterns.has_wildcards(one) for one in components):
            return ["/".join(components)]
        return [path for path, _ in self._expand(components, deep=False)]

    def _expand(self, components: list[str], *, deep: bool) -> Iterator[tuple[str, str]]:
        """(path, the same): paths that match.  `deep`: `**` is any number of directories."""
        fixed: list[str] = []
        rest = list(components)
        while rest and not patterns.has_wildcards(rest[0]):
            fixed.append(rest.pop(0))
        base = resolve.canonical(self.root, "/".join(fixed))
        yield from self._below(base, "/".join(fixed), rest, deep)

    def _below(
        self, path: str, shown: str, rest: list[str], deep: bool
    ) -> Iterator[tuple[str, str]]:
        if not rest:
            yield shown, path
            return
        if deep and rest[0] == "**":
            seen = set()
            for found in self._below(path, shown, rest[1:], deep):
                seen.add(found[0])
                yield found
            for name, is_dir in self._names(path):
                if is_dir:
                    for found in self._below(_join(path, name), _join(shown, name), rest, deep):
                        if found[0] not in seen:
                            seen.add(found[0])
                            yield found
                elif not rest[1:]:
                    yield _join(shown, name), _join(path, name)
            return
        matcher = patterns.compile_component(rest[0])
        for name, is_dir in self._names(path):
            if matcher.fullmatch(name) and (is_dir or not rest[1:]):
                yield from self._below(_join(path, name), _join(shown, name), rest[1:], deep)

    def _names(self, path: str) -> list[tuple[str, bool]]:
        """(name, whether it is a directory) in a directory, as far as they are not ignored."""
        try:
            fd = resolve.open_at(self.root, path, resolve.DIRECTORY)
        except OSError:
            return []
        with _Closing(fd), os.scandir(fd) as found:
            rows = sorted((one.name, one.is_dir(follow_symlinks=False)) for one in found)
        return [row for row in rows if self._seen(_join(path, row[0]), row[1])]

    def _seen(self, path: str, is_dir: bool) -> bool:
        if self.ignore is None or not path or not self.ignore.excludes(path, is_dir):
            return True
        if not is_dir:
            return False
        # a directory that is left out is there all the same where something in it is brought back
        return any(True for _ in self._children(path, "", excluded=None))

    # one name

    def _resolve(self, path: str, word: str) -> tuple[str, os.stat_result]:
        try:
            real = resolve.canonical(self.root, path)
            found = resolve.lookup(self.root, real)
        except OSError as error:
            raise NotFound(f'"/{path}" cannot be read: {error.strerror}') from None
        if found is None or not self._seen(real, stat.S_ISDIR(found.st_mode)):
            matched = f' (matched by "{word}")' if patterns.has_wildcards(word) else ""
            ignored = found is not None
            raise NotFound(
                f'"/{path}"{matched} was not found',
                hint="it is left out by the ignore file" if ignored else "",
            )
        return real, found

    def named(self, path: str, word: str) -> Selected | None:
        """What a path is: links are followed, of a directory its contents are meant."""
        real, found = self._resolve(path, word)
        if stat.S_ISDIR(found.st_mode):
            return Selected(True, list(self._children(real, "", excluded=self.exclude)))
        kind = KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            raise UsageError(
                f'"/{path}" is a {_odd(found.st_mode)}, which an image cannot hold',
                hint="name it in the ignore file, or in --exclude",
            )
        return Selected(False, [entry_of(kind, real, path.rpartition("/")[2], found)])

    def with_parents(self, word: str) -> list[Selected]:
        """As --parents wants it: with the directories on the way, from /./ on if there is one."""
        head, pivot, tail = word.partition("/./")
        if not pivot:
            head, tail = "", head
        top = resolve.canonical(self.root, "/".join(resolve.parts_of(head)))
        components = resolve.parts_of(tail)
        if any(patterns.has_wildcards(one) for one in components):
            names = [shown for shown, _ in self._below(top, "", components, True)]
        else:
            names = ["/".join(components)]
        entries: dict[str, Entry] = {}
        for name in names:
            real, found = self._resolve(_join(top, name), word)
            self._parents(top, name, entries)
            if stat.S_ISDIR(found.st_mode):
                if name and not self._out(name, True):
                    entries.setdefault(name, entry_of("d", real, name, found))
                for one in self._children(real, name, excluded=self.exclude):
                    entries.setdefault(one.name, one)
            elif not self._out(name, False):
                kind = KINDS.get(stat.S_IFMT(found.st_mode))
                if kind is not None:
                    entries.setdefault(name, entry_of(kind, real, name, found))
        # what is in a directory comes right after it, also where two names met in one
        ordered = sorted(entries.values(), key=lambda one: one.name.split("/"))
        return [Selected(True, ordered)]

    def _out(self, name: str, is_dir: bool) -> bool:
        return self.exclude is not None and self.exclude.excludes(name, is_dir)

    def _parents(self, top: str, name: str, entries: dict[str, Entry]) -> None:
        inner = name
        missing = []
        while "/" in inner:
            inner = inner.rpartition("/")[0]
            if inner in entries:
                break
            missing.append(inner)
        for inner in reversed(missing):
            real = resolve.canonical(self.root, _join(top, inner))
            found = resolve.lookup(self.root, real)
            if found is not None and stat.S_ISDIR(found.st_mode):
                entries[inner] = entry_of("d", real, inner, found)

    # trees

    def _children(self, path: str, name: str, *, excluded: Excluding | None) -> Iterator[Entry]:
        """Everything below a directory, parents first, names in order."""
        try:
            fd = resolve.open_at(self.root, path, resolve.DIRECTORY)
        except OSError as error:
            raise NotFound(f'"/{path}" cannot be read: {error.strerror}') from None
        with _Closing(fd):
            yield from self._inside(fd, path, name, excluded)

    def _inside(self, fd: int, path: str, name: str, excluded: Excluding | None) -> Iterator[Entry]:
        with os.scandir(fd) as found:
            rows = sorted(found, key=lambda one: one.name)
        for one in rows:
            inner, shown = _join(path, one.name), _join(name, one.name)
            try:
                state = one.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            kind = KINDS.get(stat.S_IFMT(state.st_mode))
            if kind is None:
                continue  # sockets and devices have no place in a layer
            is_dir = kind == "d"
            out = self.ignore is not None and self.ignore.excludes(inner, is_dir)
            out = out or (excluded is not None and excluded.excludes(shown, is_dir))
            if not is_dir:
                if not out:
                    yield entry_of(kind, inner, shown, state)
                continue
            try:
                below = os.open(one.name, resolve.DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            except OSError as error:
                if out:
                    continue
                raise NotFound(f'"/{inner}" cannot be read: {error.strerror}') from None
            with _Closing(below):
                waiting = entry_of(kind, inner, shown, state)
                if not out:
                    yield waiting
                for entry in self._inside(below, inner, shown, excluded):
                    if out:
                        # something in it is brought back, and needs it
                        yield waiting
                        out = False
                    yield entry


class _Closing:
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def entry_of(kind: str, source: str, name: str, found: os.stat_result) -> Entry:
    """An entry for what is at a path."""
    return Entry(
        kind,
        source,
        name,
        stat.S_IMODE(found.st_mode),
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def _join(path: str, name: str) -> str:
    if not name:
        return path
    return f"{path}/{name}" if path else name


def _odd(mode: int) -> str:
    if stat.S_ISSOCK(mode):
        return "socket"
    return "device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "special file"
