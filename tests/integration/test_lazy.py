"""Containers that are started while the layers of their image still arrive."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from integration.chunked_images import (
    Packed,
    chunked,
    estargz,
    layout,
    plain_gzip,
    tar_of,
    with_table,
)
from integration.registry import Handler, Server

pytestmark = pytest.mark.usefixtures("everyone")

FILES = {
    "etc/motd": b"welcome\n",
    "srv/large": bytes(range(256)) * 12000,
    "srv/other": os.urandom(200_000),
    "srv/script": b"#!/bin/sh\necho started\n",
}


class Remote:
    """A registry with one image, that can be made to stall, to vanish and to lie."""

    def __init__(self, path: Path, layers: list[Packed], tars: list[bytes]) -> None:
        self.layout = layout(path, "one", layers, plain=tars)
        self.layers = layers
        self.server = Server(self.layout)
        self.gone = threading.Event()
        self.server.fault = self._fault
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.slow: set[str] = set()

    def _fault(self, handler: Handler) -> bool:
        if self.gone.is_set():
            handler.connection.close()
            handler.close_connection = True
            return True
        return False

    @property
    def name(self) -> str:
        return self.server.name

    def blob_bytes(self, number: int = 0) -> int:
        """Bytes of a layer that were asked for so far."""
        digest = hashlib.sha256(self.layers[number].data).hexdigest()
        total = 0
        for _, path, headers in list(self.server.requests):
            if digest in path:
                first, _, last = (
                    headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
                )
                end = int(last) + 1 if last else len(self.layers[number].data)
                total += end - int(first)
        return total

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def remote(place: Place, busybox_tar: Path) -> Iterator[Callable[..., Remote]]:
    """Makes a registry with an image of a busybox and FILES."""
    made: list[Remote] = []

    def make(
        pack: Callable[[bytes], Packed] = chunked, extra: dict[str, bytes] | None = None
    ) -> Remote:
        tars = [tar_of({}, busybox_tar), tar_of({**FILES, **(extra or {})})]
        layers = [pack(tar) for tar in tars]
        if pack is estargz:
            tars = [_plain(layer) for layer in layers]
        made.append(Remote(place.base / f"remote{len(made)}", layers, tars))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _plain(layer: Packed) -> bytes:
    return gzip.decompress(layer.data)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that takes its time."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen")
        time.sleep(0.05)


def arrived(place: Place, remote: Remote) -> bool:
    """Whether all layers are unpacked."""
    return len(list((place.data / "layers").glob("*/*/fs"))) == len(remote.layers)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [chunked, estargz], ids=["zstd:chunked", "eStargz"])
def test_a_container_runs_before_its_layers_are_here(
    rootless: Command, place: Place, remote: Callable[..., Remote], pack: Callable[[bytes], Packed]
) -> None:
    one = remote(pack)
    script = "cat /etc/motd; md5sum /srv/large; echo x >> /srv/other; wc -c < /srv/other; sleep 100"
    identifier = rootless(
        "run", "--lazy", "-d", "--name", "c", "--network", "none", one.name, "sh", "-c", script
    ).stdout.strip()
    want = ["welcome", hashlib.md5(FILES["srv/large"]).hexdigest(), "/srv/large", "200002"]
    until(lambda: rootless("logs", "c").stdout.split() == want, "the output")
    until(lambda: arrived(place, one), "the arrival")
    # complete and ordinary: blobs that are what they should be, and no program beside a container
    blobs = place.data / "content/blobs/sha256"
    for layer in one.layers:
        path = blobs / hashlib.sha256(layer.data).hexdigest()
        assert path.read_bytes() == layer.data
    one.gone.set()
    assert rootless("exec", "c", "cat", "/srv/script").out == FILES["srv/script"]
    out = rootless("run", "--rm", "--network", "none", one.name, "cat", "/srv/script")
    assert out.out == FILES["srv/script"]
    rootless("run", "-d", "--name", "d", "--network", "none", one.name, "sleep", "100")
    state = json.loads((_directory(place, rootless, "d") / "state").read_text())
    kind = rootless("inspect", "--format", "{{.GraphDriver.Name}}", "d").stdout.strip()
    assert not [pid for pid in state["servers"] if pid] or kind == "fuse-overlayfs"
    assert not list((place.data / "content/ingest").iterdir())
    assert rootless("diff", "c").stdout.split("\n")[0].startswith(("A", "C"))
    assert identifier


def _directory(place: Place, rootless: Command, name: str) -> Path:
    identifier = rootless("inspect", "--format", "{{.Id}}", name).stdout.strip()
    return place.data / "containers" / identifier


def test_what_nobody_reads_is_not_waited_for(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote(extra={"srv/huge": os.urandom(12 << 20)})
    rootless("pull", "--lazy", one.name)
    assert not list((place.data / "layers").glob("*/*"))
    before = one.blob_bytes(1)
    assert before == 0
    out = rootless("run", "--rm", "--network", "none", one.name, "cat", "/etc/motd")
    assert out.stdout == "welcome\n"
    # the table and one small file, not the 12 MB beside it; the rest has a second's headstart
    assert one.blob_bytes(1) < 13 << 20
    listed = rootless("images", "--format", "{{.Repository}}").stdout.split()
    assert listed == [one.name.rpartition(":")[0]]
    # an ordinary pull completes it
    rootless("pull", one.name)
    assert arrived(place, one)


def test_attributes_links_and_whiteouts_look_as_in_an_unpacked_layer(
    rootless: Command, place: Place, remote: Callable[..., Remote], busybox_tar: Path
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(
            name: str, kind: bytes, data: bytes = b"", link: str = "", mode: int = 0o755
        ) -> None:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode, entry.size = kind, link, mode, len(data)
            entry.mtime = 1_600_000_000
            entry.uid = entry.gid = 1000 if name.startswith("home") else 0
            tar.addfile(entry, io.BytesIO(data))

        add("home/guest/file", tarfile.REGTYPE, b"mine", mode=0o640)
        add("srv/first", tarfile.REGTYPE, b"linked", mode=0o4755)
        add("srv/second", tarfile.LNKTYPE, link="srv/first")
        add("srv/link", tarfile.SYMTYPE, link="first")
        add("srv/pipe", tarfile.FIFOTYPE)
        add("etc/.wh.group", tarfile.REGTYPE)
        add("usr/.wh..wh..opq", tarfile.REGTYPE)
        add("usr/new", tarfile.REGTYPE, b"")
    tars = [tar_of({}, busybox_tar), buffer.getvalue()]
    one = Remote(place.base / "r", [chunked(tar) for tar in tars], tars)
    script = (
        "cd /; stat -c '%n %a %u %g %s %h %Y %F' home/guest/file srv/first srv/second srv/pipe;"
        "readlink srv/link; ls usr; ls etc; cat srv/second"
    )
    try:
        words = ("--network", "none", one.name, "sh", "-c", script)
        seen = rootless("run", "--lazy", "--rm", *words).stdout
        rootless("pull", one.name)
        assert rootless("run", "--rm", *words).stdout == seen
        assert "srv/second 4755 0 0 6 2 1600000000 regular file" in seen
        assert "\ngroup\n" not in seen
    finally:
        one.close()


@pytest.mark.slow
def test_a_registry_that_vanishes_gives_an_error_and_a_line(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote()
    script = (
        "cat /etc/motd; while [ ! -e /go ]; do sleep 0.1; done;"
        "cat /srv/large; echo code $?; sleep 100"
    )
    words = ("run", "--lazy", "-d", "--name", "c", "--network", "none", one.name)
    rootless(*words, "sh", "-c", script, env={"ROOTLESS_STALL_SECONDS": "2"})
    until(lambda: "welcome" in rootless("logs", "c").stdout, "the first file")
    if arrived(place, one):
        pytest.fail("the background was faster than its headstart allows")
    one.gone.set()
    rootless("exec", "c", "touch", "/go")
    until(lambda: "code 1" in rootless("logs", "c").stdout, "the error")
    found = rootless("logs", "c").stderr
    assert "Input/output error" in found or "I/O error" in found
    assert "error: /srv/large cannot be read: cannot talk to 127.0.0.1" in found
    assert "cannot" in rootless("inspect", "--format", "{{.State.Error}}", "c").stdout
    # and when it is back, so are the files
    one.gone.clear()
    until(lambda: rootless("exec", "c", "wc", "-c", "/srv/large", code=None).code == 0, "the file")
    until(lambda: arrived(place, one), "the arrival")


def test_content_that_is_not_what_its_digest_says_is_never_read(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote()
    digest = hashlib.sha256(one.layers[1].data).hexdigest()
    path = one.layout.path / "blobs/sha256" / digest
    data = bytearray(path.read_bytes())
    # in the middle of the frames of srv/other, which cannot be compressed
    at = bytes(data).index(FILES["srv/other"][1000:1064])
    data[at] ^= 1
    path.write_bytes(bytes(data))
    script = "cat /etc/motd; cat /srv/other >/dev/null; echo code $?"
    out = rootless(
        "run", "--lazy", "--name", "c", "--network", "none", one.name, "sh", "-c", script
    )
    assert out.stdout == "welcome\ncode 1\n"
    assert "instead of sha256:" in rootless("logs", "c").stderr
    assert not (place.data / "content/blobs/sha256" / digest).exists()


def test_a_server_that_is_killed_ends_its_container(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote()
    rootless("run", "--lazy", "-d", "--name", "c", "--network", "none", one.name, "sleep", "100")
    state = json.loads((_directory(place, rootless, "c") / "state").read_text())
    os.kill(state["servers"][0], signal.SIGKILL)
    assert rootless("wait", "c").stdout == "137\n"
    log = (_directory(place, rootless, "c") / "helpers.log").read_text()
    assert "a server of this container's files ended (signal 9)" in log
    # it starts again from what there is
    rootless("start", "c")
    assert rootless("exec", "c", "cat", "/etc/motd").stdout == "welcome\n"


@pytest.mark.parametrize("why", ["no table", "a table that lies"])
def test_a_layer_that_cannot_be_served_is_fetched_first(
    rootless: Command, place: Place, remote: Callable[..., Remote], why: str
) -> None:
    def escape(table: dict[str, list[dict[str, str]]]) -> None:
        table["entries"][0]["name"] = "../../escape"

    pack = plain_gzip if why == "no table" else lambda tar: with_table(chunked(tar), escape)
    one = remote(pack)
    out = rootless("run", "--lazy", "--rm", "--network", "none", one.name, "cat", "/etc/motd")
    assert out.stdout == "welcome\n"
    if why != "no table":
        assert "fetched before it is started" in out.stderr and "tries to escape" in out.stderr
    assert arrived(place, one)


def test_an_incomplete_image_of_a_dead_registry_is_an_error(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote()
    rootless("pull", "--lazy", one.name)
    one.gone.set()
    failed = rootless("run", "--rm", "--network", "none", one.name, "true", code=125)
    said = failed.stderr.splitlines()[-2]
    assert said.startswith("error: the layer sha256:") and "and 1 more of the image" in said
    assert "are missing; cannot talk to 127.0.0.1" in said
    assert not list((place.data / "containers").glob("?" * 64))


def test_what_copies_an_image_completes_it_first(
    rootless: Command, place: Place, remote: Callable[..., Remote]
) -> None:
    one = remote()
    rootless("pull", "--lazy", one.name)
    rootless("save", "--format", "oci-archive", "-o", "a.tar", one.name)
    with tarfile.open(place.work / "a.tar") as archive:
        names = archive.getnames()
    for layer in one.layers:
        assert f"blobs/sha256/{hashlib.sha256(layer.data).hexdigest()}" in names
    rootless("rmi", one.name)
    rootless("pull", "--lazy", one.name)
    rootless("push", one.name, f"oci:{place.work}/layout:1")
    for layer in one.layers:
        path = place.work / "layout/blobs/sha256" / hashlib.sha256(layer.data).hexdigest()
        assert path.read_bytes() == layer.data
