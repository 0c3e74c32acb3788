"""Requests to one repository of a registry: scheme, redirects, authorization.

Scope: one request at a time, whatever it is for; what is asked is the business of `registry` and
`uploads`.  Source: OCI distribution specification 1.1; token authentication of the distribution
project.

What a hostile registry could try, and what it meets: a redirect to another host gets no
Authorization header; a redirect or a token server reached over HTTP is refused unless the registry
itself may be spoken to over HTTP; a server that asks for a password again and again is asked twice.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from urllib.parse import quote, urlencode, urlsplit

from rootless import documents
from rootless.errors import ImageNotFound, RegistryError, RootlessError
from rootless.images.names import registries
from rootless.images.names.reference import Reference
from rootless.images.registry import credentials, head_check, www_authenticate
from rootless.images.registry.http import (
    RETRY_STATUS,
    Body,
    Reply,
    Settings,
    Transport,
    failed,
    follow,
    is_alert,
)

_REDIRECTS = 10
_TOKEN_MAX = 1 << 20


class Session:
    """One repository on one server.  Usable from several threads.

    `located` remembers where a blob's bytes really are, when the registry sent us elsewhere.
    """

    def __init__(
        self,
        reference: Reference,
        endpoint: registries.Endpoint,
        settings: Settings | None = None,
        *,
        access: str = "pull",
    ) -> None:
        """`access`: what a token is to allow, in the form of the token specification."""
        self.reference = reference
        self.endpoint = endpoint
        self.settings = settings or Settings()
        self._transport = Transport(
            self.settings,
            verify=not endpoint.insecure,
            certificates=self.settings.cert_dir or registries.certificates(endpoint.host),
        )
        self._scopes = [f"repository:{endpoint.repository}:{access}"] if endpoint.repository else []
        self.located: dict[str, str] = {}
        self._base = ""
        self._authorization = ""
        self._expires = 0.0
        self._challenges: list[www_authenticate.Challenge] = []
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def also(self, scope: str) -> None:
        """Have the next token allow this as well."""
        with self._lock:
            if scope not in self._scopes:
                self._scopes.append(scope)

    def send(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Body = None,
        *,
        attempts: int = 0,
    ) -> Reply:
        """Ask for something below /v2/NAME/, or, if `path` begins with `/` or is a whole address,
        for that; with authorization where it is ours to send, and through redirects.

        Raises RegistryError.  The status of the reply is the caller's to judge.
        """
        place = path
        if "://" not in path and not path.startswith("/"):
            place = f"/v2/{self.endpoint.repository}/{path}"
        if not self._base:
            with self._opening:
                if not self._base:
                    return self._answered(method, place, headers, body, attempts, self._first)
        return self._answered(method, place, headers, body, attempts, self._ask)

    def _answered(
        self,
        method: str,
        place: str,
        headers: dict[str, str],
        body: Body,
        attempts: int,
        ask: _Ask,
    ) -> Reply:
        reply = ask(method, place, headers, body, attempts)
        used = self._authorization
        if reply.status == 401 and self.ours(reply.url):
            offered = www_authenticate.challenges(reply.headers.get_all("WWW-Authenticate") or [])
            reply.close()
            with self._lock:
                # Another thread may have fetched a token while this one was refused.
                if self._authorization == used:
                    self._challenges = offered
                    self._authorize()
            reply = self._ask(method, place, headers, body, attempts)
        return self._follow(method, reply, headers, body, attempts)

    def _first(
        self, method: str, place: str, headers: dict[str, str], body: Body, attempts: int
    ) -> Reply:
        """The first request finds out whether the server speaks TLS."""
        schemes = ["https", "http"] if self.endpoint.insecure else ["https"]
        for scheme in schemes:
            base = f"{scheme}://{self.endpoint.host}"
            only = scheme == schemes[-1]
            try:
                # While there is another scheme to try, one attempt is enough.
                reply = self._transport.send(
                    method, base + place, headers, body, attempts=attempts if only else 1
                )
            except (ssl.SSLError, OSError) as error:
                # Who answers a greeting by an alert speaks TLS.
                if only or isinstance(error, ssl.SSLError) and is_alert(error):
                    refused = failed(base, error)
                    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in str(error):
                        refused.hint = "it speaks HTTP; --tls-verify=false allows that"
                    raise refused from None
                continue
            except RegistryError as error:
                # A plain HTTP server may answer a TLS greeting by closing the connection.
                if only or "sent nothing" in error.message or "a second" in error.message:
                    raise
                continue
            self._base = base
            if self.endpoint.insecure:
                head_check.remember(self.endpoint.host, scheme == "http" and reply.status != 401)
            if reply.status in RETRY_STATUS and not only:
                reply.close()
                return self._ask(method, place, headers, body, attempts)
            return reply
        raise AssertionError("there is at least one scheme")

    def _ask(
        self, method: str, place: str, headers: dict[str, str], body: Body, attempts: int
    ) -> Reply:
        url = place if "://" in place else self._base + place
        if not self.ours(url):
            # An upload may be sent to a storage service, which is not to learn who we are.
            return self._elsewhere(method, url, headers, body, attempts)
        if self._expires and time.monotonic() > self._expires:
            with self._lock:
                if self._expires and time.monotonic() > self._expires:
                    self._authorize()
        if self._authorization:
            headers = {**headers, "Authorization": self._authorization}
        try:
            return self._transport.send(method, url, headers, body, attempts=attempts)
        except OSError as error:
            raise failed(url, error) from None

    def _elsewhere(
        self, method: str, url: str, headers: dict[str, str], body: Body, attempts: int
    ) -> Reply:
        self._allow(url)
        try:
            return self._transport.send(
                method, url, headers, body, attempts=attempts, sender=self.endpoint.host
            )
        except OSError as error:
            raise failed(url, error) from None

    def ours(self, url: str) -> bool:
        """Return whether an address is the registry's own, which may see the password."""
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}" == self._base

    def _follow(
        self, method: str, reply: Reply, headers: dict[str, str], body: Body, attempts: int
    ) -> Reply:
        came_from_us = self.ours(reply.url)
        for _ in range(_REDIRECTS):
            if reply.status not in (301, 302, 303, 307, 308):
                return reply
            target = follow(reply.url, reply.headers.get("Location", ""))
            # A redirect that left the registry once does not come back with a password.
            came_from_us = came_from_us and self.ours(target)
            reply.close()
            if came_from_us:
                reply = self._ask(method, target, headers, body, attempts)
            else:
                reply = self._elsewhere(method, target, headers, body, attempts)
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

    # authorization

    def _stored(self) -> credentials.Credentials | None:
        # By the server that is really asked: a mirror is not to learn the registry's password,
        # neither the one that is kept nor the one that was given for this call.
        own = not self.endpoint.mirror or self.endpoint.registry == self.reference.registry
        if self.settings.credentials is not None and own:
            return self.settings.credentials
        return credentials.find(
            self.endpoint.registry, self.endpoint.repository, self.settings.authfile
        )

    def _authorize(self) -> None:
        """Answer the challenges the server made.  The caller holds the lock."""
        self._authorization, self._expires = "", 0.0
        stored = self._stored()
        for challenge in self._challenges:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                self._authorization = "Bearer " + self._token(challenge.parameters, stored)
                return
        for challenge in self._challenges:
            if challenge.scheme == "basic" and stored is not None and stored.user:
                self._authorization = stored.basic()
                return

    def _token(self, offer: dict[str, str], stored: credentials.Credentials | None) -> str:
        realm = follow(self._base, offer["realm"])
        self._allow(realm)
        scopes = _union(self._scopes, offer.get("scope", "").split())
        asked = [("scope", scope) for scope in scopes]
        if "service" in offer:
            asked.append(("service", offer["service"]))
        headers: dict[str, str] = {}
        if stored is not None and stored.token:
            asked = [
                ("grant_type", "refresh_token"),
                ("refresh_token", stored.token),
                ("client_id", "rootless"),
                ("scope", " ".join(scopes)),
                *[pair for pair in asked if pair[0] == "service"],
            ]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            status, data = self._token_reply("POST", realm, headers, urlencode(asked).encode())
        else:
            if stored is not None:
                headers["Authorization"] = stored.basic()
                asked.append(("account", stored.user))
            url = realm + ("&" if "?" in realm else "?") + urlencode(asked, quote_via=quote)
            status, data = self._token_reply("GET", url, headers, None)
        if status != 200:
            raise self.refused(status, data)
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
            self._expires = time.monotonic() + max(lifetime * 0.9, 10)
        return token

    def _token_reply(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        try:
            reply = self._transport.send(method, url, headers, body, sender=self.endpoint.host)
            return reply.status, reply.read_all(_TOKEN_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise failed(url, error) from None

    # answers

    def check(self, reply: Reply, good: tuple[int, ...]) -> None:
        """Raise an error for a status that is not among `good`."""
        if reply.status in good:
            return
        try:
            data = reply.read_all(1 << 16)
        except (OSError, http.client.HTTPException, RegistryError):
            data = b""
        raise self.refused(reply.status, data)

    def refused(self, status: int, data: bytes) -> RootlessError:
        """Return the error for a status, with what the server says."""
        name, host = self.reference.familiar, self.endpoint.host
        said = _said(data)
        if status == 404:
            return ImageNotFound(
                f"{host} has no image {name}", hint="check the spelling of the name and the tag"
            )
        if status in (401, 403):
            return RegistryError(
                f"{host} refuses access to {name}{said}",
                hint="check the spelling; for an image that is not public, or to push, "
                f"`rootless login {self.endpoint.registry}`",
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


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Ask = Callable[[str, str, dict[str, str], Body, int], Reply]


def _union(first: list[str], second: list[str]) -> list[str]:
    """Scopes of both, those for one repository joined: `repository:a:pull,push`."""
    joined: dict[str, list[str]] = {}
    for scope in [*first, *second]:
        kind, _, actions = scope.rpartition(":")
        known = joined.setdefault(kind, [])
        known += [action for action in actions.split(",") if action not in known]
    return [f"{kind}:{','.join(actions)}" for kind, actions in joined.items()]


def _said(data: bytes) -> str:
    """What the server says for users, made harmless for a terminal."""
    try:
        errors = documents.loads(data.decode())["errors"]
        text = errors[0].get("message") or errors[0].get("code")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
    if not isinstance(text, str) or not text:
        return ""
    printable = "".join(char if char.isprintable() else "?" for char in text[:200])
    return f": {printable}"
