"""--watch: whether a context has changed since a build began.

Scope: names, sizes and times of what is in the context and not ignored, and of the Dockerfile,
looked at again and again; a build itself goes by content.
"""

from __future__ import annotations

import os
import stat
import time

from rootless.build.ignore import Patterns
from rootless.errors import RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Seen = dict[str, tuple[int, int, int, int]]

_PAUSE = 0.3  # seconds
_ALWAYS = ("Containerfile", "Dockerfile", ".containerignore", ".dockerignore")
_SHARE = 10  # looking takes a tenth of the time at most


class Watch:
    """A context directory and its Dockerfile, as they were when this was made or `settle` ended."""

    def __init__(self, context: str, file: str | None) -> None:
        self._context = context
        self._file = file
        self._seen = self._look()

    def settle(self, pause: Callable[[float], object] = time.sleep) -> list[str]:
        """Wait until something has changed, and changes no more; what, a few names of it."""
        while True:
            began = time.monotonic()
            now = self._look()
            if now != self._seen:
                pause(_PAUSE)
                after = self._look()
                if after == now:
                    old, self._seen = self._seen, now
                    names = {*old, *now}
                    changed = sorted(one for one in names if old.get(one) != now.get(one))
                    return [os.path.relpath(one, self._context) for one in changed[:3]]
                continue
            pause(max(_PAUSE, (time.monotonic() - began) * _SHARE))

    def _look(self) -> Seen:
        seen: Seen = {}
        ignored = self._ignored()
        self._walk(self._context, "", ignored, seen)
        if self._file is not None:
            self._note(self._file, seen)
        return seen

    def _ignored(self) -> Patterns:
        for name in (".containerignore", ".dockerignore"):
            try:
                with open(os.path.join(self._context, name), "rb") as file:
                    return Patterns.parse(file.read(1 << 20), name)
            except (OSError, RootlessError):
                continue  # what is wrong with it a build says
        return Patterns()

    def _walk(self, directory: str, path: str, ignored: Patterns, seen: Seen) -> None:
        try:
            with os.scandir(directory) as entries:
                listed = list(entries)
        except OSError:
            return
        for entry in listed:
            inner = f"{path}/{entry.name}" if path else entry.name
            is_directory = entry.is_dir(follow_symlinks=False)
            outside = ignored.excludes(inner, is_directory)
            if not outside or inner in _ALWAYS:
                self._note(entry.path, seen)
            if is_directory and (not outside or ignored.may_include_below(inner)):
                self._walk(entry.path, inner, ignored, seen)

    def _note(self, path: str, seen: Seen) -> None:
        try:
            found = os.lstat(path)
        except OSError:
            return
        # a directory is as what is in it
        plain = not stat.S_ISDIR(found.st_mode)
        size, when = (found.st_size, found.st_mtime_ns) if plain else (0, 0)
        seen[path] = (found.st_mode, size, when, found.st_ino)
