"""What the OCI runtime's command does: create, start, exec, kill, delete.

No process of ours stays: a container's first process belongs to whoever reaps for the caller, and
waits at a socket in its directory until `start` comes.  cgroups are another room's: who calls hands
over `place` (pid -> path) and removes what it made.
Source: runtime-spec runtime.md, "Lifecycle" and "Operations".
"""

from __future__ import annotations

import os
import time

from rootless import documents, paths
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    HostError,
    RuntimeFailure,
    UsageError,
)
from rootless.runtime import compile, hooks, records, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from rootless.documents import Json
    from rootless.runtime.bundles import Bundle
    from rootless.runtime.records import Record
    from rootless.runtime.states import Box

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
    ) -> None:
        self.console_socket = os.path.abspath(console_socket) if console_socket else ""
        self.pid_file = os.path.abspath(pid_file) if pid_file else ""
        self.preserve_fds = preserve_fds
        self.wait = wait

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
    """A process that was made: its pid, and the helper's where that one waits for it."""

    def __init__(self, pid: int, helper: int) -> None:
        self.pid = pid
        self.helper = helper


def create(box: Box, bundle: Bundle, wanted: Wanted, place: Place | None) -> Process:
    """Make the container and leave it waiting.  Nothing is left behind when this fails."""
    config = bundle.config
    process = config["process"]
    box.record = {
        "status": "creating",
        "pid": 0,
        "bundle": bundle.directory,
        "rootfs": config["root"]["path"],
        "created": _now(),
        "owner": str(os.getuid()),
        "annotations": config.get("annotations") or {},
        "config": documents.loads(documents.dumps(config)),
        "single": bundle.single,
        "cgroup": "",
    }
    box.save()
    listener = _listen(box.directory)
    number = 4 + wanted.preserve_fds
    before = {**box.state(), "status": "created", "pid": -1}
    state = documents.dumps(before).replace(":-1", ":@PID@", 1)
    program, flags = bundle.filter()
    plan = compile.plan(
        config,
        [],
        filter_program=program,
        filter_flags=flags,
        single=bundle.single,
        gate=compile.Gate(number, config["hooks"], state, wanted.preserve_fds),
    )
    orders = [
        *bundle.namespace_orders(),
        ("stdin", ("inherit",)),
        ("gate", (str(number),)),
        *wanted.orders(bool(process.get("terminal"))),
    ]

    def runtime_hooks(pid: int) -> None:
        told = {**before, "pid": pid}
        for kind in ("prestart", "createRuntime"):
            hooks.run(config["hooks"].get(kind), kind, told)

    try:
        made = _make(box, plan, orders, wanted, place, listener, runtime_hooks)
    finally:
        listener.close()
    box.record.update(status="created", pid=made.pid, pidStart=states.start_time(made.pid))
    box.save()
    return made


def _listen(directory: str) -> _socket.socket:
    """The socket at which the process waits; by the directory's descriptor, as names are short."""
    import _socket

    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{fd}/start")
        listener.listen(1)
    finally:
        os.close(fd)
    return listener


def _make(
    box: Box,
    plan: list[Record],
    orders: list[Record],
    wanted: Wanted,
    place: Place | None,
    listener: _socket.socket | None,
    runtime_hooks: Callable[[int], None] | None,
) -> Process:
    import _socket

    name = f"{os.getpid()}.{time.monotonic_ns()}"
    plan_path = records.write(box.directory, name + ".plan", plan, records.OPERATIONS)
    log = os.path.join(box.directory, name + ".log")
    orders = [
        ("directory", (box.directory, "none")),
        ("executor", (paths.helper("launch"), plan_path)),
        ("log-errors", (log,)),
        *([("go", ())] if place is not None else []),
        *orders,
    ]
    orders_path = records.write(box.directory, name + ".orders", orders, records.ORDERS)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    first = 3 + wanted.preserve_fds
    try:
        helper = _spawn(orders_path, first, theirs.fileno(), listener)
        theirs.close()
        pid = _converse(ours, place, box, runtime_hooks, log)
        if not wanted.wait:
            os.waitpid(helper, 0)
        return Process(pid, helper)
    finally:
        ours.close()
        theirs.close()
        for path in (plan_path, orders_path, log):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


def _spawn(orders_path: str, first: int, channel: int, listener: _socket.socket | None) -> int:
    """Start the helper with the channel as descriptor `first` and the listener after it.

    Descriptors 3 to first - 1 are the caller's (--preserve-fds) and pass through as they are.
    """
    import fcntl

    program = paths.helper("create")
    # above everything that is about to be given a number
    moved = [fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, first + 2)]
    if listener is not None:
        moved.append(fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, first + 2))
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, first + i) for i, fd in enumerate(moved)]
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
        for fd in moved:
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
            box.record["cgroup"] = path
            data = path.encode()
            channel.sendall(b"G\0\0\0" + len(data).to_bytes(4, "little") + data)
        elif kind == b"H" and runtime_hooks is not None:
            runtime_hooks(number)
            channel.sendall(b"h")
        elif kind == b"L":
            handed = fd
        elif kind == b"R":
            if handed >= 0:
                from rootless.runtime import listener

                rules = box.record["config"]["linux"]["seccomp"]
                try:
                    listener.hand_over(rules, box.state(), number, handed)
                except RuntimeFailure:
                    os.kill(number, 9)
                    raise
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
            from rootless.runtime import listener

            fd = listener.descriptor(ancillary)
        data += part
        if len(data) == 8:
            wanted = 8 + int.from_bytes(data[4:8], "little")
    return data[:1], data[8:], fd


def failure(error: bytes, operation: bytes, path: bytes, log: str = "") -> Exception:
    """What a report of the helper or the launcher means.  Engines look for the kernel's words."""
    code = int.from_bytes(error, "little")
    name = records.name_of(int.from_bytes(operation, "little"))
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
        return RuntimeFailure(f"the hook {text} {what}")
    if name == "runtime-hooks":
        return RuntimeFailure("a hook failed")
    if name == "cwd":
        return RuntimeFailure(f"process.cwd: cannot enter {text}: {reason}")
    return RuntimeFailure(f"the container could not be made: {name} {text}: {reason}")


def start(box: Box) -> None:
    """Let the process go on.  Raises Conflict when it does not wait, or what its exec failed of."""
    import _socket

    box.must_be("created")
    path = os.path.join(box.directory, "start")
    fd = os.open(box.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        try:
            talk.connect(f"/proc/self/fd/{fd}/start")
        except ConnectionError:
            raise Conflict(f'container "{box.id}" does not wait any more') from None
        os.unlink(path)
        talk.send(b"s")
        report = _report(box, talk)
    except RuntimeFailure:
        signal(box, 9)
        raise
    finally:
        talk.close()
        os.close(fd)
    if report:
        raise failure(report[8:12], report[12:16], report[16:])
    configured = box.record["config"]["hooks"].get("poststart")
    try:
        hooks.run(configured, "poststart", box.state())
    except RuntimeFailure:
        # runtime-spec, lifecycle step 10: the container is stopped and the failure told
        signal(box, 9)
        raise


def _report(box: Box, talk: _socket.socket) -> bytes:
    """What the process tells until its exec closes the socket: nothing when all went well."""
    while True:
        report, ancillary, _, _ = talk.recvmsg(512, 32)
        if report != b"L":
            return report
        from rootless.runtime import listener

        rules = box.record["config"]["linux"]["seccomp"]
        found = listener.descriptor(ancillary)
        listener.hand_over(rules, box.state(), box.record["pid"], found)


def execute(box: Box, process: Json, wanted: Wanted, place: Place | None, cgroup: str) -> Process:
    """A further process in a running container."""
    box.must_be("running", "created")
    config = box.record["config"]
    pid = box.record["pid"]
    flags = 0
    for kind, flag in compile.CLONE.items():
        if _differs(pid, kind):
            flags |= flag
    from rootless.runtime import bundles, seccomp

    rules = config["linux"].get("seccomp")
    filter_flags = 0
    if rules:
        program = bundles.cached_filter(rules, box.record["single"])
        filter_flags = seccomp.flags(rules)
    else:
        program = seccomp.default_filter(0, box.record["single"], unconfined=True)
    plan = compile.join_plan(
        process,
        pid=pid,
        start=box.record["pidStart"],
        namespaces=flags,
        cgroup=cgroup,
        filter_program=program,
        filter_flags=filter_flags,
        single=box.record["single"],
        own_user=bool(flags & compile.CLONE["user"]),
        preserved=wanted.preserve_fds,
    )
    orders: list[Record] = [("exec-session", ()), ("stdin", ("inherit",))]
    orders += wanted.orders(bool(process.get("terminal")))
    return _make(box, plan, orders, wanted, place, None, None)


def _differs(pid: int, kind: str) -> bool:
    name = {"mount": "mnt", "network": "net"}.get(kind, kind)
    try:
        ours = os.stat(f"/proc/self/ns/{name}")
    except OSError:
        return False  # a kernel without such namespaces
    try:
        theirs = os.stat(f"/proc/{pid}/ns/{name}")
    except OSError:
        return True
    return (theirs.st_ino, theirs.st_dev) != (ours.st_ino, ours.st_dev)


def signal(box: Box, number: int) -> None:
    """Send a signal to the first process, by a descriptor of it: a pid may be another's by now."""
    from rootless import kernel

    pid = box.record["pid"]
    try:
        fd = kernel.calls.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if box.alive():
            kernel.calls.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def processes(box: Box) -> list[int]:
    """Host pids of all processes of the container: of its pid namespace or its cgroup."""
    path = box.record.get("cgroup")
    found = set()
    if path:
        for directory, _, _ in os.walk(path):
            try:
                with open(directory + "/cgroup.procs", encoding="ascii") as file:
                    found |= {int(line) for line in file}
            except OSError:
                continue
    try:
        own = os.stat(f"/proc/{box.record['pid']}/ns/pid").st_ino
        if own != os.stat("/proc/self/ns/pid").st_ino:
            found |= {
                int(name) for name in os.listdir("/proc") if name.isdigit() and _in(name, own)
            }
        else:
            found.add(box.record["pid"])
    except OSError:
        pass
    return sorted(pid for pid in found if pid)


def _in(name: str, namespace: int) -> bool:
    try:
        return os.stat(f"/proc/{name}/ns/pid").st_ino == namespace
    except OSError:
        return False


def wait_end(box: Box, seconds: float) -> bool:
    """Wait until the first process has ended."""
    end = time.monotonic() + seconds
    while box.alive():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def remove(box: Box) -> None:
    """Forget a container that has ended; its poststop hooks run and may fail."""
    found = {**box.state(), "status": "stopped"}
    configured = (box.record.get("config") or {}).get("hooks", {}).get("poststop")
    for name in documents.names_in(box.directory):
        try:
            os.unlink(os.path.join(box.directory, name))
        except OSError:
            continue
    os.rmdir(box.directory)
    for hook in configured or ():
        try:
            hooks.run([hook], "poststop", found)
        except RuntimeFailure as error:
            # the specification: tell, and go on
            os.write(2, f"warning: {error.message}\n".encode())


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
