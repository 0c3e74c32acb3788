"""Files from elsewhere for a build: http addresses for ADD and contexts, archives unpacked."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import BinaryIO

from rootless.errors import DigestMismatch, StorageError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.collections import Collections

_MOST = 16 << 30
_PIECE = 1 << 20
_SECONDS = 60


def unpack(file: BinaryIO, directory: str) -> None:
    """An archive, plain or compressed, into a directory, as the user's own files.

    It is a stranger's: names are never followed out of the directory (see storage.layers.unpack).
    """
    from rootless.storage.layers import decompress as streams
    from rootless.storage.layers.unpack import Unpacker

    with tempfile.TemporaryFile(dir=os.path.dirname(directory)) as seekable:
        source = file
        if not _seekable(file):
            # what chooses the decompressor looks at the beginning and goes back
            while data := file.read(_PIECE):
                seekable.write(data)
            seekable.seek(0)
            source = seekable
        stream = streams.Hashed(streams.decompressed(source))
        unpacker = Unpacker(directory, single=True, layer=False)
        try:
            unpacker.run(stream.read)
            stream.drain()
        except OSError as error:
            raise StorageError(
                f"the archive cannot be unpacked: {(error.strerror or str(error)).lower()}"
            ) from None
        finally:
            unpacker.close()
            stream.close()


def _seekable(file: BinaryIO) -> bool:
    try:
        return bool(file.seekable())
    except AttributeError:
        return False


def fetch(
    engine: Collections, parent: str, address: str, checksum: str, *, own_host: bool
) -> tuple[str, str, str, int | None]:
    """A file for ADD into a directory of its own below `parent`: (path, name, digest, time)."""
    directory = tempfile.mkdtemp(prefix="fetched-", dir=parent)
    try:
        path, digest, when = fetch_to(engine, directory, address, own_host=own_host)
        if checksum:
            wanted = checksum if checksum.startswith("sha256:") else f"sha256:{checksum}"
            if wanted != f"sha256:{digest}":
                raise DigestMismatch(
                    f"{_shown(address)} has the digest sha256:{digest}, not {wanted}"
                )
    except BaseException:
        import shutil

        shutil.rmtree(directory, ignore_errors=True)
        raise
    return path, os.path.basename(path), digest, when


def fetch_to(
    engine: Collections, directory: str, address: str, *, own_host: bool = True
) -> tuple[str, str, int | None]:
    """A file from an http address into a directory: (path, sha256, time in ns or None)."""
    import http.client
    import urllib.error
    from email.utils import parsedate_to_datetime

    from rootless.engine.build import downloads

    path = os.path.join(directory, "file")
    hasher = hashlib.sha256()
    try:
        with (
            downloads.opened(address, _SECONDS, own_host=own_host) as answer,
            open(path, "wb") as out,
        ):
            total = 0
            pace = downloads.Pace(_shown(address))
            while data := answer.read1(_PIECE):
                total += len(data)
                pace.add(len(data))
                if total > _MOST:
                    raise StorageError(f"{_shown(address)} is larger than {_MOST >> 30} GiB")
                hasher.update(data)
                out.write(data)
            if answer.length:
                raise StorageError(f"{_shown(address)} ended {answer.length} bytes too early")
            modified = answer.headers.get("Last-Modified")
    except urllib.error.HTTPError as error:
        raise UsageError(f"{_shown(address)} answers {error.code} {error.reason}") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UsageError(f"{_shown(address)} cannot be fetched: {reason}") from None
    when = None
    if modified:
        try:
            when = int(parsedate_to_datetime(modified).timestamp()) * 1_000_000_000
        except (TypeError, ValueError):
            when = None
    return path, hasher.hexdigest(), when


def _shown(address: str) -> str:
    from rootless.build import sources

    return sources.shown(address)
