"""Parts of blobs: several connections for a large one, and parts on request."""

from __future__ import annotations

import hashlib
import os
import pathlib
import threading

import pytest
from pulling import own_settings, server, store
from registry import Handler, Layout, Registry, Server, registry

from rootless.errors import RegistryError
from rootless.images.registry import ranges
from rootless.images.registry.client import connect
from rootless.images.registry.http import Settings
from rootless.images.store.store import ImageStore
from rootless.images.transfer.pull import pull

__all__ = ["own_settings", "registry", "server", "store"]

HASTY = Settings(stall=1.5, attempts=3, backoff=0.01)
SEGMENT = 1 << 18
BIG = os.urandom(10 * SEGMENT + 77)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same division with small numbers."""
    monkeypatch.setattr(ranges, "SEGMENT", SEGMENT)
    monkeypatch.setattr(ranges, "WORTH", 2 * SEGMENT)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.image("one", [{"big": BIG}])
    return made


def _large(layout: Layout) -> tuple[str, bytes]:
    path = max((layout.path / "blobs/sha256").iterdir(), key=lambda one: one.stat().st_size)
    return "sha256:" + path.name, path.read_bytes()


def _asked(server: Server, digest: str) -> list[str]:
    return [headers.get("Range", "") for _, path, headers in server.requests if digest in path]


def test_a_large_blob_comes_in_parts(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, data = _large(layout)
    pull(store, server.name, settings=HASTY)
    assert store.read_blob(digest) == data
    asked = _asked(server, digest)
    assert len(asked) == len(set(asked)) == -(-len(data) // SEGMENT)
    assert f"bytes=0-{SEGMENT - 1}" in asked


def test_a_real_registry_gives_parts(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:one", "team/parts:1")
    pull(store, name, settings=HASTY)
    digest, data = _large(layout)
    assert store.read_blob(digest) == data
    got = [line for line in registry.requests if digest in line and line.startswith("GET")]
    assert len(got) > 3


@pytest.mark.parametrize("where", ["header", "body"])
def test_one_connection_that_stalls(
    server: Server, store: ImageStore, layout: Layout, where: str
) -> None:
    """The segment is asked for again elsewhere; the stalled answer is never awaited."""
    digest, data = _large(layout)
    first = iter([True])
    begin = 3 * SEGMENT

    def fault(request: Handler) -> bool:
        if f"bytes={begin}-" not in request.headers.get("Range", "") or not next(first, False):
            return False
        if where == "body":
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {begin}-{begin + SEGMENT - 1}/{len(data)}")
            request.send_header("Content-Length", str(SEGMENT))
            request.end_headers()
            request.wfile.write(data[begin : begin + 1000])
            request.wfile.flush()
        server.release.wait(60)
        request.close_connection = True
        return True

    server.fault = fault
    pull(store, server.name, settings=HASTY)
    assert store.read_blob(digest) == data
    again = [one for one in _asked(server, digest) if f"-{begin + SEGMENT - 1}" in one]
    assert again == [
        f"bytes={begin}-{begin + SEGMENT - 1}",
        f"bytes={begin if where == 'header' else begin + 1000}-{begin + SEGMENT - 1}",
    ]


def test_every_connection_stalls(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, _ = _large(layout)

    def fault(request: Handler) -> bool:
        if f"bytes={4 * SEGMENT}-" not in request.headers.get("Range", ""):
            return False
        server.release.wait(60)
        request.close_connection = True
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=Settings(stall=0.6, attempts=3, backoff=0.01))
    assert f"{server.host} sent nothing for 0.6 seconds" in caught.value.message
    # what came before is kept, and only that is not asked for again
    partial = pathlib.Path(store.ingest, "sha256-" + digest[7:])
    assert partial.stat().st_size == 4 * SEGMENT
    server.fault, server.requests = None, []
    pull(store, server.name, settings=HASTY)
    assert len(_asked(server, digest)) == 7


def test_connections_that_break(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, data = _large(layout)
    served = iter(range(4))

    def fault(request: Handler) -> bool:
        wanted = request.headers.get("Range", "")
        if digest not in request.path or next(served, None) is None:
            return False
        begin, end = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
        extra = {"Content-Range": f"bytes {begin}-{end}/{len(data)}"}
        half = data[begin : (begin + end) // 2]
        request.reply(206, half, extra, promised=end + 1 - begin)
        return True

    server.fault = fault
    pull(store, server.name, settings=HASTY)
    assert hashlib.sha256(store.read_blob(digest)).hexdigest() == digest[7:]


def test_a_server_without_ranges(server: Server, store: ImageStore, layout: Layout) -> None:
    server.ranges = False
    digest, data = _large(layout)
    pull(store, server.name, settings=HASTY)
    assert store.read_blob(digest) == data
    with connected(server) as remote:
        assert b"".join(remote.open_range(digest, 5000, 77)) == data[5000:5077]


class connected:
    """`registry.connect` as a context manager."""

    def __init__(self, server: Server) -> None:
        self.remote = connect(server.name, settings=HASTY)

    def __enter__(self):  # type: ignore[no-untyped-def]
        return self.remote

    def __exit__(self, *_: object) -> None:
        self.remote.close()


def test_a_part_on_request(server: Server, layout: Layout) -> None:
    digest, data = _large(layout)
    with connected(server) as remote:
        for offset, length in ((0, 1), (1, 0), (1234, 500_000), (len(data) - 7, 7)):
            assert b"".join(remote.open_range(digest, offset, length)) == data[offset:][:length]
        with pytest.raises(RegistryError):
            list(remote.open_range(digest, len(data) - 7, 8))


def test_an_address_elsewhere_is_remembered_until_it_ends(server: Server, layout: Layout) -> None:
    """Registries that send readers to a storage service do so with addresses that expire."""
    digest, data = _large(layout)
    other = Server(layout)
    thread = threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    valid = ["first"]

    def fault(request: Handler) -> bool:
        if digest in request.path:
            target = f"http://{other.host}{request.path}?{valid[0]}/blobs/{digest}"
            request.reply(307, b"", {"Location": target})
            return True
        return False

    def expired(request: Handler) -> bool:
        if f"?{valid[0]}/" not in request.path:
            request.reply(403)
            return True
        return False

    server.fault, other.fault = fault, expired
    try:
        with connected(server) as remote:
            assert b"".join(remote.open_range(digest, 10, 20)) == data[10:30]
            assert b"".join(remote.open_range(digest, 30, 20)) == data[30:50]
            assert len(_asked(server, digest)) == 1
            valid[0] = "second"
            assert b"".join(remote.open_range(digest, 50, 20)) == data[50:70]
            assert len(_asked(server, digest)) == 2
    finally:
        other.shutdown()
        other.server_close()
        thread.join()
