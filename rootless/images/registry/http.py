"""HTTP exchanges: connections kept open, TLS, proxies, time-outs, another try.

Scope: one request and its reply; redirects and authorization belong to `session`.
A stalled server is one that sends no byte for `Settings.stall` seconds, wherever it stalls, or so
few over a longer time that waiting for them leads nowhere (`_Paced`).
"""

from __future__ import annotations

import base64
import http.client
import io
import os
import socket
import ssl
import threading
import time
import urllib.request
from urllib.parse import unquote, urljoin, urlsplit

from rootless.errors import HostError, RegistryError
from rootless.images.names.registries import is_loopback
from rootless.images.registry import peers
from rootless.images.registry.requests import LEAST_RATE
from rootless.images.registry.requests import Body as Body
from rootless.images.registry.requests import Payload as Payload
from rootless.images.registry.requests import Settings as Settings

USER_AGENT = "rootless"
RETRY_STATUS = (429, 500, 502, 503, 504)
RANGE_TRIES = 3


TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TooSlow(TimeoutError):
    """A server that sends, but too little."""


class _Paced(io.RawIOBase):
    """What a connection sends, as long as it comes at a pace: head and body alike.

    Only the time spent waiting for the server counts, not that of the reader.
    """

    def __init__(self, raw: io.RawIOBase, settings: Settings) -> None:
        self._raw = raw
        self._window = settings.window
        self._least = settings.least
        self._waited = 0.0
        self._have = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        """Read as io.RawIOBase does.  Raises TooSlow."""
        before = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - before
        self._have += count or 0
        if self._waited > self._window:
            if self._have < self._least and count:
                raise TooSlow
            self._waited, self._have = 0.0, 0
        return count

    def close(self) -> None:
        """Close what is below as well."""
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that is read at a pace."""

    def pace(self, settings: Settings) -> _Response:
        """Measure from now on."""
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), settings))
        return self


class Reply:
    """What a server answered; close it, or read it to its end."""

    __slots__ = (
        "_connection",
        "_key",
        "_response",
        "_sock",
        "_transport",
        "headers",
        "status",
        "url",
    )

    def __init__(
        self,
        transport: Transport,
        key: tuple[str, str],
        connection: http.client.HTTPConnection,
        sock: socket.socket,
        response: http.client.HTTPResponse,
        url: str,
    ) -> None:
        self._transport = transport
        self._key = key
        self._connection = connection
        self._sock = sock
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.url = url

    def read_some(self, limit: int) -> bytes:
        """Return what has arrived, b"" at the end.  Raises OSError, http.client.HTTPException."""
        return self._response.read1(limit)

    def expected(self) -> int | None:
        """Return bytes of the body that are still to come, None where the server did not say."""
        return self._response.length

    def read_all(self, limit: int) -> bytes:
        """Return the body.  Raises RegistryError when it has more than `limit` bytes."""
        parts, have = [], 0
        try:
            while part := self.read_some(1 << 16):
                have += len(part)
                if have > limit:
                    raise RegistryError(
                        f"the answer of {self.url} has more than {limit} bytes",
                        hint="no registry sends that much; check the name of the registry",
                    )
                parts.append(part)
            missing = self._response.length
        finally:
            self.close()
        if missing:
            raise http.client.IncompleteRead(b"", missing)
        return b"".join(parts)

    def abort(self) -> None:
        """Wake the thread that reads this, by ending the connection."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Give the connection back if it is in a known state, or drop it."""
        left = self._response.length
        whole = left == 0 or (left is None and self._response.isclosed())
        self._response.close()
        if whole and not self._response.will_close:
            self._transport.keep(self._key, self._connection)
        else:
            self._connection.close()


class Transport:
    """Connections to any number of servers; usable from several threads."""

    def __init__(self, settings: Settings, *, verify: bool, certificates: str = "") -> None:
        """`certificates`: a directory in the manner of certs.d/HOST with *.crt, *.cert, *.key."""
        self.settings = settings
        self.verify = verify
        self._certificates = certificates
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._kinds: set[str] = set()
        self._context: ssl.SSLContext | None = None
        self._proxies = urllib.request.getproxies_environment()

    def send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body = None,
        *,
        attempts: int = 0,
        sender: str = "",
    ) -> Reply:
        """Ask, and ask again after resets, stalls, 429 and 5xx; the last reply is returned as is.

        `attempts` other than 0 overrides the settings.  `sender`: the registry that sent us there,
        which may not send us everywhere, see `peers`.

        Raises RegistryError, or OSError for TLS (`ssl.SSLError`) and refused connections, which
        the caller may want to answer by another scheme.
        """
        timeouts = 0
        attempts = attempts or self.settings.attempts
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                reply = self._once(method, url, headers, body, sender)
            except TimeoutError as error:
                timeouts += 1
                # Every stall costs the whole patience, so two are enough.
                if last or timeouts >= (RANGE_TRIES if "Range" in headers else 2):
                    raise stalled(url, self.settings, error) from None
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError) as error:
                if last:
                    raise failed(url, error) from None
            except (ssl.SSLError, ConnectionRefusedError, socket.gaierror):
                raise
            except (OSError, http.client.HTTPException, ValueError) as error:
                if last:
                    raise failed(url, error) from None
            else:
                if reply.status not in RETRY_STATUS or last:
                    return reply
                retry_after = reply.headers.get("Retry-After")
                reply.close()
                if asked := self.settings.too_long(retry_after):
                    raise RegistryError(
                        f"{urlsplit(url).netloc} answers {reply.status} and wants to be asked "
                        f"again in {asked:.0f} seconds",
                        hint="try again then, what has arrived is kept",
                    )
                self.settings.wait(attempt, retry_after)
                continue
            self.settings.wait(attempt)
        raise AssertionError("attempts is at least one")

    def keep(self, key: tuple[str, str], connection: http.client.HTTPConnection) -> None:
        """Take a connection back."""
        with self._lock:
            if not self._closed:
                self._idle.setdefault(key, []).append(connection)
                return
        # A thread that was stopped came back after all others had left.
        connection.close()

    def close(self) -> None:
        """Close what is idle, and what will be."""
        with self._lock:
            self._closed = True
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _once(
        self, method: str, url: str, headers: dict[str, str], body: Body, sender: str = ""
    ) -> Reply:
        parts = urlsplit(url)
        if sender:
            peers.check(peers.kind_of_name(parts.hostname or ""), self._kinds, sender, url)
        key = (parts.scheme, parts.netloc)
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        headers = {"User-Agent": USER_AGENT, **headers}
        proxy = self._proxy(parts.scheme, parts.hostname or "", parts.netloc)
        if proxy and parts.scheme == "http":
            target = url
            headers.update(_proxy_authorization(proxy))
        with self._lock:
            idle = self._idle.get(key)
            connection = idle.pop() if idle else None
        if connection is not None:
            try:
                return self._exchange(connection, key, method, target, headers, body, url)
            except (ConnectionError, http.client.HTTPException, ssl.SSLError):
                # The server closed a connection it had kept; that is its right, and no failure.
                # But a piece of an upload may have arrived all the same: the caller has to ask.
                connection.close()
                if isinstance(body, Payload) and body.size:
                    raise
            except BaseException:
                connection.close()
                raise
        connection = self._connect(parts.scheme, parts.hostname or "", parts.port, proxy)
        try:
            connection.connect()
            if not proxy:
                # by its address: a name may lead anywhere
                kind = peers.kind(connection.sock.getpeername()[0])
                if sender:
                    peers.check(kind, self._kinds, sender, url)
                self._kinds.add(kind)
            return self._exchange(connection, key, method, target, headers, body, url)
        except BaseException:
            connection.close()
            raise

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        key: tuple[str, str],
        method: str,
        target: str,
        headers: dict[str, str],
        body: Body,
        url: str,
    ) -> Reply:
        sock = connection.sock
        # A part of a blob can be had again, so there is less to lose by giving up on one sooner.
        sock.settimeout(self.settings.stall / (RANGE_TRIES if "Range" in headers else 1))
        try:
            if isinstance(body, Payload):
                headers = {**headers, "Content-Length": str(body.size)}
                connection.request(method, target, body=body.open(), headers=headers)
            else:
                connection.request(method, target, body=body, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a long body may say why before it has seen all of it.
            if not isinstance(body, Payload):
                raise
        return Reply(self, key, connection, sock, connection.getresponse(), url)

    def _connect(
        self, scheme: str, host: str, port: int | None, proxy: str
    ) -> http.client.HTTPConnection:
        stall = self.settings.stall
        via = urlsplit(proxy) if proxy else None
        first, first_port = (via.hostname or "", via.port or 80) if via else (host, port)
        if scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                first, first_port, timeout=stall, context=self._tls()
            )
            if via:
                connection.set_tunnel(host, port or 443, _proxy_authorization(proxy))
        else:
            connection = http.client.HTTPConnection(first, first_port, timeout=stall)
        connection.response_class = self._response  # type: ignore[assignment]
        return connection

    def _response(self, *words: Any, **more: Any) -> _Response:
        return _Response(*words, **more).pace(self.settings)

    def _proxy(self, scheme: str, host: str, netloc: str) -> str:
        """The proxy for a host, "" for none; a proxy never gets to see this host's own services."""
        if is_loopback(host) or urllib.request.proxy_bypass(netloc) or self._in_no_proxy(host):
            return ""
        proxy = self._proxies.get(scheme) or self._proxies.get("all") or ""
        if proxy and "://" not in proxy:
            proxy = "http://" + proxy
        if proxy and urlsplit(proxy).scheme != "http":
            raise RegistryError(
                f"the proxy {urlsplit(proxy).scheme}://{urlsplit(proxy).hostname} is of a kind "
                "that is not supported",
                hint="set HTTPS_PROXY to an http:// proxy",
            )
        return proxy

    def _in_no_proxy(self, host: str) -> bool:
        """Networks in NO_PROXY, `10.0.0.0/8`, which curl and Go know and urllib does not."""
        listed = str(self._proxies.get("no") or "")
        if "/" not in listed:
            return False
        import ipaddress

        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return False
        for word in listed.split(","):
            try:
                if "/" in word and address in ipaddress.ip_network(word.strip(), strict=False):
                    return True
            except ValueError:
                continue
        return False

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                if self.verify:
                    context = ssl.create_default_context()
                else:
                    # The system's authorities take 20 ms to load; here they are not asked.
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                if self._certificates:
                    _load_certificates(context, self._certificates)
                self._context = context
            return self._context


def follow(here: str, given: str) -> str:
    """Return where an answer of `here` leads: `given` is the server's.  Raises RegistryError."""
    try:
        url = urljoin(here, given)
        parts = urlsplit(url)
        known = parts.port is None or parts.port > 0
        (parts.hostname or "").encode("idna")  # as the look-up of its address will
    except ValueError:
        known = False
    if not known or not url.isascii() or not url.isprintable() or " " in url:
        raise RegistryError(
            f"{urlsplit(here).netloc} sends us to {given[:200]!a}, which is not an address",
            hint="the registry is misconfigured or hostile",
        )
    return url


def stalled(url: str, settings: Settings, error: BaseException | None = None) -> RegistryError:
    """Return the error for a server that sent nothing, or too little, for too long."""
    if isinstance(error, TooSlow):
        return RegistryError(
            f"{urlsplit(url).netloc} sent less than {LEAST_RATE} bytes a second for "
            f"{settings.window:g} seconds",
            hint="try again later, what has arrived is kept; ROOTLESS_STALL_SECONDS is half of it",
        )
    return RegistryError(
        f"{urlsplit(url).netloc} sent nothing for {settings.stall:g} seconds",
        hint="try again later, what has arrived is kept; ROOTLESS_STALL_SECONDS sets the patience",
    )


def is_alert(error: ssl.SSLError) -> bool:
    """Return whether the other end speaks TLS and refuses, or we refuse it."""
    return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")


def failed(url: str, error: BaseException) -> RegistryError:
    """Return the error for an exchange that failed below HTTP."""
    server = urlsplit(url).netloc
    if isinstance(error, ssl.SSLCertVerificationError):
        return RegistryError(
            f"the certificate of {server} cannot be trusted: {error.verify_message}",
            hint="install its authority's certificate, or pull with --tls-verify=false",
        )
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "HANDSHAKE_FAILURE" in reason):
        return RegistryError(
            f"{server} wants a certificate of yours",
            hint=f"put NAME.cert and NAME.key into ~/.config/containers/certs.d/{server}",
        )
    if isinstance(error, socket.gaierror):
        return RegistryError(
            f"cannot find the host {server}: {error.strerror}",
            hint="check the name of the registry and the network",
        )
    if isinstance(error, http.client.HTTPException | ValueError):
        what = f"it does not speak HTTP as it should ({type(error).__name__})"
    else:
        what = getattr(error, "strerror", "") or str(error) or type(error).__name__
    return RegistryError(
        f"cannot talk to {server}: {what}",
        hint="check the name and port of the registry, the network, and HTTPS_PROXY",
    )


def _proxy_authorization(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _load_certificates(context: ssl.SSLContext, directory: str) -> None:
    try:
        for name in sorted(os.listdir(directory)):
            path = os.path.join(directory, name)
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                context.load_cert_chain(path, path[:-5] + ".key")
    except OSError as error:
        raise HostError(
            f"cannot load the certificates in {directory}: {error}",
            hint="they are PEM files: NAME.crt for authorities, NAME.cert with NAME.key for you",
        ) from None
