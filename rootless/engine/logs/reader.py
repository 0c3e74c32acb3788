"""Read a container's log, in each of the formats that the monitor writes.

Sources: Kubernetes' CRI log format (k8s-file), docker's json-file, journalctl(1).
"""

from __future__ import annotations

import os
import time

from rootless import documents
from rootless.errors import Conflict, HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from rootless.documents import Json

    Entry = tuple[str, bytes]
    Parse = Callable[[bytes], tuple[str, str, bytes]]


def _stamp(text: str) -> float:
    """The time that the monitor wrote, always UTC: `2024-05-01T10:00:00.123456789Z`."""
    import calendar

    whole, _, fraction = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction or 0}")


def read(
    path: str,
    driver: str,
    *,
    follow: bool = False,
    since: float | None = None,
    until: float | None = None,
    tail: int | None = None,
    timestamps: bool = False,
    alive: Callable[[], bool],
) -> Iterator[Entry]:
    """Yield ("stdout" | "stderr", bytes) pairs, oldest first; `tail` counts lines.

    With `follow` it goes on until `alive()` is false and everything was read, also over files that
    are rotated meanwhile.  Raises Conflict for the driver none, HostError without journalctl.
    """
    if driver == "none":
        raise Conflict("this container keeps no log", hint="it was made with --log-driver none")
    if driver == "journald":
        return _journal(path, follow, since, until, tail, timestamps, alive)
    parse = _json_line if driver == "json-file" else _k8s_line
    return _files(path, parse, follow, since, until, tail, timestamps, alive)


def _k8s_line(line: bytes) -> tuple[str, str, bytes]:
    """(time, stream, what was written) of one line of the file."""
    stamp, stream, mark, text = line.split(b" ", 3)
    return stamp.decode(), stream.decode(), text if mark == b"F" else text[:-1]


def _json_line(line: bytes) -> tuple[str, str, bytes]:
    found = documents.loads(line.decode("utf-8", "replace"))
    return found["time"], found["stream"], found["log"].encode()


def _files(
    path: str,
    parse: Parse,
    follow: bool,
    since: float | None,
    until: float | None,
    tail: int | None,
    timestamps: bool,
    alive: Callable[[], bool],
) -> Iterator[Entry]:
    fresh = {"stdout": True, "stderr": True}
    for line in _lines(path, follow, tail, parse, alive):
        try:
            stamp, stream, text = parse(line)
        except (ValueError, KeyError):
            continue  # cut off by a crash or a full disk
        if since is not None or until is not None:
            when = _stamp(stamp)
            if since is not None and when < since:
                continue
            if until is not None and when > until:
                return
        if timestamps and fresh[stream]:
            text = stamp.encode() + b" " + text
        fresh[stream] = text.endswith(b"\n")
        yield stream, text


def _lines(
    path: str, follow: bool, tail: int | None, parse: Parse, alive: Callable[[], bool]
) -> Iterator[bytes]:
    """Lines of the rotated files and of the current one, then, following, what is added to it."""
    backlog = _rotated(path) + [path]
    if tail is not None:
        yield from _last(backlog, tail, parse)
        offset, inode = _end(path)
    else:
        offset, inode = 0, None
        for old in backlog[:-1]:
            yield from _whole(old)
    if tail is not None and not follow:
        return
    yield from _current(path, offset, inode, follow, alive)


def _rotated(path: str) -> list[str]:
    found = []
    number = 1
    while os.path.exists(f"{path}.{number}"):
        found.append(f"{path}.{number}")
        number += 1
    return found[::-1]


def _whole(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            yield from file
    except FileNotFoundError:
        return


def _end(path: str) -> tuple[int, int | None]:
    try:
        found = os.stat(path)
        return found.st_size, found.st_ino
    except FileNotFoundError:
        return 0, None


def _last(paths: list[str], count: int, parse: Parse) -> list[bytes]:
    """The records of the last `count` lines.

    A line that was written in pieces has a record for each; those of the other stream may lie
    between them.  One that is not finished counts as well.
    """
    found: list[bytes] = []
    open_lines: set[str] = set()
    counted = beyond = 0
    for record in _backwards(paths):
        try:
            _, stream, text = parse(record)
        except (ValueError, KeyError):
            continue  # cut off by a crash or a full disk
        if text.endswith(b"\n") or stream not in open_lines:
            if counted < count:
                counted += 1
                open_lines.add(stream)
            else:
                open_lines.discard(stream)
        if counted == count:
            beyond += len(record)
            if not open_lines or beyond > _FARTHEST:
                break
        if stream in open_lines:
            found.append(record)
    return found[::-1]


_FARTHEST = 1 << 20  # bytes in which the first piece of a line is looked for


def _backwards(paths: list[str]) -> Iterator[bytes]:
    """The records of these files from the last one to the first, read in blocks."""
    for path in reversed(paths):
        file = _open(path)
        if file is None:
            continue
        with file:
            at = file.seek(0, os.SEEK_END)
            rest = b""
            while at:
                step = min(at, 1 << 16)
                at -= step
                file.seek(at)
                rest, *whole = _records(file.read(step) + rest)
                yield from reversed(whole)
            if rest:
                yield rest


def _records(data: bytes) -> list[bytes]:
    """Cut behind each newline, and not at a carriage return, which is text of the container's."""
    *whole, rest = data.split(b"\n")
    return [one + b"\n" for one in whole] + ([rest] if rest else [])


def _current(
    path: str, offset: int, inode: int | None, follow: bool, alive: Callable[[], bool]
) -> Iterator[bytes]:
    """Read the file from `offset`; when it was rotated away, go on with the one written next."""
    file = None
    rest = b""
    pause = 0.01
    try:
        while True:
            # asked before the end of the file is looked for: what is written before the monitor
            # ends is then surely read
            more_to_come = follow and alive()
            if file is None:
                file = _open(path)
                if file is not None and inode is not None:
                    file = _rewound(path, file, inode, offset)
            data = file.read(1 << 16) if file is not None else b""
            if data:
                pause = 0.01
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    yield line + b"\n"
                continue
            following = _successor(path, file) if file is not None else None
            if file is not None and following is not None:
                # nothing is added to a file after its rotation was seen
                tail = file.read()
                if tail:
                    yield from _records(rest + tail)
                file.close()
                file, rest = following, b""
                continue
            if not more_to_come:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)
    finally:
        if file is not None:
            file.close()


def _rewound(path: str, file: BinaryIO, inode: int, offset: int) -> BinaryIO:
    """The file with this inode at `offset`, wherever it was rotated to since; else `file`."""
    while os.fstat(file.fileno()).st_ino != inode:
        position = _position(path, inode)
        older = _open(f"{path}.{position}") if position else None
        if older is None:
            return file
        file.close()
        file = older
    file.seek(offset)
    return file


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _successor(path: str, file: BinaryIO) -> BinaryIO | None:
    """The file written after `file`; None while `file` is the one that is written to.

    Meanwhile the files may move on, several times even, so what was opened is checked again.
    """
    ours = os.fstat(file.fileno()).st_ino
    while True:
        position = _position(path, ours)
        if position == 0:
            return None
        # one that has fallen off the end is followed by the oldest there is
        number = position - 1 if position else len(_rotated(path))
        found = _open(f"{path}.{number}" if number else path)
        if found is None:
            if not os.path.exists(path):
                return None
            continue
        again = _position(path, ours)
        if again is None or _position(path, os.fstat(found.fileno()).st_ino) == again - 1:
            return found
        found.close()


def _position(path: str, inode: int) -> int | None:
    """0: the current file has this inode, n: `path.n` has it, None: no file has it."""
    number = 0
    while True:
        try:
            if os.stat(f"{path}.{number}" if number else path).st_ino == inode:
                return number
        except FileNotFoundError:
            # between two renames of the monitor the current file is missing for a moment
            if number:
                return None
        number += 1


def _journal(
    identifier: str,
    follow: bool,
    since: float | None,
    until: float | None,
    tail: int | None,
    timestamps: bool,
    alive: Callable[[], bool],
) -> Iterator[Entry]:
    words = ["journalctl", "--user", "-q", "-o", "json", f"CONTAINER_ID_FULL={identifier}"]
    words += [f"--since=@{since}"] if since is not None else []
    words += [f"--until=@{until}"] if until is not None else []
    last = ["-n", "all" if tail is None else str(tail)]
    cursor = ""
    if follow and alive():
        for found in _journal_entries([*words, "-f", *last], alive):
            cursor = found.get("__CURSOR") or ""
            yield _journal_entry(found, timestamps)
        # journalctl may have taken longer to begin than the container had left to live
        last = [f"--after-cursor={cursor}"] if cursor else last
    for found in _journal_entries([*words, *last], None):
        yield _journal_entry(found, timestamps)


def _journal_entry(found: Json, timestamps: bool) -> Entry:
    """Return the stream and the bytes of an entry of the journal."""
    text = found.get("MESSAGE") or ""
    data = bytes(text) if isinstance(text, list) else str(text).encode()
    if found.get("CONTAINER_PARTIAL_MESSAGE") != "true":
        data += b"\n"
    if timestamps:
        from rootless.engine.common import humanize

        moment = int(found["__REALTIME_TIMESTAMP"]) / 1e6
        data = humanize.rfc3339(moment).encode() + b" " + data
    return ("stderr" if found.get("PRIORITY") == "3" else "stdout"), data


def _journal_entries(words: list[str], alive: Callable[[], bool] | None) -> Iterator[Json]:
    """Run journalctl; with `alive` until the container has ended and nothing comes any more."""
    import subprocess

    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise HostError("journalctl is not installed, so the log cannot be read") from None
    assert process.stdout is not None
    try:
        for line in _until_dead(process.stdout.fileno(), alive):
            yield documents.loads(line.decode())
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _until_dead(fd: int, alive: Callable[[], bool] | None) -> Iterator[bytes]:
    """Lines from a pipe: to its end, or until no writer lives and nothing comes any more.

    journalctl -f does not know when the last entry has come.
    """
    import select

    rest = b""
    ended = False
    while True:
        if alive is not None and not select.select([fd], [], [], 0.5)[0]:
            if ended:
                return
            # what was written last is on its way through the journal: one more round
            ended = not alive()
            continue
        data = os.read(fd, 1 << 16)
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        if not data:
            return
