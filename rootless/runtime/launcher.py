"""From a plan and orders to a process: starts the helper, answers it, and says what it reports.

Source: docs/architecture.md, "The OCI runtime's command"; helpers/programs/create.c.
"""

from __future__ import annotations

import os
import time

from rootless import host, paths
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    HostError,
    RuntimeFailure,
    UsageError,
)
from rootless.runtime import plan_format
from rootless.runtime.hooks import HookFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from rootless.runtime.plan_format import Record
    from rootless.runtime.state_directory import Box

    Place = Callable[[int], str]


class Wanted:
    """Options that `create`, `run` and `exec` share."""

    def __init__(
        self,
        *,
        console_socket: str = "",
        pid_file: str = "",
        preserve_fds: int = 0,
        wait: bool = False,
        keyring: bool = True,
    ) -> None:
        self.console_socket = os.path.abspath(console_socket) if console_socket else ""
        self.pid_file = os.path.abspath(pid_file) if pid_file else ""
        self.preserve_fds = preserve_fds
        self.wait = wait
        self.keyring = "needed" if keyring else ""

    def orders(self, terminal: bool) -> list[Record]:
        """What the helper has to know of them.  Raises UsageError."""
        made: list[Record] = []
        if terminal:
            made.append(("tty", ()))
            if self.console_socket:
                made.append(("console", (self.console_socket,)))
            elif not self.wait:
                raise UsageError(
                    "process.terminal: a terminal needs somebody to give it to",
                    hint="--console-socket PATH, or stay in the foreground",
                )
        elif self.console_socket:
            raise UsageError("--console-socket is for a process with a terminal")
        if self.pid_file:
            made.append(("pid-file", (self.pid_file,)))
        if self.wait:
            made.append(("wait", ()))
        return made


class Process:
    """A process that was made: its pid, the helper's where that one waits for it, and whether it
    waits for `start`."""

    def __init__(self, pid: int, helper: int) -> None:
        self.pid = pid
        self.helper = helper
        self.waits = False


def make(
    box: Box,
    plan: list[Record],
    orders: list[Record],
    wanted: Wanted,
    place: Place | None,
    listener: _socket.socket | None,
    runtime_hooks: Callable[[int], None] | None,
    write_down: Callable[[int], None] | None = None,
) -> Process:
    """The process, once `write_down` has been called with its pid.

    Until then it ends with the helper, and the helper ends with us: one that nobody has written
    down could never be found.
    """
    import _socket

    log = os.path.join(box.directory, f"{os.getpid()}.{time.monotonic_ns()}.log")
    first = 3 + wanted.preserve_fds
    orders = [
        ("directory", (box.directory, "none")),
        ("executor", (paths.helper("launch"), f"/proc/self/fd/{first + 3}")),
        ("log-errors", (log,)),
        *([("go", ())] if place is not None else []),
        *orders,
    ]
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    passed = [theirs.fileno(), listener.fileno() if listener is not None else -1]
    try:
        passed.append(_in_memory(orders, plan_format.ORDERS))
        passed.append(_in_memory(plan, plan_format.OPERATIONS))
        helper = _spawn(first, passed)
        theirs.close()
        pid = _converse(ours, place, box, runtime_hooks, log)
        if write_down is not None:
            write_down(pid)
        try:
            ours.sendall(b"k")
        except OSError:
            raise RuntimeFailure("the container could not be made: the helper was killed") from None
        if not wanted.wait:
            os.waitpid(helper, 0)
        return Process(pid, helper)
    finally:
        ours.close()
        theirs.close()
        for fd in passed[2:]:
            os.close(fd)
        try:
            os.unlink(log)
        except FileNotFoundError:
            pass


def _in_memory(items: list[Record], numbers: dict[str, int]) -> int:
    """A plan or orders as a file that has no name; its descriptor."""
    fd = os.memfd_create("rootless", os.MFD_CLOEXEC)
    view = memoryview(plan_format.encode(items, numbers))
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _spawn(first: int, passed: list[int]) -> int:
    """Start the helper with these descriptors from `first` on: channel, listener, orders, plan.

    Descriptors 3 to first - 1 are the caller's (--preserve-fds) and pass through as they are.
    """
    import fcntl

    program = paths.helper("create")
    orders_path = f"/proc/self/fd/{first + 2}"
    # above everything that is about to be given a number
    moved = {
        first + at: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, first + len(passed))
        for at, fd in enumerate(passed)
        if fd >= 0
    }
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in moved.items()]
        for fd in range(3, first):
            os.set_inheritable(fd, True)
        return os.posix_spawn(
            program, ["rootless-create", orders_path, str(first)], {}, file_actions=actions
        )
    except OSError as error:
        raise HostError(
            f"cannot start {program}: {error.strerror}", hint="install rootless again"
        ) from None
    finally:
        for fd in moved.values():
            os.close(fd)


def _converse(
    channel: _socket.socket,
    place: Place | None,
    box: Box,
    runtime_hooks: Callable[[int], None] | None,
    log: str,
) -> int:
    handed = -1
    while True:
        kind, payload, fd = _frame(channel)
        number = int.from_bytes(payload[:4], "little")
        if kind == b"M" and place is not None:
            path = place(number)
            box.note_cgroup(path)
            data = path.encode()
            channel.sendall(b"G\0\0\0" + len(data).to_bytes(4, "little") + data)
        elif kind == b"H" and runtime_hooks is not None:
            runtime_hooks(number)
            channel.sendall(b"h")
        elif kind == b"L":
            handed = fd
        elif kind == b"R":
            if handed >= 0:
                from rootless.runtime import seccomp_listener

                rules = box.record["config"]["linux"]["seccomp"]
                seccomp_listener.hand_over(rules, box.state(), number, handed)
            return number
        elif kind == b"F":
            raise failure(payload[4:8], payload[8:12], payload[12:], log)
        else:
            raise RuntimeFailure("the container could not be made: the helper ended early")


def _frame(channel: _socket.socket) -> tuple[bytes, bytes, int]:
    """Kind, payload, and the descriptor that came along or -1."""
    data = b""
    fd = -1
    wanted = 8
    while len(data) < wanted:
        part, ancillary, _, _ = channel.recvmsg(wanted - len(data), 32)
        if not part:
            return b"", b"", -1
        if ancillary:
            from rootless.runtime import seccomp_listener

            fd = seccomp_listener.descriptor(ancillary)
        data += part
        if len(data) == 8:
            wanted = 8 + int.from_bytes(data[4:8], "little")
    return data[:1], data[8:], fd


def failure(error: bytes, operation: bytes, path: bytes, log: str = "") -> Exception:
    """What a report of the helper or the launcher means.  Engines look for the kernel's words."""
    code = int.from_bytes(error, "little")
    name = plan_format.name_of(int.from_bytes(operation, "little"))
    text = path.decode("utf-8", "replace")
    reason = os.strerror(code).lower()
    if name in ("exec", "lookup"):
        if code == 2:
            return CommandNotFound(
                f'exec: "{text}": executable file not found in $PATH: {reason}',
                hint="process.args[0] is looked up inside the root file system",
            )
        return CommandNotExecutable(f'exec: "{text}": {reason}')
    if name == "map":
        said = ""
        try:
            with open(log, errors="replace") as file:
                said = file.read().strip()
        except OSError:
            pass
        return HostError(f"the ids cannot be mapped: {said or reason}")
    if name == "hook":
        what = "took too long" if code == 110 else "failed"
        return HookFailure(f"the hook {text} {what}")
    if name == "runtime-hooks":
        return HookFailure("a hook failed")
    if name == "bind" and text.startswith("idmap:"):
        return RuntimeFailure(
            f"mounts: the ids of {text[6:]} cannot be mapped: {reason}",
            hint="the kernel maps only what the caller's own user namespace has mounted, and only "
            "of file systems that can be mapped (tmpfs since Linux 6.3)",
        )
    if name == "mount" and text == "/proc" and host.current().covered_proc:
        return RuntimeFailure(f"mounts: /proc cannot be mounted: {reason}", hint=host.WHOLE_PROC)
    if name == "mount" and text == "joined-proc":
        return RuntimeFailure(
            f"mounts: /proc of the joined pid namespace cannot be mounted: {reason}",
            hint="its user namespace has to be joined as well, and the /proc around must not be "
            "masked",
        )
    if name == "keyring":
        return RuntimeFailure(
            f"the process cannot have a session keyring of its own: {reason}",
            hint="sysctl kernel.keys.maxkeys is how many keys a user may have",
        )
    if name == "label":
        field = "apparmorProfile" if text.startswith("exec ") else "selinuxLabel"
        return RuntimeFailure(f'process.{field}: "{text.removeprefix("exec ")}": {reason}')
    if name == "caps":
        return RuntimeFailure(
            f"process.capabilities: the kernel refuses these sets: {reason}",
            hint="what is inheritable must be in the bounding set as well",
        )
    if name == "seccomp" and code == 22:
        return RuntimeFailure(
            f"linux.seccomp: the filter cannot be loaded: {reason}",
            hint="this kernel does not know one of linux.seccomp.flags, or an action "
            "(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV since Linux 5.19)",
        )
    if name == "fifo":
        what = "something else is there already" if code == 17 else reason
        return RuntimeFailure(f"linux.devices: the pipe {text} cannot be made as asked: {what}")
    if name in ("cwd", "mkdir"):
        return RuntimeFailure(f"process.cwd: cannot enter {text}: {reason}")
    return RuntimeFailure(f"the container could not be made: {name} {text}: {reason}")
