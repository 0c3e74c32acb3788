"""Volumes as containers see them: what they hold, who uses them, how they are mounted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


def test_a_volume_keeps_what_the_image_had_there_and_what_is_written(
    rootless: Command, busybox_image: str
) -> None:
    def run(*words: str) -> str:
        return rootless("run", "--rm", "--network", "none", *words).stdout

    out = run("-v", "papers:/etc", busybox_image, "sh", "-c", "cat /etc/group; echo x >/etc/new")
    assert "root:x:0:" in out
    assert run("-v", "papers:/data:ro", busybox_image, "cat", "/data/new") == "x\n"
    assert rootless("volume", "ls", "-q").stdout == "papers\n"
    mountpoint = rootless("volume", "inspect", "papers").json()[0]["Mountpoint"]
    assert Path(mountpoint, "new").read_text() == "x\n"
    # a second use does not copy again, and nocopy never does
    run("-v", "papers:/etc", busybox_image, "rm", "/etc/group")
    assert "group" not in run("-v", "papers:/etc", busybox_image, "ls", "/etc")
    # docker's own files are bound over a volume at /etc
    assert run("-v", "empty:/home:nocopy", busybox_image, "ls", "/home") == ""
    assert "Read-only" in rootless(
        "run", "--rm", "-v", "papers:/data:ro", busybox_image, "sh", "-c", "echo y >/data/y",
        code=1,
    ).stderr  # fmt: skip


def test_a_volume_in_use_is_protected(rootless: Command, busybox_image: str) -> None:
    rootless("create", "--name", "c", "-v", "papers:/data", busybox_image, "true")
    found = rootless("volume", "rm", "papers", code=2)
    assert 'the volume "papers" is used by the container c' in found.stderr
    assert rootless("volume", "prune", "-f").stdout.count("papers") == 0
    rootless("rm", "c")
    assert rootless("volume", "rm", "papers").stdout == "papers\n"
    missing = rootless("volume", "inspect", "papers", code=None)
    assert "papers" in missing.stderr
    assert missing.code != 0


def test_anonymous_volumes_go_with_their_container(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--rm", "-v", "/data", busybox_image, "touch", "/data/x")
    assert rootless("volume", "ls", "-q").stdout == ""
    rootless("run", "--name", "kept", "-v", "/data", busybox_image, "touch", "/data/x")
    assert len(rootless("volume", "ls", "-q").stdout.split()) == 1
    rootless("rm", "-v", "kept")
    assert rootless("volume", "ls", "-q").stdout == ""


def test_a_volume_for_another_user(rootless: Command, busybox_image: str) -> None:
    rootless("run", "--rm", "-u", "1000", "-v", "hers:/home/guest", busybox_image,
             "touch", "/home/guest/file")  # fmt: skip


def test_mount_options_of_volumes(
    rootless: Command, busybox_image: str, place: Place, everyone: str
) -> None:
    source = place.work / "source"
    source.mkdir()
    (source / "old").write_text("old")
    script = "echo new >/data/new; rm /data/old; ls /data"
    out = rootless("run", "--rm", "-v", f"{source}:/data:O", busybox_image, "sh", "-c", script)
    assert out.stdout == "new\n"
    assert os.listdir(source) == ["old"]
    if everyone == "mapped":
        # :U hands the directory to the user of the container
        rootless("run", "--rm", "-v", f"{source}:/data:U", "-u", "1000", busybox_image,
                 "touch", "/data/by-guest")  # fmt: skip
        assert sorted(os.listdir(source)) == ["by-guest", "old"]
        assert source.stat().st_uid not in (0, os.getuid())
        rootless("run", "--rm", "-v", f"{source}:/data:U", busybox_image, "true")
        assert source.stat().st_uid == os.getuid()
