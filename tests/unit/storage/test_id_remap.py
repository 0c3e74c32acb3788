"""Ids of containers, of storage and of the host, and the ranges that are given away."""

from __future__ import annotations

import pytest

from rootless.engine.containers import userns_auto
from rootless.errors import HostError, UsageError
from rootless.storage.drivers import id_remap
from rootless.storage.drivers.pyfuse.ids import Ids
from rootless.storage.trees import chown
from rootless.storage.volumes import options as volume_options
from rootless.userns import idmap

BASE = idmap.IdMaps(((0, 1000, 1), (1, 100000, 65535)), ((0, 1000, 1), (1, 100000, 65535)),
                    caller=(1000, 1000))  # fmt: skip


def test_ids_that_are_the_same() -> None:
    ids = Ids()
    assert ids.plain
    assert (ids.shown(5), ids.beneath(5)) == (5, 5)


def test_ids_that_differ() -> None:
    ids = Ids("1000:0:1:0:1:1000:1001:1001:64000")
    assert [ids.shown(one) for one in (1000, 0, 999, 1001)] == [0, 1, 1000, 1001]
    assert [ids.beneath(one) for one in (0, 1, 1000, 1001)] == [1000, 0, 999, 1001]
    assert ids.shown(99999) == 65534
    with pytest.raises(OSError):
        ids.beneath(99999)


def test_one_id_for_all() -> None:
    ids = Ids("", 0)
    assert (ids.shown(77), ids.beneath(77)) == (0, -1)


def test_ids_shown_from_around() -> None:
    # a container with 100 of the base map's ids, from 5000 on
    view = ((0, 104999, 100),)
    assert id_remap.within(view, BASE.uids) == ((0, 5000, 100),)
    assert id_remap.around(view, BASE.uids) == "0:5000:100"
    assert id_remap.around(((0, 1000, 1), (1, 100001, 2)), BASE.uids) == "0:0:1:1:2:2"
    assert id_remap.around(((0, 5, 10),), BASE.uids) == ""
    # a range that lies across a border of the base map
    base = ((0, 1000, 1), (1, 100000, 10), (11, 200000, 10))
    assert id_remap.within(((0, 100005, 5), (5, 200000, 5)), base) == ((0, 6, 5), (5, 11, 5))


@pytest.mark.parametrize(
    ("taken", "size", "start"),
    [
        ([], 1024, 1),
        ([(1, 1024)], 1024, 1025),
        ([(1025, 1024)], 1024, 1),
        ([(500, 10)], 1024, 510),
        ([(1, 10), (11, 10), (30, 10)], 9, 21),
        ([], 65535, 1),
    ],
)
def test_the_first_range_that_is_free(taken: list[tuple[int, int]], size: int, start: int) -> None:
    assert userns_auto._free(BASE.uids, BASE.gids, size, taken) == start


def test_no_range_is_left() -> None:
    with pytest.raises(HostError, match="no 65535 ids are left"):
        userns_auto._free(BASE.uids, BASE.gids, 65535, [(60000, 5)])


def test_forced_pieces_and_the_range_around_them() -> None:
    assert userns_auto._filled((), BASE.uids, 10, 5) == ((0, 100009, 5),)
    assert userns_auto._filled(((2, 1000, 1),), BASE.uids, 10, 5) == (
        (0, 100009, 2), (2, 1000, 1), (3, 100012, 2),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["size=x", "size=0", "size=70000", "colour=red", "uidmapping=3"])
def test_what_auto_does_not_take(text: str) -> None:
    with pytest.raises(UsageError, match="invalid --userns"):
        userns_auto.Wanted(text)


def test_options_of_volumes() -> None:
    found = volume_options.parse({"type": "tmpfs", "o": "size=1m,nosuid,uid=5"})
    assert (found.kind, found.flags) == ("tmpfs", ["size=1m", "nosuid", "uid=5"])
    found = volume_options.parse({"type": "none", "o": "rbind,ro", "device": "/usr"})
    assert (found.kind, found.device, found.flags) == ("bind", "/usr", ["ro"])
    assert volume_options.parse({"o": "uid=7"}).owner == (7, 0)
    assert volume_options.parse({}).kind == "directory"


def test_who_is_who(tmp_path: object) -> None:
    told = chown.explained("/no/where", BASE)
    assert told["RootIs"] == "1000:1000"
    assert "1-65535 are 100000-165534" in told["Explanation"]
    single = idmap.single_maps(1000, 1000, "")
    assert "all files are yours" in chown.explained("/", single)["Explanation"]
