"""Pushing: to a real registry, and past one that fails on the way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from conftest import Command, Place
from front import Front, Request
from registry import Layout, Registry, registry

__all__ = ["registry"]

BIG = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    one = made.image("one", [{"bin/true": b"x" * 100}, {"big": BIG}, {"third": b"3"}])
    arm = made.image(None, [{"bin/true": b"arm"}], architecture="arm64", variant="v8")
    made.index("multi", [one, arm])
    return made


@pytest.fixture
def image(rootless: Command, layout: Layout) -> str:
    """The image in this test's store."""
    rootless("pull", "-q", f"oci:{layout.path}:one")
    rootless("tag", f"localhost/{layout.path.name}:one", "local:1")
    return "local:1"


@pytest.fixture
def front(registry: Registry) -> Iterator[Front]:
    with Front(registry) as running:
        yield running


def inspect(name: str, registry: Registry | None = None) -> dict[str, object]:
    """What skopeo sees, in `registry` instead of before it."""
    if registry is not None:
        name = registry.host + "/" + name.partition("/")[2]
    done = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"],
        capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, object] = json.loads(done.stdout)
    return found


def uploads(front: Front) -> list[str]:
    return [how for how, path, _ in front.requests if how in ("POST", "PATCH", "PUT")
            and "/blobs/uploads/" in path]  # fmt: skip


def test_push_and_what_is_there_is_not_sent(
    rootless: Command, image: str, front: Front, registry: Registry, layout: Layout, place: Place
) -> None:
    name = f"{front.host}/push/first:1"
    told = rootless("push", "--digestfile", "digest", image, name)
    digest = (place.work / "digest").read_text()
    assert digest == layout.entries[0]["digest"]
    assert told.stdout.startswith(f"{name}: digest: {digest} size: ")
    assert inspect(name, registry)["layers"]
    assert uploads(front).count("PUT") == 4
    front.requests.clear()
    again = rootless("push", "-q", image, f"{front.host}/push/first:2")
    assert again.stdout == f"{front.host}/push/first:2\n"
    assert again.stderr == ""
    assert uploads(front) == []
    assert len(front.asked("HEAD", "/blobs/")) == 4
    # the store knows the name by its digest now: an unchanged image costs one request
    rootless("tag", image, name)
    front.requests.clear()
    rootless("pull", "-q", name)
    assert [(how, path) for how, path, _ in front.requests] == [
        ("HEAD", "/v2/push/first/manifests/1")
    ]


def test_blobs_of_another_repository_are_mounted(
    rootless: Command, image: str, front: Front
) -> None:
    rootless("push", "-q", image, f"{front.host}/mount/from:1")
    front.requests.clear()
    told = rootless("push", image, f"{front.host}/mount/into:1")
    assert told.stderr.count("mounted from mount/from") == 3
    assert not front.asked("PATCH")
    # the configuration is nobody's layer, so only that is sent
    assert len(front.asked("PUT", "/blobs/")) == 1


@pytest.mark.parametrize("size", ["1m", "700k"])
def test_push_in_chunks(
    rootless: Command, image: str, front: Front, registry: Registry, size: str
) -> None:
    name = f"{front.host}/chunks/of-{size}:1"
    rootless("push", "--chunk-size", size, image, name)
    spans = [headers["Content-Range"] for how, _, headers in front.requests if how == "PATCH"]
    assert spans[0].startswith("0-")
    assert len(spans) == -(
        -int(spans[-1].split("-")[1]) // (1 << 20 if size == "1m" else 700 << 10)
    )
    assert inspect(name, registry)["layers"]


def test_docker_media_types(rootless: Command, image: str, registry: Registry) -> None:
    name = f"{registry.host}/format/docker:1"
    rootless("push", "-q", "--format", "v2s2", image, name)
    found = inspect(name)
    assert found["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    layers = found["layers"]
    assert isinstance(layers, list)
    assert {one["mediaType"] for one in layers} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }
    # the id of an image is the digest of its configuration, which did not change
    here = rootless("inspect", "--format", "{{.Id}}", image).stdout
    rootless("pull", "-q", name)
    assert rootless("inspect", "--format", "{{.Id}}", name).stdout == here
    code = rootless("push", "--format", "v3", image, name, code=125)
    assert 'there is no manifest format "v3"' in code.stderr


def test_layers_in_another_form(rootless: Command, image: str, registry: Registry) -> None:
    name = f"{registry.host}/form/zstd:1"
    rootless("push", "-q", "--compression-format", "zstd", image, name)
    layers = inspect(name)["layers"]
    assert isinstance(layers, list)
    assert {one["mediaType"] for one in layers} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    told = rootless(
        "push", "--compression-format", "zstd", "--format", "v2s2", image, name, code=125
    )
    assert "docker's manifests have no layers compressed by zstd" in told.stderr
    told = rootless("push", "--compression-format", "lzo", image, name, code=125)
    assert 'there is no compression "lzo"' in told.stderr


def test_plain_layers_are_compressed_on_their_way(
    rootless: Command, busybox_image: str, registry: Registry
) -> None:
    """As docker and podman do; twice the same bytes."""
    names = [f"{registry.host}/plain/{number}:1" for number in range(2)]
    for name in names:
        rootless("push", "-q", busybox_image, name)
    first, second = (inspect(name) for name in names)
    assert first == second
    layers = first["layers"]
    assert isinstance(layers, list)
    assert layers[0]["mediaType"].endswith("+gzip")


def test_all_tags(rootless: Command, image: str, registry: Registry) -> None:
    for tag in ("a", "b"):
        rootless("tag", image, f"{registry.host}/tags/all:{tag}")
    told = rootless("push", "-q", "--all-tags", f"{registry.host}/tags/all")
    assert sorted(told.stdout.split()) == [f"{registry.host}/tags/all:{tag}" for tag in "ab"]
    told = rootless("push", "-a", image, f"{registry.host}/x", code=125)
    assert "--all-tags takes no TARGET" in told.stderr


def test_no_such_image(rootless: Command) -> None:
    told = rootless("push", "nothing:1", code=125)
    assert "there is no image nothing:1" in told.stderr


@pytest.mark.parametrize("how", ["reset", "500", "early"])
def test_an_upload_that_breaks_goes_on(
    rootless: Command, image: str, front: Front, registry: Registry, how: str
) -> None:
    """What arrived is not sent again: the rest follows in chunks."""
    breaks = iter(range(2))

    def fault(request: Request) -> bool:
        if request.command not in ("PUT", "PATCH") or len(request.body) < 1 << 20:
            return False
        if next(breaks, None) is None:
            return False
        if how == "500":
            return request.answer(500)
        return request.reset()

    def early(request: Request) -> bool:
        # in the midst of the body, of which the client sends on
        length = int(request.headers.get("Content-Length") or 0)
        if request.command == "PUT" and length > 1 << 20 and next(breaks, None) is not None:
            request.rfile.read(1 << 16)
            return request.reset()
        return False

    if how == "early":
        front.early = early
    else:
        front.fault = fault
    name = f"{front.host}/broken/{how}:1"
    rootless("push", "-q", image, name)
    assert inspect(name, registry)["layers"]
    assert len(front.asked("POST")) >= 4
    assert front.asked("GET", "/blobs/uploads/")


def test_a_chunk_whose_answer_is_lost(
    rootless: Command, image: str, front: Front, registry: Registry
) -> None:
    """The server is asked how much it has; one that has lost count gets an upload anew."""
    lost = iter(range(1))

    def fault(request: Request) -> bool:
        if request.command == "PATCH" and next(lost, None) is not None:
            request.ask()
            return request.reset()
        return False

    front.fault = fault
    name = f"{front.host}/lost/answer:1"
    rootless("push", "-q", "--chunk-size", "1m", image, name)
    assert inspect(name, registry)["layers"]
    chunks = [
        (path.partition("?")[0], headers["Content-Range"])
        for how, path, headers in front.requests
        if how == "PATCH"
    ]
    assert len(chunks) == len(set(chunks))
    assert front.asked("GET", "/blobs/uploads/")


def test_a_registry_that_refuses(rootless: Command, image: str, front: Front) -> None:
    def full(request: Request) -> bool:
        if request.command == "POST":
            return request.answer(
                403, b'{"errors":[{"code":"DENIED","message":"quota\\u001b[0m"}]}'
            )
        return False

    front.fault = full
    told = rootless("push", image, f"{front.host}/no/room:1", code=125)
    assert f"{front.host} refuses access to {front.host}/no/room:1: quota?[0m" in told.stderr
    assert "rootless login" in told.stderr

    def always(request: Request) -> bool:
        return request.command == "PUT" and "/blobs/" in request.path and request.answer(503)

    front.fault = always
    told = rootless("push", image, f"{front.host}/no/room:1", code=125,
                    env={"ROOTLESS_RETRY_SECONDS": "0.01"})  # fmt: skip
    assert "answers 503" in told.stderr


def test_a_damaged_blob_is_not_pushed(
    rootless: Command, image: str, registry: Registry, place: Place
) -> None:
    blobs = place.data / "content/blobs/sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[1000] ^= 1
    largest.chmod(0o644)
    largest.write_bytes(data)
    told = rootless("push", image, f"{registry.host}/damaged/blob:1", code=125)
    assert f"instead of sha256:{largest.name}" in told.stderr
    largest.unlink()
    told = rootless("push", image, f"{registry.host}/damaged/blob:1", code=125)
    assert f"the layer sha256:{largest.name} of the image" in told.stderr
    assert "is missing, and no registry is known for it" in told.stderr
    assert "hint: load, import or commit it again, or remove it: rootless rmi" in told.stderr
    tags = [line for line in registry.requests if "PUT /v2/damaged/blob/manifests" in line]
    assert not tags


def test_what_is_lost_is_named(
    rootless: Command, image: str, registry: Registry, layout: Layout, place: Place
) -> None:
    """Two layers are away and the registry is down; when it is back they are fetched again."""
    name = registry.push(f"oci:{layout.path}:one", "team/whole:1")
    with Front(registry) as front:
        away = name.replace(registry.host, front.host)
        rootless("rmi", image, f"localhost/{layout.path.name}:one")
        rootless("pull", "-q", away)
        layers = rootless("image", "inspect", away).json()[0]["RootFS"]["Layers"]
        assert len(layers) == 3
        manifest = inspect(name)["layers"]
        assert isinstance(manifest, list)
        lost = [one["digest"] for one in manifest[1:]]
        for digest in lost:
            (place.data / "content/blobs/sha256" / digest[7:]).unlink()
        front.fault = lambda request: request.answer(404)
        told = rootless("push", away, f"{registry.host}/again/whole:1", code=125)
        assert f"the layer {lost[0]} and 1 more of the image" in told.stderr
        assert f"are missing; {front.host} has no image" in told.stderr
        front.fault = None
        rootless("push", "-q", away, f"{registry.host}/again/whole:1")
