"""Places that the image has otherwise than expected: links that lead nowhere, modes, read-only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture
def linked(rootless: Command, busybox: Path, place: Place) -> str:
    """An image as systemd leaves one: what is bound leads where nothing is yet."""
    root = place.work / "linked"
    for name in ("bin", "etc", "keep", "deep/er"):
        (root / name).mkdir(parents=True)
    (root / "bin/busybox").write_bytes(busybox.read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for name in ("sh", "cat", "stat", "touch", "pwd", "readlink"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    # each of these leaves the root: into a directory that the host has, and by its name
    (root / "etc/hosts").symlink_to("../../../../../../../../" + str(place.work / "outside/hosts"))
    (root / "etc/hostname").symlink_to(place.work / "outside/hostname")
    (root / "directory").symlink_to("other/place")
    (root / "deep/er/chain").symlink_to("../link")
    (root / "deep/link").symlink_to("/made/here")
    (root / "round").symlink_to("round")
    (root / "keep/file").write_text("kept")
    (root / "keep").chmod(0o750)
    tar = place.work / "linked.tar"
    subprocess.run(["tar", "-C", root, "--owner=0", "--group=0", "-cf", tar, "."], check=True)
    rootless("import", tar, "linked:1")
    (place.work / "outside").mkdir()
    return "linked:1"


def test_a_link_to_nothing_is_bound_where_it_leads(
    rootless: Command, linked: str, place: Place
) -> None:
    shared = place.work / "shared"
    shared.mkdir()
    (shared / "file").write_text("shared")
    found = rootless(
        "run", "--rm", "-h", "inner", "-v", f"{shared}:/directory",
        "-v", f"{shared}:/deep/er/chain", "--tmpfs", "/directory/../memory", linked, "sh", "-c",
        "cat /etc/hostname /directory/file /other/place/file /made/here/file; readlink /directory;"
        f"cat {place.work}/outside/hostname {place.work}/outside/hosts; cat /etc/resolv.conf",
    )  # fmt: skip
    lines = found.stdout.splitlines()
    assert lines[:2] == ["inner", "sharedsharedsharedother/place"]
    assert "inner" in lines[2]
    assert any(line.endswith("localhost") for line in lines)
    assert any(line.startswith("nameserver ") for line in lines)
    # the host has nothing new
    assert os.listdir(place.work / "outside") == []
    round_ = rootless("run", "--rm", "-v", f"{shared}:/round", linked, "pwd", code=None)
    assert round_.code in (125, 126)
    assert "/round" in round_.stderr


def test_modes_of_a_tmpfs(rootless: Command, linked: str) -> None:
    """What was asked for holds; without, what is copied up brings its own, and docker's is 1777."""
    for words, expected in (
        (("--tmpfs", "/keep"), "1777\n"),
        (("--tmpfs", "/keep:mode=711"), "711\n"),
        (("--tmpfs", "/keep:tmpcopyup"), "750\nkept"),
        (("--tmpfs", "/keep:tmpcopyup,mode=711"), "711\nkept"),
        (("--mount", "type=tmpfs,target=/keep,tmpcopyup,tmpfs-mode=1700"), "1700\nkept"),
    ):
        found = rootless("run", "--rm", "--network", "none", *words, linked, "sh", "-c",
                         "stat -c %a /keep; cat /keep/file 2>/dev/null || :")  # fmt: skip
        assert found.stdout == expected, words


def test_a_new_working_directory_below_a_read_only_root(
    rootless: Command, linked: str, place: Place
) -> None:
    """As with docker and podman, which make it before the root becomes read-only."""
    found = rootless("run", "--rm", "--read-only", "-w", "/new/one", linked, "sh", "-c",
                     "pwd; touch /new/one/file", code=1)  # fmt: skip
    assert found.stdout == "/new/one\n"
    assert "Read-only file system" in found.stderr
    refused = rootless("run", "--rm", "--read-only", "-v", f"{place.work}:/v:ro", "-w", "/v/new",
                       linked, "pwd", code=None)  # fmt: skip
    assert refused.code in (125, 126)
    assert "the working directory /v/new cannot be entered" in refused.stderr
