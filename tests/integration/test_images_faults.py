"""Pulling from a small server that misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import socket
import threading

import pytest
from pulling import own_settings, server, store
from registry import Handler, Layout, Server, free_port

from rootless.errors import DigestMismatch, RegistryError, RootlessError
from rootless.images.registry.http import Settings
from rootless.images.store.store import ImageStore
from rootless.images.transfer.pull import pull
from rootless.progress import Progress

__all__ = ["own_settings", "server", "store"]

HASTY = Settings(stall=0.5, attempts=3, backoff=0.01)
BIG = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    one = made.image("one", [{"bin/true": b"x" * 100}, {"big": BIG}, {"third": b"3"}])
    arm = made.image(None, [{"bin/true": b"arm"}], architecture="arm64", variant="v8")
    made.index("multi", [one, arm])
    made.add("arm", arm)
    return made


def big_layer(layout: Layout) -> tuple[str, int]:
    """Digest and size of the layer with BIG in it."""
    manifest = json.loads(
        (layout.path / "blobs/sha256" / layout.entries[0]["digest"][7:]).read_bytes()
    )
    layer = max(manifest["layers"], key=lambda item: item["size"])
    return layer["digest"], layer["size"]


def test_plain_http_on_the_loopback(server: Server, store: ImageStore) -> None:
    assert pull(store, server.name, settings=HASTY).names == [server.name]


def test_verification_can_be_demanded(server: Server, store: ImageStore) -> None:
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, tls_verify=True, settings=HASTY)
    assert "HTTP" in caught.value.hint


def test_refused_connection(store: ImageStore) -> None:
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError) as caught:
        pull(store, f"{host}/a/b", settings=HASTY)
    assert host in caught.value.message
    assert "refused" in caught.value.message


def test_wrong_bytes(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, size = big_layer(layout)

    def fault(request: Handler) -> bool:
        if digest in request.path:
            request.reply(200, b"z" * size)
            return True
        return False

    server.fault = fault
    with pytest.raises(DigestMismatch) as caught:
        pull(store, server.name, settings=HASTY)
    assert digest in caught.value.message
    assert "sha256:" + hashlib.sha256(b"z" * size).hexdigest() in caught.value.message
    assert store.list() == []
    assert not os.path.exists(store.blob_path(digest))
    assert os.path.basename(store.blob_path(digest)) not in " ".join(os.listdir(store.ingest))


def test_wrong_manifest(server: Server, store: ImageStore) -> None:
    def fault(request: Handler) -> bool:
        if "manifests" in request.path:
            request.reply(200, b"{}", {"Docker-Content-Digest": "sha256:" + "0" * 64})
            return True
        return False

    server.fault = fault
    with pytest.raises(DigestMismatch):
        pull(store, server.name, settings=HASTY)


def test_truncated_blob(server: Server, store: ImageStore, layout: Layout) -> None:
    """The server believes that its blob is shorter than the manifest says."""
    digest, size = big_layer(layout)

    def fault(request: Handler) -> bool:
        if digest in request.path:
            data = request.blob(digest)[: size // 2]
            if "Range" in request.headers:
                request.reply(416)
            else:
                request.reply(200, data)
            return True
        return False

    server.fault = fault
    with pytest.raises(DigestMismatch) as caught:
        pull(store, server.name, settings=HASTY)
    assert f"{size // 2} of {size} bytes" in caught.value.message
    assert store.list() == []


def test_longer_blob(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, _ = big_layer(layout)

    def fault(request: Handler) -> bool:
        if digest in request.path:
            request.reply(200, request.blob(digest) + b"more")
            return True
        return False

    server.fault = fault
    with pytest.raises(DigestMismatch) as caught:
        pull(store, server.name, settings=HASTY)
    assert "longer" in caught.value.message


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_connection_is_continued(
    server: Server, store: ImageStore, layout: Layout, ranges: bool
) -> None:
    digest, size = big_layer(layout)
    breaks = iter(range(2))
    server.ranges = ranges

    def fault(request: Handler) -> bool:
        if digest in request.path and next(breaks, None) is not None:
            start = 0
            data = request.blob(digest)
            headers = {}
            if "Range" in request.headers and ranges:
                start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
                headers = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
            part = data[start : start + size // 3]
            request.reply(206 if headers else 200, part, headers, promised=size - start)
            return True
        return False

    server.fault = fault
    record = pull(store, server.name, settings=HASTY)
    assert store.has_blob(digest, size)
    if ranges:
        # Nothing was served twice: all blobs, and one manifest.
        config = os.stat(store.blob_path(record.config_digest)).st_size
        manifest = os.stat(store.blob_path(record.manifest_digest)).st_size
        assert server.served == record.size + config + manifest


def test_interrupted_pull_is_continued(server: Server, store: ImageStore, layout: Layout) -> None:
    digest, size = big_layer(layout)
    half = size // 2

    def fault(request: Handler) -> bool:
        if digest in request.path:
            if "Range" in request.headers:
                request.close_connection = True
            else:
                request.reply(200, request.blob(digest)[:half], promised=size)
            return True
        return False

    server.fault = fault
    with pytest.raises(RegistryError):
        pull(store, server.name, settings=HASTY)
    assert os.stat(os.path.join(store.ingest, "sha256-" + digest[7:])).st_size == half
    assert store.list() == []
    server.fault, server.served, server.requests = None, 0, []
    watcher = Watcher()
    pull(store, server.name, settings=HASTY, progress=watcher)
    served = [request for request in server.requests if digest in request[1]]
    assert [request[2].get("Range") for request in served] == [f"bytes={half}-"]
    assert server.served < size
    assert watcher.done[digest] == size


def test_damaged_beginning_is_fetched_again(
    server: Server, store: ImageStore, layout: Layout
) -> None:
    digest, size = big_layer(layout)
    store.prepare()
    with open(os.path.join(store.ingest, "sha256-" + digest[7:]), "wb") as file:
        file.write(b"\0" * 1000)
    pull(store, server.name, settings=HASTY)
    assert hashlib.sha256(store.read_blob(digest)).hexdigest() == digest[7:]


@pytest.mark.parametrize("where", ["manifests", "blobs", "body"])
def test_stalled_server(server: Server, store: ImageStore, layout: Layout, where: str) -> None:
    digest, size = big_layer(layout)

    def fault(request: Handler) -> bool:
        if where == "body" and digest in request.path:
            request.send_response(200)
            request.send_header("Content-Length", str(size))
            request.end_headers()
            request.wfile.write(request.blob(digest)[:1000])
            request.wfile.flush()
        elif where not in request.path:
            return False
        server.release.wait(60)
        request.close_connection = True
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "sent nothing for 0.5 seconds" in caught.value.message
    assert store.list() == []


def test_server_that_never_answers(store: ImageStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/a/b"
        with pytest.raises(RegistryError) as caught:
            pull(store, name, settings=HASTY)
    assert "sent nothing" in caught.value.message


def test_too_many_requests(server: Server, store: ImageStore) -> None:
    refusals = iter(range(2))

    def fault(request: Handler) -> bool:
        if "blobs" in request.path and next(refusals, None) is not None:
            request.reply(429, b"", {"Retry-After": "0"})
            return True
        return False

    server.fault = fault
    assert pull(store, server.name, settings=HASTY).names

    def always(request: Handler) -> bool:
        request.reply(429, b'{"errors":[{"code":"X","message":"slow\\u001b[31m down"}]}')
        return True

    server.fault = always
    with pytest.raises(RegistryError) as caught:
        pull(store, f"{server.host}/other:1", settings=HASTY)
    assert "too many requests: slow?[31m down" in caught.value.message


@pytest.mark.parametrize("status", [401, 403, 500])
def test_refusals(server: Server, store: ImageStore, status: int) -> None:
    def fault(request: Handler) -> bool:
        request.reply(status, b"nothing that is JSON")
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert caught.value.hint
    assert server.name in caught.value.message


def test_bearer_token(server: Server, store: ImageStore) -> None:
    def fault(request: Handler) -> bool:
        if request.path.startswith("/token?"):
            assert "scope=repository%3Ateam%2Fapp%3Apull" in request.path.replace("/app", "%2Fapp")
            request.reply(200, b'{"token":"abc","expires_in":300}')
            return True
        if request.headers.get("Authorization") != "Bearer abc":
            realm = f'Bearer realm="http://{server.host}/token",service="s, \\"x\\"",'
            scope = 'scope="repository:team/app:pull"'
            request.reply(401, b"", {"WWW-Authenticate": realm + scope})
            return True
        return False

    server.fault = fault
    assert pull(store, server.name, settings=HASTY).names
    assert len([path for _, path, _ in server.requests if path.startswith("/token")]) == 1


def test_redirect_does_not_carry_the_password(
    server: Server, layout: Layout, store: ImageStore, tmp_path: pathlib.Path
) -> None:
    other = Server(layout)
    thread = threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def fault(request: Handler) -> bool:
        if request.headers.get("Authorization") is None:
            request.reply(401, b"", {"WWW-Authenticate": "Basic realm=x"})
        elif "blobs" in request.path:
            request.reply(307, b"", {"Location": f"http://{other.host}{request.path}"})
        else:
            return False
        return True

    server.fault = fault
    auth = tmp_path / "home/containers/auth.json"
    auth.parent.mkdir(parents=True)
    packed = base64.b64encode(b"ann:pw").decode()
    auth.write_text(json.dumps({"auths": {server.host: {"auth": packed}}}))
    try:
        assert pull(store, server.name, settings=HASTY).names
    finally:
        other.shutdown()
        other.server_close()
        thread.join()
    assert len(other.requests) == 4
    assert not [headers for _, _, headers in other.requests if "Authorization" in headers]


def test_mirror_and_registry(server: Server, store: ImageStore, tmp_path: pathlib.Path) -> None:
    """A mirror that is down is passed over; the name stays that of the registry."""
    conf = tmp_path / "home/containers/registries.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(
        f"""
        [[registry]]
        prefix = "example.test/team"
        location = "{server.host}/team"
        insecure = true
        [[registry.mirror]]
        location = "127.0.0.1:{free_port()}/mirror"
        """
    )
    record = pull(store, "example.test/team/app:one", settings=HASTY)
    assert record.names == ["example.test/team/app:one"]


def test_both_manifest_and_index(server: Server, store: ImageStore) -> None:
    def fault(request: Handler) -> bool:
        request.reply(200, b'{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}')
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "at once" in caught.value.message


def test_disk_full(server: Server, tmp_path: pathlib.Path, layout: Layout) -> None:
    """A file-size limit answers EFBIG; it stands for every failure to write, without a mount."""
    import resource
    import signal

    store = ImageStore(str(tmp_path / "small"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(RootlessError) as caught:
            pull(store, server.name, settings=HASTY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "cannot write" in caught.value.message
    assert store.list() == []
    pull(store, server.name, settings=HASTY)


class Watcher(Progress):
    """Adds up what it hears."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.lock = threading.Lock()

    def advance(self, key: str, n: int) -> None:
        with self.lock:
            self.done[key] = self.done.get(key, 0) + n
