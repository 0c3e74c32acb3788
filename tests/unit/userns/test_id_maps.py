"""Id maps as arithmetic, subordinate id files as text."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import HostError, UsageError
from rootless.userns import helpers, idmap, subids
from rootless.userns.idmap import IdMaps

ME = (1000, 1000)


@st.composite
def bases(draw: st.DrawFn) -> IdMaps:
    """Maps as `default_maps` makes them: the caller, then subordinate ranges."""

    def extents() -> idmap.Extents:
        found = [(0, ME[0], 1)]
        inside, outside = 1, 100_000
        for _ in range(draw(st.integers(0, 6))):
            outside += draw(st.integers(0, 1000))
            size = draw(st.integers(1, 70_000))
            found.append((inside, outside, size))
            inside, outside = inside + size, outside + size
        return tuple(found)

    return IdMaps(extents(), extents(), "drawn", caller=ME)


ids = st.integers(0, 300_000)


def check(maps: IdMaps) -> None:
    """No id is mapped twice, in either direction."""
    for extents in (maps.uids, maps.gids):
        assert all(size > 0 for _, _, size in extents)
        for side in (0, 1):
            ordered = sorted((extent[side], extent[2]) for extent in extents)
            for (first, size), (second, _) in zip(ordered, ordered[1:], strict=False):
                assert first + size <= second


@given(bases(), ids, ids)
def test_there_and_back(maps: IdMaps, uid: int, gid: int) -> None:
    check(maps)
    outside = maps.to_host_uid(uid)
    assert outside is None or maps.from_host_uid(outside) == uid
    inside = maps.from_host_gid(gid)
    assert inside is None or maps.to_host_gid(inside) == gid
    assert IdMaps.from_dict(maps.as_dict()) == maps
    assert IdMaps.from_dict(maps.as_dict()).caller == ME


@given(bases(), ids, ids)
def test_keep_id(base: IdMaps, uid: int, gid: int) -> None:
    maps = idmap.keep_id(base, uid, gid)
    check(maps)
    assert (maps.to_host_uid(uid), maps.to_host_gid(gid)) == ME
    assert sum(e[2] for e in maps.uids) == sum(e[2] for e in base.uids)
    assert maps.root_is_caller == (uid == 0)
    assert maps.single == base.single


@given(bases())
def test_no_map(base: IdMaps) -> None:
    if base.single or len(base.uids) == 1:
        return
    maps = idmap.no_map(base)
    check(maps)
    assert maps.from_host_uid(ME[0]) is None
    assert maps.to_host_uid(0) == base.to_host_uid(1)


@given(bases(), st.integers(0, 80_000), st.integers(0, 80_000), st.integers(1, 80_000))
def test_custom(base: IdMaps, inside: int, middle: int, size: int) -> None:
    spec = f"{inside}:{middle}:{size}"
    try:
        maps = idmap.custom([spec], [f"{inside}:0:1"], base)
    except UsageError as error:
        assert spec in str(error)
        assert any(base.to_host_uid(n) is None for n in (middle, middle + size - 1))
        return
    check(maps)
    for k in (0, size // 2, size - 1):
        assert maps.to_host_uid(inside + k) == base.to_host_uid(middle + k)


@given(bases(), bases())
def test_storage_keys_tell_maps_apart(one: IdMaps, other: IdMaps) -> None:
    keys = one.storage_key(), other.storage_key()
    same = (one.uids, one.gids) == (other.uids, other.gids)
    assert (keys[0] == keys[1]) == (same or one.single and other.single)
    for key in keys:
        assert len(key) <= 80 and "/" not in key and key not in (".", "..")


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 900)), max_size=8),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 900)), min_size=1, max_size=4),
    st.integers(0, 3000),
)
def test_usable_ranges(
    ranges: list[tuple[int, int]], gaps: list[tuple[int, int]], taken: int
) -> None:
    allowed, start = [], 0
    for gap, count in gaps:
        allowed.append((start + gap, count))
        start += gap + count
    pieces = idmap._usable(ranges, allowed, taken)
    found = [n for first, count in pieces for n in range(first, first + count)]
    assert len(found) == len(set(found))
    wanted = {n for first, count in ranges for n in range(first, first + count)}
    there = {n for first, count in allowed for n in range(first, first + count)}
    assert set(found) == (wanted & there) - {taken}


def test_long_maps_have_short_keys() -> None:
    extents = tuple((i * 10, 100_000 + i * 20, 7) for i in range(300))
    key = IdMaps(extents, extents, caller=ME).storage_key()
    assert key.startswith("mh") and len(key) == 34


def test_ordinary_map_text_and_key() -> None:
    extents = ((0, 1000, 1), (1, 100000, 65536))
    maps = IdMaps(extents, extents, "because", caller=ME)
    assert maps.proc_text("uids") == "0 1000 1\n1 100000 65536\n" == maps.proc_text("gids")
    assert maps.storage_key() == "m3e8_186a0+10000"
    assert maps.root_is_caller and not maps.single


def test_one_foreign_id_is_not_the_single_map() -> None:
    base = IdMaps(((0, 1000, 1), (1, 5000, 10)), ((0, 1000, 1), (1, 5000, 10)), caller=ME)
    maps = idmap.custom(["0:1"], [], base)
    assert maps.uids == maps.gids == ((0, 5000, 1),)
    assert not maps.single and maps.storage_key() != "single"
    assert idmap.single_maps(1000, 1000, "").single


def test_custom_with_host_ids() -> None:
    base = IdMaps(((0, 1000, 1), (1, 5000, 10)), ((0, 1000, 1), (1, 5000, 10)), caller=ME)
    maps = idmap.custom(["0:@5002:3", "9:@1000"], ["0:0:11"], base)
    assert maps.uids == ((0, 5002, 3), (9, 1000, 1))
    assert maps.gids == base.gids


@pytest.mark.parametrize(
    "spec",
    ["", "0", "0:1:2:3", "a:0:1", "0:-1:1", "0:0:0", "0:0:4294967296", "0:99:1", "0:@7:1", "٣:0:1"],
)
def test_bad_specs(spec: str) -> None:
    base = IdMaps(((0, 1000, 1), (1, 5000, 10)), ((0, 1000, 1),), caller=ME)
    with pytest.raises(UsageError) as caught:
        idmap.custom([spec], ["0:0:1"], base)
    assert spec in caught.value.message and caught.value.hint


def test_overlapping_specs() -> None:
    base = IdMaps(((0, 1000, 1), (1, 5000, 10)), ((0, 1000, 1),), caller=ME)
    with pytest.raises(UsageError, match="twice"):
        idmap.custom(["0:1:3", "2:5:1"], ["0:0:1"], base)
    with pytest.raises(UsageError, match="twice"):
        idmap.custom(["0:1:3", "5:2:1"], ["0:0:1"], base)


def test_nomap_needs_subordinate_ids() -> None:
    with pytest.raises(HostError) as caught:
        idmap.no_map(idmap.single_maps(1000, 1000, "the reason"))
    assert caught.value.hint == "the reason"


def test_subid_files(tmp_path: Path) -> None:
    name = subids.user_name(os.getuid()).encode()
    (tmp_path / "u").write_bytes(
        b"# a comment\n" + name + b":100000:65536\nother:1:2\n" + name + b":oops:3\n"
        b"%d:300000:10\n" % os.getuid() + name + b":4294967290:100\n\n" + name + b":5:0\n"
    )
    (tmp_path / "g").write_bytes(name + b":7:8")
    found = subids.ranges(os.getuid(), subuid=str(tmp_path / "u"), subgid=str(tmp_path / "g"))
    assert found == ([(100000, 65536), (300000, 10)], [(7, 8)])
    missing = str(tmp_path / "none")
    assert subids.parse(subids.read(missing), (name,)) == []


@pytest.mark.parametrize(
    "subuid, subgid, passwd, group, first",
    [
        ("", "", "", "", 100000),
        ("bob:100000:65536", "", "", "", 165536),
        ("bob:100000:65536", "carol:165536:65536", "", "", 231072),
        # by number, in no order, overlapping, and a hole that is wide enough
        ("7:200000:65536\nbob:100000:1000\nbob:100500:1000", "", "", "", 101500),
        ("bob:165536:65536\ncarol:400000:65536", "bob:100000:65536", "", "", 231072),
        # a hole that is too small
        ("bob:150000:65536", "", "", "", 215536),
        # everything above a range is taken, as the files of some engines' users have it
        ("containers:2147483647:2147483648\nbob:100000:65536", "", "", "", 165536),
        # users and groups of the host are somebody, too
        ("", "", "dora:x:100000:5::/:/bin/sh", "", 100001),
        ("", "", "dora:x:1000:120000::/:/bin/sh", "staff:x:130000:dora", 130001),
        # what newuidmap does not understand gives nobody anything
        ("bob:100000\nbob:x:1\n# c\n\n", "", "odd", "odd:x", 100000),
    ],
)
def test_ids_that_nobody_has(
    tmp_path: Path, subuid: str, subgid: str, passwd: str, group: str, first: int
) -> None:
    texts = {"subuid": subuid, "subgid": subgid, "passwd": passwd, "group": group}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    ids = f"{first}-{first + 65535}"
    name = subids.user_name(os.getuid())
    assert subids.free(str(tmp_path)) == first
    assert subids.grant(os.getuid(), str(tmp_path)) == (
        f"usermod --add-subuids {ids} --add-subgids {ids} {name}"
    )


def test_no_ids_are_proposed_where_all_are_taken(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("bob:0:4294967294")
    assert subids.free(str(tmp_path)) is None
    assert "--add-subuids FIRST-LAST" in subids.grant(os.getuid(), str(tmp_path))


@given(st.binary(max_size=200))
def test_any_subid_file_is_survived(text: bytes) -> None:
    for first, count in subids.parse(text, (b"alice", b"1000")):
        assert first >= 0 < count


def test_what_mappers_need(tmp_path: Path) -> None:
    every = (1 << 41) - 1
    program = tmp_path / "newuidmap"
    assert "not installed" in helpers._one("newuidmap", 7, "", every)
    program.touch(0o755)
    assert "chmod u+s" in helpers._one("newuidmap", 7, str(program), every)
    program.chmod(0o4755)
    if os.getuid():
        # set-uid to somebody who is not root
        assert "chmod u+s" in helpers._one("newuidmap", 7, str(program), every)
    assert stat.S_ISUID & program.stat().st_mode


def test_file_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {7: struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)}
    monkeypatch.setattr(os, "getxattr", lambda path, name: values[7])
    assert helpers._has_capability("x", 7) and not helpers._has_capability("x", 6)
    values[7] = struct.pack("<IIIII", 0x02000000, 1 << 7, 0, 0, 0)
    assert not helpers._has_capability("x", 7)


def test_programs_are_not_taken_from_the_present_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newuidmap-of-nobody").touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ":.:/nowhere")
    assert subids.which("newuidmap-of-nobody") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subids.which("newuidmap-of-nobody") == str(tmp_path / "newuidmap-of-nobody")
