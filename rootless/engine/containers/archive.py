"""Tar streams in and out of containers, as docker's Python client hands them about."""

from __future__ import annotations

import os
from contextlib import contextmanager

from rootless.engine.containers import copy as container_copy
from rootless.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef


def get(container: ContainerRef, path: str, chunk_size: int) -> tuple[Iterator[bytes], Json]:
    """(the stream in pieces, what is at `path`).  Raises NotFound."""
    found = container_copy.look(container, path, follow=False)
    if not found["exists"]:
        raise NotFound(f"there is no {path} in the container {container.name}")
    name = path.rstrip("/").rpartition("/")[2] or "/"
    stat = {
        "name": name,
        "size": found["size"],
        "mode": found["mode"],
        "mtime": found["mtime"],
        "linkTarget": found["link"] or "",
    }
    return _pieces(container, path, chunk_size), stat


def _pieces(container: ContainerRef, path: str, chunk_size: int) -> Iterator[bytes]:
    import threading

    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            container_copy.get_archive(container, path, writing)
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(writing)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while data := os.read(reading, chunk_size):
            yield data
    finally:
        # whoever stops earlier ends the writer with it: its pipe is broken
        os.close(reading)
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def source(data: bytes | BinaryIO | int) -> Iterator[int]:
    """A descriptor to read an archive from: of a file where it is now, of bytes, or as it is."""
    if isinstance(data, int):
        yield data
        return
    descriptor = None if isinstance(data, (bytes, bytearray)) else _descriptor(data)
    if descriptor is not None:
        yield descriptor
        return
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(data if isinstance(data, (bytes, bytearray)) else data.read())
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield file.fileno()


def _descriptor(file: BinaryIO) -> int | None:
    """That of a real file, standing where the file stands; None of one in memory."""
    try:
        descriptor = file.fileno()
        # what the file has read ahead is not at its descriptor
        if file.seekable():
            os.lseek(descriptor, file.tell(), os.SEEK_SET)
        return descriptor
    except (OSError, AttributeError):
        return None
