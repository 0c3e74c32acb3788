"""A server before a real registry: it passes everything on, unless a test's `fault` answers itself.

with Front(registry) as front:
    front.fault = lambda request: request.path.startswith("/v2/secret") and request.answer(403)
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from registry import Registry


class Request(BaseHTTPRequestHandler):
    """One request; `body` is there when `fault` looks."""

    # head and body are written apart: each answer would wait for the other side's delayed ACK
    disable_nagle_algorithm = True

    protocol_version = "HTTP/1.1"
    server: Front

    def pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        if self.server.early is not None and self.server.early(self):
            return
        self.body = self.rfile.read(length) if length else b""
        if self.server.fault is not None and self.server.fault(self):
            return
        status, headers, data = self.ask()
        self.answer(status, data, headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    def ask(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the real registry answers."""
        there = http.client.HTTPConnection(self.server.behind, timeout=60)
        kept = {key: value for key, value in self.headers.items() if key != "Connection"}
        if self.server.tokens:
            kept.pop("Authorization", None)
        if self.server.scheme == "https":
            kept["X-Forwarded-Proto"] = "https"
        there.request(self.command, self.path, self.body, kept)
        reply = there.getresponse()
        data = reply.read()
        there.close()
        skipped = ("content-length", "transfer-encoding", "connection", "date")
        headers = [(k, v) for k, v in reply.getheaders() if k.lower() not in skipped]
        if self.command == "HEAD":
            headers.append(("Content-Length", reply.getheader("Content-Length") or "0"))
        return reply.status, headers, data

    def answer(
        self, status: int, data: bytes = b"", headers: Any = (), *, promised: int | None = None
    ) -> bool:
        """Answer; True, so that a fault can return it."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        self.send_response(status)
        for name, value in pairs:
            self.send_header(name, value)
        if self.command != "HEAD" or not any(k.lower() == "content-length" for k, _ in pairs):
            self.send_header("Content-Length", str(len(data) if promised is None else promised))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if promised is not None:
            self.close_connection = True
        return True

    def reset(self) -> bool:
        """Break the connection as hard as TCP can."""
        linger = b"\x01\0\0\0\0\0\0\0"
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()
        # the handler wants to flush what is no longer there
        self.wfile = open("/dev/null", "wb")  # type: ignore[assignment]  # noqa: SIM115
        return True

    def log_message(self, format: str, *args: Any) -> None:
        pass


Fault = Callable[[Request], bool]


class Front(ThreadingHTTPServer):
    """A context manager; `host` is where it listens."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, registry: Registry | None, *, tokens: Tokens | None = None, certificate: str = ""
    ) -> None:
        """`certificate`: a PEM file with key and certificate makes it speak TLS."""
        super().__init__(("127.0.0.1", 0), Request)
        self.behind = registry.host if registry else ""
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.fault: Fault | None = None
        # before the body is read
        self.early: Fault | None = None
        self.release = threading.Event()
        self.tokens = tokens
        self.scheme = "https" if certificate else "http"
        self.host = f"127.0.0.1:{self.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.context = context
            self.socket = context.wrap_socket(self.socket, server_side=True)
        if tokens:
            tokens.host = self.host
            self.fault = tokens.check

    def __enter__(self) -> Front:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass

    def asked(self, method: str, part: str = "") -> list[str]:
        """Paths of requests with this method that contain this."""
        return [path for how, path, _ in self.requests if how == method and part in path]


class Tokens:
    """Token authentication: /token gives tokens that name what they allow.

    `people` are names with passwords; `allow(user, scope)` says which actions of `repository:x:…`
    somebody gets; a token is good for `uses` requests.
    """

    def __init__(self, people: dict[str, str], uses: int = 1 << 30) -> None:
        self.people = people
        self.uses = uses
        self.host = ""
        self.given: dict[str, list[Any]] = {}
        self.scopes: list[list[str]] = []
        self.users: list[str] = []
        self.lock = threading.Lock()
        self.refresh: dict[str, str] = {}

    def allow(self, user: str, repository: str, action: str) -> bool:
        """The rule: everybody pulls what is public, people do all."""
        return bool(user) or (action == "pull" and repository.startswith("public/"))

    def check(self, request: Request) -> bool:
        """A fault that guards a Front."""
        parts = urlsplit(request.path)
        if parts.path == "/token":
            return self._give(request, parse_qs(parts.query))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        repository = parts.path.removeprefix("/v2/")
        for mark in ("/manifests/", "/blobs/", "/tags/", "/referrers/"):
            repository = repository.partition(mark)[0]
        action = "pull" if request.command in ("GET", "HEAD") else "push"
        if "/blobs/uploads/" in parts.path:
            action = "push"
        wanted = f"repository:{repository}:{action}"
        if parts.path in ("/v2/", "/v2/_catalog"):
            wanted = ""
        with self.lock:
            grant = self.given.get(token)
            good = grant is not None and grant[0] > 0 and (not wanted or wanted in grant[1])
            if good and grant is not None:
                grant[0] -= 1
        if good:
            return False
        scope = f',scope="{wanted}"' if wanted else ""
        realm = f'Bearer realm="http://{self.host}/token",service="front"{scope}'
        return request.answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}',
                              {"WWW-Authenticate": realm})  # fmt: skip

    def _give(self, request: Request, query: dict[str, list[str]]) -> bool:
        user = ""
        if request.command == "POST":
            query = parse_qs(request.body.decode())
            user = self.refresh.get(query.get("refresh_token", [""])[0], "")
            if not user:
                return request.answer(401, b'{"errors":[{"message":"unknown refresh token"}]}')
        packed = request.headers.get("Authorization", "").removeprefix("Basic ")
        if packed:
            user, _, password = base64.b64decode(packed).decode().partition(":")
            if self.people.get(user) != password:
                return request.answer(401, b'{"errors":[{"message":"incorrect password"}]}')
        scopes = [one for text in query.get("scope", []) for one in text.split()]
        allowed = set()
        for scope in scopes:
            kind, repository, actions = scope.split(":")
            if kind == "repository":
                allowed |= {
                    f"repository:{repository}:{action}"
                    for action in actions.split(",")
                    if self.allow(user, repository, action)
                }
        with self.lock:
            self.scopes.append(scopes)
            self.users.append(user)
            token = f"token-{len(self.scopes)}"
            self.given[token] = [self.uses, allowed]
        return request.answer(200, json.dumps({"token": token, "expires_in": 300}).encode())
