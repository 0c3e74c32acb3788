"""`commit`, `export`, `save`, `load`: what a container became, and whether others can read it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

DRIVERS = ("overlay", "fuse-overlayfs", "python-fuse", "copy")

CHANGES = r"""
mkdir -p /new/deep && echo one >/new/deep/file && ln /new/deep/file /new/again
ln -s deep/file /new/link && mkfifo /new/pipe
chmod 4755 /new/deep/file
rm /etc/group && rm -r /home/guest
rm -r /usr && mkdir /usr && echo fresh >/usr/own
echo more >>/etc/passwd
dd if=/dev/zero of=/new/holes bs=1 count=1 seek=3000000 2>/dev/null
mkdir -m 700 /new/private && touch -d '2001-02-03 04:05:06' /new/private/old
"""


def made(rootless: Command, driver: str, script: str = CHANGES) -> str:
    """A container in which the script has run."""
    words = ("--storage-driver", driver, "run", "--name", "c", "--network", "none")
    rootless(*words, "busybox:test", "sh", "-ec", script)
    return "c"


def inspect(rootless: Command, name: str) -> Any:
    return rootless("image", "inspect", name).json()[0]


def layer_of(rootless: Command, place: Place, name: str) -> tarfile.TarFile:
    """The topmost layer of an image, opened."""
    digest = inspect(rootless, name)["Layers"][-1]["Digest"]
    return tarfile.open(place.data / "content/blobs/sha256" / digest[7:])


@pytest.mark.parametrize("driver", DRIVERS)
def test_layer(rootless: Command, busybox_image: str, place: Place, driver: str) -> None:
    """What the OCI image specification says of changes: files, links, whiteouts, opaque ones."""
    made(rootless, driver)
    rootless("commit", "c", "mine:1")
    with layer_of(rootless, place, "mine:1") as layer:
        members = {member.name: member for member in layer}
        names = list(members)
        assert layer.extractfile("new/holes").read() == bytes(3000001)  # type: ignore[union-attr]
    links = {members["new/again"].type, members["new/deep/file"].type}
    assert links == {tarfile.REGTYPE, tarfile.LNKTYPE}
    assert members["new/link"].linkname == "deep/file"
    assert members["new/pipe"].isfifo()
    assert members["new/deep/file"].mode == 0o4755
    assert members["new/private"].mode == 0o700
    assert members["new/private/old"].mtime == 981173106
    assert "etc/.wh.group" in names
    assert "home/.wh.guest" in names
    # all of /usr was replaced: either it is opaque or what was in it is whited out
    assert "usr/.wh..wh..opq" in names or "usr/.wh.bin" in names
    assert "usr/own" in names
    # nothing that the engine mounted, and nothing that did not change
    assert not {"dev", "proc", "sys", "etc/hosts", "etc/resolv.conf", "bin", "tmp"} & set(names)
    assert {member.uid for member in members.values()} == {0}
    assert names.index("new") < names.index("new/deep") < names.index("new/deep/file")

    checks = """
    test "$(cat /new/again)" = one && test -u /new/deep/file && test -L /new/link
    test ! -e /etc/group && test ! -e /home/guest && test "$(ls /usr)" = own
    test "$(tail -n1 /etc/passwd)" = more && test -p /new/pipe
    test "$(stat -c %i /new/again)" = "$(stat -c %i /new/deep/file)"
    """
    rootless("run", "--rm", "--network", "none", "mine:1", "sh", "-ec", checks)
    rootless("commit", "--squash", "c", "flat:1")
    assert len(inspect(rootless, "flat:1")["Layers"]) == 1
    rootless("run", "--rm", "--network", "none", "flat:1", "sh", "-ec", checks)


def test_other_owners_and_attributes(
    rootless: Command, busybox_image: str, place: Place, everyone: str
) -> None:
    if everyone == "single":
        return  # every file is root's there
    script = "echo x >/f; chown 1000:2000 /f; mkdir /d; chown 1000 /d; echo y >/d/cap"
    made(rootless, "overlay", script)
    upper = place.data / "containers" / inspect_id(rootless) / "upper"
    rootless("unshare", "setcap", "cap_net_raw+ep", upper / "d/cap")
    rootless("unshare", "setfattr", "-n", "user.note", "-v", "hello", upper / "f")
    rootless("commit", "c", "mine:1")
    with layer_of(rootless, place, "mine:1") as layer:
        assert (layer.getmember("f").uid, layer.getmember("f").gid) == (1000, 2000)
        assert layer.getmember("d").uid == 1000
        assert layer.getmember("f").pax_headers["SCHILY.xattr.user.note"] == "hello"
        assert "SCHILY.xattr.security.capability" in layer.getmember("d/cap").pax_headers
        assert not any("overlay" in key for m in layer for key in m.pax_headers)
    script = "stat -c %u:%g /f; getfattr -h 2>/dev/null; true"
    done = rootless("run", "--rm", "--network", "none", "mine:1", "sh", "-c", script)
    assert done.stdout == "1000:2000\n"


def test_owners_that_are_attributes(
    rootless: Command, busybox_image: str, place: Place, everyone: str
) -> None:
    """As on NFS: fuse-overlayfs keeps owners and modes in an attribute.  A file's own attribute of
    that name, on another driver, is no owner."""
    if everyone == "single":
        return
    script = "echo x >/f; chmod 750 /f; chown 1000:2000 /f"
    driver = ("--storage-driver", "fuse-overlayfs", "--storage-opt", "xattr_permissions=2")
    rootless(*driver, "run", "--name", "c", "--network", "none", busybox_image, "sh", "-c", script)
    rootless("commit", "c", "mine:1")
    with layer_of(rootless, place, "mine:1") as layer:
        member = layer.getmember("f")
    assert (member.uid, member.gid, member.mode) == (1000, 2000, 0o750)
    assert not any("override" in key for key in member.pax_headers)
    rootless("rm", "c")
    made(rootless, "overlay", "echo x >/f; chown 1000:2000 /f")
    upper = place.data / "containers" / inspect_id(rootless) / "upper"
    for name in ("user.containers.override_stat", "user.fuseoverlayfs.override_stat"):
        rootless("unshare", "setfattr", "-n", name, "-v", "0:0:4755", upper / "f")
    rootless("commit", "c", "forged:1")
    with layer_of(rootless, place, "forged:1") as layer:
        assert layer.getmember("f").uid == 1000


def inspect_id(rootless: Command) -> str:
    return rootless("inspect", "-f", "{{.Id}}", "c").stdout.strip()


def test_configuration(rootless: Command, busybox_image: str, place: Place) -> None:
    """The container's own settings, then every instruction that docker commit takes."""
    rootless("run", "--name", "c", "--network", "none", "-e", "A=b", "-w", "/tmp", "-u", "1000",
             "--label", "l=1", "-v", "/data", "busybox:test", "sh", "-c", "true")  # fmt: skip
    rootless("commit", "-q", "-a", "Ann", "-m", "a note", "--iidfile", "id", "c", "plain:1")
    config = inspect(rootless, "plain:1")["Config"]
    assert config["Cmd"] == ["sh", "-c", "true"]
    assert "A=b" in config["Env"]
    assert not any(one.startswith(("HOSTNAME=", "HOME=", "container=")) for one in config["Env"])
    assert (config["WorkingDir"], config["User"]) == ("/tmp", "1000")
    assert config["Labels"] == {"l": "1"}
    assert config["Volumes"] == {"/data": {}}
    found = inspect(rootless, "plain:1")
    assert (place.work / "id").read_text() == found["Id"]
    assert found["Author"] == "Ann"
    assert found["History"][-1] == {
        "created": found["Created"], "created_by": "sh -c true", "author": "Ann",
        "comment": "a note",
    }  # fmt: skip

    words: list[str] = []
    for change in (
        'CMD ["a", "b"]', "ENTRYPOINT exec x", "ENV ONE=1 TWO='2 3'", "EXPOSE 80 53/udp",
        "LABEL k=v", "USER guest:extra", "VOLUME /v /w", "WORKDIR sub", "STOPSIGNAL SIGINT",
        "ONBUILD RUN make", 'SHELL ["/bin/ash", "-c"]',
        "HEALTHCHECK --interval=1m30s --retries=2 CMD test -e /ok",
    ):  # fmt: skip
        words += ["--change", change]
    rootless("commit", *words, "--format", "docker", "c", "changed:1")
    config = inspect(rootless, "changed:1")["Config"]
    assert config["Cmd"] == ["a", "b"]
    assert config["Entrypoint"] == ["/bin/sh", "-c", "exec x"]
    assert {"ONE=1", "TWO=2 3", "A=b"} <= set(config["Env"])
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert config["Labels"] == {"l": "1", "k": "v"}
    assert (config["User"], config["WorkingDir"]) == ("guest:extra", "/tmp/sub")
    assert config["Volumes"] == {"/data": {}, "/v": {}, "/w": {}}
    assert (config["StopSignal"], config["OnBuild"]) == ("SIGINT", ["RUN make"])
    assert config["Shell"] == ["/bin/ash", "-c"]
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "test -e /ok"], "Interval": 90_000_000_000, "Retries": 2,
    }  # fmt: skip
    manifest = json.loads((place.data / "content/blobs/sha256" /
                           inspect(rootless, "changed:1")["Digest"][7:]).read_bytes())  # fmt: skip
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert {layer["mediaType"] for layer in manifest["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }


@pytest.mark.parametrize(
    "words, said",
    [
        (["-c", "RUN make", "c"], "RUN"),
        (["-c", "EXPOSE 99999", "c"], "99999"),
        (["-c", "HEALTHCHECK --interval=x CMD y", "c"], "duration"),
        (["--format", "squashed", "c"], "squashed"),
        (["c", "UPPER:1"], "UPPER"),
        (["c", "x@sha256:" + "0" * 64], "digest"),
        (["nobody"], "nobody"),
    ],
)
def test_refusals(rootless: Command, busybox_image: str, words: list[str], said: str) -> None:
    rootless("create", "--name", "c", "--network", "none", "busybox:test", "true")
    before = rootless("images", "-q", "--no-trunc").stdout
    done = rootless("commit", *words, code=125)
    assert said in done.stderr and "Traceback" not in done.stderr
    assert rootless("images", "-q", "--no-trunc").stdout == before


@pytest.mark.slow
@pytest.mark.parametrize("driver", ("overlay", "copy"))
def test_same_input_same_image(rootless: Command, busybox_image: str, driver: str) -> None:
    """Two containers that did the same at different times, committed to one time."""
    made(rootless, driver)
    first = rootless("commit", "--timestamp", "1600000000", "c").stdout
    rootless("rm", "c")
    made(rootless, driver)
    assert rootless("commit", "--timestamp", "1600000000", "c").stdout == first
    found = inspect(rootless, first.strip())
    assert found["Created"] == "2020-09-13T12:26:40Z"
    # the older files keep their time
    late = rootless("commit", "c", "clamped:1", env={"SOURCE_DATE_EPOCH": "1500000000"})
    assert late.stdout != first
    assert inspect(rootless, "clamped:1")["Created"] == "2017-07-14T02:40:00Z"
    script = "stat -c %Y /new/private/old /new/again"
    done = rootless("run", "--rm", "--network", "none", "clamped:1", "sh", "-c", script)
    assert done.stdout == "981173106\n1500000000\n"
    rootless("commit", "c", code=125, env={"SOURCE_DATE_EPOCH": "soon"})


@pytest.mark.parametrize("driver", DRIVERS)
def test_export(rootless: Command, busybox_image: str, place: Place, driver: str) -> None:
    made(rootless, driver)
    rootless("export", "-o", "c.tar", "c")
    with tarfile.open(place.work / "c.tar") as archive:
        names = set(archive.getnames())
    assert {"bin/busybox", "new/deep/file", "usr/own"} <= names
    assert not {"etc/group", "home/guest", "usr/bin"} & names
    assert not any(".wh." in name for name in names)
    assert rootless("export", "c").out == (place.work / "c.tar").read_bytes()
    rootless("import", "c.tar", "back:1")
    rootless("run", "--rm", "--network", "none", "back:1", "cat", "/new/again")
    rootless("export", "-o", place.work / "none/c.tar", "c", code=125)
    assert not list(place.work.glob("*.tmp"))


def test_running_container(rootless: Command, busybox_image: str) -> None:
    """A container that writes while it is read does not spoil the archive."""
    script = "while :; do head -c 100000 /dev/urandom >/grow; mkdir -p /gone; rmdir /gone; done"
    rootless("run", "-d", "--name", "c", "--network", "none", "busybox:test", "sh", "-c", script)
    for _ in range(3):
        data = rootless("export", "c").out
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert "bin/busybox" in archive.getnames()
    done = rootless("commit", "--pause=false", "c", "live:1")
    assert done.stderr == ""
    rootless("run", "--rm", "--network", "none", "live:1", "true")


@pytest.mark.slow
@pytest.mark.parametrize("driver", DRIVERS)
def test_the_same_layer_twice(
    rootless: Command, busybox_image: str, place: Place, driver: str
) -> None:
    """Two commits without a change are two equal, empty layers; what was below shows through."""
    below = "busybox:test"
    for name in ("once:1", "twice:1"):
        rootless("create", "--name", "c", "--network", "none", below, "true")
        rootless("commit", "c", name)
        rootless("rm", "c")
        below = name
    first, second = rootless("image", "inspect", "-f", "{{json .RootFS.Layers}}",
                             "twice:1").json()[1:]  # fmt: skip
    assert first == second
    words = ("--storage-driver", driver, "run", "--network", "none", "--name", "c")
    rootless(*words, "twice:1", "sh", "-c", "ls /bin >/dev/null && touch /x")
    assert rootless("diff", "c").stdout == "A /x\n"
    assert rootless("image", "diff", "twice:1").stdout == ""
    rootless("commit", "--squash", "c", "flat:1")
    rootless("run", "--rm", "--network", "none", "flat:1", "test", "-e", "/x")


# archives


@pytest.fixture
def two(rootless: Command, busybox_image: str) -> tuple[str, str]:
    """Two images that share a layer; one has a second name."""
    rootless("run", "--name", "c", "--network", "none", "busybox:test", "touch", "/second")
    rootless("commit", "c", "two:1")
    rootless("tag", "two:1", "localhost:5000/team/two:x")
    rootless("rm", "c")
    return "busybox:test", "two:1"


@pytest.mark.parametrize("form", ("docker-archive", "oci-archive", "oci-dir"))
def test_save_and_load(
    rootless: Command, two: tuple[str, str], place: Place, tmp_path: Path, form: str
) -> None:
    words = ("busybox:test", "two:1", "localhost:5000/team/two:x")
    rootless("save", "-q", "-m", "--format", form, "-o", "all", *words)
    ids = {name: inspect(rootless, name)["Id"] for name in words}
    digests = {name: inspect(rootless, name)["Digest"] for name in words}
    elsewhere = {"ROOTLESS_DATA_DIR": str(place.base / "other")}
    loaded = rootless("load", "-i", "all", env=elsewhere).stdout
    for name in words:
        full = name if "/" in name else f"localhost/{name}"
        assert f"Loaded image: {full}\n" in loaded
        found = rootless("image", "inspect", name, env=elsewhere).json()[0]
        assert found["Id"] == ids[name]
        if form != "docker-archive":
            assert found["Digest"] == digests[name]
    # the same bytes again, also from the store that loaded them
    if form != "oci-dir":
        again = rootless("save", "--format", form, *words)
        assert again.out == (place.work / "all").read_bytes()
        there = rootless("save", "--format", form, *words, env=elsewhere)
        assert there.out == again.out
        with tarfile.open(place.work / "all") as archive:
            names = archive.getnames()
        assert len(names) == len(set(names))
        assert sum(name.endswith(".tar") or "blobs/sha256/" in name for name in names) <= 7
    rootless("rmi", "-f", "--all", env=elsewhere)


@pytest.mark.slow
def test_formats_of_peers(
    rootless: Command, two: tuple[str, str], place: Place, everyone: str
) -> None:
    """skopeo and umoci read what is saved, and digests come through."""
    found = inspect(rootless, "two:1")
    manifest = (place.data / "content/blobs/sha256" / found["Digest"][7:]).read_bytes()
    rootless("save", "--format", "oci-archive", "-o", "a.tar", "two:1")
    rootless("save", "--format", "docker-archive", "-o", "d.tar", "two:1", "busybox:test")
    rootless("save", "--format", "oci-dir", "-o", "layout", "two:1")
    rootless("save", "--format", "docker-dir", "--compress", "-o", "dir", "two:1")
    name = "localhost/two:1"

    def raw(source: str) -> bytes:
        command = ["skopeo", "inspect", "--raw", source]
        return subprocess.run(command, cwd=place.work, check=True, capture_output=True).stdout

    assert raw(f"oci-archive:a.tar:{name}") == manifest
    assert raw(f"oci:layout:{name}") == manifest
    listed = json.loads(raw(f"docker-archive:d.tar:{name}"))
    assert listed["config"]["digest"] == found["Id"]
    directory = json.loads(raw("dir:dir"))
    assert directory["mediaType"].startswith("application/vnd.docker")
    assert all(layer["mediaType"].endswith("gzip") for layer in directory["layers"])
    copy = ["skopeo", "--insecure-policy", "copy", "-q"]
    for source in ("dir:dir", f"oci-archive:a.tar:{name}", f"docker-archive:d.tar:{name}"):
        target = f"oci:copied-{source.partition(':')[0]}:x"
        subprocess.run([*copy, source, target], cwd=place.work, check=True)
    rootless("load", "-i", "copied-oci-archive", env={"ROOTLESS_DATA_DIR": str(place.base / "o")})
    unpack = ["umoci", "unpack", "--rootless", "--image", "copied-dir:x", "bundle"]
    subprocess.run(unpack, cwd=place.work, check=True, capture_output=True)
    assert (place.work / "bundle/rootfs/second").exists()
    subprocess.run(["chmod", "-R", "u+rwX", place.work / "bundle"], check=True)


@pytest.mark.slow
def test_podman_both_ways(
    rootless: Command, two: tuple[str, str], place: Place, everyone: str
) -> None:
    """What is saved here loads there under the same names and digests, and the other way round."""
    if everyone == "single":
        return  # podman itself cannot load an image without subordinate ids
    base = ["podman", "--root", "p/root", "--runroot", "p/run", "--storage-driver", "vfs",
            "--cgroup-manager", "cgroupfs"]  # fmt: skip

    def podman(*words: str) -> str:
        done = subprocess.run([*base, *words], cwd=place.work, env=place.env, capture_output=True)
        assert done.returncode == 0, done
        return done.stdout.decode().strip()

    try:
        rootless("save", "-q", "-o", "d.tar", "two:1", "busybox:test")
        rootless("save", "-q", "--format", "oci-archive", "-o", "o.tar", "two:1")
        podman("load", "-q", "-i", "o.tar")
        ours = inspect(rootless, "two:1")
        assert "sha256:" + podman("image", "inspect", "-f", "{{.Id}}", "two:1") == ours["Id"]
        assert podman("image", "inspect", "-f", "{{.Digest}}", "two:1") == ours["Digest"]
        loaded = podman("load", "-q", "-i", "d.tar")
        assert "localhost/two:1" in loaded and "localhost/busybox:test" in loaded
        podman("create", "--name", "x", "two:1", "touch", "/third")
        podman("commit", "-q", "--format", "oci", "x", "theirs:1")
        podman("save", "-q", "--format", "oci-archive", "-o", "t.tar", "theirs:1")
        podman("save", "-q", "-m", "-o", "m.tar", "theirs:1", "two:1")
        rootless("load", "-q", "-i", "t.tar")
        theirs = inspect(rootless, "localhost/theirs:1")
        raw = ["skopeo", "inspect", "--raw", "oci-archive:t.tar"]
        found = subprocess.run(raw, cwd=place.work, check=True, capture_output=True).stdout
        assert "sha256:" + hashlib.sha256(found).hexdigest() == theirs["Digest"]
        assert "localhost/theirs:1" in rootless("load", "-q", "-i", "m.tar").stdout
        rootless("run", "--rm", "--network", "none", "theirs:1", "test", "-e", "/second")
    finally:
        subprocess.run([*base, "unshare", "rm", "-rf", "p"], cwd=place.work, env=place.env,
                       capture_output=True)  # fmt: skip
        for pause in place.runtime.glob("libpod/tmp/pause.pid"):
            os.kill(int(pause.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    "words, said",
    [
        (["nothing:1"], "nothing:1"),
        (["--format", "zip", "busybox:test"], "zip"),
        (["--compress", "busybox:test"], "docker-archive"),
        (["--compress", "--uncompressed", "busybox:test"], "contradict"),
        (["--format", "oci-dir", "busybox:test"], "directory"),
        (["--format", "docker-dir", "-o", "x", "busybox:test", "two:1"], "one image"),
        (["--format", "oci-dir", "-o", ".", "busybox:test"], "exists"),
        (["-o", "none/x.tar", "busybox:test"], "none/x.tar"),
    ],
)
def test_save_refuses(
    rootless: Command, two: tuple[str, str], place: Place, words: list[str], said: str
) -> None:
    (place.work / "kept").write_text("")
    done = rootless("save", *words, code=125)
    assert said in done.stderr and "Traceback" not in done.stderr
    assert os.listdir(place.work) == ["kept"]


def test_damaged_blob_is_not_saved(rootless: Command, two: tuple[str, str], place: Place) -> None:
    found = inspect(rootless, "two:1")
    blob = place.data / "content/blobs/sha256" / found["Layers"][-1]["Digest"][7:]
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    for form in ("docker-archive", "oci-archive"):
        done = rootless("save", "--format", form, "-o", "x.tar", "two:1", code=125)
        assert "damaged" in done.stderr
        assert not os.listdir(place.work)
    assert hashlib.sha256(data).hexdigest() not in found["Layers"][-1]["Digest"]
