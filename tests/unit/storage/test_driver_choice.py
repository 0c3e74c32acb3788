"""Which driver is taken, and what it is told."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from rootless import host
from rootless.errors import HostError, UsageError
from rootless.storage.drivers import (
    fuse,
    fuse_overlayfs,
    id_remap,
    overlay,
    readonly_mount,
    registry,
)
from rootless.storage.drivers import options as driver_options
from rootless.storage.drivers.driver import Driver, RootMount
from rootless.userns import idmap

BASE = idmap.IdMaps(((0, 1000, 1), (1, 100000, 65535)), ((0, 1000, 1), (1, 100000, 65535)),
                    caller=(1000, 1000))  # fmt: skip


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host whose kernel has no overlay for users."""
    monkeypatch.setattr(overlay, "obstacle", lambda maps, data: "Operation not permitted")
    return monkeypatch


def test_the_next_one_is_taken_and_every_reason_told(without: pytest.MonkeyPatch) -> None:
    without.setattr(fuse, "device_obstacle", lambda: "")
    without.setattr(host, "_CURRENT", host.Host())
    without.setitem(host.current()._programs, "fuse-overlayfs", "/usr/bin/fuse-overlayfs")
    found = registry.choose(None, BASE, BASE)
    assert (found.driver.name, found.why) == (
        "fuse-overlayfs", "native overlay: Operation not permitted",
    )  # fmt: skip
    without.setitem(host.current()._programs, "fuse-overlayfs", "")
    found = registry.choose(None, BASE, BASE)
    assert found.driver.name == "python-fuse"
    assert "fuse-overlayfs: the program fuse-overlayfs is not installed" in found.why
    without.setattr(fuse, "device_obstacle", lambda: "there is no /dev/fuse")
    found = registry.choose(None, BASE, BASE)
    assert found.driver.name == "copy"
    assert found.why.endswith("python-fuse: there is no /dev/fuse")
    with pytest.raises(HostError, match="python-fuse cannot be used: there is no /dev/fuse"):
        registry.choose("python-fuse", BASE, BASE)


def test_all_drivers_are_listed_with_reasons(without: pytest.MonkeyPatch) -> None:
    found = registry.listed(BASE)
    assert [one["Name"] for one in found] == list(registry.NAMES)
    assert found[0] == {"Name": "overlay", "Usable": False, "Reason": "Operation not permitted"}
    assert all(one["Reason"] for one in found)


def test_an_unknown_driver() -> None:
    with pytest.raises(UsageError, match='unknown storage driver "zfs"'):
        registry.choose("zfs", BASE, BASE)


def test_other_ids_are_shown_by_a_server() -> None:
    kept = idmap.keep_id(BASE, 1000, 1000)
    texts = id_remap.texts(kept, BASE)
    # root's files belong to the person, who is 1000 in there
    assert "1000:0:1" in texts[0]
    assert overlay.DRIVER.why_not(BASE, remapped=True).startswith("the container's ids")


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
    assert driver_options.parse(registry.get(driver), words) == found


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
        driver_options.parse(registry.get(driver), [word])


def test_a_size_needs_a_quota() -> None:
    with pytest.raises(HostError, match="without a quota"):
        driver_options.parse(overlay.DRIVER, ["size=10g"])


def test_by_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    directory = str(tmp_path)
    assert fuse.by_file_system(directory, single=False) == {}
    assert fuse.by_file_system(directory, single=True) == {"squash_to_root": ""}
    monkeypatch.setattr(fuse, "file_system", lambda path: 0x6969)
    monkeypatch.setattr(fuse, "_has_attributes", lambda path: True)
    assert fuse.by_file_system(directory, single=False) == {
        "noacl": "", "static_nlink": "", "xattr_permissions": "2",
    }  # fmt: skip
    monkeypatch.setattr(fuse, "_has_attributes", lambda path: False)
    assert "xattr_permissions" not in fuse.by_file_system(directory, single=False)


def test_what_is_forced_comes_last() -> None:
    driver = fuse_overlayfs.DRIVER
    mount = RootMount(driver, "/nowhere", ["/a,b", "/c"], volatile=True)
    mount.options = {"timeout": "5"}
    words = fuse_overlayfs.arguments(mount)
    assert words[3].startswith("lowerdir=/a\\,b:/c,upperdir=/nowhere/upper,")
    assert words[3].endswith(",volatile,timeout=5")


def test_the_mapping_is_left_out_where_ids_are_those_of_storage() -> None:
    mount = RootMount(fuse_overlayfs.DRIVER, "/nowhere", ["/a"])
    plain = fuse_overlayfs.arguments(mount)
    mount.uidmapping = mount.gidmapping = "0:1:2"
    assert fuse_overlayfs.DRIVER.without_mapping(fuse_overlayfs.arguments(mount)) == plain


def test_overlay_options() -> None:
    mount = RootMount(overlay.DRIVER, "/data/c", ["/data/layers/a:b/fs", "/data/layers/c/fs"])
    (made,) = overlay.DRIVER.mounts(mount)
    assert made.as_json() == [
        "overlay", "/data/c/merged",
        "lowerdir=a\\:b/fs:c/fs,upperdir=/data/c/upper,workdir=/data/c/work,userxattr",
        "/data/layers",
    ]  # fmt: skip
    mount.volatile, mount.options = True, {"index": "off"}
    assert overlay.DRIVER.mounts(mount)[0].data.endswith(",userxattr,volatile,index=off")
    mount.options = {"volatile": ""}
    assert overlay.DRIVER.mounts(mount)[0].data.endswith(",userxattr,volatile")
    with pytest.raises(HostError, match="the image has 501 layers"):
        overlay.DRIVER.mounts(RootMount(overlay.DRIVER, "/data/c", ["/l/1"] * 501))


@pytest.mark.parametrize("name", [*registry.NAMES, registry.DIRECTORY])
def test_a_driver_is_found_by_its_name(name: str) -> None:
    driver = registry.recorded(name)
    assert driver is registry.get(name)
    assert driver.name == name
    assert driver.name == registry.DIRECTORY or (driver.works and driver.used)


def test_a_record_may_name_a_driver_of_another_version() -> None:
    assert type(registry.recorded("zfs")) is Driver
    assert type(registry.recorded("")) is Driver


@pytest.mark.parametrize(
    ("kinds", "server", "name"),
    [
        ({"overlay", "tmpfs"}, [], "overlay"),
        ({"tmpfs"}, ["/usr/bin/fuse-overlayfs", "-f"], "fuse-overlayfs"),
        ((), ["/usr/bin/python3", "-IS", "/x/storage/pyfuse/server.py", "{}"], "python-fuse"),
        ((), [], "copy"),
    ],
)
def test_the_driver_of_a_start(kinds: set[str], server: list[str], name: str) -> None:
    assert registry.of_start(kinds, server).name == name


def test_only_what_is_used_is_loaded() -> None:
    text = (
        "import sys; from rootless.storage.drivers import registry; registry.get('overlay');"
        "print([one for one in sys.modules if one.startswith('rootless.storage.drivers.')])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    loaded = {one.rpartition(".")[2] for one in ast.literal_eval(done.stdout)}
    assert loaded == {"registry", "driver", "overlay"}


class Failing(Driver):
    """One that cannot mount layers, for a reason."""

    def mount_read_only(self, path: str, base: str, lowers: list[str]) -> bool:
        """Raise OSError."""
        raise OSError(1, "no")


class Showing(Driver):
    """One that can."""

    def mount_read_only(self, path: str, base: str, lowers: list[str]) -> bool:
        """Say so."""
        return True


def test_layers_are_shown_by_the_first_driver_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = [Driver(), Failing(), Showing()]
    monkeypatch.setattr(registry, "all_drivers", lambda: iter(drivers))
    readonly_mount.mount("/nowhere", "/", ["/a", "/b"])
    drivers.pop()
    with pytest.raises(OSError, match="no"):
        readonly_mount.mount("/nowhere", "/", ["/a", "/b"])
    drivers.pop()
    with pytest.raises(OSError, match="too many layers"):
        readonly_mount.mount("/nowhere", "/", ["/a", "/b"])
