"""The client's side of the OCI distribution protocol: reading one repository.

Scope: manifests, blobs, tags and referrers; `uploads` writes, `session` sends the requests.
Source: OCI distribution specification 1.1, sections "Pull" and "Content Discovery".

Long answers are cut off; a manifest that is not what its digest says is an error here, and so is a
blob in `content`.
"""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator

from rootless.errors import DigestMismatch, ImageNotFound, RegistryError, RootlessError
from rootless.images.formats import manifests
from rootless.images.names import reference, registries
from rootless.images.names.reference import is_digest
from rootless.images.registry import ranges
from rootless.images.registry.http import RANGE_TRIES, Reply, Settings, failed, stalled
from rootless.images.registry.session import Session

_CHUNK = 1 << 18


def connect(
    name: str, *, tls_verify: bool | None = None, settings: Settings | None = None
) -> Registry:
    """Return the first server that answers for this image: its mirrors in turn, then the registry.

    One HEAD request each.  The caller closes it.  Raises ImageNotFound, RegistryError, UsageError.
    """
    wanted = reference.parse(name.removeprefix("docker://"))
    refusal: RootlessError | None = None
    for endpoint in registries.endpoints(wanted, tls_verify=tls_verify):
        found = Registry(wanted, endpoint, settings)
        try:
            found.check(found.head(wanted.digest or wanted.tag), (200,))
            return found
        except (RegistryError, ImageNotFound) as error:
            found.close()
            refusal = error
    raise refusal or AssertionError("the registry itself is always among the endpoints")


class NoRanges(RegistryError):
    """The server sends whole blobs only."""


class Registry(Session):
    """One repository on one server.  Usable from several threads."""

    def head(self, tag_or_digest: str) -> Reply:
        """Ask whether there is such a manifest; the reply has been read."""
        reply = self.send("HEAD", f"manifests/{tag_or_digest}", {"Accept": manifests.ACCEPT})
        reply.read_all(0)
        return reply

    def manifest_digest(self, tag: str) -> str:
        """Return what a tag stands for now, by a HEAD request; "" where the server does not say.

        Registries that count requests do not count these.
        """
        reply = self.head(tag)
        digest = reply.headers.get("Docker-Content-Digest", "")
        return digest if reply.status == 200 and is_digest(digest) else ""

    def manifest(self, tag_or_digest: str) -> tuple[bytes, str, str]:
        """Return a manifest or an index: its bytes, media type, and digest, which is checked.

        Raises ImageNotFound, RegistryError, DigestMismatch.
        """
        reply = self.send("GET", f"manifests/{tag_or_digest}", {"Accept": manifests.ACCEPT})
        self.check(reply, (200,))
        data = self.body(reply)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        promised = reply.headers.get("Docker-Content-Digest", "")
        if is_digest(tag_or_digest):
            promised = tag_or_digest
        if promised.startswith("sha256:") and promised != digest:
            raise DigestMismatch(
                f"the manifest of {self.reference.familiar} has the digest {digest} "
                f"instead of {promised}",
                hint="the registry is damaged or was tampered with; try again or elsewhere",
            )
        return data, reply.headers.get_content_type(), digest

    def body(self, reply: Reply) -> bytes:
        """Return a document, of bounded length.  Raises RegistryError."""
        try:
            return reply.read_all(manifests.MAXIMUM)
        except TimeoutError as error:
            raise stalled(reply.url, self.settings, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise failed(reply.url, error) from None

    def open_range(
        self, digest: str, offset: int, length: int, *, strict: bool = False
    ) -> Iterator[bytes]:
        """Yield `length` bytes of a blob from `offset` on, in pieces; asked for again where a
        connection breaks or stalls.  Nothing is verified: a part of a blob has no digest.

        From a server without ranges the beginning is read and thrown away, or, if `strict`,
        NoRanges is raised.
        Raises RegistryError (also when the blob ends too early), ImageNotFound.
        """
        end, failures = offset + length, 0
        while offset < end:
            before = offset
            reply = self._range(digest, offset, end)
            if strict and reply.status == 200:
                reply.close()
                raise NoRanges(
                    f"{self.endpoint.host} sends no parts of blobs", hint="pull the image whole"
                )
            error: Exception | None = None
            try:
                skip = offset if reply.status == 200 else 0
                while offset < end and (chunk := reply.read_some(_CHUNK)):
                    if skip:
                        # The server does not know ranges and starts at the beginning.
                        dropped = min(skip, len(chunk))
                        skip, chunk = skip - dropped, chunk[dropped:]
                    chunk = chunk[: end - offset]
                    offset += len(chunk)
                    if chunk:
                        yield chunk
            except (OSError, http.client.HTTPException) as caught:
                error = caught
            finally:
                reply.close()
            if offset >= end:
                return
            failures = 0 if offset - before >= self.settings.least else failures + 1
            if failures >= RANGE_TRIES:
                if isinstance(error, TimeoutError):
                    raise stalled(reply.url, self.settings, error) from None
                raise failed(reply.url, error or ConnectionResetError("connection closed"))
            if failures:
                self.settings.wait(failures)

    def blob(self, digest: str, size: int, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob from `offset` on, asked for again where a connection breaks,
        over several connections where it is large.

        Ends early only if the server says so itself.  Raises RegistryError, ImageNotFound.
        """
        if size - offset > ranges.WORTH:
            first = self._range(digest, offset, min(offset + ranges.SEGMENT, size))
            if first.headers.get("Content-Range", "").endswith(f"/{size}"):
                yield from ranges.Segments(
                    lambda begin, end: self._part(digest, begin, end),
                    self.settings,
                    offset,
                    size,
                    first,
                )
                return
            # It has another idea of the blob's size, or of ranges: let it send what it has.
            first.close()
        yield from self._sequence(digest, size, offset)

    def _sequence(self, digest: str, size: int, offset: int) -> Iterator[bytes]:
        failures = 0
        while offset < size:
            before = offset
            reply = self._range(digest, offset) if offset else self._plain_blob(digest)
            error: Exception | None = None
            whole = False
            try:
                skip = offset if reply.status == 200 else 0
                while True:
                    chunk = reply.read_some(_CHUNK)
                    if not chunk:
                        break
                    if skip:
                        dropped = min(skip, len(chunk))
                        skip, chunk = skip - dropped, chunk[dropped:]
                    offset += len(chunk)
                    if chunk:
                        yield chunk
                    if offset > size:
                        # the caller sees that it is too much; no need to see how much
                        return
                whole = not reply.expected()
            except (OSError, http.client.HTTPException) as caught:
                error = caught
            finally:
                reply.close()
            if whole:
                return
            failures = 0 if offset - before >= self.settings.least else failures + 1
            if failures >= (2 if isinstance(error, TimeoutError) else self.settings.attempts):
                if isinstance(error, TimeoutError):
                    raise stalled(reply.url, self.settings, error) from None
                raise failed(reply.url, error or ConnectionResetError("connection closed"))
            self.settings.wait(failures)

    def _part(self, digest: str, begin: int, end: int) -> Reply:
        reply = self._range(digest, begin, end)
        if reply.status != 206:
            reply.close()
            raise RegistryError(
                f"{self.endpoint.host} stopped supporting ranges in the middle of {digest}",
                hint="try again; the registry or a proxy before it is misconfigured",
            )
        return reply

    def _range(self, digest: str, begin: int, end: int | None = None) -> Reply:
        """The answer for a part of a blob: 206 with that part, or 200 with everything."""
        wanted = f"bytes={begin}-" + (str(end - 1) if end is not None else "")
        reply = self._located_blob(digest, {"Range": wanted})
        if reply.status == 206:
            start = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if start == str(begin):
                return reply
        elif reply.status != 416:
            self.check(reply, (200,))
            return reply
        # The server's blob ends before what we have, or it sent something else than was asked
        # for; its own bytes will show what is wrong.
        reply.close()
        return self._plain_blob(digest)

    def _located_blob(self, digest: str, headers: dict[str, str]) -> Reply:
        known = self.located.get(digest)
        if known is not None:
            reply = self.send("GET", known, headers)
            if reply.status in (200, 206):
                return reply
            # Such addresses are valid for some minutes only.
            reply.close()
            self.located.pop(digest, None)
        reply = self.send("GET", f"blobs/{digest}", headers)
        if reply.status in (200, 206) and not self.ours(reply.url):
            self.located[digest] = reply.url
        return reply

    def _plain_blob(self, digest: str) -> Reply:
        reply = self.send("GET", f"blobs/{digest}", {})
        self.check(reply, (200,))
        return reply
