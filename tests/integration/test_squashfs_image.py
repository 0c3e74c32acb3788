"""Images that are one file: a squashfs of ours, anybody's squashfs, and SIF."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def saved(rootless: Command, place: Place, busybox_image: str) -> Path:
    """An image with a configuration of its own, saved as a squashfs."""
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             "echo hello > /srv-file; chmod 4711 /srv-file; rm /etc/group; ln /srv-file /twin;"
             "chown 1000:1000 /home; mkdir -p /a/b; touch -d @1600000000 /a/b")  # fmt: skip
    rootless("commit", "-q", "-c", 'CMD ["cat", "/srv-file"]', "-c", "ENV COLOUR=red",
             "-c", "WORKDIR /home", "c", "made:1")  # fmt: skip
    rootless("rm", "c")
    path = place.work / "image.sqfs"
    rootless("save", "--format", "squashfs", "-o", path, "made:1")
    return path


LOOK = (
    "echo $COLOUR; pwd; cat /srv-file; ls /etc; stat -c '%a %u %h' /srv-file;"
    "stat -c '%a %u' /home;"
    "stat -c %Y /a/b; echo changed > /srv-file; rm /twin; touch /new; cat /srv-file;"
    "ls / | grep -c new"
)


@pytest.mark.slow
def test_an_image_in_one_file_runs_as_the_image_itself(
    rootless: Command, place: Place, saved: Path
) -> None:
    words = ("--rm", "--network", "none")
    unpacked = rootless("run", *words, "made:1", "sh", "-c", LOOK).stdout
    rootless("rmi", "made:1", "busybox:test")
    assert not list((place.data / "layers").glob("*/*/fs"))
    assert rootless("run", *words, "./image.sqfs").stdout == "hello\n"
    assert rootless("run", *words, str(saved), "sh", "-c", LOOK).stdout == unpacked
    assert "red\n/home\nhello\n" in unpacked
    # nothing of it was unpacked, and the file is as it was
    assert not list((place.data / "layers").glob("*/*/fs"))
    before = saved.read_bytes()
    assert rootless("run", *words, "--read-only", "./image.sqfs", "sh", "-c",
                    "touch /x || echo refused").stdout == "refused\n"  # fmt: skip
    assert saved.read_bytes() == before


def test_the_same_image_gives_the_same_file(rootless: Command, place: Place, saved: Path) -> None:
    again = place.work / "again.sqfs"
    rootless("save", "--format", "squashfs", "-o", again, "made:1")
    assert again.read_bytes() == saved.read_bytes()
    done = subprocess.run(["unsquashfs", "-s", saved], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "valid SQUASHFS 4:0" in done.stdout
    assert not [path for path in place.work.iterdir() if path.suffix == ".tmp"]


def test_a_container_of_a_file_lives_as_any_other(
    rootless: Command, place: Place, saved: Path
) -> None:
    rootless("run", "-d", "--name", "d", "--network", "none", "./image.sqfs", "sleep", "100")
    assert rootless("exec", "d", "cat", "/srv-file").stdout == "hello\n"
    rootless("exec", "d", "sh", "-c", "echo kept > /kept")
    rootless("cp", "d:/srv-file", place.work / "out")
    assert (place.work / "out").read_text() == "hello\n"
    assert rootless("ps", "--format", "{{.Image}}").stdout.strip() == "./image.sqfs"
    rootless("stop", "-t", "0", "d")
    assert "A /kept" in rootless("diff", "d").stdout
    rootless("cp", "d:/kept", place.work / "kept")
    rootless("start", "d")
    assert rootless("exec", "d", "cat", "/kept").stdout == "kept\n"


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs"])
def test_changes_may_stay_in_memory(
    rootless: Command, place: Place, saved: Path, driver: str
) -> None:
    rootless("--storage-driver", driver, "run", "-d", "--name", "m", "--writable-tmpfs",
             "--network", "none", "./image.sqfs", "sh", "-c",
             "echo x > /srv-file; rm -r /a; mkdir /a; sleep 100")  # fmt: skip
    assert rootless("exec", "m", "sh", "-c", "cat /srv-file; ls /a").stdout == "x\n"
    directory = next((place.data / "containers").glob("?" * 64))
    assert not [path for path in directory.rglob("*srv-file*") if "merged" not in path.parts]
    rootless("exec", "m", "touch", "/made")
    rootless("stop", "-t", "0", "m")
    rootless("start", "m")
    rootless("exec", "m", "test", "-e", "/made", code=1)


def test_other_ids_see_the_owners_of_the_image(
    rootless: Command, saved: Path, everyone: str
) -> None:
    out = rootless("run", "--rm", "--network", "none", "--userns", "keep-id", "./image.sqfs",
                   "stat", "-c", "%u", "/srv-file").stdout  # fmt: skip
    # with a single id the person's own is all there is, and keep-id shows it under its name
    assert out == ("0\n" if everyone == "mapped" else f"{os.getuid()}\n")


def test_anybodys_squashfs_runs(rootless: Command, place: Place, busybox: Path) -> None:
    tree = place.work / "tree/bin"
    tree.mkdir(parents=True)
    for name in ("busybox", "sh", "echo"):
        (tree / name).write_bytes(busybox.read_bytes())
        (tree / name).chmod(0o755)
    path = place.work / "other.squashfs"
    words = [
        "mksquashfs",
        tree.parent,
        path,
        "-quiet",
        "-no-progress",
        "-all-root",
        "-comp",
        "gzip",
    ]
    subprocess.run(words, check=True, capture_output=True)
    words = ["run", "--rm", "--network", "none", "./other.squashfs"]  # type: ignore[list-item]
    assert rootless(*words, "echo", "runs").stdout == "runs\n"  # type: ignore[arg-type]


def sif(squashfs: bytes, *, role: int = 2, kind: int = 1, offset: int = 36864) -> bytes:
    """A SIF file with one partition."""
    extra = struct.pack("<ii3s", kind, role, b"02\0").ljust(384, b"\0")
    descriptor = struct.pack("<iBIII7q128s384s", 0x4004, 1, 1, 0xF0000001, 0, offset, len(squashfs),
                             len(squashfs), 0, 0, 0, 0, b"squashfs", extra)  # fmt: skip
    other = struct.pack("<iBIII7q128s384s", 0x4001, 1, 2, 0xF0000001, 0, 32768, 10, 10, 0, 0, 0, 0,
                        b"Def", b"")  # fmt: skip
    table = (other + descriptor).ljust(48 * 585, b"\0")
    header = struct.pack("<32s10s3s3s16s8q", b"#!/usr/bin/env run-singularity\n", b"SIF_MAGIC",
                         b"01", b"02", bytes(16), 0, 0, 46, 48, 4096, len(table), 32768,
                         len(squashfs))  # fmt: skip
    data = header.ljust(4096, b"\0") + table
    return data.ljust(offset, b"\0") + squashfs


def test_sif_files_run(rootless: Command, place: Place, busybox: Path) -> None:
    tree = place.work / "tree"
    (tree / ".singularity.d/env").mkdir(parents=True)
    (tree / "bin").mkdir()
    for name in ("sh", "echo"):
        (tree / "bin" / name).write_bytes(busybox.read_bytes())
        (tree / "bin" / name).chmod(0o755)
    (tree / ".singularity.d/env/90-environment.sh").write_text("export GREETING=hi\n")
    script = tree / ".singularity.d/runscript"
    script.write_text('#!/bin/sh\necho "$GREETING from the run script"\n')
    script.chmod(0o755)
    squash = place.work / "s"
    words = ["mksquashfs", tree, squash, "-quiet", "-no-progress", "-all-root"]
    subprocess.run(words, check=True, capture_output=True)
    (place.work / "app.sif").write_bytes(sif(squash.read_bytes()))
    run = ("run", "--rm", "--network", "none", "./app.sif")
    assert rootless(*run).stdout == "hi from the run script\n"
    assert rootless(*run, "sh", "-c", "echo $GREETING alone").stdout == "hi alone\n"


def _broken(good: bytes) -> dict[str, tuple[bytes, str]]:
    """Files that must not be mounted, and what is said of them."""

    def poke(at: int, data: bytes) -> bytes:
        return good[:at] + data + good[at + len(data) :]

    used = struct.unpack_from("<Q", good, 40)[0]
    document = len(good) - 16
    return {
        "empty": (b"", "neither a squashfs nor a SIF"),
        "text": (b"#!/bin/sh\necho no\n" * 20, "neither a squashfs nor a SIF"),
        "cut": (good[: used // 2], "is cut short: it has"),
        "cut superblock": (good[:50], "neither a squashfs nor a SIF"),
        "version": (poke(28, b"\x03\0"), "it has the version 3.0"),
        "block size": (poke(12, b"\1\0\0\0"), "its superblock makes no sense"),
        "table outside": (poke(64, b"\xff" * 7 + b"\x00"), "a table of it lies outside"),
        "config length": (poke(document, b"\xff" * 7), "its configuration has"),
        "config text": (poke(document - 30, b"\0\0\0\0"), "its configuration cannot be read"),
        "sif offset": (sif(good[:4096], offset=36864)[:36865], "a partition has"),
        "sif without": (sif(good, role=3), "no squashfs with a root file system"),
        "sif ext3": (sif(good, kind=2), "it is ext3"),
        "sif encrypted": (sif(good, kind=5), "it is encrypted squashfs"),
        "sif header": (sif(good)[:100], "its header is cut short"),
        "sif descriptors": (sif(good)[:5000], "descriptors begin at"),
    }


@pytest.mark.slow
def test_files_that_are_no_images_are_refused_with_a_sentence(
    rootless: Command, place: Place, saved: Path
) -> None:
    for name, (data, said) in _broken(saved.read_bytes()).items():
        (place.work / "bad").write_bytes(data)
        out = rootless("run", "--rm", "--network", "none", "./bad", "true", code=125)
        lines = out.stderr.splitlines()
        assert lines[0].startswith("error: ") and said in lines[0], f"{name}: {out}"
        assert lines[1].startswith("hint: ")
    for path, said in (("./nothing", "there is no file"), ("./", "is a directory")):
        assert said in rootless("run", "--rm", path, "true", code=125).stderr
    os.mkfifo(place.work / "pipe")
    assert "no regular file" in rootless("run", "--rm", "./pipe", "true", code=125).stderr
    assert not list((place.data / "containers").glob("?" * 64))


def test_damage_inside_is_an_error_of_the_one_who_reads(
    rootless: Command, place: Place, saved: Path
) -> None:
    data = bytearray(saved.read_bytes())
    used = struct.unpack_from("<Q", data, 40)[0]
    inodes = struct.unpack_from("<Q", data, 64)[0]
    data[96 : inodes - 10] = os.urandom(inodes - 106)  # every file's content, no table
    assert used < len(data)
    (place.work / "bad.sqfs").write_bytes(bytes(data))
    out = rootless("run", "--rm", "--network", "none", "./bad.sqfs", "sh", "-c", "true", code=None)
    assert out.code in (126, 127, 125) and "Traceback" not in out.stderr


def test_saving_needs_one_image_and_a_file(
    rootless: Command, place: Place, busybox_image: str
) -> None:
    two = rootless(
        "save", "--format", "squashfs", "-o", "x", busybox_image, busybox_image, code=125
    )
    assert "a squashfs holds one image" in two.stderr
    pipe = rootless("save", "--format", "squashfs", busybox_image, code=125)
    assert "cannot be written to a pipe" in pipe.stderr
    away = rootless("save", "--format", "squashfs", "-o", "/nowhere/x", busybox_image, code=125)
    assert "cannot write /nowhere/x" in away.stderr
    assert not list(place.data.glob(".squashfs-*"))
    assert json.loads(rootless("inspect", busybox_image).stdout)
