"""zstd:chunked and eStargz layers from a real registry: what is fetched, what is shared."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place
from integration.chunked_images import (
    Packed,
    access,
    chunked,
    estargz,
    layout,
    many_files,
    plain_gzip,
    push,
    sent,
    tar_of,
    with_table,
)
from integration.registry import Registry, Server

from rootless.chunked import places, writing, zstd

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture(scope="module")
def registry(scratch: Path) -> Iterator[Registry]:
    """A real registry for this module."""
    with Registry(scratch / f"chunked-{os.getpid()}") as running:
        yield running


def changed(files: dict[str, bytes], every: int) -> dict[str, bytes]:
    """One of so many files with another content."""
    return {
        name: data[::-1] + b"new" if number % every == 0 else data
        for number, (name, data) in enumerate(files.items())
    }


def layer_directories(place: Place) -> list[Path]:
    """Unpacked layers, oldest first."""
    return sorted((place.data / "layers").glob("*/*/fs"), key=lambda path: path.stat().st_ctime)


def blobs_are_whole(place: Place) -> None:
    """Every blob in the store is what its name says."""
    for path in (place.data / "content/blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


@pytest.mark.slow
@pytest.mark.parametrize(("pack", "share"), [(chunked, 10), (estargz, 5)])
def test_an_update_moves_what_changed(
    rootless: Command,
    place: Place,
    registry: Registry,
    busybox_tar: Path,
    pack: Callable[[bytes], Packed],
    share: int,
) -> None:
    """Of eStargz a member goes with the header after it, so each change costs two of them."""
    files = many_files(1200)
    old = tar_of(files, busybox_tar)
    new = tar_of(changed(files, 20), busybox_tar)
    name = f"update/{pack.__name__}"
    first = push(registry, place.base / "one", f"{name}:1", [old], pack)
    second = push(registry, place.base / "two", f"{name}:2", [new], pack)
    rootless("pull", first)
    before = len(access(registry))
    rootless("pull", second)
    size = len(pack(new).data)
    moved = sent(registry, before)
    assert moved <= size // share, (
        f"{moved} of {size} bytes, {len(access(registry)) - before} requests"
    )
    blobs_are_whole(place)
    # unchanged files are one file with those of the old layer, or share its blocks
    one, two = layer_directories(place)
    same = [n for number, n in enumerate(files) if number % 20 and len(files[n]) > 1024]
    inodes = [(one / name).stat().st_ino == (two / name).stat().st_ino for name in same]
    assert all(inodes) or not any(inodes)  # a file system with reflinks has no links
    for number, name in enumerate(files):
        assert (two / name).read_bytes() == (
            files[name] if number % 20 else files[name][::-1] + b"new"
        )
    # and it is an image as any other
    name = next(iter(files))
    out = rootless("run", "--rm", "--network", "none", second, "tail", "-c", "3", f"/{name}")
    assert out.stdout == "new"
    rootless("rmi", first)
    assert rootless("run", "--rm", "--network", "none", second, "true").out == b""
    assert (two / same[0]).read_bytes() == files[same[0]]


def test_writing_to_a_shared_file_changes_one_container_alone(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    files = {"etc/conf": b"setting\n" * 400, "etc/other": b"a" * 5000}
    tars = [tar_of(files, busybox_tar), tar_of({**files, "etc/other": b"b" * 5000}, busybox_tar)]
    names = [push(registry, place.base / str(i), f"share/app:{i}", [tars[i]]) for i in (0, 1)]
    for name in names:
        rootless("pull", name)
    script = "echo mine > /etc/conf; chmod 600 /etc/conf; cat /etc/conf"
    assert (
        rootless("run", "--rm", "--network", "none", names[1], "sh", "-c", script).stdout
        == "mine\n"
    )
    out = rootless("run", "--rm", "--network", "none", names[0], "sh", "-c",
                   "stat -c '%a %h' /etc/conf; wc -c </etc/conf").stdout.split()  # fmt: skip
    assert out[0] == "644" and out[2] == "3200"


def test_equal_files_of_other_owners_or_times_are_no_links(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    body = b"the same content\n" * 300
    tars = [
        tar_of({"data/a": body, "data/b": body}, busybox_tar),
        tar_of({"data/b": body, "data/c": body}, busybox_tar, mode=0o640),
    ]
    for i in (0, 1):
        rootless("pull", push(registry, place.base / str(i), f"modes/app:{i}", [tars[i]]))
    one, two = layer_directories(place)
    assert (one / "data/b").stat().st_mode & 0o777 == 0o644
    assert (two / "data/b").stat().st_mode & 0o777 == 0o640
    # another path is never a link, whatever agrees
    assert (one / "data/a").stat().st_ino != (one / "data/b").stat().st_ino
    assert len({(two / n).stat().st_ino for n in ("data/b", "data/c")}) == 2


def test_a_chunked_layer_is_an_ordinary_one_for_everybody(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    tar = tar_of({"etc/motd": b"hello\n", "big": os.urandom(3 << 20)}, busybox_tar)
    name = push(registry, place.base / "l", "plain/app:1", [tar])
    rootless("pull", name)
    out = rootless("run", "--rm", "--network", "none", name, "cat", "/etc/motd").stdout
    assert out == "hello\n"
    target = f"oci:{place.base}/copy:t"
    words = ["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{name}"]
    done = subprocess.run([*words, target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    largest = max(
        (place.base / "copy/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size
    )
    assert subprocess.run(["zstd", "-dc", largest], capture_output=True, check=True).stdout == tar


class Liar:
    """A registry that may be told to lie about the image `two`, which resembles `one`."""

    def __init__(self, path: Path, base: Path) -> None:
        files = many_files(60)
        self.tars = [tar_of(files, base), tar_of(changed(files, 20), base)]
        self.layers = [chunked(tar) for tar in self.tars]
        self.path = path
        self.serve()

    def serve(self) -> None:
        """Write both images and start to serve."""
        one = layout(self.path / "1", "one", [self.layers[0]], plain=[self.tars[0]])
        one.path = self.path / "1"
        two = layout(self.path / "1", "two", [self.layers[1]], plain=[self.tars[1]])
        one.entries += two.entries
        self.server = Server(one)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it, and forget the images."""
        self.server.shutdown()
        self.server.server_close()

    def name(self, tag: str) -> str:
        """The whole name of an image."""
        return f"{self.server.host}/team/app:{tag}"


@pytest.fixture
def liar(place: Place, busybox_tar: Path) -> Iterator[Liar]:
    """A faulty registry; what is wrong is for the test to say."""
    made = Liar(place.base / "liar", busybox_tar)
    yield made
    made.stop()


def _whole(liar: Liar, digest: str) -> int:
    """How often the registry was asked for a blob without a range."""
    return sum(
        1 for _, path, headers in liar.server.requests if digest in path and "Range" not in headers
    )


def test_a_registry_without_ranges_sends_the_whole(
    rootless: Command, place: Place, liar: Liar
) -> None:
    rootless("pull", liar.name("one"))
    liar.server.ranges = False
    rootless("pull", liar.name("two"))
    blobs_are_whole(place)
    digest = hashlib.sha256(liar.layers[1].data).hexdigest()
    assert _whole(liar, digest) == 1


@pytest.mark.parametrize(
    "lie", ["digest of the table", "position", "not numbers", "beyond the end", "swapped files"]
)
def test_a_table_that_lies_costs_a_whole_fetch_and_nothing_else(
    rootless: Command, place: Place, liar: Liar, lie: str
) -> None:
    notes = liar.layers[1].annotations
    if lie == "digest of the table":
        notes[places.CHECKSUM] = "sha256:" + "0" * 64
    elif lie == "position":
        notes[places.POSITION] = "17:40:400:1"
    elif lie == "not numbers":
        notes[places.POSITION] = "1:2:-3:1"
    elif lie == "beyond the end":
        notes[places.POSITION] = f"{len(liar.layers[1].data)}:400:400:1"
    else:
        # digests of files that the store has, for content that is another: the pieces are taken
        # from the wrong files, and the digest of the whole shows it
        liar.layers[1] = with_table(liar.layers[1], swap_digests)
    liar.stop()
    liar.serve()
    rootless("pull", liar.name("one"))
    rootless("pull", liar.name("two"))
    blobs_are_whole(place)
    two = max((place.data / "layers").glob("*/*/fs"), key=lambda path: path.stat().st_ctime)
    for name, data in changed(many_files(60), 20).items():
        assert (two / name).read_bytes() == data


def swap_digests(table: Any) -> None:
    """Let every file claim the content of the next."""
    files = [entry for entry in table["entries"] if entry.get("digest")]
    digests = [entry["digest"] for entry in files]
    for entry, digest in zip(files, digests[1:] + digests[:1], strict=True):
        entry["digest"] = digest


@pytest.mark.slow
def test_push_writes_the_format(
    rootless: Command, place: Place, registry: Registry, busybox_image: str
) -> None:
    name = f"{registry.host}/made/app"
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             "mkdir /many; for i in $(seq 300); do seq $i 900 > /many/$i; done")  # fmt: skip
    rootless("commit", "-q", "c", "made:1")
    rootless("run", "--name", "d", "--network", "none", "made:1", "sh", "-c", "echo >> /many/7")
    rootless("commit", "-q", "d", "made:2")
    rootless("rm", "c", "d")
    words = ("push", "-q", "--compression-format", "zstd:chunked", "--compression-level", "5")
    rootless(*words, "made:1", f"{name}:1")
    again = rootless("push", "--compression-format", "zstd:chunked", "--compression-level", "5",
                     "made:1", f"{name}:again").stdout  # fmt: skip
    rootless(*words, "made:2", f"{name}:2")
    found = rootless("inspect", "made:1").json()[0]
    rootless("rmi", "-f", "made:1", "made:2", busybox_image)
    rootless("pull", f"{name}:1")
    pulled = rootless("inspect", f"{name}:1").json()[0]
    assert pulled["RootFS"] == found["RootFS"] and pulled["Id"] == found["Id"]
    # the same layers give the same blobs
    rootless("pull", f"{name}:again")
    assert pulled["RepoDigests"][0].partition("@")[2] in again
    before = len(access(registry))
    rootless("pull", f"{name}:2")
    assert sent(registry, before) < 40_000
    out = rootless("run", "--rm", "--network", "none", f"{name}:2", "sh", "-c", "ls /many | wc -l")
    assert out.stdout == "300\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--compression-format", "lzma"), 'there is no compression "lzma"'),
        (("--compression-format", "gzip", "--compression-level", "12"), "--compression-level 12"),
        (("--compression-format", "zstd", "--compression-level", "0"), "--compression-level 0"),
        (("--compression-level", "3"), "layers that stay as they are"),
        (("--compression-format", "zstd:chunked", "--format", "v2s2"), "docker's manifests"),
    ],
)
def test_forms_that_there_are_not(
    rootless: Command, registry: Registry, busybox_image: str, words: tuple[str, ...], said: str
) -> None:
    out = rootless("push", *words, busybox_image, f"{registry.host}/bad/app:1", code=125)
    assert said in out.stderr and "hint: " in out.stderr


def test_a_digest_that_lies_cannot_put_an_old_file_into_a_new_layer(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    old, new = b"1" * 5000, b"2" * 5000
    rootless("pull", push(registry, place.base / "a", "poison/app:1",
                          [tar_of({"data/a": old, "data/b": old}, busybox_tar)]))  # fmt: skip

    def lie(table: Any) -> None:
        for entry in table["entries"]:
            if entry["name"] == "data/a":
                entry["digest"] = "sha256:" + hashlib.sha256(old).hexdigest()

    tar = tar_of({"data/a": new, "data/b": old}, busybox_tar)
    name = push(registry, place.base / "b", "poison/app:2", [tar],
                lambda plain: with_table(chunked(plain), lie))  # fmt: skip
    rootless("pull", name)
    out = rootless("run", "--rm", "--network", "none", name, "cat", "/data/a", "/data/b")
    assert out.out == new + old


def shares_blocks(place: Place) -> bool:
    """Whether this file system has reflinks, which are preferred to hard links."""
    one = place.base / "one"
    one.write_bytes(b"x")
    words = ["cp", "--reflink=always", one, place.base / "two"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_files_of_a_layer_that_came_plain_are_shared(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    """A layer without a table is looked into as well: same path, same size, same bytes."""
    files = many_files(40)
    tar = tar_of(files, busybox_tar)
    other = tar_of({**files, "etc/new": b"new" * 500}, busybox_tar)
    rootless("pull", push(registry, place.base / "a", "mixed/app:1", [tar], plain_gzip))
    rootless("pull", push(registry, place.base / "b", "mixed/app:2", [other]))
    one, two = layer_directories(place)
    large = [name for name, data in files.items() if len(data) > 1024]
    assert large
    inodes = {(one / name).stat().st_ino == (two / name).stat().st_ino for name in large}
    assert inodes == {not shares_blocks(place)}
    # files of another content are not, whatever their path and size
    third = tar_of({name: data[::-1] for name, data in files.items()}, busybox_tar)
    rootless("pull", push(registry, place.base / "c", "mixed/app:3", [third]))
    three = layer_directories(place)[-1]
    for name, data in files.items():
        assert (three / name).read_bytes() == data[::-1]
        assert (two / name).read_bytes() == data


def test_a_layer_cannot_lend_files_of_the_host(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    """Its table could tell of a file behind a link of the layer, which leads out of it."""
    body = b"known to whoever made the image\n" * 100
    host = place.work / "host"
    host.mkdir()
    (host / "file").write_bytes(body)
    (host / "file").chmod(0o644)
    os.utime(host / "file", (1_700_000_000, 1_700_000_000))
    buffer = io.BytesIO(tar_of({"kept/file": body}, busybox_tar))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(host)
        tar.addfile(link)

    def lie(table: Any) -> None:
        for entry in table["entries"]:
            if entry["name"] == "kept/file":
                entry["name"] = "way/file"

    first = push(registry, place.base / "a", "way/app:1", [buffer.getvalue()],
                 lambda plain: with_table(chunked(plain), lie))  # fmt: skip
    rootless("pull", first)
    rootless("pull", push(registry, place.base / "b", "way/app:2",
                          [tar_of({"way/file": body}, busybox_tar)]))  # fmt: skip
    two = layer_directories(place)[-1]
    assert (two / "way/file").read_bytes() == body
    assert (two / "way/file").stat().st_ino != (host / "file").stat().st_ino
    assert (host / "file").stat().st_nlink == 1


@pytest.mark.slow
def test_files_of_a_plain_layer_are_not_fetched(
    rootless: Command, place: Place, registry: Registry, busybox_tar: Path
) -> None:
    """What came in gzip is compressed once more, where that gives the bytes of the blob."""
    files = many_files(600)
    old, new = tar_of(files, busybox_tar), tar_of(changed(files, 20), busybox_tar)
    rootless("pull", push(registry, place.base / "a", "again/app:1", [old], plain_gzip))
    for level in (3, 7):
        name = push(registry, place.base / f"l{level}", f"again/app:level{level}", [new],
                    lambda tar, level=level: chunked(tar, level))  # fmt: skip
        before = len(access(registry))
        rootless("pull", name)
        size = len(chunked(new, level).data)
        moved = sent(registry, before)
        # the table with the tar-split data, and what changed
        assert moved <= size // 5, f"{moved} of {size} bytes"
        blobs_are_whole(place)
        rootless("rmi", name)
    assert not os.listdir(place.data / "content/ingest")


def test_of_another_compressor_nothing_is_made(
    rootless: Command,
    place: Place,
    registry: Registry,
    busybox_tar: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is found out by three files, and the layer is fetched as it was before."""
    files = many_files(60)
    tar = tar_of(files, busybox_tar)
    rootless("pull", push(registry, place.base / "a", "foreign/app:1", [tar], plain_gzip))

    def frame(data: bytes, level: int) -> bytes:
        library = zstd.module()
        made = library.ZstdCompressor(options={library.CompressionParameter.checksum_flag: 1})
        return bytes(made.compress(data, mode=made.FLUSH_FRAME))

    monkeypatch.setattr(writing, "frame", frame)
    name = push(registry, place.base / "b", "foreign/app:2", [tar])
    before = len(access(registry))
    rootless("pull", name)
    assert sent(registry, before) >= len(chunked(tar).data)
    blobs_are_whole(place)
    assert not os.listdir(place.data / "content/ingest")
