"""The policy is asked by whatever brings an image: copy, manifest push, import, files to run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place
from integration.registry import Layout, Registry, Server, tar_of
from integration.test_trust import digest_of, make_keys, only, write_policy
from integration.test_trust import gpg as gpg
from integration.test_trust import image as image
from integration.test_trust import keys as keys
from integration.test_trust import registry as registry

pytestmark = pytest.mark.usefixtures("everyone")

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}


def asked_for(registry: Registry) -> list[str]:
    """Blobs that were fetched, but for those of signatures, since the registry was started."""
    return [one for one in registry.requests if one.startswith("GET") and "/blobs/" in one]


def test_copy_is_refused_before_a_blob_is_read(
    rootless: Command, place: Place, image: str, registry: Registry
) -> None:
    write_policy(place, {"default": [REJECT]})
    before = len(asked_for(registry))
    other = image.replace("team", "mirror")
    for target in (other, "oci:layout:one", "oci-archive:a.tar", "docker-archive:d.tar", "dir:d"):
        done = rootless("copy", image, target, code=125)
        assert f"the image {image} is not trusted: the signature policy rejects it" in done.stderr
        assert "policy.json decides" in done.stderr
    assert len(asked_for(registry)) == before
    left = [one for one in place.work.rglob("*") if one.is_file() and one.stat().st_size > 100]
    assert not left
    repositories = registry.directory / "data/docker/registry/v2/repositories"
    assert not (repositories / "mirror").exists()


def test_copy_of_what_is_signed(
    rootless: Command, place: Place, image: str, keys: tuple[str, str]
) -> None:
    private, public = keys
    write_policy(place, only({"type": "sigstoreSigned", "keyPath": public}))
    assert "it has no signature" in rootless("copy", image, "oci:one", code=125).stderr
    rootless("image", "sign", private, image)
    rootless("copy", "-q", image, "oci:one:1")
    # another image of the same repository is not
    two = image.replace(":one", ":two")
    assert "it has no signature" in rootless("copy", two, "oci:one:2", code=125).stderr
    # once another policy, once a key without any
    (place.work / "open.json").write_text(json.dumps({"default": [ACCEPT]}))
    rootless("copy", "-q", "--signature-policy", "open.json", two, "oci:one:2")
    write_policy(place, {"default": [ACCEPT]})
    _, stranger = make_keys(place.work, "other")
    rootless("copy", "-q", "--verify-key", public, image, "dir:kept")
    done = rootless("copy", "--verify-key", stranger, image, "dir:other", code=125)
    assert "another key" in done.stderr
    assert "no key is known" in rootless("copy", "--verify", image, "dir:other", code=125).stderr


def test_copy_of_what_gpg_signed(rootless: Command, place: Place, image: str, gpg: str) -> None:
    write_policy(place, only({"type": "signedBy", "keyType": "GPGKeys",
                              "keyPath": str(place.work / "key.gpg")}))  # fmt: skip
    assert "it has no signature" in rootless("copy", image, "dir:d", code=125).stderr
    rootless("image", "sign", "--sign-by", gpg, image)
    rootless("copy", "-q", image, "dir:d")


def several(registry: Registry, tmp_path: Path) -> tuple[str, str, str]:
    """An index with images for two platforms; its name and the digests of the images."""
    layout = Layout(tmp_path / "several")
    entries = [layout.image(None, [{one: os.urandom(500)}], architecture=one)
               for one in ("amd64", "arm64")]  # fmt: skip
    layout.index("all", entries)
    name = registry.push(f"oci:{layout.path}:all", "team/several:1")
    return name, entries[0]["digest"], entries[1]["digest"]


def test_an_index(
    rootless: Command, place: Place, registry: Registry, keys: tuple[str, str], tmp_path: Path
) -> None:
    """A signature of the index is one for its images; without it each image needs its own."""
    private, public = keys
    name, first, second = several(registry, tmp_path)
    repository = name.rpartition(":")[0]
    demand = {"type": "sigstoreSigned", "keyPath": public,
              "signedIdentity": {"type": "matchRepository"}}  # fmt: skip
    write_policy(place, only(demand))
    rootless("image", "sign", private, f"{repository}@{first}")
    rootless("copy", "-q", "--platform", "linux/amd64", name, "oci:one:1")
    done = rootless("copy", "--all", name, "oci:both:1", code=125)
    assert "it has no signature" in done.stderr
    assert not (place.work / "both/index.json").exists()
    rootless("image", "sign", private, f"{repository}@{second}")
    rootless("copy", "-q", "--all", name, "oci:both:1")
    other = registry.push(f"oci:{tmp_path}/several:all", "team/other:1")
    assert "it has no" in rootless("copy", "--all", other, "oci:third:1", code=125).stderr
    rootless("image", "sign", private, other)
    rootless("copy", "-q", "--all", other, "oci:third:1")
    rootless("copy", "-q", "--platform", "linux/arm64", other, "oci:third:2")


def test_places_without_signatures(rootless: Command, place: Place, image: str) -> None:
    """Each has its scopes: the path with the tag, the path, the directories above it."""
    places = {
        "oci": "layout:one", "oci-archive": "o.tar:one",
        "docker-archive": f"d.tar:{image}", "dir": "plain",
    }  # fmt: skip
    for kind, path in places.items():
        rootless("copy", "-q", image, f"{kind}:{path}")
    for kind, path in places.items():
        source = f"{kind}:{path}"
        bare = path.partition(":")[0]
        write_policy(place, {"default": [ACCEPT], "transports": {kind: {"": [REJECT]}}})
        done = rootless("copy", source, "oci:target:1", code=125)
        assert f"the image {kind}:{bare}" in done.stderr and "rejects it" in done.stderr, done
        where = str((place.work / bare).resolve())
        tagged = where if kind == "dir" else f"{where}:{path.partition(':')[2]}"
        for scope in (where, str(place.work.resolve()), tagged):
            write_policy(place, {"default": [REJECT], "transports": {kind: {scope: [ACCEPT]}}})
            rootless("copy", "-q", source, "oci:target:1")
        # the most specific one counts
        write_policy(place, {"default": [ACCEPT],
                             "transports": {kind: {where: [REJECT], "/": [ACCEPT]}}})  # fmt: skip
        rootless("copy", source, "oci:target:1", code=125)
        write_policy(place, {"default": [{"type": "sigstoreSigned", "keyData": "eA=="}]})
        done = rootless("copy", source, "oci:target:1", code=125)
        assert f"{kind} has no place for signatures" in done.stderr


def test_what_is_here_was_asked_for(rootless: Command, place: Place, image: str) -> None:
    """As with podman: what is in the store may leave it, whatever the policy says today."""
    rootless("pull", "-q", image)
    write_policy(place, {"default": [REJECT]})
    rootless("push", "-q", image, image.replace(":one", ":pushed"))
    rootless("copy", "-q", f"store:{image}", "oci:layout:1")
    rootless("save", "-o", "s.tar", image)
    rootless("tag", image, "mine")


def test_a_list_asks_for_what_it_brings(
    rootless: Command, place: Place, image: str, registry: Registry, keys: tuple[str, str]
) -> None:
    """Images of a list that lie in registries are brought, and asked for, by `manifest push`."""
    private, public = keys
    rootless("pull", "-q", image)
    two, target = image.replace(":one", ":two"), f"{registry.host}/mine/list:1"
    rootless("manifest", "create", "here", image)
    rootless("manifest", "create", "mixed", image, f"docker://{two}")
    write_policy(place, only({"type": "sigstoreSigned", "keyPath": public}))
    rootless("manifest", "push", "-q", "here", target)
    said = f"{two.rpartition(':')[0]}@{digest_of(two)} is not trusted: it has no signature"
    before = len(asked_for(registry))
    for verb in (["manifest", "push"], ["push"]):
        done = rootless(*verb, "mixed", target.replace("list", "mixed"), code=125)
        assert said in done.stderr
    assert len(asked_for(registry)) == before
    policy = place.work / "open.json"
    policy.write_text(json.dumps({"default": [ACCEPT]}))
    rootless("manifest", "push", "-q", "--signature-policy", str(policy), "mixed", target)
    rootless("image", "sign", private, two)
    rootless("manifest", "push", "-q", "mixed", target.replace("list", "mixed"))


def test_an_index_in_a_list_reads_nothing_of_the_store(
    rootless: Command, place: Place, registry: Registry, image: str, tmp_path: Path
) -> None:
    """A hostile index could name digests of images here, hoping that a push takes them along."""
    rootless("pull", "-q", image)
    secret = digest_of(image)
    size = (place.data / "content/blobs/sha256" / secret[7:]).stat().st_size
    layout = Layout(tmp_path / "hostile")
    inner = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [
        {"mediaType": MANIFEST, "digest": secret, "size": size}]}  # fmt: skip
    nested = {"mediaType": INDEX, **layout.blob(json.dumps(inner).encode())}
    layout.index("one", [{**nested, "platform": {"os": "linux", "architecture": "amd64"}}])
    with serving(layout) as server:
        server.fault = lambda request: secret in request.path and not request.reply(404)
        rootless("manifest", "create", "--all", "mine", f"docker://{server.name}")
        done = rootless("manifest", "push", "mine", f"{registry.host}/mine/list:1", code=125)
    assert "has no image" in done.stderr
    assert any(secret in path for _, path, _ in server.requests)


def test_import(rootless: Command, place: Place) -> None:
    """The transport is called as by podman, tarball."""
    (place.work / "root.tar").write_bytes(tar_of({"hello": b"you"}))
    write_policy(place, {"default": [REJECT]})
    done = rootless("import", "root.tar", "mine", code=125)
    assert "the image tarball:root.tar is not trusted" in done.stderr
    done = rootless("import", "-", "mine", input=tar_of({"hello": b"you"}), code=125)
    assert "a tarball on standard input is not trusted" in done.stderr
    assert not place.data.joinpath("content/blobs/sha256").exists()
    allowed = {"tarball": {str(place.work.resolve()): [ACCEPT]}}
    write_policy(place, {"default": [REJECT], "transports": allowed})
    rootless("import", "root.tar", "mine")
    (place.work / "open.json").write_text(json.dumps({"default": [ACCEPT]}))
    rootless("import", "--signature-policy", "open.json", "-", input=tar_of({"a": b"b"}))


def test_files_that_are_run(rootless: Command, place: Place, busybox: Path) -> None:
    """`run ./image.sqfs`: the transports are called squashfs and sif."""
    path = place.work / "other.squashfs"
    tree = place.work / "tree"
    (tree / "bin").mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/echo")
    words = ["mksquashfs", tree, path, "-quiet", "-no-progress", "-all-root"]
    subprocess.run(words, check=True, capture_output=True)
    run = ["run", "--rm", "--network", "none", "./other.squashfs", "/bin/echo", "ran"]
    for document in (
        {"default": [REJECT]},
        {"default": [ACCEPT], "transports": {"squashfs": {"": [REJECT]}}},
    ):
        write_policy(place, document)
        done = rootless(*run, code=125)
        assert f"the image squashfs:{path} is not trusted" in done.stderr
        assert rootless("ps", "-aq").stdout == ""
    scope = {"squashfs": {str(place.work.resolve()): [ACCEPT]}}
    write_policy(place, {"default": [REJECT], "transports": scope})
    assert rootless(*run).stdout == "ran\n"
    config = place.home / ".config/rootless"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("trust.require-signatures = true\n")
    assert "no key is known" in rootless(*run, code=125).stderr


@contextlib.contextmanager
def serving(layout: Layout) -> Iterator[Server]:
    server = Server(layout)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_pull_from_a_directory(rootless: Command, place: Place, image: str) -> None:
    """`dir:` is a place as the others: asked for, held against its digests, whole or not at all."""
    rootless("copy", "-q", image, "dir:App")
    write_policy(place, {"default": [ACCEPT], "transports": {"dir": {"": [REJECT]}}})
    done = rootless("pull", "dir:App", code=125)
    assert "the image dir:App is not trusted" in done.stderr
    assert not os.listdir(place.data / "content/blobs/sha256")
    write_policy(place, {"default": [ACCEPT]})
    largest = max((place.work / "App").iterdir(), key=lambda one: one.stat().st_size)
    good = largest.read_bytes()
    largest.write_bytes(good[:-1] + b"x")
    assert f"instead of sha256:{largest.name}" in rootless("pull", "dir:App", code=125).stderr
    assert rootless("images", "-qa").stdout == ""
    assert not os.listdir(place.data / "content/blobs/sha256")
    largest.write_bytes(good)
    rootless("pull", "-q", "dir:App")
    assert rootless("image", "exists", "localhost/app:latest").code == 0
    assert "there is no directory none" in rootless("pull", "dir:none", code=125).stderr
    assert "holds no image" in rootless("pull", "dir:.", code=125).stderr
