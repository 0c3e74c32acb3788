"""Registries that would hold a pull for ever, or send it where they have no business."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest
from conftest import TREE
from integration.pulling import own_settings, server, store
from integration.registry import Handler, Layout, Server

from rootless.errors import RegistryError
from rootless.images.registry.http import Settings
from rootless.images.store.store import ImageStore
from rootless.images.transfer.pull import pull

__all__ = ["own_settings", "server", "store"]

HASTY = Settings(stall=0.3, attempts=3, backoff=0.01)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    made.image("one", [{"file": bytes(range(256)) * 40}], compress="")
    return made


def drip(request: Handler, data: bytes) -> None:
    """A byte ten times in the time that would be a stall."""
    try:
        for at in range(len(data)):
            request.wfile.write(data[at : at + 1])
            request.wfile.flush()
            if request.server.release.wait(0.03):
                return
    except OSError:
        pass  # it was given up


@pytest.mark.parametrize("where", ["head", "manifest", "blob"])
def test_a_registry_that_sends_byte_by_byte_is_given_up(
    server: Server, store: ImageStore, layout: Layout, where: str
) -> None:
    def fault(request: Handler) -> bool:
        if ("blobs" in request.path) != (where == "blob") or request.command == "HEAD":
            return False
        if where == "head":
            drip(request, b"HTTP/1.1 200 OK\r\n" + b"X-Header: more and more\r\n" * 100)
        else:
            request.send_response(200)
            request.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
            request.send_header("Content-Length", "9000")
            request.end_headers()
            drip(request, bytes(9000))
        request.close_connection = True
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "sent less than 256 bytes a second for 0.6 seconds" in caught.value.message
    assert store.list() == []


def test_a_registry_that_breaks_off_after_each_byte_is_given_up(
    server: Server, store: ImageStore, layout: Layout
) -> None:
    """Each connection brings something, and all of them nothing."""
    asked = 0

    def fault(request: Handler) -> bool:
        nonlocal asked
        if "blobs" not in request.path or request.command == "HEAD":
            return False
        asked += 1
        first = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        if first == 0 and "Range" not in request.headers:
            request.reply(200, b"x", promised=10240)
        else:
            where = {"Content-Range": f"bytes {first}-10239/10240"}
            request.reply(206, b"x", where, promised=10240 - first)
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "cannot talk to" in caught.value.message
    assert asked < 30


@pytest.mark.parametrize("after", ["99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_wants_to_be_asked_next_century_is_not_waited_for(
    server: Server, store: ImageStore, after: str
) -> None:
    def fault(request: Handler) -> bool:
        request.reply(503, b"", {"Retry-After": after})
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "answers 503 and wants to be asked again in " in caught.value.message
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "place",
    ["http://169.254.169.254/latest", "http://[fe80::1]/x", "http://2852039166/", "http://0251.0376.0251.0376/",
     "http://[::ffff:169.254.169.254]/x"],
)  # fmt: skip
def test_a_redirect_to_a_link_local_address_is_refused(
    server: Server, store: ImageStore, place: str
) -> None:
    """Where a cloud gives out this machine's own credentials."""

    def fault(request: Handler) -> bool:
        if "blobs" in request.path:
            request.reply(307, b"", {"Location": place})
            return True
        return False

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert f"{server.host} sends us to {place.split('/')[2]}, a link-local" in caught.value.message
    assert "nothing was asked there" in caught.value.hint


def test_a_token_server_at_a_link_local_address_is_refused(
    server: Server, store: ImageStore
) -> None:
    def fault(request: Handler) -> bool:
        offer = 'Bearer realm="http://169.254.169.254/token",service="x"'
        request.reply(401, b"", {"WWW-Authenticate": offer})
        return True

    server.fault = fault
    with pytest.raises(RegistryError) as caught:
        pull(store, server.name, settings=HASTY)
    assert "a link-local address" in caught.value.message


_ELSEWHERE = """
import json, pathlib, sys, threading
from integration.registry import Layout, Server
from rootless.errors import RegistryError
from rootless.images.transfer.pull import pull
from rootless.images.store.store import ImageStore
from rootless.images.registry.http import Settings

base = pathlib.Path(sys.argv[1])
layout = Layout(base / "layout")
layout.image("one", [{"file": b"text"}])
told = {}
with Server(layout, "0.0.0.0") as server, Server(layout, "0.0.0.0") as service:
    for one in (server, service):
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
    # the same server, by an address that is no loopback's
    name = f"203.0.113.7:{server.server_port}/team/app:one"

    def fault(request):
        if "blobs" in request.path:
            request.reply(307, b"", {"Location": f"http://{place}:{port}{request.path}"})
        return "blobs" in request.path

    server.fault = fault
    for place, port in (
        ("127.0.0.1", service.server_port), ("localhost", service.server_port),
        ("0.0.0.0", service.server_port), ("203.0.113.7", service.server_port),
    ):
        before = len(service.requests)
        store = ImageStore(str(base / place))
        try:
            pull(store, name, tls_verify=False, settings=Settings(stall=5))
            told[place] = "pulled"
        except RegistryError as error:
            told[place] = error.message
        assert (len(service.requests) > before) == (told[place] == "pulled")
print(json.dumps(told))
"""


def test_only_a_registry_of_the_loopback_sends_us_to_the_loopback(tmp_path: pathlib.Path) -> None:
    """In a network of its own, where the registry has an address of the documentation's."""
    script = 'ip link set lo up && ip addr add 203.0.113.7/24 dev lo && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urn", "sh", "-c", script, "sh", sys.executable, "-c", _ELSEWHERE, tmp_path],
        env={"PYTHONPATH": f"{TREE}:{TREE}/tests", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
             "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("203.0.113.7") == "pulled"
    for place, said in told.items():
        assert f"sends us to {place}:" in said, said
        assert "an address of this machine" in said
