"""The client's side of the OCI distribution protocol: manifests and blobs of one repository.

Scope: reading.  Source: OCI distribution specification 1.1, sections "Pulling manifests" and
"Pulling blobs"; token authentication of the distribution project.

What a hostile registry could try, and what it meets: a redirect to another host gets no
Authorization header; a redirect or a token server reached over HTTP is refused unless the registry
itself may be spoken to over HTTP; long answers are cut off; a manifest that is not what its digest
says is an error here, and so is a blob in `content`.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, urlencode, urljoin, urlsplit

from rootless import documents
from rootless.errors import DigestMismatch, ImageNotFound, RegistryError
from rootless.images import credentials, manifests, registries
from rootless.images.reference import Reference, is_digest
from rootless.images.transport import RETRY_STATUS, Reply, Settings, Transport, failed, stalled

_CHUNK = 1 << 18
_REDIRECTS = 10
_TOKEN_MAX = 1 << 20


class Registry:
    """One repository on one server.  Usable from several threads after the first request."""

    def __init__(
        self,
        reference: Reference,
        endpoint: registries.Endpoint,
        settings: Settings | None = None,
    ) -> None:
        self.reference = reference
        self.endpoint = endpoint
        self.settings = settings or Settings()
        self._transport = Transport(
            self.settings,
            verify=not endpoint.insecure,
            certificates=registries.certificates(endpoint.host),
        )
        self._base = ""
        self._authorization = ""
        self._expires = 0.0
        self._challenges: list[credentials.Challenge] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def manifest_digest(self, tag: str) -> str:
        """What a tag stands for now, by a HEAD request; "" where the server does not say.

        Registries that count requests do not count these.
        """
        reply = self._get("HEAD", f"manifests/{tag}", {"Accept": manifests.ACCEPT})
        digest = reply.headers.get("Docker-Content-Digest", "")
        reply.read_all(0)
        return digest if reply.status == 200 and is_digest(digest) else ""

    def manifest(self, tag_or_digest: str) -> tuple[bytes, str, str]:
        """A manifest or an index: its bytes, media type, and digest, which is checked.

        Raises ImageNotFound, RegistryError, DigestMismatch.
        """
        reply = self._get("GET", f"manifests/{tag_or_digest}", {"Accept": manifests.ACCEPT})
        self._check(reply, (200,))
        try:
            data = reply.read_all(manifests.MAXIMUM)
        except TimeoutError:
            raise stalled(reply.url, self.settings) from None
        except (OSError, http.client.HTTPException) as error:
            raise failed(reply.url, error) from None
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

    def blob(self, digest: str, size: int, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a blob from `offset` on, asked for again where a connection breaks.

        Ends early only if the server says so itself.  Raises RegistryError, ImageNotFound.
        """
        failures = 0
        while offset < size:
            before = offset
            reply = self._blob_reply(digest, offset)
            error: Exception | None = None
            whole = False
            try:
                skip = offset if reply.status == 200 else 0
                while True:
                    chunk = reply.read_some(_CHUNK)
                    if not chunk:
                        break
                    if skip:
                        # The server does not know ranges and starts at the beginning.
                        dropped = min(skip, len(chunk))
                        skip, chunk = skip - dropped, chunk[dropped:]
                    offset += len(chunk)
                    if chunk:
                        yield chunk
                whole = not reply.expected()
            except (OSError, http.client.HTTPException) as caught:
                error = caught
            finally:
                reply.close()
            if whole:
                return
            failures = 0 if offset > before else failures + 1
            if failures >= (2 if isinstance(error, TimeoutError) else self.settings.attempts):
                if isinstance(error, TimeoutError):
                    raise stalled(reply.url, self.settings) from None
                raise failed(reply.url, error or ConnectionResetError("connection closed"))
            self.settings.wait(failures)

    def _blob_reply(self, digest: str, offset: int) -> Reply:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        reply = self._get("GET", f"blobs/{digest}", headers)
        if reply.status == 206:
            start = reply.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if start != str(offset):
                reply.close()
                return self._plain_blob(digest)
            return reply
        if reply.status == 416:
            # The server's blob ends before what we have; its own bytes will show what is wrong.
            reply.close()
            return self._plain_blob(digest)
        self._check(reply, (200,))
        return reply

    def _plain_blob(self, digest: str) -> Reply:
        reply = self._get("GET", f"blobs/{digest}", {})
        self._check(reply, (200,))
        return reply

    # requests

    def _get(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        """Ask for something below /v2/NAME/, with authorization and through redirects."""
        place = f"/v2/{self.endpoint.repository}/{path}"
        if not self._base:
            reply = self._first(method, place, headers)
        else:
            reply = self._ask(method, self._base + place, headers)
        if reply.status == 401:
            used = self._authorization
            offered = credentials.challenges(reply.headers.get_all("WWW-Authenticate") or [])
            reply.close()
            with self._lock:
                # Another thread may have fetched a token while this one was refused.
                if self._authorization == used:
                    self._challenges = offered
                    self._authorize()
            reply = self._ask(method, self._base + place, headers)
        return self._follow(method, reply, headers)

    def _first(self, method: str, place: str, headers: dict[str, str]) -> Reply:
        """The first request finds out whether the server speaks TLS."""
        schemes = ["https", "http"] if self.endpoint.insecure else ["https"]
        for scheme in schemes:
            base = f"{scheme}://{self.endpoint.host}"
            only = scheme == schemes[-1]
            try:
                # While there is another scheme to try, one attempt tells enough.
                reply = self._transport.send(
                    method, base + place, headers, attempts=0 if only else 1
                )
            except (ssl.SSLError, OSError) as error:
                if only or isinstance(error, ssl.SSLCertVerificationError):
                    refused = failed(base, error)
                    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in str(error):
                        refused.hint = "it speaks HTTP; pull with --tls-verify=false if it may"
                    raise refused from None
                continue
            except RegistryError as error:
                # A plain HTTP server may answer a TLS greeting by closing the connection.
                if only or "sent nothing" in error.message:
                    raise
                continue
            self._base = base
            if reply.status in RETRY_STATUS and not only:
                reply.close()
                return self._ask(method, base + place, headers)
            return reply
        raise AssertionError("there is at least one scheme")

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        if self._expires and time.monotonic() > self._expires:
            with self._lock:
                if self._expires and time.monotonic() > self._expires:
                    self._authorize()
        if self._authorization:
            headers = {**headers, "Authorization": self._authorization}
        try:
            return self._transport.send(method, url, headers)
        except OSError as error:
            raise failed(url, error) from None

    def _follow(self, method: str, reply: Reply, headers: dict[str, str]) -> Reply:
        for _ in range(_REDIRECTS):
            if reply.status not in (301, 302, 303, 307, 308):
                return reply
            target = urljoin(reply.url, reply.headers.get("Location", ""))
            came_from = urlsplit(reply.url)
            reply.close()
            goes_to = urlsplit(target)
            self._allow(target)
            same = (came_from.scheme, came_from.netloc) == (goes_to.scheme, goes_to.netloc)
            if same and f"{came_from.scheme}://{came_from.netloc}" == self._base:
                reply = self._ask(method, target, headers)
            else:
                try:
                    reply = self._transport.send(method, target, headers)
                except OSError as error:
                    raise failed(target, error) from None
        raise RegistryError(
            f"{self.endpoint.host} redirects more than {_REDIRECTS} times",
            hint="the registry is misconfigured",
        )

    def _allow(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return
        if parts.scheme == "http" and parts.hostname and self._base.startswith("http://"):
            return
        raise RegistryError(
            f"{self.endpoint.host} sends us to {url}, which is not HTTPS",
            hint="nothing was sent there; the registry is misconfigured or hostile",
        )

    def _authorize(self) -> None:
        """Answer the challenges the server made.  The caller holds the lock."""
        stored = credentials.find(self.reference.registry, self.reference.repository)
        self._authorization, self._expires = "", 0.0
        for challenge in self._challenges:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                self._authorization = "Bearer " + self._token(challenge.parameters, stored)
                return
        for challenge in self._challenges:
            if challenge.scheme == "basic" and stored is not None and stored.user:
                self._authorization = stored.basic()
                return

    def _token(self, offer: dict[str, str], stored: credentials.Credentials | None) -> str:
        realm = offer["realm"]
        self._allow(realm)
        asked = {"scope": offer.get("scope") or f"repository:{self.endpoint.repository}:pull"}
        if "service" in offer:
            asked["service"] = offer["service"]
        headers, body, method = {}, None, "GET"
        if stored is not None and stored.token:
            method = "POST"
            asked.update(
                grant_type="refresh_token", refresh_token=stored.token, client_id="rootless"
            )
            body = urlencode(asked).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            if stored is not None:
                headers["Authorization"] = stored.basic()
            realm += ("&" if "?" in realm else "?") + urlencode(asked, quote_via=quote)
        try:
            reply = self._transport.send(method, realm, headers, body)
            data = reply.read_all(_TOKEN_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise failed(realm, error) from None
        if reply.status != 200:
            raise self._refused(reply.status, data)
        try:
            answer = documents.loads(data.decode())
            token = answer.get("token") or answer.get("access_token")
            lifetime = answer.get("expires_in") or 60
        except (ValueError, AttributeError, RecursionError):
            token, lifetime = None, 60
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryError(
                f"the token server {urlsplit(realm).netloc} sent no token",
                hint="the registry is misconfigured; try again later",
            )
        if isinstance(lifetime, int | float) and lifetime > 0:
            self._expires = time.monotonic() + max(lifetime * 0.9, 30)
        return token

    # answers

    def _check(self, reply: Reply, good: tuple[int, ...]) -> None:
        if reply.status in good:
            return
        try:
            data = reply.read_all(1 << 16)
        except (OSError, http.client.HTTPException, RegistryError):
            data = b""
        raise self._refused(reply.status, data)

    def _refused(self, status: int, data: bytes) -> ImageNotFound | RegistryError:
        name, host = self.reference.familiar, self.endpoint.host
        said = _said(data)
        if status == 404:
            return ImageNotFound(
                f"{host} has no image {name}", hint="check the spelling of the name and the tag"
            )
        if status in (401, 403):
            return RegistryError(
                f"{host} refuses access to {name}{said}",
                hint="check the spelling; an image that is not public needs a password in "
                "~/.config/containers/auth.json (podman login, skopeo login or docker login)",
            )
        if status == 429:
            return RegistryError(
                f"{host} answers that there were too many requests{said}",
                hint="wait some minutes, or log in, which raises most registries' limits",
            )
        return RegistryError(
            f"{host} answers {status} to the request for {name}{said}",
            hint="try again later" if status >= 500 else "check the name of the registry",
        )


def _said(data: bytes) -> str:
    """What the server says for people, made harmless for a terminal."""
    try:
        errors = documents.loads(data.decode())["errors"]
        text = errors[0].get("message") or errors[0].get("code")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    if not isinstance(text, str) or not text:
        return ""
    printable = "".join(char if char.isprintable() else "?" for char in text[:200])
    return f": {printable}"
