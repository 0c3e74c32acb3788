"""The client's side of the OCI distribution protocol: writing to one repository.

Scope: blobs and manifests.  Source: OCI distribution specification 1.1, sections "Push" and
"Content Management".

A blob is sent in one piece.  After a failure the server is asked how much of it arrived, and the
rest follows in chunks, so that what was sent is not sent again; a server that forgot the upload
gets all of it once more.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from rootless.errors import RegistryError
from rootless.images.registry.http import RETRY_STATUS, Payload, Reply, failed, follow
from rootless.images.registry.session import Session

CHUNK = 16 << 20
_OCTETS = "application/octet-stream"

Fetch = Callable[[int], Iterable[bytes]]
OnBytes = Callable[[int], None]


def has_blob(server: Session, digest: str) -> bool:
    """Return whether the repository has a blob already.  Raises RegistryError."""
    reply = server.send("HEAD", f"blobs/{digest}", {})
    reply.read_all(0)
    if reply.status in (401, 403):
        raise server.refused(reply.status, b"")
    return reply.status == 200


def mount(server: Session, digest: str, repository: str) -> bool:
    """Take a blob over from another repository of the same server, if that is allowed."""
    path = f"blobs/uploads/?mount={quote(digest)}&from={quote(repository, safe='')}"
    reply = server.send("POST", path, {"Content-Length": "0"})
    location = _location(reply)
    _finish(reply)
    if reply.status == 202 and location:
        # An ordinary upload was begun instead.
        _finish(server.send("DELETE", location, {}))
    return reply.status == 201


def upload(
    server: Session,
    digest: str,
    size: int,
    fetch: Fetch,
    *,
    chunk: int = 0,
    on_bytes: OnBytes = lambda count: None,
) -> None:
    """Send a blob; `fetch(offset)` gives its bytes from there on.

    `chunk` bytes go into one request, 0 for all of them.  Raises RegistryError and what `fetch`
    raises.
    """
    _Upload(server, digest, size, fetch, chunk, on_bytes).run()


def put_manifest(server: Session, data: bytes, media_type: str, name: str) -> str:
    """Keep a manifest under a tag or its digest.  Returns the digest of its subject if the server
    took note of that, "" otherwise.  Raises RegistryError."""
    reply = server.send("PUT", f"manifests/{name}", {"Content-Type": media_type}, data)
    server.check(reply, (200, 201, 202))
    _finish(reply)
    return str(reply.headers.get("OCI-Subject", ""))


def delete_manifest(server: Session, name: str) -> None:
    """Remove a tag or a manifest.  Raises RegistryError, ImageNotFound."""
    reply = server.send("DELETE", f"manifests/{name}", {})
    if reply.status in (400, 405):
        _finish(reply)
        raise RegistryError(
            f"{server.endpoint.host} does not allow removing images",
            hint="its administrator can allow that: for docker-registry, storage.delete.enabled",
        )
    server.check(reply, (200, 202, 204))
    _finish(reply)


class _Upload:
    def __init__(
        self,
        server: Session,
        digest: str,
        size: int,
        fetch: Fetch,
        chunk: int,
        on_bytes: OnBytes,
    ) -> None:
        self.server = server
        self.digest = digest
        self.size = size
        self.fetch = fetch
        self.chunk = chunk
        self.on_bytes = on_bytes
        self.location = ""
        # Bytes that the server has; bytes that were reported.
        self.have = 0
        self.told = 0

    def run(self) -> None:
        failures = 0
        while True:
            before = self.have
            try:
                if not self.location:
                    self._begin()
                whole = self._send()
            except _Again as error:
                if self.have > before:
                    failures = 0
                failures += 1
                if failures >= self.server.settings.attempts:
                    raise error.why from None
                self.server.settings.wait(failures, error.retry_after)
                self._look()
                # From now on a failure costs no more than one chunk.
                self.chunk = self.chunk or CHUNK
                continue
            if whole:
                return

    def _begin(self) -> None:
        reply = self.server.send("POST", "blobs/uploads/", {"Content-Length": "0"})
        self.server.check(reply, (202,))
        self.location = _location(reply)
        smallest = reply.headers.get("OCI-Chunk-Min-Length", "")
        if self.chunk and smallest.isascii() and smallest.isdigit():
            self.chunk = max(self.chunk, int(smallest[:12]))
        _finish(reply)
        if not self.location:
            raise self._broken("gives no place for an upload")

    def _send(self) -> bool:
        """One request; True when the blob is there."""
        left = self.size - self.have
        if self.have == 0 and (not self.chunk or self.chunk >= self.size):
            reply = self._request("PUT", self._closing(), left, {})
            self._expect(reply, (201, 204))
            return True
        if left == 0:
            reply = self._request("PUT", self._closing(), 0, {})
            self._expect(reply, (201, 204))
            return True
        length = min(self.chunk or left, left)
        span = {"Content-Range": f"{self.have}-{self.have + length - 1}"}
        reply = self._request("PATCH", self.location, length, span)
        self._expect(reply, (202, 204))
        self.location = _location(reply) or self.location
        self.have = _received(reply, self.have + length)
        self._correct()
        return False

    def _request(self, method: str, url: str, length: int, headers: dict[str, str]) -> Reply:
        begin = self.have
        self._correct()

        def body() -> Iterator[bytes]:
            self._correct()
            left = length
            chunks = iter(self.fetch(begin)) if left else iter(())
            while left:
                piece = next(chunks, b"")[:left]
                if not piece:
                    raise self._broken(f"was to get {length} bytes of which {left} are missing")
                yield piece
                left -= len(piece)
                self.told += len(piece)
                self.on_bytes(len(piece))
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

        headers = {**headers, "Content-Type": _OCTETS}
        try:
            return self.server.send(method, url, headers, Payload(length, body), attempts=1)
        except RegistryError as error:
            raise _Again(error) from None

    def _expect(self, reply: Reply, good: tuple[int, ...]) -> None:
        if reply.status in good:
            _finish(reply)
            return
        again = reply.status in (*RETRY_STATUS, 404, 416)
        retry_after = reply.headers.get("Retry-After")
        try:
            self.server.check(reply, good)
        except Exception as error:
            if again:
                raise _Again(error, retry_after) from None
            raise

    def _look(self) -> None:
        """Ask how much has arrived; begin anew where the server does not know."""
        reply = self.server.send("GET", self.location, {}) if self.location else None
        if reply is not None:
            _finish(reply)
        if reply is None or reply.status != 204:
            self.location, self.have = "", 0
        else:
            self.location = _location(reply) or self.location
            self.have = _received(reply, 0)
        if self.have > self.size:
            self.location, self.have = "", 0
        self._correct()

    def _correct(self) -> None:
        """Tell the watcher what is true."""
        if self.told != self.have:
            self.on_bytes(self.have - self.told)
            self.told = self.have

    def _closing(self) -> str:
        return f"{self.location}{'&' if '?' in self.location else '?'}digest={quote(self.digest)}"

    def _broken(self, why: str) -> RegistryError:
        return RegistryError(
            f"{self.server.endpoint.host} {why}", hint="the registry is misconfigured"
        )


class _Again(Exception):
    """Something that another attempt may cure."""

    def __init__(self, why: Exception, retry_after: str | None = None) -> None:
        super().__init__(str(why))
        self.why = why
        self.retry_after = retry_after


def _location(reply: Reply) -> str:
    given = reply.headers.get("Location", "")
    return follow(reply.url, given) if given else ""


def _received(reply: Reply, otherwise: int) -> int:
    """The count of bytes in a Range header, `0-N` with N the last byte."""
    last = reply.headers.get("Range", "").removeprefix("bytes=").partition("-")[2]
    if not (last.isascii() and last.isdigit()):
        return otherwise
    # `0-0` is said of an upload of which nothing has arrived, and of one with a single byte.
    return int(last[:18]) + 1 if last != "0" else 0


def _finish(reply: Reply) -> None:
    try:
        reply.read_all(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise failed(reply.url, error) from None
