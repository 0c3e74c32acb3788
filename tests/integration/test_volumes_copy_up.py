"""A new volume receives what the image has at its place: once, as a whole, and never again."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Command, Place

everyone = pytest.mark.usefixtures("everyone")

FILES = {f"store/{name}": name * 100 for name in ("one", "two", "deep/three")}


@pytest.fixture
def image(rootless: Command, busybox_tar: Path, place: Place) -> str:
    """Busybox with /store, which is a database's own, and /bare, which is empty."""
    tar = place.base / "store.tar"
    tar.write_bytes(busybox_tar.read_bytes())
    with tarfile.open(tar, "a") as archive:
        for name, mode in (("store", 0o700), ("store/deep", 0o750), ("bare", 0o1730)):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            directory.uid = directory.gid = 999
            archive.addfile(directory)
        for name, text in FILES.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode, file.uid = len(text), 0o640, 999
            archive.addfile(file, io.BytesIO(text.encode()))
        for number in range(1500):
            archive.addfile(tarfile.TarInfo(f"many/{number}"))
    rootless("import", tar, "store")
    return "store"


@pytest.fixture
def sh(rootless: Command, image: str) -> Callable[..., str]:
    """Runs a script in a new container, with options before it; its output."""

    def run(script: str, *words: str) -> str:
        base = ["run", "--rm", "--network", "none", *words, image, "sh", "-c", script]
        return rootless(*base).stdout

    return run


def _word(place: Place, name: str, word: str = "") -> str:
    """What the record of a volume says; with `word` it says that from now on."""
    path = place.data / "volumes" / name / "volume.json"
    if word:
        path.write_text(path.read_text().replace('"done"', f'"{word}"'))
    return str(json.loads(path.read_text())["copyUp"])


def _wait(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.002)


@everyone
def test_a_restart_copies_nothing(rootless: Command, image: str, everyone: str) -> None:
    """The owner, the mode and the files are what the program made of them."""
    script = "test -e /store/mine || { rm /store/one; touch /store/mine; chmod 711 /store;" \
        " test $OWNER = 0 || chown 77:78 /store; chmod 700 /bare; }; ls -d /store/*;" \
        " stat -c '%u:%g %a' /store /bare; echo end; exec sleep 1000"  # fmt: skip
    owner = "77:78" if everyone == "mapped" else "0:0"
    once = f"/store/deep\n/store/mine\n/store/two\n{owner} 711\n"
    bare = "999:999 700" if everyone == "mapped" else "0:0 700"
    rootless("run", "-d", "--name", "c", "--network", "none", "-v", "s:/store", "-v", "/bare", "-e",
             f"OWNER={owner[0]}", "--restart", "always", "--stop-timeout", "0", image, "sh", "-c",
             script)  # fmt: skip
    # by hand, and by policy, which happens when the first process is killed
    rootless("restart", "c")
    state = rootless("inspect", "c").json()[0]["State"]
    assert state["Pid"] > 1, state
    os.kill(state["Pid"], signal.SIGKILL)
    _wait(lambda: rootless("logs", "c").stdout.count("end") == 3, "it was not restarted")
    assert rootless("logs", "c").stdout == f"{once}{bare}\nend\n" * 3
    # and a second container with the same volume finds the same
    again = rootless("run", "--rm", "-v", "s:/store", image, "sh", "-c", "ls -d /store/*; stat -c"
                     " '%u:%g %a' /store")  # fmt: skip
    assert again.stdout == once


@everyone
def test_the_first_use_gives_files_owner_and_mode(
    rootless: Command, sh: Callable[..., str], image: str, place: Place, everyone: str
) -> None:
    look = "cd /v; find . -type f | xargs cat | wc -c; stat -c '%u:%g %a' . one deep"
    own = "999:999" if everyone == "mapped" else "0:0"
    group = "999:0" if everyone == "mapped" else "0:0"
    # read-only is for the container; another container has them elsewhere
    sh("true", "-v", "s:/store:ro")
    size = sum(map(len, FILES.values()))
    assert sh(look, "-v", "s:/v") == f"{size}\n{own} 700\n{group} 640\n{own} 750\n"
    # the directory of the image may be empty, and what is left empty is not filled later
    assert sh("stat -c '%u:%g %a' /bare; chmod 755 /bare", "-v", "b:/bare") == f"{own} 1730\n"
    assert sh("ls /store; stat -c %a /store", "-v", "b:/store") == "755\n"
    # a place that the image does not have is a first use as well
    assert sh("ls /none; stat -c %a /none", "-v", "n:/none") == "755\n"
    assert sh("ls /store", "-v", "n:/store") == ""
    # who says nocopy has not asked what the image has
    assert sh("ls /store", "-v", "later:/store:nocopy") == ""
    assert sh("ls /store", "-v", "later:/store") == "deep\none\ntwo\n"
    # deleted means deleted
    sh("rm -r /store/*", "-v", "later:/store")
    assert sh("ls /store", "-v", "later:/store") == ""
    # what somebody has put there before is not mixed with the image's
    rootless("volume", "create", "mine")
    (place.data / "volumes/mine/_data/own").touch()
    assert sh("ls /store", "-v", "mine:/store") == "own\n"
    sh("rm /store/own", "-v", "mine:/store")
    assert sh("ls /store", "-v", "mine:/store") == ""
    # made, not started: nothing was used; the one that is started first decides
    rootless("create", "--name", "c", "-v", "w:/store", image, "true")
    assert sh("ls /bare", "-v", "w:/bare") == ""
    rootless("start", "-a", "c")
    assert sh("ls /v", "-v", "w:/v") == ""
    if everyone == "mapped":
        # an owner that was asked for stays
        rootless("volume", "create", "-o", "o=uid=5,gid=6", "given")
        found = sh("stat -c %u:%g /store; ls /store", "-v", "given:/store")
        assert found == "5:6\ndeep\none\ntwo\n"
    assert {_word(place, name) for name in ("s", "b", "n", "later", "mine", "w")} == {"done"}


@pytest.mark.parametrize("words", [["--userns", "keep-id"], ["--userns", "auto"],
                                   ["--userns", "nomap"], ["--runtime", "crun"],
                                   ["--storage-driver", "python-fuse"]])  # fmt: skip
def test_ways_to_start(rootless: Command, image: str, words: list[str], place: Place) -> None:
    """Ids that are not the person's, another runtime and a server of files: all the same."""
    front = [words.pop(0), words.pop(0)] if words[0] == "--storage-driver" else []
    base = [*front, "run", "--rm", *words, "-u", "0", "--network", "none", "-v", "s:/store", image]
    # /store is 0700 and not root's: root of these has the right to look all the same
    assert rootless(*base, "sh", "-c", "ls /store; rm /store/one").stdout == "deep\none\ntwo\n"
    assert _word(place, "s") == "done"
    if "auto" not in words:  # the next one has other ids
        assert rootless(*base, "sh", "-c", "ls /store").stdout == "deep\ntwo\n"


@everyone
def test_two_first_starts_at_once(rootless: Command, image: str, place: Place) -> None:
    """One copies, the other waits until everything is there."""
    names = [f"c{number}" for number in range(4)]
    for name in names:
        rootless("create", "--name", name, "--network", "none", "-v", "m:/many", image, "sh", "-c",
                 f"ls /many | wc -l; touch /many/{name}")  # fmt: skip
    fronts = [rootless.start("start", "-a", name, stdout=subprocess.PIPE) for name in names]
    counts = sorted(int(front.communicate(timeout=100)[0]) for front in fronts)
    assert [front.returncode for front in fronts] == [0] * 4
    assert counts[0] >= 1500 and counts[-1] < 1504


@everyone
def test_a_copy_that_was_killed_is_made_again(rootless: Command, image: str, place: Place) -> None:
    """Never half of it: whoever starts next has all files, and only then is it done."""
    volume = place.data / "volumes" / "m" / "_data"
    rootless("create", "--name", "c", "--network", "none", "-v", "m:/many", image, "sh", "-c",
             "ls /many | wc -l")  # fmt: skip
    front = rootless.start("start", "-a", "c", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _wait(lambda: _word(place, "m") != "todo", "nothing was copied")
    found = list(_monitors(place))
    # who copies is a child, and ends a moment after the monitor
    for pid in list(found):
        found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        os.kill(pid, signal.SIGKILL)
    front.communicate(timeout=100)
    _wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in found), "it was not ended")
    assert rootless("start", "-a", "c").stdout == "1500\n"
    assert _word(place, "m") == "done"
    # half a file, and a directory without its owner and mode, are what such a copy leaves
    rootless("run", "--rm", "--network", "none", "-v", "s:/store", image, "true")
    rootless("unshare", "sh", "-c", f"cd {volume}/../../s/_data; chmod 755 . deep; rm two; "
             "echo half >one; ln -s /etc deep/three.tmp; mv deep/three.tmp deep/three")  # fmt: skip
    _word(place, "s", "half")
    made = rootless("run", "--rm", "--network", "none", "-v", "s:/store", image, "sh", "-c",
                    "cd /store; cat one two deep/three; stat -c %a . deep one").stdout  # fmt: skip
    assert made == "".join(FILES.values()) + "700\n750\n640\n"
    assert _word(place, "s") == "done"


def _monitors(place: Place) -> Iterator[int]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
        if str(place.data / "containers").encode() in words and b"orders" in words:
            yield int(name)


@everyone
def test_volumes_of_an_earlier_version(
    rootless: Command, sh: Callable[..., str], place: Place
) -> None:
    """Their records do not tell: an empty one is new, one with files was used."""
    for name in ("empty", "full"):
        rootless("volume", "create", name)
        path = place.data / "volumes" / name / "volume.json"
        record = json.loads(path.read_text())
        del record["copyUp"]
        path.write_text(json.dumps(record))
    (place.data / "volumes/full/_data/own").touch()
    assert sh("ls /store", "-v", "empty:/store") == "deep\none\ntwo\n"
    assert sh("ls /store; rm /store/own", "-v", "full:/store") == "own\n"
    assert sh("ls /store", "-v", "full:/store") == ""
    # written by hand, in another form: nothing is copied into what cannot be told
    path = place.data / "volumes/full/volume.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4).replace("done", "todo"))
    assert sh("ls /store", "-v", "full:/store") == ""
