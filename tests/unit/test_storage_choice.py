"""Which driver is taken, and what it is told."""

from __future__ import annotations

import pytest

from rootless import host
from rootless.errors import HostError, UsageError
from rootless.storage.drivers import options as driver_options
from rootless.storage.drivers import probe as driver_probe
from rootless.storage.rootfs import id_remap, root_filesystem
from rootless.userns import idmap

BASE = idmap.IdMaps(((0, 1000, 1), (1, 100000, 65535)), ((0, 1000, 1), (1, 100000, 65535)),
                    caller=(1000, 1000))  # fmt: skip


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host whose kernel has no overlay for users."""
    monkeypatch.setattr(
        driver_probe, "overlay_obstacle", lambda maps, data: "Operation not permitted"
    )
    return monkeypatch


def test_the_next_one_is_taken_and_every_reason_told(without: pytest.MonkeyPatch) -> None:
    without.setattr(driver_probe, "_device_obstacle", lambda: "")
    without.setattr(host, "_CURRENT", host.Host())
    without.setitem(host.current()._programs, "fuse-overlayfs", "/usr/bin/fuse-overlayfs")
    found = driver_probe.choose(None, BASE, BASE)
    assert (found.name, found.why) == (
        "fuse-overlayfs", "native overlay: Operation not permitted",
    )  # fmt: skip
    without.setitem(host.current()._programs, "fuse-overlayfs", "")
    found = driver_probe.choose(None, BASE, BASE)
    assert found.name == "python-fuse"
    assert "fuse-overlayfs: the program fuse-overlayfs is not installed" in found.why
    without.setattr(driver_probe, "_device_obstacle", lambda: "there is no /dev/fuse")
    found = driver_probe.choose(None, BASE, BASE)
    assert found.name == "copy"
    assert found.why.endswith("python-fuse: there is no /dev/fuse")
    with pytest.raises(HostError, match="python-fuse cannot be used: there is no /dev/fuse"):
        driver_probe.choose("python-fuse", BASE, BASE)


def test_all_drivers_are_listed_with_reasons(without: pytest.MonkeyPatch) -> None:
    found = driver_probe.listed(BASE)
    assert [one["Name"] for one in found] == list(driver_probe.NAMES)
    assert found[0] == {"Name": "overlay", "Usable": False, "Reason": "Operation not permitted"}
    assert all(one["Reason"] for one in found)


def test_an_unknown_driver() -> None:
    with pytest.raises(UsageError, match='unknown storage driver "zfs"'):
        driver_probe.choose("zfs", BASE, BASE)


def test_other_ids_are_shown_by_a_server() -> None:
    kept = idmap.keep_id(BASE, 1000, 1000)
    texts = id_remap.texts(kept, BASE)
    # root's files belong to the person, who is 1000 in there
    assert "1000:0:1" in texts[0]
    assert driver_probe.obstacle("overlay", BASE, remapped=True).startswith("the container's ids")


@pytest.mark.parametrize(
    ("driver", "words", "found"),
    [
        ("fuse-overlayfs", ["noacl", "timeout=3"], {"noacl": "", "timeout": "3"}),
        ("fuse-overlayfs", ["overlay.mountopt=nodev,volatile"], {"volatile": ""}),
        ("overlay", ["index=off"], {"index": "off"}),
        ("python-fuse", ["python-fuse.static_nlink"], {"static_nlink": ""}),
    ],
)
def test_options_as_given(driver: str, words: list[str], found: dict[str, str]) -> None:
    assert driver_options.parse(driver, words) == found


@pytest.mark.parametrize(
    ("driver", "word", "said"),
    [
        ("overlay", "colour=red", 'no option "colour"'),
        ("copy", "volatile", 'no option "volatile"'),
        ("fuse-overlayfs", "xattr_permissions=3", 'invalid "xattr_permissions=3"'),
        ("fuse-overlayfs", "timeout", 'invalid "timeout"'),
        ("fuse-overlayfs", "noacl=1", 'invalid "noacl=1"'),
        ("overlay", "index=of", 'invalid "index=of"'),
    ],
)
def test_options_that_are_refused(driver: str, word: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        driver_options.parse(driver, [word])


def test_a_size_needs_a_quota() -> None:
    with pytest.raises(HostError, match="without a quota"):
        driver_options.parse("overlay", ["size=10g"])


def test_by_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    directory = str(tmp_path)
    assert driver_options.by_file_system(directory, single=False) == {}
    assert driver_options.by_file_system(directory, single=True) == {"squash_to_root": ""}
    monkeypatch.setattr(driver_options, "file_system", lambda path: 0x6969)
    monkeypatch.setattr(driver_options, "_has_attributes", lambda path: True)
    assert driver_options.by_file_system(directory, single=False) == {
        "noacl": "", "static_nlink": "", "xattr_permissions": "2",
    }  # fmt: skip
    monkeypatch.setattr(driver_options, "_has_attributes", lambda path: False)
    assert "xattr_permissions" not in driver_options.by_file_system(directory, single=False)


def test_what_is_forced_comes_last() -> None:
    mount = root_filesystem.RootMount("fuse-overlayfs", "/nowhere", ["/a,b", "/c"], volatile=True)
    mount.forced = {"timeout": "5"}
    words = driver_options.fuse_overlayfs(mount)
    assert words[3].startswith("lowerdir=/a\\,b:/c,upperdir=/nowhere/upper,")
    assert words[3].endswith(",volatile,timeout=5")
