"""Pulling from registries: a real docker-registry, and a small server that misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import pathlib

import pytest
from pulling import own_settings, store
from registry import Layout, Registry, registry

from rootless.errors import (
    ImageNotFound,
    RegistryError,
    UsageError,
)
from rootless.images.registry.http import Settings
from rootless.images.store import ingest
from rootless.images.store.store import ImageStore
from rootless.images.transfer.pull import pull

__all__ = ["own_settings", "registry", "store"]

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


# a real registry


def test_pull_whole_image(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:one", "team/app:1")
    record = pull(store, name, settings=HASTY)
    assert record.names == [name]
    assert record.config["Cmd"] == ["/bin/true"]
    assert len(record.layers) == 3
    for layer in record.layers:
        data = store.read_blob(layer.digest)
        assert "sha256:" + hashlib.sha256(data).hexdigest() == layer.digest
        assert ingest.diff_id(store.blob_path(layer.digest)) == layer.diff_id
    assert store.resolve(name).to_dict() == record.to_dict()
    assert os.listdir(store.ingest) == []


def test_unchanged_image_costs_one_request(
    registry: Registry, layout: Layout, store: ImageStore
) -> None:
    name = registry.push(f"oci:{layout.path}:multi", "team/unchanged:1")
    pull(store, name, platform="linux/amd64")
    before = len([line for line in registry.requests if "team/unchanged" in line])
    pull(store, f"docker://{name}", platform="linux/amd64")
    after = [line for line in registry.requests if "team/unchanged" in line][before:]
    assert after == ["HEAD /v2/team/unchanged/manifests/1 HTTP/1.1"]


def test_tag_that_moved(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:one", "team/moved:1")
    first = pull(store, name)
    registry.push(f"oci:{layout.path}:arm", "team/moved:1")
    second = pull(store, name, platform="linux/arm64")
    assert second.id != first.id
    assert store.resolve(name).id == second.id
    assert store.resolve(first.id).names == []


def test_platform_from_index(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:multi", "team/multi:1")
    assert pull(store, name, platform="linux/arm64").platform == "linux/arm64/v8"
    assert pull(store, name, platform="linux/amd64").platform == "linux/amd64"
    with pytest.raises(RegistryError) as caught:
        pull(store, name, platform="linux/s390x")
    assert "linux/s390x" in caught.value.message
    assert "linux/amd64, linux/arm64/v8" in caught.value.hint


def test_image_for_another_machine(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:arm", "team/arm:1")
    other = "linux/amd64" if os.uname().machine != "x86_64" else None
    with pytest.raises(RegistryError) as caught:
        pull(store, name, platform=other)
    assert "linux/arm64/v8" in caught.value.message
    assert store.list() == []


def test_pull_by_digest(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:one", "team/digest:1")
    record = pull(store, name)
    wanted = record.digests[0]
    other = ImageStore(store.data_dir + "2")
    again = pull(other, wanted)
    assert again.id == record.id
    assert again.names == []
    assert other.resolve(wanted).id == record.id


def test_unknown_image(registry: Registry, store: ImageStore) -> None:
    with pytest.raises(ImageNotFound) as caught:
        pull(store, f"{registry.host}/no/such:1", settings=HASTY)
    assert "no/such:1" in caught.value.message
    assert store.list() == []


def test_malformed_name(store: ImageStore) -> None:
    with pytest.raises(UsageError):
        pull(store, "Debian")


def test_pull_twice_at_once(registry: Registry, layout: Layout, store: ImageStore) -> None:
    name = registry.push(f"oci:{layout.path}:one", "team/together:1")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_pull_process, args=(store.data_dir, name)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    record = store.resolve(name)
    for layer in record.layers:
        got = [line for line in registry.requests if layer.digest in line and "together" in line]
        assert len([line for line in got if line.startswith("GET")]) == 1, got
    assert os.listdir(store.ingest) == []


def _pull_process(data_dir: str, name: str) -> None:
    pull(ImageStore(data_dir), name, settings=Settings(attempts=3, backoff=0.01))


def test_passwords(
    tmp_path: pathlib.Path, layout: Layout, store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry(tmp_path / "registry", user="ann", password="s3cret:x") as locked:
        name = locked.push(f"oci:{layout.path}:one", "private/app:1")
        with pytest.raises(RegistryError) as caught:
            pull(store, name, settings=HASTY)
        assert "refuses access" in caught.value.message
        auth = tmp_path / "auth.json"
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(auth))
        packed = base64.b64encode(b"ann:wrong").decode()
        auth.write_text(json.dumps({"auths": {locked.host: {"auth": packed}}}))
        with pytest.raises(RegistryError):
            pull(store, name, settings=HASTY)
        packed = base64.b64encode(b"ann:s3cret:x").decode()
        auth.write_text(json.dumps({"auths": {f"{locked.host}/private": {"auth": packed}}}))
        assert pull(store, name, settings=HASTY).names == [name]
