"""What a file system has to do with content and names: checks of filesystem.py.

Each gets a directory of its own with what `filesystem.content` puts there.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOCAL = True
"""A reader of a file sees at once what another descriptor writes."""
MANY_IDS = False
"""Files may belong to others than root."""
Check = Callable[[Path], None]
CHECKS: dict[str, Check] = {}
THE_PAST = 1_500_000_000


def check(function: Check) -> Check:
    """Registers a check under its name."""
    CHECKS[function.__name__] = function
    return function


def fails(number: int, act: Callable[..., object], *words: Any) -> None:
    """Asserts an error number."""
    try:
        act(*words)
    except OSError as error:
        assert error.errno == number, f"{errno.errorcode[error.errno or 0]}: {error}"
        return
    raise AssertionError(f"no error: {act.__name__}{words}")


def moves(source: Path, target: Path) -> None:
    """As mv(1): a directory that an overlay cannot rename is copied."""
    try:
        os.rename(source, target)
    except OSError as error:
        assert error.errno == errno.EXDEV, error
        shutil.move(source, target)


# ------------------------------------------------- reading


@check
def reads_what_is_there(d: Path) -> None:
    assert sorted(os.listdir(d)) == [
        "away", "big", "empty", "file", "first", "link", "pipe", "plain", "private", "second",
        "sparse", "tree",
    ]  # fmt: skip
    assert sorted(os.listdir(d / "tree")) == ["deep", "one", "two"]
    assert (d / "file").read_bytes() == b"text\n"
    assert os.readlink(d / "away") == "/etc"
    assert stat.S_ISFIFO(os.stat(d / "pipe").st_mode)
    assert int(os.stat(d / "file").st_mtime) == THE_PAST
    assert stat.S_IMODE(os.stat(d / "private").st_mode) == 0o4600
    assert os.stat(d / "sparse").st_size == 10_000_000
    assert os.stat(d / "first").st_nlink == 2
    fails(errno.ENOENT, os.stat, d / "nothing")
    fails(errno.ENOTDIR, os.stat, d / "file/in")


@check
def kinds_in_a_listing(d: Path) -> None:
    found = {entry.name: entry for entry in os.scandir(d)}
    assert found["tree"].is_dir(follow_symlinks=False)
    assert found["link"].is_symlink()
    assert found["file"].is_file(follow_symlinks=False)
    for name in ("file", "tree", "empty", "plain"):
        assert found[name].inode() == os.lstat(d / name).st_ino, name


@check
def numbers_stay(d: Path) -> None:
    before = {name: os.lstat(d / name).st_ino for name in ("file", "tree", "empty", "link")}
    assert len(set(before.values())) == 4
    with open(d / "file", "a") as file:
        file.write("more")
    (d / "tree/new").touch()
    (d / "empty/new").touch()
    after = {name: os.lstat(d / name).st_ino for name in before}
    # copies have files of their own from the start, and so do all others here
    assert before == after


# ------------------------------------------------- changing


@check
def changes_keep_everything_else(d: Path) -> None:
    os.chmod(d / "big", 0o751)
    found = os.stat(d / "big")
    assert (stat.S_IMODE(found.st_mode), int(found.st_mtime)) == (0o751, THE_PAST)
    assert (
        hashlib.sha256((d / "big").read_bytes()).digest()
        == hashlib.sha256(bytes(range(256)) * 2048).digest()
    )
    with open(d / "private", "r+") as file:
        file.seek(2)
        file.write("X")
    assert (d / "private").read_text() == "seXret"
    os.utime(d / "tree/one", (5, 7))
    assert (os.stat(d / "tree/one").st_atime, os.stat(d / "tree/one").st_mtime) == (5, 7)
    os.truncate(d / "big", 1000)
    assert (d / "big").read_bytes() == (bytes(range(256)) * 4)[:1000]
    os.truncate(d / "file", 0)
    assert (d / "file").read_bytes() == b""
    os.truncate(d / "file", 3)
    assert (d / "file").read_bytes() == b"\0\0\0"


@check
def append_and_truncate(d: Path) -> None:
    with open(d / "file", "ab") as one, open(d / "file", "ab") as two:
        for number in range(20):
            (one if number % 2 else two).write(b"%d\n" % number)
            one.flush()
            two.flush()
    assert (d / "file").read_bytes() == b"text\n" + b"".join(b"%d\n" % n for n in range(20))
    with open(d / "big", "wb") as file:
        file.write(b"new")
    assert (d / "big").read_bytes() == b"new"
    with open(d / "fresh", "xb") as file:
        file.write(b"x" * 300_000)
    assert os.stat(d / "fresh").st_size == 300_000
    fails(errno.EEXIST, os.open, d / "fresh", os.O_CREAT | os.O_EXCL)
    fails(errno.EISDIR, os.open, d / "tree", os.O_WRONLY)
    fails(errno.ELOOP, os.open, d / "link", os.O_RDONLY | os.O_NOFOLLOW)


@check
def a_reader_sees_what_is_written(d: Path) -> None:
    with open(d / "file", "rb", buffering=0) as reader:
        with open(d / "file", "r+b", buffering=0) as writer:
            writer.write(b"TEXT")
        if LOCAL:
            assert reader.read() == b"TEXT\n"
    assert (d / "file").read_bytes() == b"TEXT\n"


@check
def maps(d: Path) -> None:
    with open(d / "big", "r+b") as file, mmap.mmap(file.fileno(), 0) as area:
        area[1000:1004] = b"MMAP"
        area.flush()
    assert (d / "big").read_bytes()[1000:1004] == b"MMAP"
    with open(d / "big", "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as area:
        assert area[1000:1004] == b"MMAP"


@check
def holes(d: Path) -> None:
    os.chmod(d / "sparse", 0o600)
    found = os.stat(d / "sparse")
    assert found.st_size == 10_000_000
    assert found.st_blocks < 100, found.st_blocks
    with open(d / "sparse", "r+b") as file:
        file.seek(5_000_000)
        file.write(b"x")
    data = (d / "sparse").read_bytes()
    assert data.count(b"\0") == 9_999_999 and data[5_000_000] == 120


# ------------------------------------------------- removing


@check
def removed_names_are_gone(d: Path) -> None:
    for name in ("file", "link", "pipe", "tree/one", "plain/in"):
        os.unlink(d / name)
        assert not os.path.lexists(d / name)
        assert Path(name).name not in os.listdir((d / name).parent)
    fails(errno.ENOENT, os.unlink, d / "file")
    fails(errno.ENOTEMPTY, os.rmdir, d / "tree")
    fails(errno.EISDIR, os.unlink, d / "tree")
    fails(errno.ENOTDIR, os.rmdir, d / "big")
    os.rmdir(d / "empty")
    os.rmdir(d / "plain")
    shutil.rmtree(d / "tree")
    assert not (d / "tree").exists()


@check
def removed_names_can_be_taken_again(d: Path) -> None:
    for name in ("file", "link", "plain/in"):
        os.unlink(d / name)
    for name in ("empty", "plain"):
        os.rmdir(d / name)
    shutil.rmtree(d / "tree")
    # nothing of the old shines through
    (d / "tree").mkdir()
    assert os.listdir(d / "tree") == []
    (d / "tree/one").mkdir()
    (d / "file").write_text("again")
    (d / "plain").write_text("a file now")
    os.symlink("x", d / "empty")
    os.mkfifo(d / "link")
    assert (d / "file").read_text() == "again"
    shutil.rmtree(d / "tree")
    (d / "tree").mkdir(0o700)
    assert os.listdir(d / "tree") == []
    assert stat.S_IMODE(os.stat(d / "tree").st_mode) == 0o700


@check
def open_files_outlive_their_names(d: Path) -> None:
    for name, text in (("file", b"text\n"), ("fresh", b"new")):
        if name == "fresh":
            (d / name).write_bytes(text)
        with open(d / name, "r+b", buffering=0) as file:
            os.unlink(d / name)
            assert name not in os.listdir(d)
            assert [one for one in os.listdir(d) if one.startswith(".fuse")] == []
            assert file.read() == text
            file.write(b"more")
            file.seek(0)
            assert file.read() == text + b"more"
            assert os.fstat(file.fileno()).st_size == len(text) + 4
            os.ftruncate(file.fileno(), 2)
            assert os.fstat(file.fileno()).st_size == 2
    with open(d / "big", "rb") as reader:
        os.unlink(d / "big")
        (d / "big").write_text("another")
        assert len(reader.read()) == 256 * 2048
    assert (d / "big").read_text() == "another"
    # nothing is in the way of removing the directory
    with open(d / "plain/in") as reader:
        shutil.rmtree(d / "plain")
    assert not (d / "plain").exists()


@check
def names_that_others_use_for_themselves(d: Path) -> None:
    # libfuse gives such names to open files that are removed; anybody may use them as well
    for source, name in (("file", ".fuse_hidden"), ("tree/one", ".fuse_hidden0000000100000001"),
                         ("private", ".fuse_hiddenfedcba9876543210x")):  # fmt: skip
        before = (d / source).stat()
        os.rename(d / source, d / name)
        assert not (d / source).exists()
        assert name in os.listdir(d)
        assert (d / name).stat().st_size == before.st_size
    (d / ".fuse_hidden00000000").write_text("mine")
    with open(d / ".fuse_hidden00000000") as file:
        os.rename(d / ".fuse_hidden00000000", d / ".fuse_hidden00000001")
        assert file.read() == "mine"
    assert (d / ".fuse_hidden00000001").read_text() == "mine"
    os.unlink(d / ".fuse_hidden00000001")


# ------------------------------------------------- renaming and linking


@check
def renames_files(d: Path) -> None:
    os.rename(d / "file", d / "moved")
    assert not (d / "file").exists()
    assert (d / "moved").read_text() == "text\n"
    os.rename(d / "moved", d / "tree/one")
    assert (d / "tree/one").read_text() == "text\n"
    assert sorted(os.listdir(d / "tree")) == ["deep", "one", "two"]
    os.rename(d / "link", d / "link2")
    assert os.readlink(d / "link2") == "file"
    os.rename(d / "big", d / "file")
    assert os.stat(d / "file").st_size == 256 * 2048
    fails(errno.EISDIR, os.rename, d / "file", d / "empty")
    fails(errno.ENOTDIR, os.rename, d / "empty", d / "file")
    fails(errno.ENOENT, os.rename, d / "nothing", d / "x")
    os.unlink(d / "file")
    os.rename(d / "tree/one", d / "file")
    assert (d / "file").read_text() == "text\n"


@check
def renames_directories(d: Path) -> None:
    (d / "new/sub").mkdir(parents=True)
    (d / "new/sub/file").write_text("x")
    os.rename(d / "new", d / "renamed")
    assert (d / "renamed/sub/file").read_text() == "x"
    assert not (d / "new").exists()
    os.rename(d / "renamed", d / "empty")
    assert (d / "empty/sub/file").read_text() == "x"
    fails(errno.ENOTEMPTY, os.rename, d / "empty", d / "tree")
    fails(errno.EINVAL, os.rename, d / "empty", d / "empty/sub/in")
    # a name that a lower layer had: nothing shines through what takes its place
    shutil.rmtree(d / "tree")
    moves(d / "empty", d / "tree")
    assert os.listdir(d / "tree") == ["sub"]
    # one that lies below: as the kernel's overlay, or as any other file system
    moves(d / "plain", d / "elsewhere")
    assert (d / "elsewhere/in").read_text() == "in"
    assert not (d / "plain").exists()


@check
def links(d: Path) -> None:
    os.link(d / "file", d / "other")
    assert os.stat(d / "other").st_nlink == 2
    end = time.monotonic() + 60
    # the old name's count may be a remembered one for a moment
    while os.stat(d / "file").st_nlink != 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert os.stat(d / "file").st_nlink == 2
    os.unlink(d / "file")
    assert (d / "other").read_text() == "text\n"
    os.link(d / "other", d / "file")
    assert (d / "file").read_text() == "text\n"
    # a rename between two names of one file does nothing
    os.rename(d / "file", d / "other")
    assert (d / "file").exists() and (d / "other").exists()
    fails(errno.EEXIST, os.link, d / "file", d / "other")
    fails(errno.EPERM, os.link, d / "tree", d / "tree2")
    os.symlink("nowhere", d / "dangling")
    fails(errno.ENOENT, os.stat, d / "dangling")
    fails(errno.EEXIST, os.symlink, "x", d / "dangling")
