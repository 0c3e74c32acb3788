"""A data directory where nobody but its server's root gives files away: NFS, most often.

Here it is bindfs, which refuses chown as such a server does; the kernel, the container and
fuse-overlayfs are the same as there.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command, Place

RUN = ("run", "--network", "none")


@pytest.fixture
def refusing(place: Place) -> Iterator[Path]:
    """A directory on a file system that refuses chown; commands get it by `--root`."""
    beneath, mounted = place.work / "beneath", place.work / "mounted"
    for path in (beneath, mounted):
        path.mkdir()
    words = ["bindfs", "--no-allow-other", "--chown-deny", "--chgrp-deny", beneath, mounted]
    subprocess.run(words, check=True)
    try:
        (mounted / "file").touch()
        with pytest.raises(PermissionError):
            os.chown(mounted / "file", os.getuid(), os.getgid())
        yield mounted / "data"
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mounted], check=True)


@pytest.fixture
def archive(busybox_tar: Path, place: Place) -> Path:
    """A root file system with several owners."""
    made = place.work / "image.tar"
    made.write_bytes(busybox_tar.read_bytes())
    with tarfile.open(made, "a") as file:
        member = tarfile.TarInfo("etc/closed")
        member.uid, member.gid, member.mode, member.size = 0, 42, 0o640, 5
        file.addfile(member, io.BytesIO(b"text\n"))
    return made


@pytest.mark.slow
def test_owners_are_kept_where_they_are_refused(
    rootless: Command, refusing: Path, archive: Path
) -> None:
    def engine(*words: object, code: int = 0) -> str:
        result = rootless("--root", refusing, *words, code=code)
        return result.stdout if code == 0 else result.stderr

    engine("import", "-q", archive, "one:1")
    assert engine("info", "--format", "{{.Driver}}") == "fuse-overlayfs\n"
    script = (
        "stat -c '%u:%g %a' /etc/closed /home/guest; touch /new; chmod 711 /new; chown 33:44 /new;"
        "stat -c '%u:%g %a' /new; su guest -c 'touch /home/guest/own; cat /etc/closed' 2>&1;"
        "stat -c '%u:%g' /home/guest/own; rm /etc/group"
    )
    out = engine(*RUN, "--name", "c", "one:1", "sh", "-c", script).splitlines()
    assert out[:3] == ["0:42 640", "1000:1000 755", "33:44 711"]
    assert "ermission denied" in out[3] and out[4] == "1000:1000"
    # on the disk all of it is the person's
    assert {one.lstat().st_uid for one in refusing.rglob("*")} == {os.getuid()}
    changed = engine("diff", "c").splitlines()
    assert {"A /new", "D /etc/group", "A /home/guest/own"} <= set(changed)
    engine("commit", "-q", "c", "two:1")
    look = ["stat", "-c", "%u:%g %a", "/new", "/etc/closed", "/home/guest/own"]
    found = engine(*RUN, "--rm", "two:1", *look).splitlines()
    assert found[:2] == ["33:44 711", "0:42 640"] and found[2].startswith("1000:1000 ")
    assert "all is well" in engine("system", "check")
    # a volume is the file system itself, and says so
    said = engine(*RUN, "--rm", "-v", "v:/v", "one:1", "sh", "-c",
                  "touch /v/a; chown 1000 /v/a 2>&1; stat -c %u /v/a")  # fmt: skip
    assert "not permitted" in said and said.endswith("\n0\n")
    for driver in ("python-fuse", "copy"):
        said = engine("--storage-driver", driver, *RUN, "--rm", "one:1", "true", code=125)
        assert "kept in attributes because this file system refuses them" in said
    said = engine("--storage-driver", "overlay", *RUN, "--rm", "one:1", "true", code=125)
    assert "native overlay cannot be used" in said
    out = engine(*RUN, "--rm", "--userns", "single", "one:1", "stat", "-c", "%u", "/etc/closed")
    assert out == "0\n"
    engine("rm", "-f", "c")
    engine("rmi", "-f", "one:1", "two:1")
    engine("volume", "rm", "v")
    assert not list((refusing / "layers").glob("*/????????????????????????????????"))


def test_without_attributes_it_is_a_sentence(
    rootless: Command, place: Place, archive: Path
) -> None:
    beneath, mounted = place.work / "beneath", place.work / "mounted"
    for path in (beneath, mounted):
        path.mkdir()
    words = ["bindfs", "--no-allow-other", "--chown-deny", "--chgrp-deny", "--xattr-none"]
    subprocess.run([*words, beneath, mounted], check=True)
    try:
        data = mounted / "data"
        said = rootless("--root", data, "import", "-q", archive, "one:1", code=125).stderr
        assert "which this file system refuses" in said
        assert "--userns single" in said
        assert not list((data / "layers").glob("*/*/fs"))
    finally:
        subprocess.run(["fusermount3", "-u", "-z", mounted], check=True)
