"""Ids beneath and ids shown, where a container's map differs from the one that stores its files.

The text is that of fuse-overlayfs' `uidmapping`: `beneath:shown:count`, separated by colons.
"""

from __future__ import annotations

import errno
import os

_OVERFLOW = 65534


class Ids:
    """One kind of ids; without a text all stay as they are."""

    def __init__(self, text: str = "", squash: int | None = None) -> None:
        numbers = [int(one) for one in text.split(":")] if text else []
        self.parts = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
        self.squash = squash
        self.plain = not self.parts and squash is None

    def shown(self, beneath: int) -> int:
        """What the container sees."""
        if self.squash is not None:
            return self.squash
        for first, other, count in self.parts:
            if first <= beneath < first + count:
                return other + beneath - first
        return beneath if self.plain else _OVERFLOW

    def beneath(self, shown: int) -> int:
        """What is stored.  Raises OSError (EINVAL) for an id that has no place there."""
        if self.squash is not None:
            return -1
        for first, other, count in self.parts:
            if other <= shown < other + count:
                return first + shown - other
        if not self.plain:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return shown
