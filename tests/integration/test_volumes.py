"""Volumes: what is asked for, who owns what, what is kept, moved and removed."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def sh(rootless: Command, busybox_image: str) -> Callable[..., str]:
    """Runs a script in a new container, with options before it; its output."""

    def run(script: str, *words: str, code: int = 0) -> str:
        base = ["run", "--rm", "--network", "none", *words, busybox_image, "sh", "-c", script]
        return rootless(*base, code=code).stdout

    return run


def test_the_umask_of_the_caller_is_no_matter_of_the_container(
    rootless: Command, place: Place, busybox_tar: Path, everyone: str
) -> None:
    """Other ids pass through the directories of the store, and a volume is for everybody inside."""
    careful = Command(["sh", "-c", 'umask 077; exec "$0" "$@"', *rootless.words], place)
    careful("import", "-q", busybox_tar, "bb:1")
    words = ("run", "--rm", "--network", "none", "-u", "1000", "-v", "new:/v", "bb:1")
    assert careful(*words, "stat", "-c", "%a", "/", "/v").stdout == "755\n755\n"
    if everyone == "mapped":
        careful(*words[:4], "--userns", "auto", "bb:1", "true")


def test_a_volume_in_memory(rootless: Command, sh: Callable[..., str]) -> None:
    rootless("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o",
             "o=size=1m,mode=0700,nosuid", "fast")  # fmt: skip
    out = sh("df -k /d | tail -1; stat -c %a /d; grep ' /d ' /proc/mounts; echo x >/d/x", "-v",
             "fast:/d")  # fmt: skip
    assert " 1024 " in out and "\n700\n" in out and "nosuid" in out
    # each container has one of its own
    assert sh("ls /d", "-v", "fast:/d") == ""
    found = rootless("volume", "mount", "fast", code=125)
    assert 'the volume "fast" is a tmpfs' in found.stderr
    full = rootless("run", "--rm", "-v", "fast:/d", "busybox:test", "dd", "if=/dev/zero",
                    "of=/d/big", "bs=1M", "count=3", code=1)  # fmt: skip
    assert "No space left" in full.stderr


def test_a_volume_that_is_a_directory_of_the_host(
    rootless: Command, sh: Callable[..., str], place: Place
) -> None:
    source = place.work / "data"
    source.mkdir()
    (source / "old").write_text("old")
    rootless("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", f"device={source}",
             "bound")  # fmt: skip
    assert sh("ls /d; touch /d/x 2>&1 || true", "-v", "bound:/d").startswith("old\ntouch: /d/x: R")
    assert rootless("volume", "inspect", "bound").json()[0]["Mountpoint"] == str(source)
    # the directory is the person's: it stays
    rootless("volume", "rm", "bound")
    assert (source / "old").read_text() == "old"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "colour=red"], 'unknown volume option "colour"'),
        (["-o", "o=colour"], 'unknown volume option "o=colour"'),
        (["-o", "type=nfs", "-o", "device=host:/x"], "users may not mount that file system"),
        (["-o", "o=size=1g"], "a quota is the administrator's"),
        (["-o", "type=none", "-o", "device=/no/where"], "/no/where of the volume does not exist"),
        (["-o", "type=none", "-o", "device=here"], 'the device "here" is not an absolute path'),
        (["-o", "type=none"], "is bound to nothing"),
        (["-d", "plug"], 'unknown volume driver "plug"'),
        (["-o", "o=uid=4000000"], "cannot belong to 4000000:0"),
    ],
)
def test_what_a_volume_cannot_be(
    rootless: Command, place: Place, words: list[str], said: str
) -> None:
    found = rootless("volume", "create", *words, "v", code=125)
    assert said in found.stderr
    assert found.stderr.startswith("error: ") and "\nhint: " in found.stderr
    assert rootless("volume", "ls", "-q").stdout == ""
    assert list((place.data / "volumes").iterdir()) == []


def test_names(rootless: Command) -> None:
    rootless("volume", "create", "one")
    again = rootless("volume", "create", "one", code=125)
    assert 'the volume "one" exists' in again.stderr
    assert rootless("volume", "create", "--ignore", "one").stdout == "one\n"
    for name in ("a/b", "..", "-x", ".hidden", "ü"):
        assert "error: " in rootless("volume", "create", "--", name, code=125).stderr
    for name in ("../containers", "..", ".", "two"):
        assert "no such volume" in rootless("volume", "rm", "--", name, code=None).stderr
    rootless("volume", "exists", "one")
    rootless("volume", "exists", "two", code=1)
    # the beginning of a name that only one has
    assert rootless("volume", "rm", "on").stdout == "one\n"


def test_listing_and_pruning(rootless: Command, busybox_image: str) -> None:
    rootless("volume", "create", "-l", "kind=paper", "-l", "old", "papers")
    rootless("volume", "create", "-l", "kind=stone", "stones")
    rootless("create", "--name", "c", "-v", "used:/d", "-v", "/anonymous", busybox_image, "true")

    def names(*filters: str) -> set[str]:
        words = [word for one in filters for word in ("--filter", one)]
        found = rootless("volume", "ls", "-q", *words).stdout.split()
        return {one for one in found if len(one) < 64} | ({"?"} if max(map(len, found + [""])) == 64
                                                          else set())  # fmt: skip

    assert names() == {"papers", "stones", "used", "?"}
    assert names("label=kind=paper") == {"papers"}
    assert names("label=kind", "label=old") == {"papers"}
    assert names("label!=kind") == {"used", "?"}
    assert names("dangling=true") == {"papers", "stones"}
    assert names("anonymous=true") == {"?"}
    assert names("name=^s") == {"stones"}
    assert names("name=stones", "name=papers") == {"papers", "stones"}
    assert names("driver=local", "until=1h") == set()
    assert 'unknown filter "size"' in rootless(
        "volume", "ls", "--filter", "size=3", code=125
    ).stderr  # fmt: skip
    assert rootless("volume", "ls", "--format", "{{.Name}} {{.Labels}}").stdout.count("paper") == 2
    # in use, or with a name: stays
    assert rootless("volume", "prune", "-f").stdout == "Total reclaimed space: 0B\n"
    rootless("rm", "c")
    anonymous, _ = rootless("volume", "prune", "-f").stdout.splitlines()
    assert len(anonymous) == 64
    rootless("volume", "prune", "-f", "--all", "--filter", "label=kind=stone")
    assert names() == {"papers", "used"}
    assert rootless("volume", "prune", "-fa").stdout.splitlines()[:-1] == ["papers", "used"]
    rootless("volume", "create", "x")
    rootless("volume", "create", "y")
    assert rootless("volume", "rm", "--all").stdout == "x\ny\n"


def test_backup_and_restore(
    rootless: Command, sh: Callable[..., str], place: Place, everyone: str
) -> None:
    owner = "1000:2000" if everyone == "mapped" else "0:0"
    sh(
        "echo text >/d/file; mkdir -p /d/a/b; ln -s file /d/link; ln /d/file /d/second;"
        f"chmod 750 /d/a; chown {owner} /d/file; mkfifo /d/pipe; chmod 700 /d",
        "-v", "one:/d",
    )  # fmt: skip
    archive = place.work / "one.tar"
    rootless("volume", "export", "one", "-o", archive)
    with tarfile.open(archive) as found:
        assert found.getmember("./file").uid == int(owner.split(":")[0])
    rootless("volume", "create", "two")
    piped = rootless("volume", "export", "one").out
    rootless("volume", "import", "two", "-", input=piped)
    script = (
        "cd /d; stat -c '%n %a %u:%g %h' . file a a/b; readlink link; test -p pipe; "
        "cat second; ls -A"
    )
    expected = sh(script, "-v", "one:/d")
    assert f"file 644 {owner} 2" in expected
    assert sh(script, "-v", "two:/d") == expected
    # over what is there
    sh("rm /d/second; echo other >/d/file; echo mine >/d/mine", "-v", "two:/d")
    rootless("volume", "import", "two", archive)
    assert sh("cat /d/file /d/mine", "-v", "two:/d") == "text\nmine\n"
    rootless("volume", "create", "three")
    rootless("volume", "import", "three", input=gzip.compress(piped))
    assert sh(script, "-v", "three:/d") == expected
    packed = place.work / "one.tar.gz"
    packed.write_bytes(gzip.compress(piped))
    rootless("volume", "create", "four")
    rootless("volume", "import", "four", packed)
    assert sh(script, "-v", "four:/d") == expected
    # bad input
    damaged = place.work / "damaged"
    damaged.write_bytes(os.urandom(3000))
    found = rootless("volume", "import", "two", damaged, code=125)
    assert found.stderr.startswith("error: ") and "Traceback" not in found.stderr
    assert "no such volume" in rootless("volume", "import", "none", archive, code=125).stderr
    assert "cannot read" in rootless("volume", "import", "two", "/no/file", code=125).stderr
    rootless("volume", "export", "none", "-o", place.work / "x.tar", code=125)
    assert not [one for one in os.listdir(place.work) if one.startswith("x.tar")]


def test_an_archive_cannot_leave_the_volume(rootless: Command, place: Place) -> None:
    rootless("volume", "create", "v")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(place.work)
        archive.addfile(link)
        for name in ("out/harm", "../../../harm"):
            file = tarfile.TarInfo(name)
            archive.addfile(file)
    rootless("volume", "import", "v", "-", input=buffer.getvalue(), code=None)
    assert os.listdir(place.work) == []
    assert not list(place.base.rglob("harm")) or all(
        "_data" in str(one) for one in place.base.rglob("harm")
    )


def test_volumes_of_another_container(
    rootless: Command, sh: Callable[..., str], busybox_image: str, place: Place
) -> None:
    source = place.work / "source"
    source.mkdir()
    rootless("run", "--name", "first", "-v", "one:/one", "-v", f"{source}:/two:ro", "-v", "/three",
             busybox_image, "sh", "-c", "echo 1 >/one/x; echo 3 >/three/x")  # fmt: skip
    out = sh("cat /one/x /three/x; echo y >/one/y; touch /two/z 2>&1 || true", "--volumes-from",
             "first")  # fmt: skip
    assert out.startswith("1\n3\ntouch: /two/z: Read-only")
    out = sh("cat /one/y; touch /one/z 2>&1 || true", "--volumes-from", "first:ro")
    assert out.startswith("y\ntouch: /one/z: Read-only")
    # what is named here has the last word
    assert sh("ls /one", "--volumes-from", "first", "-v", "other:/one") == ""
    found = rootless("run", "--volumes-from", "first:rx", busybox_image, "true", code=125)
    assert 'invalid --volumes-from "first:rx"' in found.stderr
    assert "nobody" in rootless(
        "run", "--volumes-from", "nobody", busybox_image, "true", code=125
    ).stderr  # fmt: skip


@pytest.mark.parametrize("rm", [True, False])
def test_an_anonymous_volume_that_another_container_uses_stays(
    rootless: Command, busybox_image: str, rm: bool
) -> None:
    words = ["run", "-d", "--network", "none"]
    sleep = [busybox_image, "sh", "-c", "echo mine >>/data/x; sleep 1000"]
    rootless(*words, *(["--rm"] if rm else []), "--name", "a", "-v", "/data", *sleep)
    rootless(*words, "--name", "b", "--volumes-from", "a", *sleep)
    rootless("rm", "-f", "-v", "a")
    assert rootless("exec", "b", "cat", "/data/x").stdout.startswith("mine")
    rootless("rm", "-f", "b")
    rootless("volume", "prune", "-f")
    assert rootless("volume", "ls", "-q").stdout == ""


def test_volumes_of_an_image(rootless: Command, busybox_tar: Path, sh: Callable[..., str]) -> None:
    rootless("import", "-c", "VOLUME /etc", busybox_tar, "with:volume")

    def ran(*words: str) -> str:
        script = "grep -c ' /etc ' /proc/mounts; ls /etc | grep group; true"
        return rootless("run", "--rm", "--network", "none", *words, "with:volume", "sh", "-c",
                        script).stdout  # fmt: skip

    assert ran() == "1\ngroup\n"
    assert ran("--image-volume", "ignore") == "0\ngroup\n"
    assert ran("--image-volume", "tmpfs").startswith("1\n")
    assert rootless("volume", "ls", "-q").stdout == ""
    found = rootless("run", "--image-volume", "what", "with:volume", "true", code=125)
    assert 'unknown --image-volume "what"' in found.stderr


def test_who_owns_what_is_explained_and_mended(
    rootless: Command, sh: Callable[..., str], place: Place, everyone: str
) -> None:
    if everyone == "single":
        rootless("volume", "create", "v")
        found = rootless("volume", "inspect", "v").json()[0]["Ownership"]
        assert found["RootIs"] == f"{os.getuid()}:{os.getgid()}"
        assert "all files are yours" in found["Explanation"]
        refused = rootless("chown", "1000", place.work, code=125)
        assert "you have no id that is 1000 in a container" in refused.stderr
        return
    rootless("volume", "create", "-o", "o=uid=1000,gid=1000", "v")
    found = rootless("volume", "inspect", "v").json()[0]
    assert found["Ownership"]["ContainerOwner"] == "1000:1000"
    assert f"uid 0 in a container is {os.getuid()} on the host" in found["Ownership"]["Explanation"]
    sh("touch /d/own; mkdir /d/deep; touch /d/deep/er", "-u", "1000", "-v", "v:/d")
    data = Path(found["Mountpoint"])
    assert (data / "own").stat().st_uid not in (os.getuid(), 0)
    outside = place.work / "outside"
    outside.write_text("")
    sh(f"ln -s {outside} /d/link; ln -s / /d/root", "-u", "1000", "-v", "v:/d")
    rootless("chown", "-R", "--to-me", data)
    assert {one.lstat().st_uid for one in [data, *data.rglob("*")]} == {os.getuid()}
    rootless("chown", "33:44", data / "own")
    assert sh("stat -c %u:%g /d/own /d/deep", "-v", "v:/d") == "33:44\n0:0\n"
    rootless("chown", "-R", "7:", data)
    assert sh("stat -c %u:%g /d/own /d/deep/er", "-v", "v:/d") == "7:7\n7:7\n"
    assert outside.stat().st_uid == os.getuid()
    for words, said in (
        (["-R", "root", str(data)], 'the owner "root" is not UID[:GID]'),
        (["0", "/etc/passwd"], "cannot change the owner of /etc/passwd"),
        (["0", "/no/where"], "/no/where"),
        (["99999999", str(data)], "you have no id that is 99999999"),
        (["--to-me"], "PATH"),
    ):
        refused = rootless("chown", *words, code=125)
        assert said in refused.stderr, refused
    rootless("chown", "-R", "--to-me", data)


def test_chown_is_not_led_out_of_a_volume(
    rootless: Command, sh: Callable[..., str], place: Place, everyone: str
) -> None:
    """A container puts a link where a directory of its volume or of a bound directory was."""
    mine = place.work / "mine"
    (mine / "in").mkdir(parents=True)
    bound = place.work / "bound"
    (bound / "in").mkdir(parents=True)
    (place.work / "way").symlink_to(bound)
    rootless("volume", "create", "v")
    data = Path(rootless("volume", "inspect", "v").json()[0]["Mountpoint"])
    words = ["--name", "c", "-v", "v:/d", "-v", f"{bound}:/b", "--network", "none"]
    script = f"mkdir -p /d/real/in; ln -s {mine} /d/dir; ln -s real /d/near; ln -s {mine} /b/dir"
    image = rootless("images", "-q").stdout.split()[0]
    rootless("run", *words, image, "sh", "-c", script)
    to = "7" if everyone == "mapped" else "0"
    for path in (data / "dir/in", data / "near/in", bound / "dir/in", place.work / "way/dir/in"):
        refused = rootless("chown", "-R", to, path, code=125)
        assert "a symbolic link is on the way" in refused.stderr, refused
        assert str(path) in refused.stderr
    assert (mine / "in").stat().st_uid == os.getuid()
    rootless("chown", to, data / "real/in", bound / "in", place.work / "way/in", mine / "in")
    if everyone == "mapped":
        for path in (data / "real/in", bound / "in", mine / "in"):
            assert path.stat().st_uid not in (0, os.getuid())
        rootless("chown", "-R", "--to-me", mine, bound, data)


def test_a_killed_command_leaves_no_half_of_a_volume(rootless: Command, place: Place) -> None:
    rootless("volume", "create", "kept")
    volumes = place.data / "volumes"
    for turn in range(4):
        process = rootless.start("volume", "create", f"v{turn}", stdout=subprocess.DEVNULL)
        while process.poll() is None and not list(volumes.glob(".new-*")):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    for one in rootless("volume", "ls", "-q").stdout.split():
        assert json.loads((volumes / one / "volume.json").read_text())["name"] == one
    rootless("volume", "reload")
    assert not list(volumes.glob(".new-*"))
    assert (volumes / "kept/_data").is_dir()
    for turn in range(4):
        rootless("volume", "create", "--ignore", f"v{turn}")


def test_cve_2023_0778_a_volume_exchanged_for_a_link_is_not_exported(
    rootless: Command, sh: Callable[..., str], place: Place
) -> None:
    """CVE-2023-0778: a container has the directory above that of a volume."""
    parent = place.work / "parent"
    (parent / "volume").mkdir(parents=True)
    secret = place.work / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    rootless("volume", "create", "-o", "type=none", "-o", f"device={parent}/volume", "v")
    assert rootless("volume", "export", "v").out
    sh(f"mv /p/volume /p/old; ln -s {secret} /p/volume", "-v", f"{parent}:/p")
    for words in (["export", "v"], ["import", "v", "-"]):
        found = rootless("volume", *words, code=125)
        assert "leads through a symbolic link" in found.stderr
        assert b"secret" not in found.out
    assert os.listdir(secret) == ["key"]


def test_a_creation_that_fails_leaves_no_anonymous_volume(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    missing = place.work / "missing"
    refused = rootless("run", "-d", "-v", "/data", "-v", f"{missing}:/x", busybox_image, "true",
                       code=125)  # fmt: skip
    assert str(missing) in refused.stderr
    assert rootless("volume", "ls", "-q").stdout == ""
