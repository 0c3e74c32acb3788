"""Drivers as a person meets them: listed, forced, with other ids than the image was stored with."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import TREE, Command, Place

DRIVERS = ("fuse-overlayfs", "python-fuse", "copy")


@pytest.mark.usefixtures("everyone")
def test_info_lists_every_driver_and_says_why(rootless: Command) -> None:
    found = rootless("info", "--format", "json").json()
    assert [one["Name"] for one in found["Drivers"]] == [
        "overlay", "fuse-overlayfs", "python-fuse", "copy",
    ]  # fmt: skip
    assert all(one["Reason"] and one["Usable"] for one in found["Drivers"]), found["Drivers"]
    shown = rootless("info").stdout
    assert " copy:           usable: works everywhere; every container has all files" in shown
    forced = rootless("--storage-driver", "python-fuse", "info", "--format", "{{.Driver}}")
    assert forced.stdout == "python-fuse\n"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("userns", ["keep-id:uid=1000,gid=1000", "nomap"])
def test_other_ids_than_those_in_storage(
    rootless: Command, busybox_image: str, place: Place, driver: str, userns: str
) -> None:
    place.data.chmod(0o711)
    for path in (place.base, *place.base.parents):
        if path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o001)
    words = ["--storage-driver", driver, "run", "--name", "c", "--userns", userns, "-u", "0"]
    script = (
        "stat -c '%u:%g' /etc/passwd /home/guest; echo x >>/etc/passwd; chown 5:6 /etc/group;"
        "touch /new; su guest -c 'touch /home/guest/own'; stat -c %u:%g /etc/passwd /etc/group /new"
        " /home/guest/own"
    )
    out = rootless(*words, busybox_image, "sh", "-c", script).stdout
    assert out.split() == ["0:0", "1000:1000", "0:0", "5:6", "0:0", "1000:1000"]
    # nothing of the image was copied but what was changed
    if driver != "copy":
        upper = rootless("inspect", "c").json()[0]["GraphDriver"]["Data"]["UpperDir"]
        assert not Path(upper, "bin/busybox").exists()


@pytest.mark.usefixtures("everyone")
@pytest.mark.parametrize("driver", ["fuse-overlayfs", "python-fuse"])
def test_options_reach_the_driver(rootless: Command, busybox_image: str, driver: str) -> None:
    run = ["--storage-driver", driver, "--storage-opt", "static_nlink", "run", "--rm",
           "--storage-opt", "timeout=2", "--network", "none", busybox_image]  # fmt: skip
    assert rootless(*run, "stat", "-c", "%h", "/etc").stdout == "1\n"
    found = rootless("run", "--storage-opt", "colour=red", busybox_image, "true", code=125)
    assert 'the driver overlay has no option "colour"' in found.stderr
    assert "hint: volatile, index, xino" in found.stderr
    found = rootless("run", "--storage-opt", "volatile", busybox_image, "true", code=125)
    assert "started once" in found.stderr
    rootless("run", "--rm", "--storage-opt", "volatile", "--network", "none", busybox_image, "true")
    found = rootless("run", "--storage-opt", "size=1g", busybox_image, "true", code=125)
    assert "without a quota" in found.stderr


def test_owners_in_attributes(rootless: Command, busybox_image: str) -> None:
    # what is chosen on NFS, where a server refuses other ids
    run = ["--storage-driver", "fuse-overlayfs", "--storage-opt", "xattr_permissions=2", "run",
           "--name", "c", "--network", "none", busybox_image]  # fmt: skip
    script = "touch /f; chown 33:44 /f; stat -c %u:%g /f"
    assert rootless(*run, "sh", "-c", script).stdout == "33:44\n"
    upper = Path(rootless("inspect", "c").json()[0]["GraphDriver"]["Data"]["UpperDir"])
    assert (upper / "f").stat().st_uid == os.getuid()
    names = os.listxattr(upper / "f")
    assert any(name.endswith("override_stat") for name in names)


REFUSING = """
import sys
sys.path[:0] = {path!r}
from rootless.storage.layers import unpack
print(unpack.unpack_worker({request!r}))
"""


@pytest.mark.slow
def test_owners_that_a_server_of_files_refuses(
    rootless: Command, busybox_tar: Path, place: Place
) -> None:
    """As on NFS: the layer's owners are noted where fuse-overlayfs finds them."""
    made = place.work / "image.tar"
    made.write_bytes(busybox_tar.read_bytes())
    with tarfile.open(made, "a") as archive:
        for name, uid, gid, mode in (
            ("etc/closed", 0, 42, 0o640),
            ("home/guest/own", 1000, 9, 0o600),
            ("none", 0, 0, 0),
            ("bin/tool", 33, 33, 0o4711),
        ):
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode, member.size = uid, gid, mode, 5
            # an image's own word on who owns it does not count
            member.pax_headers = {"SCHILY.xattr.user.containers.override_stat": "7:7:777"}
            archive.addfile(member, io.BytesIO(b"text\n"))
        member = tarfile.TarInfo("home/guest/link")
        member.type, member.linkname, member.uid = tarfile.SYMTYPE, "own", 1000
        archive.addfile(member)
    image = rootless("import", "-q", made, "refused:1").stdout.split()[-1]
    blob = max((place.data / "content/blobs/sha256").iterdir(), key=lambda one: one.stat().st_size)
    (layer,) = (place.data / "layers").glob("*/*/fs")
    rootless("unshare", "sh", "-c", f"rm -rf {layer}; mkdir {layer}")
    # root of the namespace without the right to change owners
    request = {"target": str(layer), "blob": str(blob), "diff_id": "", "single": False}
    code = REFUSING.format(path=[str(TREE), *sys.path], request=request)
    words = ["setpriv", "--bounding-set", "-chown", "--inh-caps", "-chown", sys.executable, "-IS"]
    rootless("unshare", *words, "-c", code)
    closed = layer / "etc/closed"
    assert (closed.stat().st_uid, closed.stat().st_mode & 0o7777) == (os.getuid(), 0o640)
    assert os.getxattr(closed, "user.containers.override_stat") == b"0:42:640"
    assert (layer / "bin/tool").stat().st_mode & 0o7777 == 0o711
    run = ["--storage-driver", "fuse-overlayfs", "--storage-opt", "xattr_permissions=2", "run"]
    script = (
        "stat -c '%u:%g %a' /etc/closed /home/guest /home/guest/own /bin/tool /bin/busybox /none;"
        "su guest -c 'cat /home/guest/link; cat /etc/closed' 2>&1; true"
    )
    out = rootless(*run, "--rm", "--network", "none", image, "sh", "-c", script).stdout.splitlines()
    assert out[:3] == ["0:42 640", "1000:1000 755", "1000:9 600"]
    assert out[3:6] == ["33:33 4711", "0:0 755", "0:0 0"]
    assert out[6] == "text" and "ermission denied" in out[7]
    assert "all is well" in rootless("system", "check").stdout
    rootless(*run, "--name", "c", "--network", "none", image, "chown", "5:6", "/bin/tool")
    rootless("commit", "-q", "c", "whole:1")
    rootless("rm", "c")


def _let_pass(place: Place) -> None:
    """Root of such maps is none of ours, and has to come to the container's directory."""
    for path in (place.data, place.base, *place.base.parents):
        if path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o001)


def _map(rootless: Command, *words: str) -> list[list[int]]:
    out = rootless("run", "--rm", "--network", "none", *words, "cat", "/proc/self/uid_map").stdout
    return [[int(one) for one in line.split()] for line in out.splitlines()]


@pytest.mark.slow
def test_a_range_for_each_container(rootless: Command, busybox_image: str, place: Place) -> None:
    rootless("run", "-d", "--name", "early", "--network", "none", busybox_image, "sleep", "100")
    _let_pass(place)
    for name in ("one", "two"):
        found = rootless("run", "-d", "--name", name, "--userns", "auto", "--network", "none",
                         busybox_image, "sleep", "100")  # fmt: skip
        assert "copied" not in found.stderr
    maps = {}
    for name in ("one", "two"):
        pid = rootless("inspect", "-f", "{{.State.Pid}}", name).stdout.strip()
        text = Path(f"/proc/{pid}/uid_map").read_text().split()
        maps[name] = (int(text[1]), int(text[2]))
        owners = rootless("exec", name, "stat", "-c", "%u:%g", "/etc/passwd", "/home/guest").stdout
        assert owners.split() == ["0:0", "1000:1000"]
    # guest's 1000 is below the least size; no id is in both, nor the person's own
    assert maps["one"][1] == maps["two"][1] == 2001
    assert abs(maps["one"][0] - maps["two"][0]) >= 2001
    assert os.getuid() not in range(maps["one"][0], sum(maps["one"]))
    # what was freed is given again
    first = int(rootless("exec", "one", "cat", "/proc/self/uid_map").stdout.split()[1])
    rootless("rm", "-f", "one")
    assert _map(rootless, "--userns", "auto:size=5", busybox_image) == [[0, first, 5]]
    forced = _map(rootless, "--userns", "auto:size=5,uidmapping=2:9:1", busybox_image)
    assert [line[0] for line in forced] == [0, 2, 3]
    assert forced[1][2] == 1
    for words, said in (
        ("auto:size=0", "invalid --userns"),
        ("auto:colour=red", "invalid --userns"),
        ("auto:size=65000", "no 65000 ids are left for --userns auto"),
        ("auto:uidmapping=0:9999999:1", "ids that you do not have"),
    ):
        refused = rootless("run", "--userns", words, busybox_image, "true", code=125)
        assert said in refused.stderr, refused


def _bytes(directory: Path) -> int:
    """What a container's directory holds on the disk, seen as its owner."""
    words = ["du", "-s", "-B1", str(directory)]
    return int(subprocess.run(words, capture_output=True, text=True).stdout.split()[0])


@pytest.mark.slow
def test_ids_of_its_own_without_copies(rootless: Command, busybox_image: str, place: Place) -> None:
    _let_pass(place)
    auto = ["--userns", "auto", "--name", "c"]
    script = (
        "stat -c '%u:%g %a' /etc/passwd /home/guest; echo x >>/etc/passwd; chown 5:6 /etc/group;"
        "chmod 4711 /etc/group; su guest -c 'touch /home/guest/own; cat /etc/shadow' 2>&1 | wc -l;"
        "touch /new; rm /etc/hostname; mkdir -m 700 /closed; echo y >/closed/in;"
        "chown -R 33:44 /closed; sleep 1000"
    )
    done = rootless("run", "-d", *auto, busybox_image, "sh", "-c", script)
    assert "copied" not in done.stderr
    rootless("wait", "--condition", "running", "c")
    for _ in range(600):
        if rootless("exec", "c", "ls", "/closed/in", code=None).code == 0:
            break
    directory = place.data / "containers" / done.stdout.strip()
    assert os.listdir(directory / "merged") == []
    assert _bytes(directory) < 400_000 < os.stat("/bin/busybox").st_size
    look = ["stat", "-c", "%u:%g %a", "/etc/group", "/new", "/home/guest/own", "/closed/in"]
    owners = ["5:6", "4711", "0:0", "644", "1000:1000", "644", "33:44", "644"]
    assert rootless("exec", "c", *look).stdout.split() == owners
    changed = {"A /new", "A /closed", "A /closed/in", "A /home/guest/own", "C /etc/passwd"}
    for turn in ("running", "stopped", "again"):
        if turn == "stopped":
            rootless("stop", "-t", "0", "c")
        elif turn == "again":
            rootless("start", "c")
            assert rootless("exec", "c", *look).stdout.split() == owners
        assert changed <= set(rootless("diff", "c").stdout.splitlines())
        with tarfile.open(fileobj=io.BytesIO(rootless("cp", "c:/closed", "-").out)) as archive:
            members = {one.name: (one.uid, one.gid) for one in archive}
        assert members.items() >= {"closed": (33, 44), "closed/in": (33, 44)}.items()
        source = place.work / turn
        source.write_text(turn)
        rootless("cp", source, "c:/closed")
        with tarfile.open(fileobj=io.BytesIO(rootless("cp", f"c:/closed/{turn}", "-").out)) as file:
            copied = next(iter(file))
        assert (copied.uid, copied.size) == (0, len(turn))
    rootless("commit", "-q", "c", "made:1")
    rootless("rm", "-f", "c")
    assert not directory.exists()
    # the image has the ids that the container saw, whoever runs it
    none = ["--network", "none"]
    for words in (
        none,
        [*none, "--userns", "auto"],
        ["--userns", "auto", "--network", "slirp4netns"],
    ):
        run = ["run", "--rm", *words, "made:1"]
        assert rootless(*run, *look[:-1]).stdout.split()[:6] == owners[:6]
    # in another container's namespaces it has the ids of that one, and its files belong to them
    rootless("run", "-d", "--name", "other", "--network", "none", busybox_image, "sleep", "1000")
    shared = rootless("run", "--rm", "--userns", "auto", "--network", "container:other",
                      busybox_image, "stat", "-c", "%u:%g", "/home/guest")  # fmt: skip
    assert shared.stdout == "1000:1000\n" and "copied" not in shared.stderr
    rootless("rm", "-f", "-t", "0", "other")


def test_volumes_of_a_container_with_ids_of_its_own(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    _let_pass(place)
    bound = place.work / "bound"
    bound.mkdir(0o755)
    (bound / "file").touch()
    words = ["run", "--rm", "--userns", "auto", "--network", "none", "-v", "v:/home", "-v",
             f"{bound}:/b:U"]  # fmt: skip
    script = "touch /home/new /b/new; stat -c '%u:%g' /home/guest /home/new /b /b/file /b/new"
    out = rootless(*words, busybox_image, "sh", "-c", script).stdout.split()
    # an empty volume receives the image's files with their owners, `:U` gives what is there
    assert out == ["1000:1000", "0:0", "0:0", "0:0", "0:0"]
    assert bound.stat().st_uid != os.getuid()
    rootless("chown", "-R", "--to-me", bound)
    # without it a directory of the person's is nobody's inside
    words[-1] = f"{bound}:/b"
    out = rootless(*words, busybox_image, "sh", "-c", "stat -c %u /b; touch /b/x", code=1).stdout
    assert out == "65534\n"
    rootless("volume", "rm", "v")


def test_ids_of_its_own_where_nothing_can_serve_them(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    _let_pass(place)
    # never silent
    words = ["run", "--rm", "--userns", "auto", "--network", "none", busybox_image]
    done = rootless("--storage-driver", "copy", *words, "stat", "-c", "%u:%g", "/home/guest")
    assert done.stdout == "1000:1000\n"
    for driver, who in (("fuse-overlayfs", "--userns auto"), ("copy", "the storage driver copy")):
        run = ["--storage-driver", driver, "run", "--writable-tmpfs", *words[1:]]
        refused = rootless(*run, "true", code=125)
        assert f"--writable-tmpfs and {who} do not go together" in refused.stderr
    refused = rootless("--storage-driver", "python-fuse", *words, "true", code=125)
    assert "the container lacks the ids to which the image's files belong" in refused.stderr


@pytest.mark.usefixtures("everyone")
@pytest.mark.parametrize("driver", ["overlay", *DRIVERS])
def test_a_directory_below_an_overlay(
    rootless: Command, busybox_tar: Path, place: Place, driver: str
) -> None:
    root = place.work / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", busybox_tar, "--no-same-owner", "-C", root], check=True)
    before = sorted(os.listdir(root / "etc"))
    run = ["--storage-driver", driver, "run", "--name", "c", "--network", "none", "--rootfs"]
    script = "rm /etc/group; echo x >/etc/new; ls /etc | grep -c -e group -e new"
    assert rootless(*run, f"{root}:O", "sh", "-c", script).stdout == "1\n"
    assert sorted(os.listdir(root / "etc")) == before
    changed = rootless("diff", "c").stdout.splitlines()
    assert "D /etc/group" in changed and "A /etc/new" in changed
    rootless("start", "-a", "c")
    assert rootless("cp", "c:/etc/new", "-").out
    rootless("rm", "c")
    refused = rootless("run", "--rootfs", "/no/where:O", "true", code=125)
    assert "/no/where is not a directory" in refused.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("everyone")
def test_overlay_on_overlay_falls_to_the_next_driver(
    rootless: Command, busybox_tar: Path, place: Place
) -> None:
    # as in somebody else's container: the data directory lies on an overlay
    base = place.data / "outer"
    for name in ("lower", "upper", "work", "here"):
        (base / name).mkdir(parents=True)
    script = base / "script"
    words = " ".join(f"'{word}'" for word in rootless.words)
    script.write_text(
        f"""set -e
cd {base}
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr here
export ROOTLESS_DATA_DIR={base}/here/data HOME={base}/here XDG_RUNTIME_DIR={base}/here/run
mkdir $XDG_RUNTIME_DIR
rootless() {{ {words} "$@"; }}
rootless import -q {busybox_tar} b:1
rootless run --rm --network none b:1 sh -c 'grep " / " /proc/mounts; touch /x'
rootless run --rm --network none b:1 true
rootless --storage-driver python-fuse run --rm --network none b:1 grep " / " /proc/mounts
rootless --storage-driver overlay run --rm --network none b:1 true || echo refused
"""
    )
    found = rootless("unshare", "sh", script, timeout=200)
    lines = found.stdout.splitlines()
    assert lines[-3].startswith("fuse-overlayfs / fuse")
    assert lines[-2].startswith("python-fuse / fuse")
    assert lines[-1] == "refused"
    # told once, and an error where it was asked for
    assert found.stderr.count("note: fuse-overlayfs serves containers' files: native overlay:") == 1
    assert "error: the storage driver native overlay cannot be used: Invalid" in found.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("everyone")
def test_a_distribution_on_an_overlay_in_python(
    rootless: Command, debian_image: str, place: Place
) -> None:
    run = ["--storage-driver", "python-fuse", "run", "--rm", "--network", "none", debian_image]
    # packages that are unpacked, configured by scripts, and removed; files that are made and moved
    script = r"""set -e
mkdir -p /p/DEBIAN /p/usr/share/thing/deep /p/etc
echo data >/p/usr/share/thing/deep/file
ln -s deep /p/usr/share/thing/link
echo one >/p/moved; mv /p/moved /p/etc/thing
cat >/p/DEBIAN/control <<END
Package: thing
Version: 1
Architecture: all
Maintainer: n <n@example.org>
Description: a thing
END
echo /etc/thing >/p/DEBIAN/conffiles
printf '#!/bin/sh\nset -e\nuseradd -r thinguser\n' >/p/DEBIAN/postinst
echo 'chmod 4755 /usr/share/thing/deep/file' >>/p/DEBIAN/postinst
chmod 755 /p/DEBIAN/postinst
dpkg-deb --root-owner-group --build /p /thing.deb >/dev/null
apt="apt-get -y"
$apt install /thing.deb >/dev/null
stat -c '%a %n' /usr/share/thing/link/file; grep -c thinguser /etc/passwd; dpkg --verify thing
$apt purge thing >/dev/null
ls /usr/share/thing /etc/thing 2>&1 | wc -l
tar -C /usr/share -cf - perl5 | tar -C /opt -xf -
diff -r /usr/share/perl5 /opt/perl5 && rm -r /opt/perl5
perl -e 'open F, ">/opt/x"; print F "x" x 100000; close F; rename "/opt/x", "/opt/y"'
stat -c %s /opt/y
"""
    out = rootless(*run, "bash", "-c", script, timeout=200).stdout
    assert out.splitlines() == ["4755 /usr/share/thing/link/file", "1", "2", "100000"]
