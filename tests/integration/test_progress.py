"""What a person sees while an image arrives: bars on a terminal, plain lines elsewhere.

The server sends half of a layer and then waits for the test, so nothing here depends on speed.
"""

from __future__ import annotations

import os
import pathlib
import re
import signal
import threading
from collections.abc import Iterator

import pytest
from conftest import Command
from integration.registry import Handler, Layout, Server

FIRST, SECOND = os.urandom(2 << 20), os.urandom(1 << 20)
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Slow:
    """A server whose layers stop half way until `go` is set."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.go = threading.Event()
        self.waiting = threading.Semaphore(0)
        server.fault = self.fault

    def fault(self, request: Handler) -> bool:
        """Half of a layer, a pause, the rest."""
        _, kind, what = request.path.rsplit("/", 2)
        if kind != "blobs" or request.command == "HEAD":
            return False
        data = request.blob(what)
        if len(data) < 1 << 19:
            return False
        start = 0
        if "Range" in request.headers:
            start = int(request.headers["Range"].removeprefix("bytes=").partition("-")[0])
        middle = (start + len(data)) // 2
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        request.wfile.write(data[start:middle])
        request.wfile.flush()
        self.waiting.release()
        self.go.wait(60)
        request.wfile.write(data[middle:])
        return True

    def half_way(self, count: int) -> None:
        """Until this many layers have stopped."""
        for _ in range(count):
            assert self.waiting.acquire(timeout=100)


@pytest.fixture
def slow(tmp_path: pathlib.Path) -> Iterator[Slow]:
    layout = Layout(tmp_path / "layout")
    layout.image("one", [{"bin/first": FIRST}, {"second": SECOND}, {"third": b"3"}])
    server = Server(layout)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    slow = Slow(server)
    yield slow
    slow.go.set()
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def drawn(seen: bytes) -> str:
    """What a terminal of many lines shows, without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def test_bars_on_a_terminal(rootless: Command, slow: Slow) -> None:
    terminal = rootless.terminal("pull", slow.server.name, cols=100)
    slow.half_way(2)
    # a bar for each large layer, half full: the count of bytes says so
    terminal.expect("0.5/1.0 MB")
    shown = drawn(terminal.seen)
    assert "━" in shown
    slow.go.set()
    assert terminal.wait(60) == 0
    shown = drawn(terminal.seen)
    assert "2.1/2.1 MB" in shown, shown
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) > 0
    # the id, which is for scripts, is the last line
    identifier = rootless("images", "-q", "--no-trunc").stdout.strip().removeprefix("sha256:")
    assert shown.rstrip().endswith(identifier)


def test_a_bar_that_is_interrupted_leaves_a_usable_terminal(rootless: Command, slow: Slow) -> None:
    terminal = rootless.terminal("pull", slow.server.name, cols=100)
    slow.half_way(2)
    # the size alone is shown before anything has come
    terminal.expect("0.5/1.0 MB")
    terminal.type(b"\x03")
    assert terminal.wait(60) == 130
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
    assert "Traceback" not in drawn(terminal.seen)
    assert rootless("images", "-q").stdout == ""
    # the next pull goes on where this one stopped
    slow.go.set()
    before = len(slow.server.requests)
    rootless("pull", slow.server.name)
    ranges = [headers.get("Range", "") for _, _, headers in slow.server.requests[before:]]
    assert any(one and not one.startswith("bytes=0-") for one in ranges), ranges


def test_an_error_under_the_bars_is_told_below_them(rootless: Command, slow: Slow) -> None:
    slow.go.set()
    healthy = slow.fault

    def lie(request: Handler) -> bool:
        if (
            request.path.rsplit("/", 2)[1] == "blobs"
            and len(request.blob(request.path[-71:])) > 1 << 20
        ):
            request.reply(200, bytes(len(request.blob(request.path[-71:]))))
            return True
        return healthy(request)

    slow.server.fault = lie
    terminal = rootless.terminal("pull", slow.server.name, cols=200)
    assert terminal.wait(60) == 125
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW)
    assert "error: " in drawn(terminal.seen).splitlines()[-2], drawn(terminal.seen)


def test_plain_lines_elsewhere(rootless: Command, slow: Slow) -> None:
    slow.go.set()
    found = rootless("pull", slow.server.name)
    assert "\x1b" not in found.stderr
    assert "\r" not in found.stderr
    assert "2.1MB" in found.stderr
    identifier = rootless("images", "-q", "--no-trunc").stdout.strip().removeprefix("sha256:")
    assert found.stdout.strip() == identifier
    rootless("rmi", slow.server.name)
    assert rootless("pull", "-q", slow.server.name).stderr == ""
    # a terminal that can do nothing gets lines as well
    rootless("rmi", slow.server.name)
    rootless.words = ["env", "TERM=dumb", *rootless.words]
    terminal = rootless.terminal("pull", slow.server.name)
    assert terminal.wait(60) == 0
    assert b"\x1b" not in terminal.seen


def test_a_killed_pull_leaves_nothing_half_done(rootless: Command, slow: Slow) -> None:
    process = rootless.start("pull", slow.server.name)
    slow.half_way(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert rootless("images", "-q").stdout == ""
    slow.go.set()
    rootless("pull", slow.server.name)
    assert len(rootless("images", "-q").stdout.split()) == 1
