"""Entering user namespaces: rootless-enter, and Python functions called inside."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import Command

from rootless import errors, paths
from rootless.userns import calls, helpers, idmap
from rootless.userns.idmap import IdMaps

ENTER = paths.helper("enter")

INSIDE = """
import os, signal, stat, sys, time
from rootless import errors

def who(request):
    return [os.getuid(), os.getgid(), os.getgroups(), request]

def caps(request):
    return next(l.split()[1] for l in open("/proc/self/status") if l.startswith("CapEff"))

def chown(request):
    fd = os.open(request["path"], os.O_CREAT | os.O_WRONLY, 0o600)
    os.fchown(fd, request["uid"], request["gid"])
    s = os.fstat(fd)
    return [s.st_uid, s.st_gid]

def unlink(request):
    os.unlink(request)

def copy(request):
    total = 0
    while part := os.read(0, 65536):
        total += len(part)
        while part:
            part = part[os.write(1, part):]
    return total

def read_fd(request):
    return os.read(request, 100).decode()

def refuse(request):
    raise errors.DigestMismatch("sha256:00 is not it", hint="pull again")

class Special(errors.StorageError):
    pass

def special(request):
    raise Special("special")

def broken(request):
    raise KeyError("gone")

def missing(request):
    open("/does/not/exist")

def die(request):
    os.kill(os.getpid(), request)

def leave(request):
    os._exit(request)

def sleep(request):
    time.sleep(60)

def mounts(request):
    from rootless import kernel
    kernel.calls.mount("none", request, "tmpfs")
    return os.stat(request).st_dev != os.stat(os.path.dirname(request)).st_dev

def large(request):
    return request * 2

def fds(request):
    return sorted(int(n) for n in os.listdir("/proc/self/fd"))

def dumpable(request):
    return os.stat("/proc/self/status").st_uid
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that both this process and the workers can import."""
    (tmp_path / "inside.py").write_text(INSIDE)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture(params=["default", "single"])
def maps(request: pytest.FixtureRequest) -> IdMaps:
    """Both kinds of maps; the default is the single one for a user without subordinate ids."""
    if request.param == "single":
        return idmap.single_maps(os.getuid(), os.getgid(), "a test")
    return many()


def many() -> IdMaps:
    found = idmap.default_maps()
    assert not found.single, found.why
    return found


def options(maps: IdMaps) -> list[str]:
    """Options of rootless-enter for a map."""
    words = ["--uid-map", maps.proc_text("uids"), "--gid-map", maps.proc_text("gids")]
    programs = helpers.needed(maps)
    if programs[0]:
        words += ["--newuidmap", programs[0], "--newgidmap", programs[1]]
    return words


def enter(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ENTER, *words], capture_output=True, text=True, timeout=60)


# ------------------------------------------------------------ the program


def test_root_with_all_capabilities(maps: IdMaps) -> None:
    done = enter(
        *options(maps), "--", "sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status"
    )
    assert done.returncode == 0, done.stderr
    uid, gid, _, caps = done.stdout.splitlines()
    assert (uid, gid) == ("0", "0")
    assert int(caps.split()[1], 16) & 0x1FFFFFFFFF == 0x1FFFFFFFFF


def test_the_map_is_the_one_asked_for(maps: IdMaps) -> None:
    done = enter(*options(maps), "--", "cat", "/proc/self/uid_map")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "".join(f"{line}\n" for line in lines) == maps.proc_text("uids")


def test_namespaces_of_mounts_and_network(maps: IdMaps) -> None:
    script = "mount -t tmpfs none /mnt && touch /mnt/x && ls /mnt && cat /proc/net/dev"
    done = enter(*options(maps), "--mount", "--net", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "x" and "eth0" not in done.stdout
    assert not Path("/mnt/x").exists()


def test_pid_namespace(maps: IdMaps) -> None:
    done = enter(*options(maps), "--pid-fork", "--", "sh", "-c", "echo $$; exit 7")
    assert (done.stdout, done.returncode) == ("1\n", 7)
    process = subprocess.Popen(
        [ENTER, *options(maps), "--pid-fork", "--", "sh", "-c", "trap 'exit 9' TERM; echo; read x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout and process.stdin
    process.stdout.readline()
    process.terminate()
    assert process.wait(60) == 9
    process.stdin.close()
    process.stdout.close()


def test_join(maps: IdMaps) -> None:
    holder = subprocess.Popen(
        [ENTER, *options(maps), "--mount", "--net", "--", "sh", "-c", "echo; exec sleep 60"],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    try:
        holder.stdout.readline()
        for words, same in (
            ([], ["user"]),
            (["--join-mount", "--join-net"], ["user", "mnt", "net"]),
        ):
            script = "id -u; readlink /proc/self/ns/user /proc/self/ns/mnt /proc/self/ns/net"
            done = enter("--join", str(holder.pid), *words, "--", "sh", "-c", script)
            uid, *links = done.stdout.splitlines()
            assert uid == "0", done.stderr
            for kind, link in zip(("user", "mnt", "net"), links, strict=True):
                theirs = os.readlink(f"/proc/{holder.pid}/ns/{kind}")
                assert (theirs == link) == (kind in same)
        assert calls.call("inside:who", 1, join_pid=holder.pid)[:2] == [0, 0]
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_only_chosen_descriptors_stay(maps: IdMaps) -> None:
    ends = os.pipe()
    extra = os.dup(ends[0])
    try:
        for fd in (*ends, extra):
            os.set_inheritable(fd, True)
        done = subprocess.run(
            [ENTER, *options(maps), "--keep-fds", str(ends[1]), "--", "ls", "/proc/self/fd"],
            capture_output=True,
            text=True,
            close_fds=False,
        )
        found = {int(word) for word in done.stdout.split()}
        assert ends[1] in found and not {ends[0], extra} & found
    finally:
        for fd in (*ends, extra):
            os.close(fd)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense", "--", "true"], "unknown option --nonsense"),
        (["--", "true"], "either --join or both"),
        (["--uid-map", "0 1", "--gid-map", "0 1 1", "--", "true"], "bad uid map"),
        (["--uid-map", "0 x 1", "--gid-map", "0 1 1", "--", "true"], "bad uid map"),
        (["--join", "4194305", "--", "true"], "No such process"),
        (["--join", "12x", "--", "true"], "needs a number"),
        (["--uid-map", "0 1 1"], "a program is needed"),
        (["--uid-map"], "--uid-map needs a value"),
    ],
)
def test_errors_are_one_line(words: list[str], said: str) -> None:
    done = enter(*words)
    assert done.returncode == 125
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_missing_program(maps: IdMaps) -> None:
    done = enter(*options(maps), "--", "/no/such/program")
    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert "cannot run /no/such/program" in done.stderr


def test_a_map_of_foreign_ids_is_refused() -> None:
    programs = helpers.paths()
    assert all(programs), "newuidmap is not installed"
    words = ["--uid-map", "0 1 1", "--gid-map", "0 1 1"]
    words += ["--newuidmap", programs[0], "--newgidmap", programs[1]]
    done = enter(*words, "--", "true")
    assert done.returncode == 125 and done.stderr.count("\n") == 1
    assert "could not map the ids" in done.stderr and "not allowed" in done.stderr


# ------------------------------------------------------------ functions


def test_a_function_runs_as_root(maps: IdMaps) -> None:
    uid, gid, _, request = calls.call("inside:who", {"ü": [1, None]}, maps=maps)
    assert (uid, gid, request) == (0, 0, {"ü": [1, None]})
    assert int(calls.call("inside:caps", None, maps=maps), 16) & 0x1FFFFFFFFF == 0x1FFFFFFFFF


def test_files_belong_to_subordinate_ids(tmp_path: Path) -> None:
    maps = many()
    path = str(tmp_path / "file")
    assert calls.call("inside:chown", {"path": path, "uid": 1, "gid": 1}, maps=maps) == [1, 1]
    status = os.stat(path)
    assert (status.st_uid, status.st_gid) == (maps.to_host_uid(1), maps.to_host_gid(1))
    calls.call("inside:unlink", path, maps=maps)


def test_single_id_cannot_chown(tmp_path: Path) -> None:
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    with pytest.raises(errors.RootlessError, match="invalid argument"):
        calls.call("inside:chown", {"path": str(tmp_path / "f"), "uid": 1, "gid": 1}, maps=maps)
    assert os.stat(tmp_path / "f").st_uid == os.getuid()


def test_keep_id_and_nomap_and_custom() -> None:
    base = many()
    for maps in (idmap.keep_id(base, 5, 6), idmap.no_map(base), idmap.custom(["0:1:9"], [], base)):
        assert calls.call("inside:who", 0, maps=maps)[:2] == [0, 0]
        # /proc of the worker is root's of the namespace: others of ours may still enter
        assert calls.call("inside:dumpable", 0, maps=maps) == 0


def test_keep_id_with_a_single_id() -> None:
    maps = idmap.keep_id(idmap.single_maps(os.getuid(), os.getgid(), ""), 1234, 4321)
    assert calls.call("inside:who", 0, maps=maps)[:2] == [1234, 4321]
    assert int(calls.call("inside:caps", None, maps=maps), 16) & 0x1FFFFFFFFF == 0x1FFFFFFFFF


def test_errors_travel(maps: IdMaps) -> None:
    with pytest.raises(errors.DigestMismatch) as caught:
        calls.call("inside:refuse", {}, maps=maps)
    assert (caught.value.message, caught.value.hint) == ("sha256:00 is not it", "pull again")
    with pytest.raises(errors.StorageError, match="special"):
        calls.call("inside:special", {}, maps=maps)
    with pytest.raises(errors.RootlessError, match="KeyError in inside:broken: 'gone'"):
        calls.call("inside:broken", {}, maps=maps)
    with pytest.raises(errors.RootlessError, match="^/does/not/exist: no such file or directory$"):
        calls.call("inside:missing", {}, maps=maps)
    with pytest.raises(errors.RootlessError, match="inside:nothing"):
        calls.call("inside:nothing", {}, maps=maps)


def test_a_killed_worker() -> None:
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    with pytest.raises(errors.RootlessError, match="killed by signal 9") as caught:
        calls.call("inside:die", signal.SIGKILL, maps=maps)
    assert "memory" in caught.value.hint
    with pytest.raises(errors.RootlessError, match="ended with status 3"):
        calls.call("inside:leave", 3, maps=maps)


def test_namespace_that_cannot_be_had() -> None:
    maps = IdMaps(((0, os.getuid(), 2),), ((0, os.getgid(), 1),), "wrong")
    if os.getuid() == 0:
        maps = IdMaps(((0, 0, 2), (1, 5, 1)), ((0, 0, 1),), "wrong")
    with pytest.raises(errors.HostError):
        calls.call("inside:who", 0, maps=maps)
    with pytest.raises(errors.HostError, match="No such process"):
        calls.call("inside:who", 0, join_pid=4194305)


def test_data_streams_beside_request_and_answer(maps: IdMaps) -> None:
    data = os.urandom(3 << 20)
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    received = bytearray()

    def feed() -> None:
        with open(to_write, "wb") as file:
            file.write(data)

    def drain() -> None:
        with open(from_read, "rb") as file:
            received.extend(file.read())

    threads = [threading.Thread(target=feed), threading.Thread(target=drain)]
    with calls.spawn("inside:copy", {}, maps=maps, stdin=to_read, stdout=from_write) as running:
        os.close(to_read)
        os.close(from_write)
        for thread in threads:
            thread.start()
        assert running.wait() == len(data)
    for thread in threads:
        thread.join()
    assert bytes(received) == data


def test_descriptors_are_passed_and_no_others(tmp_path: Path) -> None:
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    (tmp_path / "f").write_text("content")
    with open(tmp_path / "f", "rb") as file, open(tmp_path / "f", "rb") as other:
        os.set_inheritable(other.fileno(), False)
        got = calls.call("inside:read_fd", file.fileno(), maps=maps, pass_fds=(file.fileno(),))
        assert got == "content"
        assert other.fileno() not in calls.call("inside:fds", 0, maps=maps)
        assert not os.get_inheritable(file.fileno())


def test_requests_and_answers_larger_than_a_pipe() -> None:
    text = "x" * 500_000
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    assert calls.call("inside:large", text, maps=maps) == text * 2


def test_mount_namespace(maps: IdMaps, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert calls.call("inside:mounts", str(tmp_path / "m"), maps=maps, mount_namespace=True)
    assert (tmp_path / "m").stat().st_dev == tmp_path.stat().st_dev


def test_many_threads_at_once() -> None:
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    results: dict[int, object] = {}

    def one(number: int) -> None:
        results[number] = calls.call("inside:who", number, maps=maps)[3]

    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: i for i in range(12)}


def test_leaving_ends_the_worker() -> None:
    maps = idmap.single_maps(os.getuid(), os.getgid(), "a test")
    before = set(os.listdir("/proc/self/fd"))
    started = time.monotonic()
    with calls.spawn("inside:sleep", 0, maps=maps) as running:
        pid = running.pid
    assert time.monotonic() - started < 20
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_namespace_without_the_hosts_root(rootless: Command) -> None:
    """newuidmap belongs to nobody there: not a word of a bit that was lost."""
    words = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
    inside = Command([*words, *rootless.words], rootless.place)
    told = inside("info", "-f", "{{.Ids}}").stdout
    assert "has no rights in this user namespace" in told or "subordinate" in told
    assert "setuid bit" not in told
    ids = rootless("info", "-f", "{{.Ids}}").stdout
    assert "in this user namespace" not in ids
