"""Archives that skopeo and umoci write, and archives nobody should write."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import pathlib
import shutil
import subprocess
import tarfile
import threading
from typing import Any, BinaryIO

import pytest
from registry import Layout, tar_of

from rootless import paths
from rootless.errors import DigestMismatch, ImageNotFound, RootlessError, StorageError, UsageError
from rootless.images.store import builtin, ingest
from rootless.images.store.store import ImageStore
from rootless.images.transfer.load import import_rootfs, load
from rootless.images.transfer.pull import pull


@pytest.fixture
def store(tmp_path: pathlib.Path) -> ImageStore:
    return ImageStore(str(tmp_path / "data"))


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> Layout:
    made = Layout(tmp_path / "layout")
    made.image("one", [{"bin/true": b"x" * 100}, {"big": os.urandom(100_000)}])
    return made


def skopeo(source: str, target: str) -> None:
    subprocess.run(["skopeo", "--insecure-policy", "copy", "-q", source, target], check=True)


def whole(store: ImageStore, data_dir_names: list[str]) -> None:
    """Every image's layers are there and are what they say; nothing else is."""
    used = set()
    for record in store.list():
        used.update(record.blobs())
        for layer in record.layers:
            assert store.has_blob(layer.digest, layer.size)
            assert ingest.diff_id(store.blob_path(layer.digest)) == layer.diff_id
    assert {"sha256:" + name for name in os.listdir(store.blobs)} == used
    assert os.listdir(store.ingest) == []
    assert sorted(name for record in store.list() for name in record.names) == data_dir_names


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_archives(
    store: ImageStore, layout: Layout, tmp_path: pathlib.Path, form: str, packed: str
) -> None:
    path = tmp_path / "image.tar"
    skopeo(f"oci:{layout.path}:one", f"{form}:{path}:example.test/demo:2")
    if packed:
        subprocess.run([packed, "-q", "-k", str(path)], check=True)
        path = path.with_suffix(".tar.gz" if packed == "gzip" else ".tar.zst")
    (record,) = load(store, str(path))
    assert record.config["Cmd"] == ["/bin/true"]
    whole(store, ["example.test/demo:2"])
    other = ImageStore(store.data_dir + "2")
    assert pull(other, f"{form}:{path}").id == record.id
    assert pull(other, f"{form}:{path}:example.test/demo:2").id == record.id
    with pytest.raises(ImageNotFound):
        pull(other, f"{form}:{path}:example.test/none:2")


def test_from_a_pipe(store: ImageStore, layout: Layout, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "image.tar"
    skopeo(f"oci:{layout.path}:one", f"docker-archive:{path}:demo:2")
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as pipe, open(path, "rb") as file:
            shutil.copyfileobj(file, pipe, 1000)

    thread = threading.Thread(target=feed)
    thread.start()
    with open(reading, "rb", buffering=0) as pipe:
        (record,) = load(store, pipe)  # type: ignore[arg-type]
    thread.join()
    assert record.names == ["docker.io/library/demo:2"]


def test_layout_directory(store: ImageStore, layout: Layout) -> None:
    (record,) = load(store, str(layout.path))
    assert record.names == ["localhost/layout:one"]
    assert pull(store, f"oci:{layout.path}:one").id == record.id
    with pytest.raises(ImageNotFound):
        pull(store, f"oci:{layout.path}:two")


def test_umoci_layout(store: ImageStore, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made"
    (tmp_path / "file").write_text("content")
    umoci = ["umoci", "--log=error"]
    subprocess.run([*umoci, "init", "--layout", str(path)], check=True)
    subprocess.run([*umoci, "new", "--image", f"{path}:v1"], check=True)
    insert = ["insert", "--rootless", "--image", f"{path}:v1", str(tmp_path / "file"), "/file"]
    subprocess.run([*umoci, *insert], check=True)
    record = pull(store, f"oci:{path}:v1")
    assert record.names == ["localhost/made:v1"]
    assert len(record.layers) == 1
    whole(store, ["localhost/made:v1"])


def test_several_platforms(store: ImageStore, tmp_path: pathlib.Path) -> None:
    layout = Layout(tmp_path / "multi")
    entries = [
        layout.image(None, [{"file": name.encode()}], architecture=name)
        for name in ("amd64", "arm64", "s390x")
    ]
    layout.index("all", entries)
    path = tmp_path / "multi.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(layout.path, ".")
    (record,) = load(store, str(path), platform="linux/s390x")
    assert record.architecture == "s390x"
    whole(store, ["localhost/multi:all"])
    with pytest.raises(RootlessError) as caught:
        load(store, str(path), platform="linux/riscv64")
    assert "linux/amd64, linux/arm64, linux/s390x" in caught.value.hint


# docker's forms, made by hand


def docker_archive(
    layers: list[bytes], *, tags: list[str], members: dict[str, bytes] | None = None
) -> dict[str, bytes]:
    """The members of what `docker save` writes."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["x"]},
        "rootfs": {
            "type": "layers",
            "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers],
        },
    }
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": tags, "Layers": names}]
    return {
        "config.json": json.dumps(config).encode(),
        **dict(zip(names, layers, strict=True)),
        "manifest.json": json.dumps(manifest).encode(),
        **(members or {}),
    }


def as_file(members: dict[str, bytes]) -> BinaryIO:
    return io.BytesIO(tar_of(members))


def test_linked_layers(store: ImageStore) -> None:
    """Old dockers write a layer that occurs twice once, with a symbolic link to it."""
    layer = tar_of({"a": b"1"})
    members = docker_archive([layer, layer], tags=["linked:1"])
    first, second = [name for name in members if name.endswith("layer.tar")]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            if name == second:
                entry.type = tarfile.SYMTYPE
                entry.linkname = "../" + first
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    (record,) = load(store, io.BytesIO(buffer.getvalue()))
    assert len(record.layers) == 2
    whole(store, ["docker.io/library/linked:1"])


def test_compressed_layers(store: ImageStore) -> None:
    layer = tar_of({"a": b"1"})
    members = docker_archive([layer], tags=["packed:1"])
    name = next(name for name in members if name.endswith("layer.tar"))
    members[name] = gzip.compress(layer)
    (record,) = load(store, as_file(members))
    assert record.layers[0].media_type.endswith("+gzip")
    whole(store, ["docker.io/library/packed:1"])


def test_repositories_of_old(store: ImageStore) -> None:
    members: dict[str, bytes] = {}
    for number, parent in ((1, 0), (2, 1)):
        name = f"{number:064x}"
        document: dict[str, Any] = {"id": name, "architecture": "amd64", "os": "linux"}
        if parent:
            document["parent"] = f"{parent:064x}"
        document["config"] = {"Cmd": [str(number)]}
        members[f"{name}/json"] = json.dumps(document).encode()
        members[f"{name}/layer.tar"] = tar_of({f"file{number}": b"x"})
    members["repositories"] = json.dumps({"old": {"1": f"{2:064x}"}}).encode()
    (record,) = load(store, as_file(members))
    assert record.config["Cmd"] == ["2"]
    assert len(record.layers) == 2
    whole(store, ["docker.io/library/old:1"])


def test_two_images(store: ImageStore) -> None:
    members = docker_archive([tar_of({"a": b"1"})], tags=["one:1", "one:2"])
    second = docker_archive([tar_of({"b": b"2"})], tags=["two:1"])
    listed = json.loads(members["manifest.json"])
    entry = json.loads(second["manifest.json"])[0]
    entry.update(Config="second.json", Layers=["second/layer.tar"])
    members["second.json"] = second["config.json"]
    members["second/layer.tar"] = tar_of({"b": b"2"})
    members["manifest.json"] = json.dumps([*listed, entry]).encode()
    assert len(load(store, as_file(members))) == 2
    names = [f"docker.io/library/{name}" for name in ("one:1", "one:2", "two:1")]
    whole(store, names)


# what must not work


@pytest.mark.parametrize(
    "name", ["../../escape", "/tmp/rootless-escape", "blobs/sha256/../../../escape"]
)
def test_members_never_become_paths(
    store: ImageStore, tmp_path: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tmp_path)) | {"data"}
    members = docker_archive([tar_of({"a": b"1"})], tags=["x:1"], members={name: b"evil"})
    load(store, as_file(members))
    assert set(os.listdir(tmp_path)) == before
    assert not os.path.exists("/tmp/rootless-escape")


def test_links_to_the_host(store: ImageStore) -> None:
    members = docker_archive([tar_of({"a": b"1"})], tags=["x:1"])
    name = next(name for name in members if name.endswith("layer.tar"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for member, data in members.items():
                entry = tarfile.TarInfo(member)
                if member == name:
                    entry.type, entry.linkname = kind, "/etc/passwd"
                    tar.addfile(entry)
                else:
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
        with pytest.raises(StorageError) as caught:
            load(store, io.BytesIO(buffer.getvalue()))
        assert "etc/passwd is missing" in caught.value.message


def test_wrong_diff_id(store: ImageStore) -> None:
    members = docker_archive([tar_of({"a": b"1"})], tags=["x:1"])
    name = next(name for name in members if name.endswith("layer.tar"))
    members[name] = tar_of({"a": b"2"})
    with pytest.raises(DigestMismatch):
        load(store, as_file(members))
    whole(store, [])


def test_wrong_blob(store: ImageStore, layout: Layout, tmp_path: pathlib.Path) -> None:
    largest = max((layout.path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[100] ^= 1
    largest.write_bytes(data)
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(layout.path, ".")
    for source in (str(path), str(layout.path)):
        with pytest.raises(DigestMismatch) as caught:
            load(store, source)
        assert largest.name in caught.value.message
        whole(store, [])


def test_truncated(store: ImageStore, layout: Layout, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(layout.path, ".")
    data = path.read_bytes()
    for count in (100, 600, 5000, len(data) // 2):
        with pytest.raises(RootlessError):
            load(store, io.BytesIO(data[:count]))
        with pytest.raises(RootlessError):
            load(store, io.BytesIO(gzip.compress(data)[:count]))
    whole(store, [])


@pytest.mark.parametrize("data", [b"", b"text" * 500, tar_of({"etc/passwd": b"x"})])
def test_no_archive(store: ImageStore, data: bytes) -> None:
    with pytest.raises(StorageError) as caught:
        load(store, io.BytesIO(data))
    assert "import" in caught.value.hint


def test_no_such_file(store: ImageStore, tmp_path: pathlib.Path) -> None:
    for source in ("/no/such/file", str(tmp_path)):
        with pytest.raises(StorageError) as caught:
            load(store, source)
        assert source in caught.value.message


# import


@pytest.mark.parametrize("pack", ["", "gzip", "zstd", "xz"])
def test_import(store: ImageStore, tmp_path: pathlib.Path, pack: str) -> None:
    plain = tar_of({"bin/sh": b"#!" * 1000})
    path = tmp_path / "rootfs.tar"
    path.write_bytes(plain)
    if pack == "gzip":
        path.write_bytes(gzip.compress(plain))
    elif pack == "xz":
        path.write_bytes(lzma.compress(plain))
    elif pack == "zstd":
        subprocess.run(["zstd", "-q", str(path), "-o", f"{path}.zst"], check=True)
        path = pathlib.Path(f"{path}.zst")
    record = import_rootfs(
        store, str(path), "mine:1", changes=['CMD ["/bin/sh"]', "ENV A=b"], message="by hand"
    )
    assert record.config == {"Cmd": ["/bin/sh"], "Env": ["A=b"]}
    assert record.layers[0].diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()
    kept = {"": "tar", "xz": "tar", "gzip": "tar+gzip", "zstd": "tar+zstd"}[pack]
    assert record.layers[0].media_type == f"application/vnd.oci.image.layer.v1.{kept}"
    assert record.history[0]["comment"] == "by hand"
    whole(store, ["docker.io/library/mine:1"])


def test_import_refuses(store: ImageStore, tmp_path: pathlib.Path) -> None:
    good = tar_of({"a": b"1"})
    for source in ("https://example.test/rootfs.tar", "/no/such"):
        with pytest.raises(RootlessError) as caught:
            import_rootfs(store, source, "x")
        assert source in caught.value.message
    for data in (b"", b"text" * 1000, good[:-100], gzip.compress(good)[:-4]):
        with pytest.raises(StorageError):
            import_rootfs(store, io.BytesIO(data), "x")
    with pytest.raises(UsageError):
        import_rootfs(store, io.BytesIO(good), "X")
    with pytest.raises(UsageError):
        import_rootfs(store, io.BytesIO(good), "x", changes=["RUN x"])
    with pytest.raises(StorageError):
        import_rootfs(store, str(tmp_path), "x")
    whole(store, [])


def test_hello(store: ImageStore, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "BIN", str(tmp_path))
    with pytest.raises(StorageError):
        builtin.ensure_hello(store)
    (tmp_path / "rootless-hello").write_bytes(b"\x7fELF")
    record = builtin.ensure_hello(store)
    assert record.names == ["docker.io/rootless/hello:latest"]
    other = ImageStore(store.data_dir + "2")
    assert builtin.ensure_hello(other).to_dict() == record.to_dict()
    assert store.resolve("rootless/hello").id == record.id
    with tarfile.open(store.blob_path(record.layers[0].digest)) as tar:
        modes = {member.name: member.mode for member in tar}
    assert modes["hello"] == 0o755
    assert {"etc/passwd", "etc/group"} <= set(modes)
    whole(store, ["docker.io/rootless/hello:latest"])
