"""Registries that are hostile or broken, seen through the command: a sentence, and nothing left."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from front import Front, Request
from registry import Layout, Registry, registry, tar_of

from rootless.images.formats import manifests
from rootless.images.registry import head_check
from rootless.images.registry import requests as registry_requests

__all__ = ["registry"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
HASTY = {"ROOTLESS_RETRY_SECONDS": "0.01", "ROOTLESS_STALL_SECONDS": "1"}


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    with Front(registry) as running:
        yield running


@pytest.fixture
def made(place: Place) -> Layout:
    return Layout(place.base / "layout")


def serve(front: Front, made: Layout, data: bytes, media_type: str) -> str:
    """Have the front give this manifest under a name, and blobs of the layout."""

    def fault(request: Request) -> bool:
        what = request.path.rpartition("/")[2]
        if "/manifests/" in request.path:
            found = data if what == "x" else blob(made, what)
            kind = media_type if what == "x" else json.loads(found).get("mediaType", MANIFEST)
            return request.answer(200, found, {"Content-Type": kind})
        return request.answer(200, blob(made, what))

    front.fault = fault
    return f"{front.host}/hostile/image:x"


def blob(made: Layout, digest: str) -> bytes:
    return (made.path / "blobs/sha256" / digest[7:]).read_bytes()


def nothing_is_left(rootless: Command, place: Place) -> None:
    assert rootless("images", "-aq").stdout == ""
    assert not list((place.data / "content/ingest").glob("new-*"))
    layers = place.data / "layers"
    assert not [one for one in layers.rglob(".tmp-*")] if layers.exists() else True


def image_of(made: Layout, layers: list[tuple[str, bytes, str]]) -> bytes:
    """A manifest; a layer is (media type, blob, diff id)."""
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff for _, _, diff in layers]},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            **made.blob(json.dumps(config).encode()),
        },
        "layers": [{"mediaType": kind, **made.blob(data)} for kind, data, _ in layers],
    }
    return json.dumps(document).encode()


def test_five_thousand_layers(rootless: Command, front: Front, made: Layout, place: Place) -> None:
    """They are refused before one of them is fetched."""
    one = {"mediaType": "application/vnd.oci.image.layer.v1.tar", **made.blob(tar_of({}))}
    document = json.loads(image_of(made, []))
    document["layers"] = [one] * 5000
    name = serve(front, made, json.dumps(document).encode(), MANIFEST)
    told = rootless("pull", name, code=125)
    assert "the image has 5000 layers, and 1000 are the most that is accepted" in told.stderr
    assert not front.asked("GET", "/blobs/") and len(front.requests) < 4
    nothing_is_left(rootless, place)
    told = rootless("copy", name, "oci:x", code=125)
    assert "the image has 5000 layers" in told.stderr
    assert os.listdir(place.work) == []


def test_indexes_within_indexes(
    rootless: Command, front: Front, made: Layout, place: Place
) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    inner: dict[str, Any] = {"mediaType": MANIFEST, **made.blob(image_of(made, []))}
    for _ in range(8):
        document = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{**inner, "platform": platform}],
        }
        data = json.dumps(document).encode()
        inner = {"mediaType": INDEX, **made.blob(data)}
    name = serve(front, made, data, INDEX)
    for words in (
        ("pull", "--platform", "linux/amd64", name),
        ("copy", "--all", name, "oci:x"),
        ("copy", "--platform", "linux/amd64", name, "oci:x"),
    ):
        told = rootless(*words, code=125)
        assert "indexes within indexes" in told.stderr, words
    assert len(front.requests) < 20
    nothing_is_left(rootless, place)
    assert os.listdir(place.work) == []


def test_an_index_that_names_one_image_two_thousand_times(
    rootless: Command, front: Front, made: Layout
) -> None:
    """Every manifest is fetched once."""
    inner = {"mediaType": MANIFEST, **made.blob(image_of(made, []))}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner] * 2000}
    name = serve(front, made, json.dumps(document).encode(), INDEX)
    told = rootless("copy", "-q", "--all", name, "oci:x", timeout=200)
    assert told.stdout.startswith("sha256:")
    for kind in ("/blobs/", "/manifests/sha256:"):
        asked = front.asked("GET", kind)
        assert len(asked) == len(set(asked)), kind


@pytest.mark.parametrize(
    ("document", "media_type", "why"),
    [
        ({"manifests": [], "layers": []}, MANIFEST, "a manifest and an index at once"),
        ({"manifests": [], "config": {}}, INDEX, "a manifest and an index at once"),
        ({"manifests": [], "mediaType": MANIFEST}, INDEX, "does not fit"),
        ({"layers": [], "config": {}, "mediaType": INDEX}, MANIFEST, "does not fit"),
        ({"layers": [], "config": {}}, INDEX, "does not fit"),
        ({"manifests": []}, MANIFEST, "does not fit"),
        ({"layers": [], "config": {}, "mediaType": MANIFEST}, INDEX, "does not fit"),
        ({"manifests": [], "mediaType": INDEX}, MANIFEST, "does not fit"),
    ],
)
def test_a_manifest_of_two_meanings(
    rootless: Command, front: Front, made: Layout, document: dict[str, Any], media_type: str,
    why: str,
) -> None:  # fmt: skip
    """CVE-2021-41190: two programs would take two images from one digest."""
    data = json.dumps({"schemaVersion": 2, **document}).encode()
    told = rootless("pull", serve(front, made, data, media_type), code=125)
    assert why in told.stderr


@pytest.mark.slow
def test_a_layer_that_swells(rootless: Command, front: Front, made: Layout, place: Place) -> None:
    """A megabyte that is a gigabyte: memory stays bounded, and the wrong diff id is told."""
    plain = tar_of({"zeros": b""})[:512]
    header = bytearray(plain)
    size = 1 << 30
    header[124:136] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    packer, hasher = gzip.zlib.compressobj(9, 8, 31), hashlib.sha256()  # type: ignore[attr-defined]
    parts = []
    for piece in [bytes(header), *[bytes(1 << 20)] * (size >> 20), bytes(1024)]:
        parts.append(packer.compress(piece))
        hasher.update(piece)
    data = b"".join([*parts, packer.flush()])
    assert len(data) < 2 << 20
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    name = serve(front, made, image_of(made, [(kind, data, "sha256:" + "1" * 64)]), MANIFEST)
    told = subprocess.run(
        ["sh", "-c", 'ulimit -v 700000; exec "$@"', "sh", *rootless.words, "pull", name],
        env=place.env, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert told.returncode == 125, told.stderr
    assert "sha256:" + "1" * 64 in told.stderr
    assert "MemoryError" not in told.stderr
    nothing_is_left(rootless, place)


def test_a_window_that_is_too_large(
    rootless: Command, front: Front, made: Layout, place: Place
) -> None:
    """zstd lets a frame ask for gigabytes of memory; nobody is given them."""
    plain = tar_of({"a": bytes(1000)})
    path = place.work / "plain"
    path.write_bytes(plain)
    done = subprocess.run(
        ["zstd", "--ultra", "-22", "--long=31", "--stream-size=3000000000", "-c", "-q", path],
        capture_output=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    data = done.stdout
    if not data:
        # a frame header by hand: no content size, window of 2 GiB, one raw block
        block = len(plain) << 3 | 1
        data = b"\x28\xb5\x2f\xfd\x00\xa8" + block.to_bytes(3, "little") + plain
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    diff = "sha256:" + hashlib.sha256(plain).hexdigest()
    frame = b"\x28\xb5\x2f\xfd\x00\xa8" + (len(plain) << 3 | 1).to_bytes(3, "little") + plain
    name = serve(front, made, image_of(made, [(kind, frame, diff)]), MANIFEST)
    told = rootless("pull", name, code=125)
    assert "error: " in told.stderr
    assert "internal error" not in told.stderr
    nothing_is_left(rootless, place)


def test_an_upload_that_is_sent_elsewhere(
    rootless: Command, registry: Registry, front: Front, made: Layout, place: Place
) -> None:
    """The other server gets the bytes and not the password."""
    made.image("x", [{"a": b"1"}])
    auth = place.runtime / "containers/auth.json"
    auth.parent.mkdir()
    auth.write_text(json.dumps({"auths": {front.host: {"auth": "YW5uOnB3"}}}))
    with Front(registry) as other:

        def fault(request: Request) -> bool:
            if "Authorization" not in request.headers:
                return request.answer(401, b"", {"WWW-Authenticate": "Basic realm=x"})
            if request.command == "POST":
                status, headers, data = request.ask()
                moved = [
                    (k, v.replace(front.host, other.host) if k == "Location" else v)
                    for k, v in headers
                ]
                return request.answer(status, data, moved)
            return False

        front.fault = fault
        rootless("copy", "-q", f"oci:{made.path}:x", f"{front.host}/elsewhere/x:1")
        assert other.asked("PUT", "/blobs/")
        assert not [one for one in other.requests if "Authorization" in one[2]]


def test_quiet_is_quiet_and_lines_are_lines(rootless: Command, front: Front, made: Layout) -> None:
    made.image("x", [{"a": b"1" * 5000}])
    entry = made.entries[0]
    name = serve(front, made, blob(made, entry["digest"]), MANIFEST)
    good = front.fault
    front.fault = lambda request: request.answer(500)
    told = rootless("pull", "-q", name, code=125, env=HASTY)
    assert told.stdout == ""
    lines = told.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"]
    assert "answers 500" in lines[0]
    front.fault = good
    layer = json.loads(blob(made, entry["digest"]))["layers"][0]["digest"][7:19]
    told = rootless("pull", name)
    assert told.stderr.count(layer) == 1
    assert len(told.stdout.splitlines()) == 1
    assert rootless("pull", "-q", name).stderr == ""


@pytest.mark.slow
def test_ten_at_once_fetch_each_blob_once(
    rootless: Command, registry: Registry, made: Layout
) -> None:
    """Images that share layers, pulled by ten commands at the same time."""
    shared = [{"base": os.urandom(400_000)}, {"more": os.urandom(200_000)}]
    for number in range(5):
        made.image(f"i{number}", [*shared, {f"own{number}": b"x" * 1000}])
        registry.push(f"oci:{made.path}:i{number}", f"ten/app:{number}")
    with Front(registry) as front:
        pulls = [
            rootless.start("pull", "-q", f"{front.host}/ten/app:{number % 5}",
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for number in range(10)
        ]  # fmt: skip
        for one in pulls:
            _, err = one.communicate(timeout=200)
            assert one.returncode == 0, err
        blobs = front.asked("GET", "/blobs/")
        assert len(blobs) == len(set(blobs)), blobs
    assert len(rootless("images", "-q").stdout.split()) == 5


# what an unchanged image costs


def test_an_unchanged_image_costs_one_request(
    rootless: Command, front: Front, made: Layout, registry: Registry
) -> None:
    made.image("x", [{"a": b"1"}])
    made.image("y", [{"a": b"2"}])
    name = f"{front.host}/same/app:1"
    rootless("copy", "-q", f"oci:{made.path}:x", name)
    first = rootless("pull", "-q", name).stdout
    for _ in range(2):
        front.requests.clear()
        assert rootless("pull", "-q", name).stdout == first
        assert [one[:2] for one in front.requests] == [("HEAD", "/v2/same/app/manifests/1")]
    # a name that moved, a registry that wants a password now, one that has gone
    registry.push(f"oci:{made.path}:y", "same/app:1")
    second = rootless("pull", "-q", name).stdout
    assert second != first
    front.fault = lambda request: request.answer(401, b"", {"WWW-Authenticate": "Basic realm=x"})
    told = rootless("pull", "-q", name, code=125)
    assert "refuses access" in told.stderr
    front.fault = None
    assert rootless("pull", "-q", name).stdout == second
    front.fault = lambda request: request.reset()
    told = rootless("pull", "-q", name, code=125, env=HASTY)
    assert f"cannot talk to {front.host}" in told.stderr


def test_the_short_way_asks_as_the_long_one() -> None:
    assert head_check.ACCEPT == manifests.ACCEPT


def test_what_a_server_asks_for_when_it_is_busy() -> None:
    """Retry-After has two forms (RFC 9110); a nonsense one is none."""
    seconds = registry_requests.seconds
    assert seconds("7") == 7.0
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert seconds("Fri, 01 Jan 2100 00:00:00 GMT") > 1e6
    for text in (None, "", "soon", "-3", "1e99", "٣"):
        assert seconds(text) == 0.0


def test_threads_end(made: Layout, registry: Registry, tmp_path: Path) -> None:
    """No thread of a pull that failed is left when the call returns."""
    from rootless.errors import RootlessError
    from rootless.images.store.store import ImageStore
    from rootless.images.transfer.pull import pull

    made.image("x", [{"a": os.urandom(100_000)}, {"b": os.urandom(100_000)}])
    registry.push(f"oci:{made.path}:x", "threads/app:1")
    with Front(registry) as front:
        front.fault = lambda request: "/blobs/" in request.path and request.answer(404)
        before = set(threading.enumerate())
        with pytest.raises(RootlessError):
            pull(ImageStore(str(tmp_path)), f"{front.host}/threads/app:1")
        left = [one for one in set(threading.enumerate()) - before if "transfer" in one.name]
        assert not left


@pytest.mark.slow
def test_an_image_of_docker_s_most_layers(
    rootless: Command, place: Place, tmp_path: Path, busybox: Path
) -> None:
    """127, which is more than fit by name into the page of options that mount(2) takes."""
    layout = Layout(tmp_path / "layout")
    layers = [{f"{number}": b"%d" % number} for number in range(126)]
    layout.image("x", [{"bin/sh": busybox.read_bytes()}, *layers])
    rootless("pull", "-q", f"oci:{layout.path}:x", timeout=300)
    run = ("--network", "none", "localhost/layout:x", "/bin/sh", "-c")
    script = "set -- /[0-9]*; echo $#; read -r a </125; echo $a; echo new >/0; echo more >/made"
    for driver in ("overlay", "fuse-overlayfs"):
        rootless("--storage-driver", driver, "create", "--name", driver, *run, script)
        for _ in range(2):
            assert rootless("start", "-a", driver).stdout == "126\n125\n"
        assert rootless("diff", driver).stdout.split() == ["C", "/0", "A", "/made"]
        rootless("cp", f"{driver}:/0", "zero")
        assert (place.work / "zero").read_text() == "new\n"
        rootless("rm", driver)
