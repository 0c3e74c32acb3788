"""Copying from every place to every place, and with skopeo, umoci and buildah in between."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import Command, Place
from front import Front, Request
from registry import Layout, Registry, registry

__all__ = ["registry"]

FILES = [{"bin/true": b"x" * 1000, "etc/one": b"1"}, {"etc/two": os.urandom(300_000)}, {}]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("layout"))
    one = made.image("one", FILES)
    arm = made.image(None, [{"bin/true": b"arm"}], architecture="arm64", variant="v8")
    made.index("multi", [one, arm])
    return made


def skopeo(*words: str, place: Place) -> str:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *words], capture_output=True, text=True, check=False,
        env=place.env, cwd=place.work,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def digest(where: str, place: Place) -> str:
    """The digest of what skopeo finds there."""
    words = ("--tls-verify=false",) if where.startswith("docker:") else ()
    data = skopeo("inspect", "--raw", *words, where, place=place)
    return "sha256:" + hashlib.sha256(data.encode()).hexdigest()


def places(registry: Registry, number: int) -> dict[str, str]:
    return {
        "docker": f"docker://{registry.host}/every/place{number}:1",
        "oci": f"oci:layout{number}:tag",
        "oci-archive": f"oci-archive:archive{number}.tar:tag",
        "dir": f"dir:directory{number}",
    }


@pytest.mark.parametrize("first", ["docker", "oci", "oci-archive", "dir"])
@pytest.mark.parametrize("what", ["one", "multi"])
def test_from_every_place_to_every_place(
    rootless: Command, registry: Registry, layout: Layout, place: Place, first: str, what: str
) -> None:
    """The digest stays the same all the way, and skopeo finds the same there."""
    wanted = next(
        one["digest"]
        for one in layout.entries
        if one["annotations"]["org.opencontainers.image.ref.name"] == what
    )
    every = ("--all",) if what == "multi" else ()
    number = len(what) * 10 + len(first)
    from_ = places(registry, number)[first]
    told = rootless("copy", "-q", *every, f"oci:{layout.path}:{what}", from_)
    assert told.stdout == f"{wanted}\n"
    assert told.stderr == ""
    for kind, to in places(registry, number + 100).items():
        assert rootless("copy", "-q", *every, from_, to).stdout == f"{wanted}\n", kind
        assert digest(to, place) == wanted
        # and skopeo can take it all
        skopeo("copy", *every, "--src-tls-verify=false", to, f"dir:taken-{kind}", place=place)
    # nothing is here of all that
    assert rootless("images", "-q").stdout == ""


def test_what_skopeo_writes(
    rootless: Command, registry: Registry, layout: Layout, place: Place
) -> None:
    for kind, where in places(registry, 50).items():
        skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.path}:one", where, place=place)
        told = rootless("copy", "-q", where, f"oci:from-{kind}:x")
        assert told.stdout == f"{layout.entries[0]['digest']}\n"
    skopeo("copy", f"oci:{layout.path}:one", "docker-archive:skopeo.tar:some/name:1", place=place)
    rootless("copy", "-q", "docker-archive:skopeo.tar:some/name:1", "oci:from-docker:x")
    rootless("pull", "-q", "oci:from-docker:x")
    first = rootless("pull", "-q", f"oci:{layout.path}:one")
    assert rootless("inspect", "-f", "{{len .RootFS.Layers}}", first.stdout.strip()).stdout == "3\n"


def test_docker_archives(rootless: Command, layout: Layout, place: Place) -> None:
    source = f"oci:{layout.path}:one"
    rootless("copy", "-q", source, "docker-archive:a.tar:team/tool:2")
    rootless("copy", "-q", source, "docker-archive:b.tar:team/tool:2")
    # the same image, the same bytes
    first, second = ((place.work / name).read_bytes() for name in ("a.tar", "b.tar"))
    assert first == second
    with tarfile.open(place.work / "a.tar") as archive:
        listed = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert listed[0]["RepoTags"] == ["team/tool:2"]
    assert digest("docker-archive:a.tar", place)
    rootless("load", "-i", "a.tar")
    assert "team/tool" in rootless("images").stdout
    # out of it and into a layout: layers are plain, and the image has the same id
    rootless("copy", "-q", "docker-archive:a.tar", "oci:plain:x")
    told = rootless("pull", "-q", "oci:plain:x")
    assert told.stdout == rootless("pull", "-q", source).stdout
    told = rootless("copy", "-q", "docker-archive:a.tar:none/such:1", "oci:no:x", code=125)
    assert "a.tar has no image none/such:1" in told.stderr
    assert not (place.work / "no").exists()


def test_one_platform_of_an_index(rootless: Command, layout: Layout, place: Place) -> None:
    source = f"oci:{layout.path}:multi"
    rootless("copy", "-q", "--platform", "linux/arm64", source, "oci:arm:x")
    config = json.loads(skopeo("inspect", "--config", "oci:arm:x", place=place))
    assert config["architecture"] == "arm64"
    told = rootless("copy", "--platform", "linux/s390x", source, "oci:no:x", code=125)
    assert "has no image for linux/s390x" in told.stderr
    assert not (place.work / "no").exists()
    told = rootless("copy", "--all", "--platform", "linux/arm64", source, "oci:no:x", code=125)
    assert "--all and --platform exclude each other" in told.stderr


def test_digests_that_are_to_stay(rootless: Command, layout: Layout, registry: Registry) -> None:
    source = f"oci:{layout.path}:one"
    wanted = layout.entries[0]["digest"]
    told = rootless("copy", "--preserve-digests", source, f"{registry.host}/stay/x:1")
    assert told.stdout == f"{wanted}\n"
    told = rootless("copy", "--preserve-digests", "--format", "v2s2", source,
                    f"{registry.host}/stay/x:2", code=125)  # fmt: skip
    assert "without a change" in told.stderr
    told = rootless("copy", source, f"{registry.host}/stay/x@{wanted}")
    told = rootless("copy", source, f"{registry.host}/stay/x@sha256:{'1' * 64}", code=125)
    assert f"the image has the digest {wanted}" in told.stderr


def test_an_image_of_this_host(rootless: Command, layout: Layout, registry: Registry) -> None:
    rootless("pull", "-q", f"oci:{layout.path}:one")
    rootless("tag", f"localhost/{layout.path.name}:one", "mine:1")
    told = rootless("copy", "-q", "store:mine:1", "oci:out:x")
    assert told.stdout == f"{layout.entries[0]['digest']}\n"
    rootless("push", "-q", "mine:1", "dir:out2")
    told = rootless("copy", "-q", "oci:out:x", "store:other", code=125)
    assert "rootless pull other" in told.stderr


def test_places_that_are_none(rootless: Command, layout: Layout, place: Place) -> None:
    source = f"oci:{layout.path}:one"
    (place.work / "full").mkdir()
    (place.work / "full/file").write_text("mine")
    (place.work / "text").write_text("no archive")
    for words, why in (
        ((source, "oci:full:x"), "neither empty nor an OCI layout"),
        ((source, "dir:full"), "is not empty and holds no image"),
        ((source, "oci-archive:none/such/a.tar"), "cannot write none/such/a.tar"),
        ((source, "oci:"), "names no path"),
        (("oci:none:x", "dir:d"), "there is no directory none"),
        (("oci:full:x", "dir:d"), "is not an OCI layout"),
        (("dir:full", "dir:d"), "holds no image"),
        (("oci-archive:none.tar", "dir:d"), "cannot read none.tar"),
        (("oci-archive:text", "dir:d"), "is not an archive of images"),
        (("docker-archive:text", "dir:d"), "is not an archive of images"),
        ((f"oci:{layout.path}", "dir:d"), "and none was chosen"),
        ((f"oci:{layout.path}:none", "dir:d"), "has no image none"),
        (("Upper", "dir:d"), "is not the name of an image"),
    ):
        told = rootless("copy", *words, code=125)
        assert why in told.stderr, words
    assert sorted(os.listdir(place.work)) == ["full", "text"]
    assert os.listdir(place.work / "full") == ["file"]


@pytest.mark.parametrize("how", ["wrong", "short", "long", "reset"])
@pytest.mark.parametrize("to", ["oci", "oci-archive", "dir", "docker-archive", "docker"])
def test_a_source_that_lies_leaves_nothing(
    rootless: Command, registry: Registry, layout: Layout, place: Place, how: str, to: str
) -> None:
    rootless("copy", "-q", f"oci:{layout.path}:one", f"{registry.host}/lies/source:1")
    largest = max((layout.path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)

    def fault(request: Request) -> bool:
        if largest.name not in request.path or request.command != "GET":
            return False
        data = largest.read_bytes()
        if how == "wrong":
            return request.answer(200, data[:-1] + b"!")
        if how == "short":
            return request.answer(200, data[:-10])
        if how == "long":
            return request.answer(200, data + b"!")
        return (
            request.answer(200, data[:1000], promised=len(data))
            if "Range" not in (request.headers)
            else request.reset()
        )

    with Front(registry) as front:
        front.fault = fault
        target = {
            "docker": f"{registry.host}/lies/target-{how}:1",
            "docker-archive": "docker-archive:out:a/b",
        }.get(to, f"{to}:out")
        env = {"ROOTLESS_RETRY_SECONDS": "0.01"}
        told = rootless("copy", f"{front.host}/lies/source:1", target, code=125, env=env)
    assert largest.name in told.stderr or "cannot talk to" in told.stderr
    assert told.stdout == ""
    assert os.listdir(place.work) == []
    if to == "docker":
        told = rootless("image", "tags", target, code=125)


def test_two_layers_of_one_digest(rootless: Command, registry: Registry, place: Place) -> None:
    """An image may have the same layer twice: it is sent once and stays twice."""
    made = Layout(place.base / "twice")
    made.image("x", [{"a": b"1"}, {"b": b"2"}, {"a": b"1"}])
    with Front(registry) as front:
        name = f"{front.host}/twice/x:1"
        told = rootless("copy", "-q", f"oci:{made.path}:x", name)
        assert told.stdout == f"{made.entries[0]['digest']}\n"
        assert len(front.asked("PUT", "/blobs/")) == 3
    rootless("copy", "-q", f"{registry.host}/twice/x:1", "docker-archive:twice.tar:a/b")
    rootless("pull", "-q", "docker-archive:twice.tar")


def test_layers_that_everybody_fetches_elsewhere(
    rootless: Command, registry: Registry, place: Place
) -> None:
    """So-called foreign layers stay where they are; the manifest says where that is."""
    made = Layout(place.base / "foreign")
    made.image("x", [{"a": b"1"}])
    path = made.path / "blobs/sha256" / made.entries[0]["digest"][7:]
    manifest = json.loads(path.read_text())
    gone = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": "sha256:" + "3" * 64,
        "size": 7,
        "urls": ["https://elsewhere.example/layer"],
    }
    manifest["layers"].insert(0, gone)
    entry = {**made.entries[0], **made.blob(json.dumps(manifest).encode())}
    made.add("y", entry)
    rootless("copy", "-q", "--preserve-digests", f"oci:{made.path}:y", "dir:foreign")
    found = json.loads((place.work / "foreign/manifest.json").read_text())
    assert found["layers"][0] == gone


def test_umoci_and_buildah_read_it(
    rootless: Command, layout: Layout, registry: Registry, place: Place
) -> None:
    rootless("copy", "-q", f"oci:{layout.path}:one", f"{registry.host}/peers/x:1")
    rootless("copy", "-q", f"{registry.host}/peers/x:1", "oci:lay:x")
    subprocess.run(["umoci", "unpack", "--rootless", "--image", "lay:x", "bundle"],
                   cwd=place.work, check=True, capture_output=True)  # fmt: skip
    assert (place.work / "bundle/rootfs/etc/two").read_bytes() == FILES[1]["etc/two"]
    store = place.base / "buildah"
    command = ["buildah", "--storage-driver", "vfs", "--root", str(store / "root"),
               "--runroot", str(store / "run")]  # fmt: skip
    name = f"{registry.host}/peers/x:1"
    done = subprocess.run([*command, "pull", "-q", "--tls-verify=false", name],
                          env=place.env, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = rootless("pull", "-q", name)
    assert done.stdout == here.stdout
    subprocess.run(["buildah", "unshare", "rm", "-rf", store], env=place.env, check=True)


def test_a_compressed_archive(rootless: Command, layout: Layout, place: Place) -> None:
    rootless("copy", "-q", f"oci:{layout.path}:one", "oci-archive:a.tar:x")
    data = (place.work / "a.tar").read_bytes()
    Path(place.work, "a.tgz").write_bytes(gzip.compress(data, 1))
    told = rootless("copy", "-q", "oci-archive:a.tgz:x", "oci:b:x")
    assert told.stdout == f"{layout.entries[0]['digest']}\n"
    Path(place.work, "cut.tgz").write_bytes(gzip.compress(data, 1)[:5000])
    told = rootless("copy", "oci-archive:cut.tgz:x", "oci:c:x", code=125)
    assert "truncated" in told.stderr
