"""`cp` between containers, the host and pipes, by docker's rules; also while the container runs."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import time
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")


@pytest.fixture(params=["running", "created", "ended"])
def container(request: pytest.FixtureRequest, rootless: Command, busybox_image: str) -> str:
    """The name of a container in one of three states, with a few files of its own."""
    script = (
        "mkdir -p /box/in; echo one >/box/one; echo two >/box/in/two; ln -s one /box/link;"
        "ln -s /etc/passwd /box/away; chmod 750 /box/in"
    )
    seconds = "1000" if request.param == "running" else "0"
    words = ["--name", "c", "--network", "none", busybox_image, "sh", "-c"]
    if request.param == "created":
        # what it would have made comes in by cp itself
        rootless("create", *words, "true")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, mode in (("box", 0o755), ("box/in", 0o750)):
                member = tarfile.TarInfo(name)
                member.type, member.mode = tarfile.DIRTYPE, mode
                archive.addfile(member)
            for name, text in (("box/one", b"one\n"), ("box/in/two", b"two\n")):
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
            for name, target in (("box/link", "one"), ("box/away", "/etc/passwd")):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, target
                archive.addfile(member)
        rootless("cp", "-", "c:/", input=buffer.getvalue())
    else:
        rootless("run", "-d", *words, f"{script}; exec sleep {seconds}")
        if request.param == "ended":
            rootless("wait", "c")
        else:
            end = time.monotonic() + 60
            while rootless("exec", "c", "test", "-e", "/box/away", code=None).code:
                assert time.monotonic() < end
    return "c"


def test_out_of_a_container(rootless: Command, container: str, place: Place) -> None:
    work = place.work
    rootless("cp", f"{container}:/box/one", "here")
    assert (work / "here").read_text() == "one\n"
    rootless("cp", f"{container}:/box/one", ".")
    assert (work / "one").read_text() == "one\n"
    # a directory that does not exist becomes the copy; into one that does it goes by its name
    rootless("cp", f"{container}:/box", "new")
    assert sorted(os.listdir(work / "new")) == ["away", "in", "link", "one"]
    rootless("cp", f"{container}:/box", "new")
    assert sorted(os.listdir(work / "new")) == ["away", "box", "in", "link", "one"]
    (work / "flat").mkdir()
    rootless("cp", f"{container}:/box/.", "flat")
    assert sorted(os.listdir(work / "flat")) == ["away", "in", "link", "one"]
    assert (work / "flat/in/two").read_text() == "two\n"
    assert (work / "flat/in").stat().st_mode & 0o777 == 0o750
    # links stay links, and -L follows inside the container, never on the host
    assert os.readlink(work / "new/link") == "one"
    rootless("cp", f"{container}:/box/away", "link")
    assert os.readlink(work / "link") == "/etc/passwd"
    rootless("cp", "-L", f"{container}:/box/away", "followed")
    assert (work / "followed").read_text().startswith("root:x:0:0:root:/root:/bin/sh\nguest:")
    mine = {path.lstat().st_uid for path in work.rglob("*")}
    assert mine == {os.getuid()}


def test_into_a_container(rootless: Command, container: str, place: Place) -> None:
    def there(path: str) -> str:
        """What a container's file holds, whether it runs or not."""
        rootless("cp", "-L", f"{container}:{path}", "back")
        text = (place.work / "back").read_text()
        (place.work / "back").unlink()
        return text

    source = place.work / "source"
    (source / "deep").mkdir(parents=True)
    (source / "file").write_text("from outside")
    (source / "deep/er").write_text("deeper")
    (source / "link").symlink_to("file")
    rootless("cp", "source/file", f"{container}:/box/copy")
    assert there("/box/copy") == "from outside"
    rootless("cp", "source/file", f"{container}:/box")
    assert there("/box/file") == "from outside"
    rootless("cp", "source", f"{container}:/box/whole")
    assert there("/box/whole/deep/er") == "deeper"
    assert there("/box/whole/link") == "from outside"
    rootless("cp", "source/.", f"{container}:/box/in")
    assert there("/box/in/deep/er") == "deeper"
    assert there("/box/in/two") == "two\n"
    # an existing file is replaced; a link is followed inside
    rootless("cp", "source/deep/er", f"{container}:/box/one")
    assert there("/box/one") == "deeper"


def test_through_pipes(rootless: Command, container: str, place: Place) -> None:
    stream = rootless("cp", f"{container}:/box", "-").out
    with tarfile.open(fileobj=io.BytesIO(stream)) as archive:
        assert sorted(archive.getnames()) == ["box", "box/away", "box/in", "box/in/two",
                                              "box/link", "box/one"]  # fmt: skip
        assert {member.uid for member in archive} == {0}
    rootless("cp", "-", f"{container}:/tmp", input=stream)
    rootless("cp", f"{container}:/tmp/box/in/two", "two")
    assert (place.work / "two").read_text() == "two\n"


def test_from_container_to_container(
    rootless: Command, container: str, busybox_image: str, place: Place
) -> None:
    rootless("create", "--name", "other", busybox_image, "true")
    rootless("cp", f"{container}:/box", "other:/box")
    rootless("cp", "other:/box/in/two", ".")
    assert (place.work / "two").read_text() == "two\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["c:/no/such", "."], "no /no/such in the container"),
        (["no-such", "c:/tmp"], "no-such: No such file"),
        (["c:/box", "file"], "directory over the file"),
        (["dir", "c:/box/one"], "directory over the file"),
        (["file", "c:/no/such/place"], "does not exist"),
        (["file", "c:/box/none/"], "does not exist"),
        (["nobody:/x", "."], 'no such container: "nobody"'),
        (["file", "other"], "neither place is in a container"),
        (["-", "c:/box/one"], "/box/one"),
    ],
)
def test_mistakes(
    rootless: Command, busybox_image: str, place: Place, words: list[str], said: str
) -> None:
    rootless("run", "--name", "c", "--network", "none", busybox_image, "sh", "-c",
             "mkdir /box; touch /box/one")  # fmt: skip
    (place.work / "file").write_text("x")
    (place.work / "dir").mkdir()
    found = rootless("cp", *words, code=None, input=b"")
    assert found.code in (1, 125), found
    assert found.stderr.startswith("error: "), found
    assert said in found.stderr, found
    assert sorted(os.listdir(place.work)) == ["dir", "file"]


def test_owners_are_kept_when_asked(
    rootless: Command, busybox_image: str, place: Place, everyone: str
) -> None:
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sleep", "1000")
    (place.work / "file").write_text("x")
    rootless("cp", "file", "c:/root-owned")
    assert rootless("exec", "c", "stat", "-c", "%u", "/root-owned").stdout == "0\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("hers")
        member.uid = member.gid = 1000
        archive.addfile(member)
    rootless("cp", "-", "c:/", input=buffer.getvalue())
    expected = "1000\n" if everyone == "mapped" else "0\n"
    assert rootless("exec", "c", "stat", "-c", "%u", "/hers").stdout == expected


def test_volumes_and_binds_are_seen_as_inside(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    shared = place.work / "shared"
    shared.mkdir()
    rootless("create", "--name", "c", "-v", f"{shared}:/shared", "-v", "papers:/papers",
             busybox_image, "true")  # fmt: skip
    (place.work / "file").write_text("x")
    rootless("cp", "file", "c:/shared/file")
    assert (shared / "file").read_text() == "x"
    rootless("cp", "file", "c:/papers/file")
    where = rootless("volume", "inspect", "-f", "{{.Mountpoint}}", "papers").stdout.strip()
    assert Path(where, "file").read_text() == "x"


# ------------------------------------------------- a container that means harm


def test_links_that_change_while_cp_looks_never_lead_to_the_host(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    """CVE-2018-15664: a directory is exchanged for a link between look and use."""
    secret = place.work / "secret"
    secret.mkdir()
    (secret / "file").write_text("the host's")
    target = str(secret)
    script = (
        f"mkdir -p /d{target} /t/real; echo mine >/t/real/file; ln -s {target} /t/link;"
        "cd /t; touch /ready; while :; do mv real now; mv now real; mv link now; mv now link;"
        "mv real now; mv link real; mv real link; mv now real; done"
    )
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sh", "-c", script)
    end = time.monotonic() + 60
    while rootless("exec", "c", "test", "-e", "/ready", code=None).code:
        assert time.monotonic() < end
    (place.work / "own").write_text("copied in")
    for _ in range(12):
        rootless("cp", "c:/t/real/file", "out", code=None)
        if (place.work / "out").exists():
            assert (place.work / "out").read_text() != "the host's"
            (place.work / "out").unlink()
        rootless("cp", "own", "c:/t/real/file", code=None)
        assert (secret / "file").read_text() == "the host's"
        assert os.listdir(secret) == ["file"]
    rootless("rm", "-f", "c")


def test_two_copies_at_once_and_a_container_that_ends(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    script = "dd if=/dev/zero of=/big bs=1M count=30 2>/dev/null; touch /done; sleep 1000"
    rootless("run", "-d", "--name", "c", "--network", "none", busybox_image, "sh", "-c", script)
    end = time.monotonic() + 60
    while rootless("exec", "c", "test", "-e", "/done", code=None).code:
        assert time.monotonic() < end
    results: list[int] = []

    def copy(name: str) -> None:
        results.append(rootless("cp", "c:/big", name, code=None).code)

    threads = [threading.Thread(target=copy, args=(f"copy{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0]
    assert (place.work / "copy0").stat().st_size == 30 << 20
    copying = threading.Thread(target=copy, args=("copy2",))
    copying.start()
    rootless("rm", "-f", "c")
    copying.join()
    # either it was done, or it says that it was not
    assert results[2] == 0 or results[2] in (1, 125)
