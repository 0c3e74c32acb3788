"""What containers and commands wrote, in the forms that docker's Python client has.

Scope: bytes, iterators of bytes, pairs of both streams (`demux`), for the library.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator
    from typing import Any

    Pairs = Iterator[tuple[str, bytes]]
    Both = tuple[bytes | None, bytes | None]


class Entries:
    """What a container wrote: ("stdout" | "stderr", bytes) pairs, oldest first.

    Where bytes are expected, it is all of them: `logs().decode()`, `b"done" in logs()`.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def __iter__(self) -> Entries:
        return self

    def __next__(self) -> tuple[str, bytes]:
        return next(self._pairs)

    def __bytes__(self) -> bytes:
        return b"".join(data for _, data in self._pairs)

    def __contains__(self, part: object) -> bool:
        if isinstance(part, bytes):
            return part in bytes(self)
        return any(part == pair for pair in self._pairs)

    def __eq__(self, other: object) -> bool:
        return bytes(self) == other if isinstance(other, bytes) else self is other

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        # only what bytes have: everything else must not read what is there to be read once
        if name.startswith("_") or not hasattr(bytes, name):
            raise AttributeError(name)
        return getattr(bytes(self), name)

    def close(self) -> None:
        """Read no further."""
        close = getattr(self._pairs, "close", None)
        if close is not None:
            close()


def chosen(pairs: Iterable[tuple[str, bytes]], stdout: bool, stderr: bool) -> Pairs:
    """Only what is of a stream that is wanted."""
    for stream, data in pairs:
        if stdout if stream == "stdout" else stderr:
            yield stream, data


def as_bytes(pairs: Pairs) -> Iterator[bytes]:
    """The bytes alone."""
    return (data for _, data in pairs)


def demultiplexed(pairs: Pairs) -> Iterator[Both]:
    """(stdout, None) or (None, stderr), as docker's `demux=True`."""
    return ((data, None) if stream == "stdout" else (None, data) for stream, data in pairs)


def both(pairs: Pairs) -> Both:
    """Everything of both streams; None of one on which nothing was written."""
    found: dict[str, bytes] = {}
    for stream, data in pairs:
        found[stream] = found.get(stream, b"") + data
    return found.get("stdout"), found.get("stderr")


def shaped(pairs: Pairs, stream: bool, demux: bool) -> Any:
    """As `stream` and `demux` of docker's client ask for it."""
    if stream:
        return demultiplexed(pairs) if demux else as_bytes(pairs)
    return both(pairs) if demux else b"".join(as_bytes(pairs))


def moment(value: float | datetime.datetime | None) -> float | None:
    """Seconds since the epoch of a number or a datetime, which is UTC where it has no zone."""
    if value is None or isinstance(value, (int, float)):
        return value
    if value.tzinfo is None:
        from datetime import UTC

        value = value.replace(tzinfo=UTC)
    return value.timestamp()
