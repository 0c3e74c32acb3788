"""Tables of contents: the formats, and everything that a stranger may put into one."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
from typing import Any

import pytest
from integration.chunked_images import chunked, estargz, many_files, tar_of, with_table

from rootless.chunked import codecs, index, places, table, tarsplit, writing, zstd
from rootless.errors import DigestMismatch, StorageError
from rootless.images.transfer import chunked_pull
from rootless.storage.layers import lazy_fs

DIGEST = "sha256:" + "ab" * 32


def entry(name: str = "f", **changes: Any) -> dict[str, Any]:
    """A table's entry of a file of ten bytes."""
    return {"type": "reg", "name": name, "size": 10, "offset": 0, "endOffset": 20,
            "digest": DIGEST, "mode": 0o644, **changes}  # fmt: skip


def parsed(*entries: Any, **top: Any) -> table.Table:
    """A table with these entries."""
    return table.parse(json.dumps({"version": 1, "entries": list(entries), **top}).encode(), 1000)


def reader(data: bytes) -> Any:
    """`read(offset, count)` of bytes in memory."""
    return lambda offset, count: data[offset : offset + count]


@pytest.mark.parametrize("pack", [chunked, estargz])
def test_every_file_can_be_read_from_its_place(pack: Any) -> None:
    files = {**many_files(40), "big": random.Random(2).randbytes(2_500_000), "empty": b""}
    layer = pack(tar_of(files))
    found = places.of_blob(reader(layer.data), len(layer.data))
    assert found is not None
    place, contents = found
    seen = {}
    for one in contents.entries:
        if one.kind == "reg":
            parts = [
                codecs.plain(chunk, layer.data[chunk.start : chunk.end], place.kind)
                for chunk in one.chunks
            ]
            seen[one.path] = b"".join(parts)
    assert {name: seen[name] for name in files} == files


def test_what_is_written_is_a_plain_zstd_of_the_tar_with_annotations_that_fit() -> None:
    tar = tar_of({**many_files(30), "big": bytes(3 << 20)}) + bytes(5 * 512)
    out = io.BytesIO()
    made = writing.write(io.BytesIO(tar), out)
    data = out.getvalue()
    assert zstd.module().decompress(data) == tar
    assert made.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    assert made.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    place = places.annotated(made.annotations, len(data))
    assert place is not None
    contents = place.read(data[place.start :])
    pieces = list(contents.pieces())
    assert [start for start, _, _ in pieces] == [0, *[end for _, end, _ in pieces[:-1]]]
    assert pieces[-1][1] == contents.end == place.start
    again = io.BytesIO()
    writing.write(io.BytesIO(tar), again)
    assert again.getvalue() == data


def test_the_tar_split_data_makes_the_tar_again() -> None:
    files = many_files(20)
    tar = tar_of(files)
    out = io.BytesIO()
    notes = writing.write(io.BytesIO(tar), out).annotations
    start, length, plain = map(int, notes[places.TAR_SPLIT_POSITION].split(":"))
    lines = codecs.frame(out.getvalue()[start : start + length], plain).splitlines()
    made = b""
    import base64

    for number, line in enumerate(lines):
        value = json.loads(line)
        assert value["position"] == number
        if value["type"] == 2:
            made += base64.b64decode(value["payload"])
        elif value.get("size"):
            data = files[value["name"]]
            assert base64.b64decode(value["payload"]) == tarsplit.crc64(data).to_bytes(8, "big")
            made += data
    assert made == tar


def test_crc64() -> None:
    # the check value of CRC-64/GO-ISO in the catalogue of parametrised CRC algorithms
    assert tarsplit.crc64(b"123456789") == 0xB90956C775A41001
    data = random.Random(1).randbytes(200_001)
    for cut in (0, 1, 7, 8, 63, 65_536, 100_000):
        assert tarsplit.crc64(data[cut:], tarsplit.crc64(data[:cut])) == tarsplit.crc64(data)


def test_sparse_files_have_no_form() -> None:
    member = tarfile.TarInfo("s")
    member.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(StorageError, match="is a sparse file"):
        writing.write(io.BytesIO(bytes(block) + bytes(1024)), io.BytesIO())


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("../../etc/passwd")], "tries to escape"),
        ([entry("a/../../b")], "tries to escape"),
        ([{"type": "hardlink", "name": "a", "linkName": "../x"}], "tries to escape"),
        ([entry("a\0b")], "cannot be a file's"),
        ([entry(7)], "cannot be a file's"),
        ([entry("x" * 70_000)], "cannot be a file's"),
        ([entry(size=-1)], "size is '-1'"),
        ([entry(size=True)], "size is 'True'"),
        ([entry(size=1 << 63)], "size is"),
        ([entry(offset="0")], "offset is"),
        ([entry(endOffset=2000)], "leaves the blob"),
        ([entry(offset=30, endOffset=20)], "overlaps another or leaves the blob"),
        ([entry("a"), entry("b")], "overlaps another"),
        ([entry("a", endOffset=30), entry("b", offset=20, endOffset=40)], "overlaps another"),
        ([entry(digest="sha256:../../x")], "is not a sha256 digest"),
        ([entry(digest="md5:abc")], "is not a sha256 digest"),
        ([entry(digest="")], "is not a sha256 digest"),
        ([entry(chunkSize=4, chunkDigest=DIGEST)], "do not add up"),
        ([entry(chunkSize=40, chunkDigest=DIGEST)], "do not add up"),
        ([{"type": "chunk", "name": "f"}], "belongs to no file"),
        ([entry(size=0), {"type": "chunk", "name": "f"}], "belongs to no file"),
        (
            [entry(chunkSize=4, chunkDigest=DIGEST),
             {"type": "chunk", "offset": 10, "chunkOffset": 3, "chunkSize": 6,
              "chunkDigest": DIGEST}],
            "overlap or leave a gap",
        ),
        ([{"type": "door", "name": "x"}], "of the kind 'door'"),
        ([{"name": "x"}], "of the kind 'None'"),
        ([{"type": "symlink", "name": "x"}], "leads nowhere"),
        ([entry(modtime="yesterday")], "RFC 3339"),
        ([entry(xattrs={"user.a": "%%%"})], "is not base64"),
        ([entry(xattrs=["user.a"])], "cannot be read"),
        (["text"], "is not an object"),
        ([[]], "is not an object"),
    ],
)  # fmt: skip
def test_entries_that_are_refused(entries: list[Any], said: str) -> None:
    with pytest.raises(table.TableError, match="table of contents is invalid") as caught:
        parsed(*entries)
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"version": 2, "entries": []}', "version 2"),
        (b'{"version": 1}', "no list of entries"),
        (b'{"version": 1, "entries": {}}', "no list of entries"),
        (b'{"version": 1, "entries": [', "cannot be read"),
        (b'{"version": 1, "entries": [{"type": "dir", "name": "a"}', "cut short"),
        (b'{"version": 1, "entries": []', "cut short"),
        (b'{"entries": [' + b"{}," * 2_000_000 + b"{}]}", "too many entries"),
        (b'{"entries": [], "x": ' + b"[" * 2_000_000, "too many entries"),
        (b'{"entries": [], "x": ' + b"[" * 200_000, "cannot be read"),
        (b'{"entries": [{' + b'"a":1,' * 3_000_000 + b'"b":1}]}', "too many entries"),
        (b" " * (table.LONGEST + 1), "bytes"),
    ],
)
def test_documents_that_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(table.TableError) as caught:
        table.parse(data, 1000)
    assert said in caught.value.message


def test_absolute_names_and_links_stay_inside() -> None:
    found = parsed(
        {"type": "dir", "name": "/etc/"},
        entry("/etc//./passwd"),
        {"type": "symlink", "name": "./up", "linkName": "../../.."},
        {"type": "hardlink", "name": "twin", "linkName": "/etc/passwd"},
    )
    assert [one.path for one in found.entries] == ["etc", "etc/passwd", "up", "twin"]
    assert found.entries[3].link == "etc/passwd"
    tree = lazy_fs.Tree([(found, None)], single=False)
    assert tree.find("/0/twin") is tree.find("/0/etc/passwd")
    for path in ("/../etc", "/0/../../x", "/0/up/x"):
        with pytest.raises(FileNotFoundError):
            tree.find(path)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"type": "hardlink", "name": "a", "linkName": "b"}], "leads to nothing"),
        ([{"type": "dir", "name": "d"}, {"type": "hardlink", "name": "a", "linkName": "d"}],
         "leads to nothing"),
        ([{"type": "symlink", "name": "l", "linkName": "/"}, entry("l/etc/passwd")],
         "below what is no directory"),
        ([entry("a"), entry("a/b", offset=20, endOffset=30)], "below what is no directory"),
        ([entry("d/.wh...", size=0)], "invalid whiteout"),
        ([entry("d/.wh.", size=0)], "invalid whiteout"),
        ([entry("f", xattrs={"user.x": "/w=="})], "odd bytes"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_a_tree(entries: list[Any], said: str) -> None:
    with pytest.raises(table.TableError) as caught:
        lazy_fs.Tree([(parsed(*entries), None)], single=False)
    assert said in caught.value.message


def test_an_image_cannot_speak_to_the_overlay_through_a_table() -> None:
    names = {"user.overlay.opaque": "eQ==", "trusted.overlay.opaque": "eQ==", "user.mine": "eA=="}
    found = parsed({"type": "dir", "name": "d", "xattrs": names})
    assert lazy_fs.Tree([(found, None)], single=False).find("/0/d").attributes == {
        "user.mine": b"x"
    }


class _Source:
    """A blob in memory."""

    kind = "zstd"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def piece(self, start: int, end: int) -> bytes:
        return self.data[start:end]


def test_reads_are_verified_chunk_by_chunk() -> None:
    content = random.Random(3).randbytes(3_000_000)
    layer = chunked(tar_of({"big": content}))
    found = places.of_blob(reader(layer.data), len(layer.data))
    assert found is not None
    chunks = next(one for one in found[1].entries if one.path == "big").chunks
    data = bytearray(layer.data)
    data[chunks[1].start + 1000] ^= 1
    node = lazy_fs.Tree([(found[1], _Source(bytes(data)))], single=False).find("/0/big")
    read = lazy_fs.Reader().read
    assert read(node, 0, 100) == content[:100]
    assert read(node, 2 << 20, 5000) == content[2 << 20 : (2 << 20) + 5000]
    assert read(node, len(content) - 10, 100) == content[-10:]
    assert read(node, len(content), 100) == b""
    with pytest.raises((DigestMismatch, table.TableError)):
        read(node, (1 << 20) - 5, 10)


def test_a_frame_that_swells_is_stopped() -> None:
    bomb = zstd.module().compress(bytes(200 << 20))
    with pytest.raises(table.TableError, match="has not the 100 bytes"):
        codecs.frame(bomb, 100)
    # nothing in them, but each costs a decoder
    empty = zstd.module().compress(b"") * 1000
    with pytest.raises(table.TableError, match="is divided into more than"):
        codecs.frame(empty, 100)
    with pytest.raises(table.TableError, match="damaged"):
        codecs.frame(b"no zstd at all", 100)
    with pytest.raises(table.TableError):
        codecs.frame(zstd.module().compress(bytes(100))[:-3], 100)
    with pytest.raises(table.TableError):
        codecs.plain(table.Chunk(0, 1 << 40, 0, 10, DIGEST), b"x" * 10, "zstd")


@pytest.mark.parametrize(
    "position", ["", "1:2:3", "1:2:3:4", "-1:2:3:1", "1:2:x:1", "9:9:99999999999:1", "900:200:9:1"]
)
def test_positions_that_lie(position: str) -> None:
    notes = {places.POSITION: position, places.CHECKSUM: DIGEST}
    with pytest.raises(table.TableError):
        places.annotated(notes, 1000)


def test_footers_that_lie() -> None:
    for numbers in ((5000, 10, 10, 1), (10, 10, 10, 2), (0, 10, 10, 1), (10, 10, 1 << 40, 1)):
        footer = struct.pack("<7Q", *numbers, 0, 0, 0) + b"GNUlInUx"
        with pytest.raises(table.TableError):
            places.of_footer(footer, 1000)
    assert places.of_footer(bytes(64), 1000) is None
    good = estargz(tar_of({"a": b"b"})).data[-51:]
    with pytest.raises(table.TableError):
        places.of_footer(good.replace(good[16:32], b"f" * 16), 1000)
    with pytest.raises(table.TableError):
        places.of_footer(good.replace(good[16:32], b"g" * 16), 1000)


def test_ranges_are_few_and_fetch_little_that_is_here() -> None:
    source = random.Random(5)
    runs, at = [], 0
    for _ in range(5000):
        size = source.randint(50, 20_000)
        here = source.random() < 0.95
        runs.append(chunked_pull.Run(at, at + size, "blob" if here else "", at))
        at += size
    made = chunked_pull._ranges(runs)
    assert [run.start for run in made] == [0, *[run.end for run in made[:-1]]]
    assert made[-1].end == at
    lacking = sum(run.end - run.start for run in runs if not run.path)
    fetched = sum(run.end - run.start for run in made if not run.path)
    assert lacking <= fetched < 1.2 * lacking
    assert sum(1 for run in made if not run.path) <= 400


def test_an_index_finds_what_was_written(tmp_path: Any) -> None:
    layer = chunked(tar_of(many_files(50)))
    found = places.of_blob(reader(layer.data), len(layer.data))
    assert found is not None
    path = str(tmp_path / "digests")
    index.write(path, DIGEST, found[1])
    wanted = {key for _, _, key in found[1].pieces() if key}
    told = dict(index.find(path, wanted))
    assert set(told) == wanted
    for start, end, key in found[1].pieces():
        if key:
            piece = told[key]
            assert piece.blob == DIGEST
            assert layer.data[piece.offset : piece.offset + piece.length] == layer.data[start:end]
    for damage in (b"", b"RLDX1", (tmp_path / "digests").read_bytes()[:200], b"x" * 500):
        (tmp_path / "digests").write_bytes(damage)
        assert dict(index.find(path, wanted)) == {}


def test_a_changed_table_is_noticed_by_its_digest() -> None:
    layer = chunked(tar_of(many_files(5)))
    other = with_table(layer, lambda value: value["entries"].pop())
    promised = {places.CHECKSUM: layer.annotations[places.CHECKSUM]}
    place = places.annotated({**other.annotations, **promised}, len(other.data))
    assert place is not None
    with pytest.raises(table.TableError, match="the manifest promises"):
        place.read(other.data[place.start :])
