"""What this host can do.  Nothing is probed before it is asked for."""

from __future__ import annotations

import os

_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name: str) -> str:
    """The path of a program in $PATH or the usual places, "" if there is none."""
    for directory in (os.environ.get("PATH", "") + ":" + _SEARCH).split(":"):
        path = os.path.join(directory, name)
        if directory.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


class Host:
    """Facts, each found once."""

    def __init__(self) -> None:
        self._programs: dict[str, str] = {}

    def program(self, name: str) -> str:
        """As find_program, remembered."""
        if name not in self._programs:
            self._programs[name] = find_program(name)
        return self._programs[name]

    @property
    def slirp4netns(self) -> str:
        """Its path."""
        return self.program("slirp4netns")

    @property
    def fuse_overlayfs(self) -> str:
        """Its path."""
        return self.program("fuse-overlayfs")


_CURRENT = Host()


def current() -> Host:
    """The host this process runs on."""
    return _CURRENT
