"""Records, names, blobs and their removal."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest

from rootless.errors import DigestMismatch, ImageNotFound, StorageError, UsageError
from rootless.images.names.suggest import distance, nearest
from rootless.images.store import ingest
from rootless.images.store.index import moment
from rootless.images.store.store import ImageRecord, ImageStore, Layer

TREE = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path: pathlib.Path) -> ImageStore:
    made = ImageStore(str(tmp_path))
    made.prepare()
    return made


def image(store: ImageStore, seed: str) -> ImageRecord:
    """A record whose blobs are in the store."""
    digests = [ingest.ingest_bytes(store, f"{seed} {part}".encode()) for part in range(3)]
    layer = Layer(digests[2], "sha256:" + "1" * 64, "application/x", len(seed) + 2)
    return ImageRecord(
        id=digests[0][7:], manifest_digest=digests[1], layers=[layer], config={"Cmd": ["x"]}
    )


def test_names_and_ids(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["debian", "quay.io/x/y:1"])
    for name in (
        "debian",
        "debian:latest",
        "docker.io/library/debian",
        "quay.io/x/y:1",
        record.id,
        record.id[:12],
        record.config_digest,
        record.config_digest[:20],
    ):
        found = store.resolve(name)
        assert found.to_dict() == record.to_dict(), name
    assert [one.to_dict() for one in store.list()] == [record.to_dict()]


def test_resolving_a_tag_reads_two_files(store: ImageStore) -> None:
    """And looks in vain for the name under localhost/, which comes first."""
    store.put(image(store, "a"), ["debian"])
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); opened = []\n"
        "from rootless.images.store.store import ImageStore\n"
        "from rootless import documents; documents.loads('{}')\n"
        "sys.addaudithook(lambda e, a: opened.append(a[0]) if e == 'open' else None)\n"
        "ImageStore(sys.argv[2]).resolve('debian'); print(len(opened))\n"
        "costly = {'json', 're', 'typing', 'hashlib', 'subprocess', 'socket', 'enum'}\n"
        "assert not costly & set(sys.modules), costly & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", program, str(TREE), store.data_dir],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("3", "")


def test_a_local_name_is_found_by_its_short_form(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["localhost/tool:latest"])
    assert store.resolve("tool").id == record.id


def test_unknown_names_have_hints(store: ImageStore) -> None:
    store.put(image(store, "a"), ["debian:12", "alpine"])
    with pytest.raises(ImageNotFound) as caught:
        store.resolve("debain:12")
    assert "debian:12" in caught.value.hint
    with pytest.raises(ImageNotFound) as caught:
        store.resolve("debian")
    assert "debian:12" in caught.value.hint
    with pytest.raises(ImageNotFound) as caught:
        store.resolve("something/else")
    assert "pull something/else" in caught.value.hint
    with pytest.raises(UsageError):
        store.resolve("Something")


def test_ambiguous_prefix(store: ImageStore) -> None:
    first = {}
    for number in range(40):
        record = store.put(image(store, str(number)), [])
        if record.id[0] in first:
            with pytest.raises(UsageError):
                store.resolve(record.id[0])
            return
        first[record.id[0]] = record


def test_a_name_moves(store: ImageStore) -> None:
    old = store.put(image(store, "old"), ["app", "app:1"])
    new = store.put(image(store, "new"), ["app"])
    assert store.resolve("app").id == new.id
    assert store.resolve(old.id).names == ["docker.io/library/app:1"]
    store.tag("app:1", "app")
    assert store.resolve("app").id == old.id
    assert store.resolve(new.id).names == []
    listed = {record.id: record.names for record in store.list()}
    assert listed == {
        old.id: ["docker.io/library/app:1", "docker.io/library/app:latest"],
        new.id: [],
    } or set(listed[old.id]) == {"docker.io/library/app:1", "docker.io/library/app:latest"}


def test_untag_and_delete(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["one", "two"])
    assert store.untag("one").names == ["docker.io/library/two:latest"]
    with pytest.raises(ImageNotFound):
        store.untag("one")
    store.delete(record.id)
    assert store.list() == []
    assert os.listdir(store.tags) == []
    with pytest.raises(ImageNotFound):
        store.delete(record.id)


def test_a_name_without_its_image_is_no_image(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["one"])
    os.unlink(os.path.join(store.records, record.id + ".json"))
    assert store.list() == []
    with pytest.raises(ImageNotFound):
        store.resolve("one")


def test_damaged_record(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["one"])
    pathlib.Path(store.records, record.id + ".json").write_text('{"id": 1')
    with pytest.raises(StorageError) as caught:
        store.resolve("one")
    assert record.id in caught.value.message


def test_garbage(store: ImageStore) -> None:
    keep = store.put(image(store, "keep"), ["keep"])
    gone = store.put(image(store, "gone"), ["gone"])
    store.delete(gone.id)
    with store.guard():
        # a pull that counts on these blobs; another store, as in another process, collects
        store.rely(*gone.blobs())
        assert ImageStore(store.data_dir).collect_garbage() == 0
    assert os.listdir(store.leases_dir) == []
    assert store.collect_garbage() == 3 * len("gone 0")
    assert store.collect_garbage() == 0
    assert all(store.has_blob(digest) for digest in keep.blobs())
    assert not any(store.has_blob(digest) for digest in gone.blobs())


def test_a_record_needs_its_blobs(store: ImageStore) -> None:
    record = image(store, "gone")
    os.unlink(store.blob_path(record.layers[0].digest))
    with store.guard(), pytest.raises(StorageError) as caught:
        store.put(record, ["gone"])
    assert record.layers[0].digest in caught.value.message
    assert store.list() == [] and os.listdir(store.tags) == []


def test_leases_of_the_dead(store: ImageStore) -> None:
    store.prepare()
    pathlib.Path(store.leases_dir, "1-dead").write_text("sha256:" + "0" * 64 + "\n")
    pathlib.Path(store.ingest, "new-1-1").write_bytes(b"12345")
    assert store.collect_garbage() == 5
    assert os.listdir(store.leases_dir) == os.listdir(store.ingest) == []


def test_index(store: ImageStore) -> None:
    """The document says what the directories say, whoever wrote last and however."""

    def shown() -> list[tuple[str, list[str]]]:
        fresh = ImageStore(store.data_dir)
        return [(one.id, one.names) for one in fresh.summaries()]

    def listed() -> list[tuple[str, list[str]]]:
        return [(record.id, record.names) for record in store.list()]

    first = store.put(image(store, "a"), ["one", "two"])
    assert shown() == listed()
    assert os.path.exists(store.index.path)
    second = store.put(image(store, "b"), ["two", "three"])
    assert os.path.exists(store.index.path) and shown() == listed()
    for change in (
        lambda: store.tag("one", "three"),
        lambda: store.untag("one"),
        lambda: store.delete(second.id),
        lambda: os.unlink(os.path.join(store.tags, "docker.io%2Flibrary%2Fthree:latest")),
        lambda: pathlib.Path(store.index.path).write_text("{"),
        lambda: os.unlink(store.index.path),
        lambda: os.unlink(os.path.join(store.records, first.id + ".json")),
    ):
        change()
        assert sorted(shown()) == sorted(listed())
        assert shown() == shown()


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:00.5Z", 951825600),
        ("2024-05-01T10:00:00+02:00", 1714550400),
        ("2024-12-31T23:59:59.123456789-01:30", 1735694999),
        ("yesterday", 0),
        ("", 0),
        ("2024-13-01T00:00:00Z", 0),
    ],
)
def test_moments(text: str, seconds: int) -> None:
    assert moment(text) == seconds


def test_old_beginnings_are_garbage(store: ImageStore) -> None:
    fresh = pathlib.Path(store.ingest, "sha256-" + "1" * 64)
    stale = pathlib.Path(store.ingest, "sha256-" + "2" * 64)
    for path in (fresh, stale):
        path.write_bytes(b"beginning")
    os.utime(stale, (0, 0))
    assert store.collect_garbage() == 9
    assert os.listdir(store.ingest) == [fresh.name]


@pytest.mark.parametrize("digest", ["sha256:../../x", "md5:00", "", "sha256:" + "A" * 64])
def test_only_digests_become_paths(store: ImageStore, digest: str) -> None:
    with pytest.raises(UsageError):
        store.blob_path(digest)


def test_names_with_a_digest_cannot_be_given(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["one"])
    with pytest.raises(UsageError):
        store.tag("one", "two@sha256:" + record.id)


def test_ingest_resumes(store: ImageStore) -> None:
    data = os.urandom(100_000)
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    offsets: list[int] = []

    def broken(offset: int) -> list[bytes]:
        offsets.append(offset)
        return [data[offset : offset + 40_000], b""] if offset == 0 else [data[offset:]]

    class Cut(Exception):
        pass

    def cut(offset: int):  # type: ignore[no-untyped-def]
        yield data[:40_000]
        raise Cut

    with pytest.raises(Cut):
        ingest.ingest(store, digest, len(data), cut)
    heard: list[int] = []
    assert ingest.ingest(store, digest, len(data), broken, on_bytes=heard.append)
    assert offsets == [40_000]
    assert sum(heard) == len(data)
    assert store.read_blob(digest) == data
    assert not ingest.ingest(store, digest, len(data), broken)


def test_ingest_refuses(store: ImageStore) -> None:
    wanted = "sha256:" + "0" * 64
    for data in (b"12345", b"1234", b"123456"):
        with pytest.raises(DigestMismatch) as caught:
            ingest.ingest(store, wanted, 5, lambda offset, data=data: [data[offset:]])
        assert wanted in caught.value.message
    assert os.listdir(store.ingest) == []
    assert os.listdir(store.blobs) == []


def test_distance() -> None:
    assert distance("kitten", "sitting") == 3
    assert nearest("alpin", ["alpine:latest", "debian:12"]) == ["alpine:latest"]


def test_a_tag_that_looks_like_a_temporary_file(store: ImageStore) -> None:
    record = store.put(image(store, "a"), ["mine:v1.tmp"])
    store.put(image(store, "b"), ["other"])  # writers sweep what was left
    assert store.resolve("mine:v1.tmp").id == record.id
    assert [one.names for one in store.list() if one.id == record.id] == [
        ["docker.io/library/mine:v1.tmp"]
    ]


def test_an_image_that_got_a_name_since_it_was_listed(store: ImageStore) -> None:
    record = store.put(image(store, "a"), [])
    store.tag(record.id, "kept")
    assert not store.delete(record.id, nameless=True)
    assert store.resolve("kept").id == record.id
    store.untag("kept")
    assert store.delete(record.id, nameless=True)
