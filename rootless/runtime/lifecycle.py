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
from rootless.runtime import frames, hooks, launch_plan, launcher, seccomp, state_directory
from rootless.runtime import orders as to_helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from rootless.documents import Json
    from rootless.runtime.bundles import Bundle
    from rootless.runtime.launcher import Place, Process, Wanted
    from rootless.runtime.plan_format import Record
    from rootless.runtime.state_directory import Box


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
        "boot": state_directory.boot_id(),
        "maker": [os.getpid(), state_directory.start_time(os.getpid())],
    }
    if waits or _asks_for_state(config["hooks"]):
        # who starts at once is in its first state for no longer than the file takes to be written
        box.save()
    listener, waiting = _listen(box.directory) if waits else (None, None)
    number = 4 + wanted.preserve_fds if waits else -1
    before = {**box.state(), "status": "creating", "pid": -1}
    told = [
        documents.dumps({**before, "status": status}).replace(":-1", ":@PID@", 1)
        for status in ("creating", "created")
    ]
    spaces = [one["type"] for one in config["linux"]["namespaces"] if not one.get("path")]
    plan = launch_plan.plan(
        config,
        [],
        filter_program=program,
        filter_flags=flags,
        single=bundle.single,
        gate=launch_plan.Gate(number, config["hooks"], (told[0], told[1]), wanted.preserve_fds),
        keyring=wanted.keyring,
        # in a joined one, others could look at the launcher in the /proc around
        covered_proc="user" in spaces and bool(host.current().covered_proc),
    )
    orders = [
        *bundle.namespace_orders(),
        to_helper.stdin("inherit"),
        *([to_helper.gate(number)] if waits else []),
        *wanted.orders(bool(process.get("terminal"))),
    ]

    def runtime_hooks(pid: int) -> None:
        for kind in ("prestart", "createRuntime"):
            hooks.run(config["hooks"].get(kind), kind, {**before, "pid": pid})

    def write_down(pid: int) -> None:
        box.record.update(status="created", pid=pid, pidStart=state_directory.start_time(pid))
        box.save()

    try:
        made = launcher.make(box, plan, orders, wanted, place, listener, runtime_hooks, write_down)
        if waiting is not None:
            waiting.send(b"k")
    finally:
        for one in (listener, waiting):
            if one is not None:
                one.close()
    made.waits = waits
    return made


def _asks_for_state(configured: Json) -> bool:
    """Whether there are hooks that may look at the container while it is made."""
    return any(configured.get(kind) for kind in ("prestart", "createRuntime", "createContainer"))


def _listen(directory: str) -> tuple[_socket.socket, _socket.socket]:
    """The socket at which the process waits; by the directory's descriptor, as names are short.

    And a connection of ours to it, the first: when it ends without a word, so does the process.
    """
    import _socket

    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC
    listener, waiting = (_socket.socket(_socket.AF_UNIX, kind) for _ in range(2))
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{fd}/start")
        listener.listen(2)
        waiting.connect(f"/proc/self/fd/{fd}/start")
    finally:
        os.close(fd)
    return listener, waiting


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
        from rootless.runtime import failures

        raise failures.of_runtime(frames.Failure(report[4:]))
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
        from rootless.runtime import seccomp_listener

        rules = box.record["config"]["linux"]["seccomp"]
        found = frames.descriptor(ancillary)
        seccomp_listener.hand_over(rules, box.state(), box.record["pid"], found)


def execute(box: Box, process: Json, wanted: Wanted, place: Place | None, cgroup: str) -> Process:
    """A further process in a running container."""
    box.must_be("running", "created")
    config = box.record["config"]
    pid = box.record["pid"]
    flags = 0
    for kind, flag in launch_plan.CLONE.items():
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
    plan = launch_plan.join_plan(
        process,
        pid=pid,
        start=box.record["pidStart"],
        namespaces=flags,
        cgroup=cgroup,
        filter_program=program,
        filter_flags=filter_flags,
        single=box.record["single"],
        own_user=bool(flags & launch_plan.CLONE["user"]),
        linux=config["linux"],
        covered_proc=box.record["single"] and bool(host.current().covered_proc),
        preserved=wanted.preserve_fds,
        keyring=box.record.get("keyring", "needed"),
    )
    orders: list[Record] = [to_helper.exec_session(), to_helper.stdin("inherit")]
    orders += wanted.orders(bool(process.get("terminal")))
    return launcher.make(box, plan, orders, wanted, place, None, None)


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
    _signal_process(box.record.get("pid", 0), box.record.get("pidStart", 0), box, number)


def end_maker(box: Box) -> None:
    """Kill the `create` that is at work on it, and with that what it makes."""
    pid, began = box.record.get("maker") or (0, 0)
    _signal_process(pid, began, box, 9)


def _signal_process(pid: int, began: int, box: Box, number: int) -> None:
    from rootless import kernel

    if not pid:
        return
    try:
        fd = kernel.calls.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if box.is_process(pid, began):
            kernel.calls.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def signal_all(box: Box, number: int) -> None:
    """Send a signal to each process of the container, and to no other that gets a pid meanwhile."""
    from rootless import kernel

    listed = processes(box)
    for first in range(0, len(listed), 200):
        opened = {}
        try:
            for pid in listed[first : first + 200]:
                try:
                    opened[pid] = kernel.calls.pidfd_open(pid)
                except OSError:
                    continue
            # a descriptor is of whom we mean if that one is one of ours after it was opened
            for pid in set(processes(box)) & set(opened):
                try:
                    kernel.calls.pidfd_send_signal(opened[pid], number)
                except (ProcessLookupError, PermissionError):
                    continue
        finally:
            for fd in opened.values():
                os.close(fd)


def processes(box: Box) -> list[int]:
    """Host pids of all processes of the container: of its own pid namespace, and of its cgroup.

    Without either its first process alone is known, and none when that has ended.
    """
    path = box.cgroup()
    found: set[int] = set()
    for directory, _, _ in os.walk(path) if path else ():
        try:
            with open(directory + "/cgroup.procs", encoding="ascii") as file:
                found |= {int(line) for line in file}
        except OSError:
            continue
    pid = box.record.get("pid", 0)
    if box.alive():
        found.add(pid)
        # of a joined namespace others are the most
        made = launch_plan.clone_flags(box.record["config"]) & launch_plan.CLONE["pid"]
        found |= _in_namespace_of(box, pid) if made else set()
    return sorted(one for one in found if one)


def _in_namespace_of(box: Box, pid: int) -> set[int]:
    """All of its pid namespace, which ends with its first process."""
    try:
        # while it is open no other namespace gets its number
        fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return set()
    try:
        own = os.fstat(fd).st_ino
        if not box.alive():
            return set()
        return {int(name) for name in os.listdir("/proc") if name.isdigit() and _in(name, own)}
    finally:
        os.close(fd)


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
