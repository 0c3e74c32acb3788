"""Addresses that a build asks: no cloud's metadata, and not this machine because of a redirect."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rootless.engine.build import downloads
from rootless.errors import StorageError, UsageError


class Handler(BaseHTTPRequestHandler):
    """/to?ADDRESS redirects there, /file is a file."""

    def do_GET(self) -> None:
        """Answer."""
        path, _, target = self.path.partition("?")
        self.server.asked.append(path)  # type: ignore[attr-defined]
        self.send_response(302 if path == "/to" else 200)
        if path == "/to":
            self.send_header("Location", target)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"file")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize(
    ("kinds", "refused"),
    [
        (["loopback", "loopback"], ""),
        (["", ""], ""),
        (["", "loopback"], "a redirect leads to 127.0.0.1, an address of this machine"),
        (["", "unspecified"], "a redirect leads to 127.0.0.1, an address of this machine"),
        (["loopback", "link-local"], "127.0.0.1 is a link-local address"),
        (["link-local"], "127.0.0.1 is a link-local address"),
    ],
)
def test_where_nobody_is_asked(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, kinds: list[str], refused: str
) -> None:
    left = list(kinds)
    monkeypatch.setattr(downloads.peers, "kind", lambda _: left.pop(0))
    base = f"http://127.0.0.1:{server.server_address[1]}"
    if not refused:
        with downloads.opened(f"{base}/to?{base}/file", 5) as answer:
            assert answer.read() == b"file"
        return
    with pytest.raises(UsageError, match=refused):
        downloads.opened(f"{base}/to?{base}/file", 5)
    assert len(server.asked) == len(kinds) - 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x"])
def test_redirects_lead_to_http_alone(server: ThreadingHTTPServer, target: str) -> None:
    with pytest.raises(OSError):
        downloads.opened(f"http://127.0.0.1:{server.server_address[1]}/to?{target}", 5)


def test_a_server_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(downloads.time, "monotonic", lambda: now[0])
    pace = downloads.Pace("http://slow/x")
    for _ in range(200):
        now[0] += 1
        pace.add(200)
    with pytest.raises(StorageError, match="http://slow/x sends fewer than 100 bytes a second"):
        for _ in range(200):
            now[0] += 1
            pace.add(1)
