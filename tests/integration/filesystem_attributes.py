"""What a file system has to do with attributes and odd files: more checks of filesystem.py."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import threading
import traceback
from pathlib import Path

from integration import filesystem_checks
from integration.filesystem_checks import THE_PAST, check, fails

# ------------------------------------------------- attributes


@check
def extended_attributes(d: Path) -> None:
    os.setxattr(d / "file", "user.note", b"a value")
    os.setxattr(d / "tree", "user.note", b"")
    assert os.getxattr(d / "file", "user.note") == b"a value"
    assert os.listxattr(d / "file") == ["user.note"]
    assert os.listxattr(d / "tree") == ["user.note"]
    os.rename(d / "file", d / "moved")
    assert os.getxattr(d / "moved", "user.note") == b"a value"
    os.removexattr(d / "moved", "user.note")
    assert os.listxattr(d / "moved") == []
    fails(errno.ENODATA, os.getxattr, d / "moved", "user.note")
    fails(errno.EEXIST, os.setxattr, d / "tree", "user.note", b"x", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, d / "tree", "user.other", b"x", os.XATTR_REPLACE)


@check
def times(d: Path) -> None:
    os.utime(d / "link", (1, 2), follow_symlinks=False)
    assert os.lstat(d / "link").st_mtime == 2
    assert int(os.stat(d / "file").st_mtime) == THE_PAST
    before = os.stat(d / "tree").st_mtime
    os.utime(d / "tree", (3, 4))
    (d / "tree/new").touch()
    assert os.stat(d / "tree").st_mtime >= before


@check
def modes_of_directories(d: Path) -> None:
    os.chmod(d / "empty", 0o2775)
    (d / "empty/sub").mkdir()
    assert stat.S_IMODE(os.stat(d / "empty/sub").st_mode) & 0o2000
    os.chmod(d / "empty", 0o1777)
    assert stat.S_IMODE(os.stat(d / "empty").st_mode) == 0o1777
    old = os.umask(0o027)
    (d / "masked").mkdir()
    os.close(os.open(d / "maskedfile", os.O_CREAT | os.O_WRONLY, 0o666))
    os.umask(old)
    assert stat.S_IMODE(os.stat(d / "masked").st_mode) == 0o750
    assert stat.S_IMODE(os.stat(d / "maskedfile").st_mode) == 0o640


@check
def owners(d: Path) -> None:
    if not filesystem_checks.MANY_IDS:
        return
    os.chown(d / "file", 1000, 2000)
    found = os.stat(d / "file")
    assert (found.st_uid, found.st_gid) == (1000, 2000)
    os.lchown(d / "link", 33, 33)
    assert os.lstat(d / "link").st_uid == 33
    assert os.stat(d / "first").st_uid == 0
    os.chmod(d / "empty", 0o777)
    os.chmod(d / "private", 0o600)
    # somebody else: makes files of its own and is refused what is not its own
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            (d / "empty/mine").write_text("x")
            found = os.stat(d / "empty/mine")
            assert (found.st_uid, found.st_gid) == (1000, 1000)
            fails(errno.EACCES, os.open, d / "private", os.O_RDONLY)
            fails(errno.EACCES, os.unlink, d / "first")
            fails(errno.EPERM, os.chmod, d / "first", 0o777)
            fails(errno.EPERM, os.chown, d / "first", 1000, 1000)
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


@check
def special_files(d: Path) -> None:
    os.mkfifo(d / "fifo")
    reader = threading.Thread(target=lambda: (d / "fifo").read_bytes())
    reader.start()
    (d / "fifo").write_bytes(b"x")
    reader.join(60)
    assert not reader.is_alive()
    here = os.getcwd()
    os.chdir(d)
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind("socket")
        listening.listen()
        client.connect("socket")
    assert stat.S_ISSOCK(os.stat("socket").st_mode)
    os.chdir(here)
    fails(errno.EPERM, os.mknod, d / "device", stat.S_IFBLK | 0o600, os.makedev(8, 0))


@check
def a_lock_that_counts_links(d: Path) -> None:
    # as useradd(8) locks the user database
    with open(d / "lock.1", "x") as file:
        file.write("1")
    os.link(d / "lock.1", d / "lock")
    assert os.stat(d / "lock.1").st_nlink == 2
    os.unlink(d / "lock.1")
    os.unlink(d / "lock")


@check
def locks(d: Path) -> None:
    with open(d / "file", "r+") as one, open(d / "file", "r+") as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        fails(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)


@check
def odd_names(d: Path) -> None:
    names = [b"with space", b"new\nline", b"-rf", "Ünï".encode(), b"\xff\xfe", b"n" * 200]
    base = os.fsencode(d / "empty")
    for name in names:
        with open(base + b"/" + name, "wb") as file:
            file.write(name)
    assert sorted(os.listdir(base)) == sorted(names)
    for name in names:
        os.unlink(base + b"/" + name)
    assert os.listdir(base) == []


@check
def long_names(d: Path) -> None:
    (d / ("n" * 255)).write_text("x")
    assert "n" * 255 in os.listdir(d)
    fails(errno.ENAMETOOLONG, os.stat, d / ("n" * 256))
    fails(errno.ENAMETOOLONG, os.mkdir, d / ("n" * 256))
    assert os.statvfs(d).f_namemax >= 255


@check
def many_files(d: Path) -> None:
    for number in range(300):
        (d / f"empty/{number:04}").write_text(str(number))
    assert len(os.listdir(d / "empty")) == 300
    for number in range(0, 300, 2):
        os.unlink(d / f"empty/{number:04}")
    assert sorted(os.listdir(d / "empty")) == [f"{number:04}" for number in range(1, 300, 2)]


@check
def several_at_once(d: Path) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                path = d / f"tree/deep/w{number}-{turn}"
                path.write_text("x" * 1000)
                os.rename(path, d / f"plain/w{number}-{turn}")
                assert (d / f"plain/w{number}-{turn}").read_text() == "x" * 1000
                os.unlink(d / f"plain/w{number}-{turn}")
                with open(d / "file", "ab") as file:
                    file.write(b".")
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert (d / "file").read_bytes() == b"text\n" + b"." * 80
    assert os.listdir(d / "plain") == ["in"]


@check
def space(d: Path) -> None:
    found = os.statvfs(d)
    assert found.f_blocks > 0 and found.f_bsize > 0
    with open(d / "file", "r+b") as file:
        os.fsync(file.fileno())
    fd = os.open(d, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
