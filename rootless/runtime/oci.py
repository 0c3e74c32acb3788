"""What the OCI runtime's command does: create, start, exec, kill, delete.

No process of ours stays: a container's first process belongs to whoever reaps for the caller, and
waits at a socket in its directory until `start` comes.  cgroups are another room's: who calls hands
over `place` (pid -> path) and removes what it made.
Source: runtime-spec runtime.md, "Lifecycle" and "Operations".
"""

from __future__ import annotations

import os
import time

from rootless import documents, host
from rootless.errors import Conflict, RuntimeFailure
from rootless.runtime import compile, hooks, making, seccomp, states

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from rootless.documents import Json
    from rootless.runtime.bundles import Bundle
    from rootless.runtime.making import Place, Process, Wanted
    from rootless.runtime.records import Record
    from rootless.runtime.states import Box


def create(
    box: Box, bundle: Bundle, wanted: Wanted, place: Place | None, *, waits: bool = True
) -> Process:
    """Make the container and leave it waiting; or running, which the process's `waits` tells.

    Nothing is left behind when this fails.
    """
    config = bundle.config
    program, flags = bundle.filter()
    # an agent that answers system calls may be asked about exec already, and gets its descriptor by
    # the socket
    waits = waits or bool(flags & seccomp.NEW_LISTENER)
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
        "keyring": wanted.keyring,
        "cgroup": "",
    }
    if waits or _asks_for_state(config["hooks"]):
        # who starts at once is in its first state for no longer than the file takes to be written
        box.save()
    listener = _listen(box.directory) if waits else None
    number = 4 + wanted.preserve_fds if waits else -1
    before = {**box.state(), "status": "creating", "pid": -1}
    told = [
        documents.dumps({**before, "status": status}).replace(":-1", ":@PID@", 1)
        for status in ("creating", "created")
    ]
    spaces = [one["type"] for one in config["linux"]["namespaces"] if not one.get("path")]
    plan = compile.plan(
        config,
        [],
        filter_program=program,
        filter_flags=flags,
        single=bundle.single,
        gate=compile.Gate(number, config["hooks"], (told[0], told[1]), wanted.preserve_fds),
        keyring=wanted.keyring,
        # in a joined one, others could look at the launcher in the /proc around
        covered_proc="user" in spaces and bool(host.current().covered_proc),
    )
    orders = [
        *bundle.namespace_orders(),
        ("stdin", ("inherit",)),
        *([("gate", (str(number),))] if waits else []),
        *wanted.orders(bool(process.get("terminal"))),
    ]

    def runtime_hooks(pid: int) -> None:
        for kind in ("prestart", "createRuntime"):
            hooks.run(config["hooks"].get(kind), kind, {**before, "pid": pid})

    try:
        made = making.make(box, plan, orders, wanted, place, listener, runtime_hooks)
    finally:
        if listener is not None:
            listener.close()
    box.record.update(status="created", pid=made.pid, pidStart=states.start_time(made.pid))
    try:
        box.save()
    except BaseException:
        # on a full disk, say: nobody could find it any more
        signal(box, 9)
        raise
    made.waits = waits
    return made


def _asks_for_state(configured: Json) -> bool:
    """Whether there are hooks that may look at the container while it is made."""
    return any(configured.get(kind) for kind in ("prestart", "createRuntime", "createContainer"))


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
        raise making.failure(report[8:12], report[12:16], report[16:])
    started(box)


def started(box: Box) -> None:
    """The hooks of a container whose command runs."""
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
    from rootless.runtime import bundles

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
        linux=config["linux"],
        covered_proc=box.record["single"] and bool(host.current().covered_proc),
        preserved=wanted.preserve_fds,
        keyring=box.record.get("keyring", "needed"),
    )
    orders: list[Record] = [("exec-session", ()), ("stdin", ("inherit",))]
    orders += wanted.orders(bool(process.get("terminal")))
    return making.make(box, plan, orders, wanted, place, None, None)


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


def remove(box: Box) -> list[str]:
    """Forget a container that has ended; its poststop hooks run and may fail, which is returned."""
    found = {**box.state(), "status": "stopped"}
    configured = (box.record.get("config") or {}).get("hooks", {}).get("poststop")
    for name in documents.names_in(box.directory):
        try:
            os.unlink(os.path.join(box.directory, name))
        except OSError:
            continue
    os.rmdir(box.directory)
    return hooks.run_all(configured, "poststop", found)


def _now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
