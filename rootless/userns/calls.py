"""Run a function of this package inside a user namespace, in a fresh interpreter.

    call("rootless.storage.layers.unpack:unpack", {"layer": path}, maps=maps, stdin=blob_fd)

The function takes the request and returns a JSON value.  A process may enter a user namespace only
while it has a single thread, and the library is used from several, so the work is done by another
process: rootless-enter makes or joins the namespace, the interpreter starts in it, and request and
answer travel over descriptors of their own: standard input and output are free for data.
"""

from __future__ import annotations

import os
import signal
import sys

from rootless import documents, errors, paths
from rootless.errors import HostError, RootlessError
from rootless.userns import helpers, idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")


class Call:
    """A function that is running in a user namespace.  A context manager: leaving it ends it.

    `pid` is the worker's process; only `wait` or `close` reap it.
    """

    def __init__(self, pid: int, answer: int, function: str) -> None:
        self.pid = pid
        self._answer = answer
        self._function = function
        self._reaped = False

    def wait(self) -> Json:
        """Return what the function returned.

        Raises what the function raised if that is a RootlessError, HostError if the namespace
        could not be entered, RootlessError for anything else.  To be called once.
        """
        parts = []
        try:
            while part := os.read(self._answer, 1 << 16):
                parts.append(part)
            status = self._reap()
        except BaseException:
            self.close()
            raise
        self.close()
        return result(b"".join(parts), status, self._function)

    def kill(self) -> None:
        """End the worker at once."""
        if not self._reaped:
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End a worker that is still running, and close its pipe.  May be repeated."""
        if self._answer >= 0:
            os.close(self._answer)
            self._answer = -1
        self.kill()
        self._reap()

    def _reap(self) -> int:
        if self._reaped:
            return 0
        _, status = os.waitpid(self.pid, 0)
        self._reaped = True
        return os.waitstatus_to_exitcode(status)

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def call(
    function: str,
    request: Json,
    *,
    maps: IdMaps | None = None,
    join_pid: int | None = None,
    join_mount: bool = False,
    join_net: bool = False,
    mount_namespace: bool = False,
    stdin: int | None = None,
    stdout: int | None = None,
    pass_fds: tuple[int, ...] = (),
) -> Json:
    """Run `function` ("module:name") with `request` in a user namespace; return its answer.

    The namespace is a new one of `maps` (default: the user's default maps), or the one of the
    process `join_pid`.  The descriptors of `pass_fds` have the same numbers inside; without
    `stdin` and `stdout` both are /dev/null.  Safe from several threads.

    Raises HostError if the namespace cannot be had, and what the function raises: a RootlessError
    as it is, everything else as a RootlessError with its text.
    """
    running = spawn(
        function,
        request,
        maps=maps,
        join_pid=join_pid,
        join_mount=join_mount,
        join_net=join_net,
        mount_namespace=mount_namespace,
        stdin=stdin,
        stdout=stdout,
        pass_fds=pass_fds,
    )
    return running.wait()


def spawn(
    function: str,
    request: Json,
    *,
    maps: IdMaps | None = None,
    join_pid: int | None = None,
    join_mount: bool = False,
    join_net: bool = False,
    mount_namespace: bool = False,
    stdin: int | None = None,
    stdout: int | None = None,
    pass_fds: tuple[int, ...] = (),
) -> Call:
    """Start `function` as `call` does, and return while it runs: for data that streams through
    pipes."""
    words, late = _entering(maps, join_pid, join_mount, join_net, mount_namespace)
    text = documents.dumps(
        {"path": sys.path, "function": function, "request": request, "become_root": late}
    )
    opened: list[int] = []
    try:
        # a file in memory, because a pipe that is not read yet would block at 64 KiB
        order = _above(os.memfd_create("rootless-call", os.MFD_CLOEXEC), opened)
        _write_all(order, text.encode())
        os.lseek(order, 0, os.SEEK_SET)
        both = os.pipe()
        ours, theirs = _above(both[0], opened), _above(both[1], opened)
        actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
        for fd, target, mode in ((stdin, 0, os.O_RDONLY), (stdout, 1, os.O_WRONLY)):
            if fd is None:
                actions.append((os.POSIX_SPAWN_OPEN, target, "/dev/null", mode, 0))
        # stdin could be descriptor 1 and stdout 0: move them out of each other's way
        given = [(fd, target) for fd, target in ((stdin, 0), (stdout, 1)) if fd is not None]
        for fd, target in given:
            if fd < 2 and fd != target:
                fd = _above(os.dup(fd), opened)
            actions.append((os.POSIX_SPAWN_DUP2, fd, target))
        # onto itself: takes close-on-exec away in the child alone
        for fd in {order, theirs, *pass_fds} - {0, 1, 2}:
            actions.append((os.POSIX_SPAWN_DUP2, fd, fd))
        enter = paths.helper("enter")
        arguments = [
            "rootless-enter",
            *words,
            "--error-fd",
            str(theirs),
            "--",
            sys.executable,
            "-IS",
            WORKER,
            str(order),
            str(theirs),
        ]
        try:
            pid = os.posix_spawn(
                enter,
                arguments,
                os.environ,
                file_actions=actions,
                # ^C while an interpreter starts would be a traceback: the worker is ready later
                setsigmask=[signal.SIGINT],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError as error:
            raise HostError(
                f"cannot run {enter}: {error.strerror}",
                hint="the installation is incomplete; build it with: make -C helpers",
            ) from None
        opened.remove(ours)
        return Call(pid, ours, function)
    finally:
        for fd in opened:
            os.close(fd)


def _entering(
    maps: IdMaps | None,
    join_pid: int | None,
    join_mount: bool,
    join_net: bool,
    mount_namespace: bool,
) -> tuple[list[str], bool]:
    """Options for rootless-enter, and whether the worker itself has to become root."""
    options: list[str] = []
    late = False
    if join_pid is not None:
        options += ["--join", str(join_pid)]
        if join_mount:
            options.append("--join-mount")
        if join_net:
            options.append("--join-net")
        if maps is not None:
            late = _needs_late(maps)
    else:
        maps = maps or idmap.default_maps()
        options += ["--uid-map", maps.proc_text("uids"), "--gid-map", maps.proc_text("gids")]
        newuidmap, newgidmap = helpers.needed(maps)
        if newuidmap and newgidmap:
            options += ["--newuidmap", newuidmap, "--newgidmap", newgidmap]
        late = _needs_late(maps)
    options.append("--mortal")
    if late:
        options.append("--keep-ids")
    if mount_namespace:
        options.append("--mount")
    return options, late


def _needs_late(maps: IdMaps) -> bool:
    """Whether root of the namespace may be unable to read this package's files.

    Where it is a subordinate id it is a stranger to the caller's home of mode 0700: then the
    worker keeps the caller's ids until the function's module has been loaded.
    """
    return not maps.root_is_caller and maps.to_host_uid(0) is not None


def _above(fd: int, opened: list[int]) -> int:
    """Take a descriptor over into `opened`; moved if it has a number that a stream will get.

    That happens in a process whose standard input or output was closed.
    """
    if fd < 3:
        import fcntl

        low, fd = fd, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(low)
    opened.append(fd)
    return fd


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def result(answer: bytes, status: int, function: str) -> Json:
    """Return what a worker's answer means, which ended with `status`.  Raises as `Call.wait`."""
    text = answer.decode(errors="replace")
    # rootless-enter writes into the same pipe when it fails, before there is a worker
    if text.startswith("error: "):
        message = text.removeprefix("error: ").strip()
        hint = "rootless doctor shows what this host lacks"
        if message.startswith("cannot make a user namespace"):
            from rootless import host

            hint = host.namespace_remedy()
        raise HostError(message, hint=hint)
    try:
        value = documents.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict) and "answer" in value:
        return value["answer"]
    if isinstance(value, dict) and "error" in value:
        raise error_of(value["error"])
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    hint = "the host may be short of memory" if status == -signal.SIGKILL else ""
    raise RootlessError(f"the process that ran {function} {how} before it had an answer", hint=hint)


def error_of(value: Json) -> RootlessError:
    """Return the error that an answer of a worker describes."""
    kind = getattr(errors, value["class"], RootlessError)
    if not (isinstance(kind, type) and issubclass(kind, RootlessError)):
        kind = RootlessError
    return kind(value["message"], hint=value["hint"])
