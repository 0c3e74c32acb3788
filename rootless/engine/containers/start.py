"""Start a monitor and hear from it.

The monitor is started by posix_spawn, never by fork: the library may be in use by several threads.
Descriptor 3 of the monitor is one end of a socket pair; what travels on it is described in
docs/architecture.md under "The monitor's channel".
"""

from __future__ import annotations

import errno
import os

from rootless import documents, host, paths
from rootless.engine.containers import state as container_state
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    HostError,
    RootlessError,
    RuntimeFailure,
)
from rootless.runtime import plan_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from rootless.documents import Json
    from rootless.engine.containers.container import Container


class Started:
    """A monitor that reported success: the host pid of the container's process and the channel."""

    __slots__ = ("channel", "pid")

    def __init__(self, pid: int, channel: int) -> None:
        self.pid = pid
        self.channel = channel


def launch(container: Container) -> Started:
    """Start a container of which nothing runs, under its lock; raises what `spawn` raises."""
    container_state.settle(container.directory)
    ran = False
    for name in ("state", "stopping", "helpers.log", "cgroup", "health.times"):
        try:
            os.unlink(os.path.join(container.directory, name))
            ran = True
        except FileNotFoundError:
            pass
    sockets = paths.socket_directory(container.id)
    try:
        os.mkdir(sockets, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        paths.ensure(paths.runtime_dir())
        os.makedirs(sockets, 0o700, exist_ok=True)
    if container.record["ports"]:
        from rootless.network import ports

        published = [ports.Port.from_dict(one) for one in container.record["ports"]]
        ports.check_free(published, patience=1 if ran else 0)
    if container.record.get("service"):
        from rootless.engine.containers import sd_notify

        sd_notify.before(container)
    orders = os.path.join(container.directory, "orders")
    if container.record.get("networkTarget"):
        orders = aim(container, orders)
    return spawn(
        orders,
        container.name,
        place=lambda pid: _in_cgroup(container, pid),
        service=container.record.get("service"),
        tty=container.record["tty"],
    )


def _in_cgroup(container: Container, pid: int) -> str:
    """Put the monitor into its cgroup; what the monitor is answered (docs/architecture.md)."""
    from rootless.cgroups import limits

    wanted = container.record["cgroup"]
    manager = container.manager()
    path = manager.attach(
        pid,
        container.id,
        limits.Resources.from_dict(wanted["resources"]),
        parent=wanted["parent"],
        name=container.name,
    )
    if path:
        documents.write_bytes(os.path.join(container.directory, "cgroup"), path.encode())
    if container.record.get("health"):
        from rootless.engine.health import check as health_check

        return "\0".join([path, *health_check.drive(container, manager, path)])
    return path


def spawn(
    orders_path: str,
    name: str,
    *,
    place: Callable[[int], str] | None = None,
    service: Json = None,
    tty: bool = False,
) -> Started:
    """Start the monitor for these orders and wait until the command runs.

    `place(pid)` is called with the monitor's pid while it waits, and returns the path of the cgroup
    for the container ("" for none).  `service`: see engine.notifying.  `tty`: it gets a terminal,
    which has the size of ours from its beginning.  The caller owns the channel's descriptor.
    Raises what the failing operation means; the container is not running then.
    """
    import _socket

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    program = paths.helper("monitor")
    try:
        # dup2 in the child clears close-on-exec; everything else of ours closes by itself
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
        ]
        environment = _environment()
        kept = 0
        if service:
            from rootless.engine.containers import sd_notify

            environment.update(sd_notify.environment(service))
            kept = service.get("preserve", 0)
        if kept:
            theirs, moves = sd_notify.descriptors(theirs, kept)
            actions[-1:] = [*moves, (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
        elif theirs.fileno() == 3:
            os.set_inheritable(3, True)
            actions.pop()
        try:
            pid = os.posix_spawn(
                program,
                ["rootless-monitor", orders_path, *(_window() if tty else ())],
                environment,
                file_actions=actions,
            )
        except OSError as error:
            raise HostError(
                f"cannot start {program}: {error.strerror}", hint="install rootless again"
            ) from None
        theirs.close()
        # the monitor forks and its first process ends at once, so that it is nobody's child
        os.waitpid(pid, 0)
        if place is not None:
            _place(ours, place)
        kind, payload = _frame(ours)
        if kind == b"R":
            return Started(int.from_bytes(payload, "little"), ours.detach())
        if kind == b"F":
            raise failure(payload, orders_path)
        raise RuntimeFailure(
            "the container's monitor ended before it could start the container",
            hint=_helper_log(orders_path) or "the disk may be full, or the installation damaged",
        )
    finally:
        ours.close()
        theirs.close()


def _window() -> list[str]:
    """Rows and columns of the terminal that we are at, in words; nothing without one."""
    for fd in (1, 0):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        return [str(size.lines), str(size.columns)]
    return []


def aim(container: Container, orders: str) -> str:
    """Write the orders with the pid that the container whose namespaces are shared has now."""
    from rootless.engine.containers.container import Container

    other = Container(container.engine, container.record["networkTarget"])
    found = other.state()
    if not found.pid:
        raise Conflict(
            f"the container {other.name}, whose namespaces are shared, is not running",
            hint=f"rootless start {other.name}",
        )
    pid, start = str(found.pid).encode(), str(found.pid_start).encode()
    with open(orders, "rb") as file:
        listed = plan_format.decode(file.read(), plan_format.ORDERS)
    aimed: list[tuple[str, tuple[str | bytes, ...]]] = [
        (
            name,
            (
                *(one.replace(b"@TARGET@", pid) for one in arguments),
                # the monitor goes by this at each start of its own, when others may have the pid
                *((start,) if name == "join" else ()),
            ),
        )
        for name, arguments in listed
    ]
    documents.write_bytes(orders + ".aimed", plan_format.encode(aimed, plan_format.ORDERS))
    return orders + ".aimed"


def _environment() -> dict[str, str]:
    # slirp4netns and fuse-overlayfs inherit this; they need nothing of the person's own
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }


def _place(channel: _socket.socket, place: Callable[[int], str]) -> None:
    kind, payload = _frame(channel)
    if kind != b"M":
        raise RuntimeFailure("the container's monitor did not start")
    path = place(int.from_bytes(payload, "little")).encode()
    channel.sendall(b"G\0\0\0" + len(path).to_bytes(4, "little") + path)


def _exactly(channel: _socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = channel.recv(length - len(data))
        if not part:
            return b""
        data += part
    return data


def _frame(channel: _socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(channel, 8)
    if not head:
        return b"", b""
    return head[:1], _exactly(channel, int.from_bytes(head[4:], "little"))


_CHATTER = "Support for seccomp is experimental"  # slirp4netns says so every time


def _helper_log(orders_path: str, word: str = "") -> str:
    """The last lines of what the programs around the container said, those with `word` alone."""
    try:
        with open(
            os.path.join(os.path.dirname(orders_path), "helpers.log"), errors="replace"
        ) as file:
            lines = [line.strip() for line in file if word in line and _CHATTER not in line]
        lines = [line for line in lines if line]
    except OSError:
        return ""
    return "; ".join(lines[-3:])


def failure(payload: bytes, orders_path: str) -> RootlessError:
    """The error that an F frame stands for."""
    number, code, operation = (int.from_bytes(payload[i : i + 4], "little") for i in (0, 4, 8))
    text = payload[12:].decode("utf-8", "replace")
    reason = os.strerror(code)
    name = plan_format.name_of(operation)
    said = _helper_log(orders_path)
    if name == "exec":
        if code == errno.ENOENT:
            return CommandNotFound(
                f'the command "{text}" was not found in the container',
                hint="check its spelling and the PATH of the image, or the interpreter it names",
            )
        return CommandNotExecutable(
            f'the command "{text}" cannot be executed: {reason}',
            hint=_execution_hint(code),
        )
    if name == "clone":
        hint = host.namespace_remedy() if code in (errno.EPERM, errno.ENOSPC) else ""
        return HostError(f"the container's namespaces cannot be made: {reason}", hint=hint)
    if name == "directory":
        from rootless import disks

        return disks.refused(text, OSError(code, reason))
    if name in ("map", "outer"):
        who = os.path.basename(text) or "the kernel"
        return HostError(
            f"{who} could not map the ids of the container: {said or reason}",
            hint="rootless doctor tells what is missing; --userns single needs no helper",
        )
    if name == "udp":
        port = text.partition(">")[0]
        return Conflict(
            f"the port {port}/udp cannot be published: {reason.lower()}",
            hint="stop what listens there, or choose another host port",
        )
    if name == "slirp-request":
        return _port_failure(text)
    if name in ("slirp", "wait-network"):
        return HostError(
            f"slirp4netns did not start: {said or reason}",
            hint="use --network none or host, or see rootless doctor",
        )
    if name == "fuse":
        program = os.path.basename(text) or "a server of the container's files"
        if program.startswith("python"):
            program = "python-fuse"
        return HostError(
            f"{program} did not start: {said or reason}", hint="see rootless doctor, /dev/fuse"
        )
    if name == "mount" and text == "joined-proc":
        return RuntimeFailure(
            f"/proc of the joined pid namespace cannot be mounted: {reason}",
            hint="its user namespace has to be joined as well, and the /proc around must not be "
            "masked",
        )
    if name == "keyring":
        return RuntimeFailure(
            f"the process cannot have a session keyring of its own: {reason}",
            hint="sysctl kernel.keys.maxkeys is how many keys a user may have",
        )
    if name == "sysctl":
        covered = code == errno.EROFS and host.current().covered_proc
        return RuntimeFailure(
            f"the sysctl {text} cannot be set: {reason}", hint=host.WHOLE_PROC if covered else ""
        )
    if name == "hostname":
        refused = code == errno.EPERM
        return RuntimeFailure(
            f"the host name {text} cannot be set: {reason}", hint=host.NO_FILTER if refused else ""
        )
    if name in ("cwd", "mkdir"):
        return RuntimeFailure(
            f"the working directory {text} cannot be entered: {reason}",
            hint="choose another with -w",
        )
    return RuntimeFailure(
        f"the container could not be started: {name} {text}: {reason}",
        hint=f"operation {number} of its launch plan; --dry-run prints the plan",
    )


def _execution_hint(code: int) -> str:
    if code == errno.ENOEXEC:
        return "it is not a program of this machine's architecture, or a script without #!"
    if code == errno.EACCES:
        return "it lacks execute permission, or lies on a file system mounted noexec"
    return ""


def _port_failure(request: str) -> RootlessError:
    try:
        arguments = documents.loads(request)["arguments"]
        port = f"{arguments['host_addr']}:{arguments['host_port']}/{arguments['proto']}"
    except (ValueError, KeyError):
        port = request
    return Conflict(
        f"the port {port} cannot be published: it is in use",
        hint="stop what listens there, or choose another host port",
    )
