"""The kernel room: wrappers, errors with paths, the seam, and that importing it is cheap."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rootless import kernel


def test_import_loads_no_extension() -> None:
    code = (
        "import sys, __future__, rootless; before = set(sys.modules)\n"
        "from rootless import kernel; kernel.RESOLVE_IN_ROOT\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"rootless", "rootless.kernel", "rootless.kernel.constants"}


def test_openat2_stays_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").write_text("inside")
    (root / "link").symlink_to("/etc/file")
    (root / "up").symlink_to("../../../../etc/file")
    fd = os.open(root, os.O_PATH)
    try:
        for name in ("etc/file", "/etc/file", "link", "up", "../../etc/file"):
            got = kernel.calls.openat2(fd, name, os.O_RDONLY, resolve=kernel.RESOLVE_IN_ROOT)
            assert os.read(got, 10) == b"inside", name
            assert not os.get_inheritable(got)
            os.close(got)
        with pytest.raises(OSError) as caught:
            kernel.calls.openat2(fd, "link", os.O_RDONLY, resolve=kernel.RESOLVE_BENEATH)
        assert caught.value.errno == errno.EXDEV
        assert caught.value.filename == "link"
        with pytest.raises(OSError) as caught:
            kernel.calls.openat2(fd, b"link", os.O_RDONLY, resolve=kernel.RESOLVE_NO_SYMLINKS)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(fd)


def test_openat2_stays_below_the_root_while_others_rename(tmp_path: Path) -> None:
    """Whoever renames, anywhere on the machine, makes the kernel unsure of each `..`: EAGAIN."""
    (tmp_path / "a/b").mkdir(parents=True)
    busy = os.fork()
    if busy == 0:
        names = [str(tmp_path / "one"), str(tmp_path / "two")]
        Path(names[0]).touch()
        while os.getppid() != 1:
            os.rename(*names)
            names.reverse()
    fd = os.open(tmp_path, os.O_PATH)
    path = "/".join(["a/b/../.."] * 20)
    try:
        for _ in range(5000):
            os.close(kernel.calls.openat2(fd, path, os.O_PATH, resolve=kernel.RESOLVE_IN_ROOT))
    finally:
        os.close(fd)
        os.kill(busy, signal.SIGKILL)
        os.waitpid(busy, 0)


def test_openat2_creates_with_mode(tmp_path: Path) -> None:
    fd = kernel.calls.openat2(
        kernel.AT_FDCWD, str(tmp_path / "new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600
    )
    os.close(fd)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "act",
    [
        lambda path: kernel.calls.openat2(kernel.AT_FDCWD, path, os.O_RDONLY),
        lambda path: kernel.calls.mknodat(kernel.AT_FDCWD, path, stat.S_IFIFO | 0o600),
        lambda path: kernel.calls.umount2(path),
        lambda path: kernel.calls.statfs(path),
        lambda path: kernel.calls.utimensat(kernel.AT_FDCWD, path, 0, 0),
    ],
)
def test_a_null_byte_is_refused(act: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="null byte"):
        act(str(tmp_path / "a") + "\0b")


def test_errors_carry_both_paths(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with pytest.raises(FileExistsError) as caught:
        kernel.calls.renameat2(
            kernel.AT_FDCWD,
            str(tmp_path / "a"),
            kernel.AT_FDCWD,
            str(tmp_path / "b"),
            kernel.RENAME_NOREPLACE,
        )
    assert caught.value.filename == str(tmp_path / "a")
    assert caught.value.filename2 == str(tmp_path / "b")


def test_rename_exchange(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    fd = os.open(tmp_path, os.O_PATH)
    kernel.calls.renameat2(fd, "a", fd, "b", kernel.RENAME_EXCHANGE)
    os.close(fd)
    assert (tmp_path / "a").read_text() == "b"


def test_times_have_nanoseconds_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    fd = os.open(tmp_path, os.O_PATH)
    before = (tmp_path / "file").stat().st_mtime_ns
    kernel.calls.utimensat(fd, "link", 123, 1_600_000_000_123_456_789)
    kernel.calls.utimensat(fd, "link", None, -1)
    os.close(fd)
    status = (tmp_path / "link").lstat()
    assert (status.st_atime_ns, status.st_mtime_ns) == (123, -1)
    assert (tmp_path / "file").stat().st_mtime_ns == before


def test_node_owner_and_link(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    kernel.calls.mknodat(fd, "fifo", stat.S_IFIFO | 0o600)
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)
    kernel.calls.fchownat(fd, "fifo", os.getuid(), -1)
    kernel.calls.fchownat(fd, "", -1, os.getgid(), kernel.AT_EMPTY_PATH)
    kernel.calls.linkat(fd, "fifo", fd, "again")
    assert (tmp_path / "again").stat().st_nlink == 2
    os.close(fd)


def test_extended_attributes_by_descriptor(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    directory = os.open(tmp_path, os.O_PATH)
    kernel.calls.lsetxattr(directory, "file", "user.one", b"1")
    assert os.getxattr(tmp_path / "file", "user.one") == b"1"
    with pytest.raises(PermissionError):
        # the kernel has no user.* attributes on symbolic links: so it was not followed
        kernel.calls.lsetxattr(directory, "link", "user.one", b"2")
    with pytest.raises(ValueError):
        kernel.calls.lsetxattr(directory, "sub/file", "user.one", b"2")
    for flags in (os.O_PATH, os.O_RDONLY):
        fd = os.open(tmp_path / "file", flags)
        kernel.calls.fsetxattr(fd, "user.two", b"%d" % flags)
        os.close(fd)
        assert os.getxattr(tmp_path / "file", "user.two") == b"%d" % flags
    fd = os.open("link", os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    with pytest.raises(PermissionError):
        kernel.calls.fsetxattr(fd, "user.two", b"x")
    os.close(fd)
    os.close(directory)


def test_statfs() -> None:
    proc = kernel.calls.statfs("/proc")
    assert proc.type == 0x9FA0
    fd = os.open("/proc", os.O_RDONLY)
    assert kernel.calls.fstatfs(fd).type == proc.type
    os.close(fd)
    root, peer = kernel.calls.statfs("/"), os.statvfs("/")
    assert (root.blocks, root.files, root.namelen) == (peer.f_blocks, peer.f_files, peer.f_namemax)


def test_capabilities_and_prctl() -> None:
    effective, permitted, inheritable = kernel.calls.capget()
    assert effective & ~permitted == 0
    kernel.calls.capset(effective, permitted, inheritable)
    assert kernel.calls.prctl(kernel.PR_GET_DUMPABLE) in (0, 1, 2)
    with pytest.raises(OSError) as caught:
        kernel.calls.prctl(12345)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o4755, 0o2711, 0o666, 0o000, 0o1640])
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_new_file_is_exactly_what_was_asked_for(tmp_path: Path, mode: int, mask: int) -> None:
    when = -1_500_000_001  # before 1970, with a fraction
    fd = os.open(tmp_path, os.O_PATH)
    old = os.umask(mask)
    try:
        for owner in (None, (os.getuid(), os.getgid())):
            name = f"one{owner}"
            assert not kernel.calls.new_file(
                fd, name, memoryview(b"content"), mode=mode, owner=owner, time_ns=when
            )
            found = (tmp_path / name).stat()
            assert stat.S_IMODE(found.st_mode) == mode
            assert (found.st_mtime_ns, found.st_size) == (when, 7)
            with pytest.raises(FileExistsError) as caught:
                kernel.calls.new_file(fd, name, b"", mode=0o644, owner=None, time_ns=0)
            assert caught.value.filename == name
        assert kernel.calls.new_file(fd, "his", b"x", mode=0o644, owner=(1, 1), time_ns=0) == 2
        assert (tmp_path / "his").read_bytes() == b"x"
        (tmp_path / "link").symlink_to("his")
        with pytest.raises(FileExistsError):
            kernel.calls.new_file(fd, "link", b"", mode=0o644, owner=None, time_ns=0)
    finally:
        os.umask(old)
        os.close(fd)


def test_pidfd() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        pidfd = kernel.calls.pidfd_open(child.pid)
        kernel.calls.pidfd_send_signal(pidfd, 15)
        assert child.wait() == -15
        with pytest.raises(ProcessLookupError):
            kernel.calls.pidfd_send_signal(pidfd, 15)
        os.close(pidfd)
    finally:
        child.kill()
        child.wait()


def test_close_range() -> None:
    code = (
        "import os, sys\nfrom rootless import kernel\n"
        "kernel.calls\nfds = [os.dup(0) for _ in range(3)]\n"
        "kernel.calls.close_range(fds[0], fds[-1])\n"
        "print(*(os.path.exists(f'/proc/self/fd/{fd}') for fd in fds))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False False\n"


def test_reflink_or_a_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(b"x" * 4096)
    with open(tmp_path / "from", "rb") as source, open(tmp_path / "to", "wb") as target:
        try:
            kernel.calls.ioctl_ficlone(target.fileno(), source.fileno())
        except OSError as error:
            assert error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.EXDEV)
        else:
            assert (tmp_path / "to").read_bytes() == b"x" * 4096
        kernel.calls.syncfs(target.fileno())


def test_the_seam_takes_a_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder(kernel.Kernel):
        __slots__ = ("made",)

        def __init__(self) -> None:
            self.made: list[tuple[object, ...]] = []

        def mount(self, *words: object) -> None:  # type: ignore[override]
            self.made.append(words)

    recorder = Recorder()
    monkeypatch.setattr(kernel, "calls", recorder)
    kernel.calls.mount(None, "/nowhere", "tmpfs")
    assert recorder.made == [(None, "/nowhere", "tmpfs")]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError):
        kernel.nonsense  # noqa: B018
