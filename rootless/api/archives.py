"""Files in and out of a container as tar streams (docker cp, export)."""

from __future__ import annotations

import base64
import os
import stat
import threading

from rootless import documents
from rootless.api.exchange import ApiError, ClientGone
from rootless.api.head import BadHead
from rootless.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json
    from rootless.engine.containers.container import Container

_PIECE = 1 << 16
# the bits of Go's os.FileMode
_GO = {
    stat.S_IFDIR: 1 << 31, stat.S_IFLNK: 1 << 27, stat.S_IFIFO: 1 << 25, stat.S_IFSOCK: 1 << 24,
    stat.S_IFBLK: 1 << 26, stat.S_IFCHR: 1 << 26 | 1 << 21,
}  # fmt: skip
_GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def _header(container: Container, path: str) -> tuple[str, str]:
    """What is there, as the header that docker's client reads.  Raises ApiError."""
    from rootless.engine.common import humanize
    from rootless.engine.containers import copy as container_copy

    found = container_copy.look(container, path, follow=path.endswith("/"))
    if not found["exists"]:
        raise ApiError(404, f"Could not find the file {path} in container {container.name}")
    mode = int(found["mode"])
    go = (mode & 0o777) | _GO.get(stat.S_IFMT(mode), 0)
    for bit, theirs in _GO_BITS:
        go |= theirs if mode & bit else 0
    value: Json = {
        "name": os.path.basename(path.rstrip("/")) or "/",
        "size": int(found["size"]),
        "mode": go,
        "mtime": humanize.rfc3339(float(found["mtime"])),
        "linkTarget": found.get("link") or "",
    }
    text = base64.b64encode(documents.dumps(value).encode()).decode()
    return "X-Docker-Container-Path-Stat", text


def _path(exchange: Exchange) -> str:
    path = exchange.query.get("path", "")
    if not path:
        raise UsageError("bad parameter: path cannot be empty")
    return path


def look(service: Service, exchange: Exchange, name: str) -> None:
    """HEAD /containers/{id}/archive."""
    container = service.engine().containers.get(name)
    exchange.send(200, headers=[_header(container, _path(exchange))])


def get(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/archive."""
    container = service.engine().containers.get(name)
    path = _path(exchange)
    header = _header(container, path)
    _download(exchange, lambda out: container.get_archive(path, out), [header])


def export(service: Service, exchange: Exchange, name: str) -> None:
    """GET /containers/{id}/export."""
    container = service.engine().containers.get(name)
    _download(exchange, lambda out: container.export(out), [], "application/octet-stream")


def _download(
    exchange: Exchange,
    produce: Callable[[int], Json],
    headers: list[tuple[str, str]],
    kind: str = "application/x-tar",
) -> None:
    """Send what is written to a descriptor; an error before the first byte is the answer."""
    read, write = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            produce(write)
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(write)

    producer = threading.Thread(target=work, daemon=True)
    producer.start()
    try:
        while data := os.read(read, _PIECE):
            if not exchange.answered:
                exchange.stream(kind, headers=headers)
            exchange.write(data)
    finally:
        # whoever still writes gets EPIPE
        os.close(read)
        producer.join()
    if failed:
        raise failed[0]
    if not exchange.answered:
        exchange.stream(kind, headers=headers)
    exchange.finish()


def put(service: Service, exchange: Exchange, name: str) -> None:
    """PUT /containers/{id}/archive."""
    from rootless.engine.containers import copy as container_copy

    container = service.engine().containers.get(name)
    path = _path(exchange)
    found = container_copy.look(container, path, follow=True)
    if not found["exists"]:
        raise ApiError(404, f"Could not find the file {path} in container {container.name}")
    if not found["directory"]:
        raise UsageError("extraction point is not a directory")
    if container.record.get("readOnlyRoot"):
        raise ApiError(403, "container rootfs is marked read-only")
    read, write = os.pipe()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            container.put_archive(path, read)
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(read)

    consumer = threading.Thread(target=work, daemon=True)
    consumer.start()
    gone: BaseException | None = None
    try:
        while data := exchange.body.read(_PIECE):
            view = memoryview(data)
            while view:
                view = view[os.write(write, view) :]
    except BrokenPipeError:
        pass  # it ends before the stream does: its error says why, if there is one
    except (ClientGone, BadHead) as error:
        gone = error
    finally:
        os.close(write)
        consumer.join()
    if gone is not None:
        raise gone
    if failed:
        if isinstance(failed[0], NotFound):
            raise ApiError(404, failed[0].message)
        raise failed[0]
    exchange.send(200)
