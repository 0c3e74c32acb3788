"""Start a monitor and hear from it.

The monitor is started by posix_spawn, never by fork: the library may be in use by several threads.
Descriptor 3 of the monitor is one end of a socket pair; what travels on it is described in
docs/dev/formats.md under "The monitor's channel".
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.engine.containers import state as container_state
from rootless.engine.containers.ref import ContainerRef
from rootless.errors import Conflict, ContainerNotFound, HostError, RootlessError, RuntimeFailure
from rootless.runtime import frames, plan_format
from rootless.runtime import orders as to_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence

    from rootless.engine.containers.record import ContainerRecord, ServiceRecord
    from rootless.network.backends.backend import Backend, PlaceRecord
    from rootless.runtime.failures import Report, Sentence


class Started:
    """A monitor that reported success: the host pid of the container's process and the channel."""

    __slots__ = ("channel", "pid")

    def __init__(self, pid: int, channel: int) -> None:
        self.pid = pid
        self.channel = channel


def launch(container: ContainerRef, window: tuple[int, int] | None = None) -> Started:
    """Start a container of which nothing runs, under its lock; raises what `spawn` raises."""
    if not os.path.exists(os.path.join(container.directory, "container.json")):
        # removed while this waited for the lock: nothing may be made for it again
        raise ContainerNotFound(f'no such container: "{container.name}"')
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
    if container.record.get("secrets"):
        from rootless.engine.containers import secrets

        secrets.lend(container)
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
    places = container.record.get("networks")
    if places:
        return _on_networks(container, orders, places, window)
    return _spawn(container, orders, window)


def _on_networks(
    container: ContainerRef,
    orders: str,
    places: list[PlaceRecord],
    window: tuple[int, int] | None,
) -> Started:
    """With addresses of this start, which the monitor holds from then on."""
    from rootless.engine.containers import named_networks

    taken = named_networks.start(container, places)
    try:
        with open(orders, "rb") as file:
            known = file.read()
        further = plan_format.encode(taken.orders, to_monitor.NUMBERS)
        documents.write_bytes(orders + ".aimed", known + further[len(plan_format.MAGIC) :])
        return _spawn(container, orders + ".aimed", window, taken.fds)
    finally:
        taken.close()


def _spawn(
    container: ContainerRef,
    orders: str,
    window: tuple[int, int] | None,
    leases: Sequence[int] = (),
) -> Started:
    return spawn(
        orders,
        container.name,
        place=lambda pid: _in_cgroup(container, pid),
        service=container.record.get("service"),
        tty=container.record["tty"],
        window=window,
        record=container.record,
        leases=leases,
    )


def _in_cgroup(container: ContainerRef, pid: int) -> str:
    """Put the monitor into its cgroup; what the monitor is answered (docs/dev/formats.md)."""
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
        from rootless.engine.health import schedule as health_schedule

        return "\0".join([path, *health_schedule.drive(container, manager, path)])
    return path


def spawn(
    orders_path: str,
    name: str,
    *,
    place: Callable[[int], str] | None = None,
    service: ServiceRecord | None = None,
    tty: bool = False,
    window: tuple[int, int] | None = None,
    record: ContainerRecord | None = None,
    leases: Sequence[int] = (),
) -> Started:
    """Start the monitor for these orders and wait until the command runs.

    `place(pid)` is called with the monitor's pid while it waits, and returns the path of the cgroup
    for the container ("" for none).  `service`: see sd_notify.  `tty`: it gets a terminal,
    which has the size of `window` or of ours from its beginning.  `record`: the container's,
    which says whose network it has; `leases`: locks that it is to hold.  The caller owns the
    channel's descriptor.
    Raises what the failing operation means; the container is not running then.
    """
    import _socket

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    program = paths.helper("monitor")
    high: list[int] = []
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
        high = [_above(one) for one in leases]
        actions += [(os.POSIX_SPAWN_DUP2, one, 4 + kept + at) for at, one in enumerate(high)]
        try:
            pid = os.posix_spawn(
                program,
                ["rootless-monitor", orders_path, *(_window(window) if tty else ())],
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
        kind, payload = frames.read(ours)
        if kind == frames.RUNNING:
            return Started(frames.number(payload), ours.detach())
        if kind == frames.FAILED:
            raise failure(payload, orders_path, record)
        raise RuntimeFailure(
            "the container's monitor ended before it could start the container",
            hint=_helper_log(orders_path) or "the disk may be full, or the installation damaged",
        )
    finally:
        ours.close()
        theirs.close()
        for one in high:
            os.close(one)


def _above(fd: int) -> int:
    """A copy that is in nobody's way where the monitor has its descriptors."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)


def _window(given: tuple[int, int] | None) -> list[str]:
    """Rows and columns in words: those given, or of the terminal that we are at, if any."""
    if given is not None:
        return [str(one) for one in given]
    for fd in (1, 0):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        return [str(size.lines), str(size.columns)]
    return []


def aim(container: ContainerRef, orders: str) -> str:
    """Write the orders with the pid that the container whose namespaces are shared has now."""
    other = ContainerRef(container.ctx, container.record["networkTarget"])
    found = other.state()
    if not found.pid:
        raise Conflict(
            f"the container {other.name}, whose namespaces are shared, is not running",
            hint=f"rootless start {other.name}",
        )
    pid, start = str(found.pid).encode(), str(found.pid_start).encode()
    with open(orders, "rb") as file:
        listed = plan_format.decode(file.read(), to_monitor.NUMBERS)
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
    documents.write_bytes(orders + ".aimed", plan_format.encode(aimed, to_monitor.NUMBERS))
    return orders + ".aimed"


def _environment() -> dict[str, str]:
    # programs beside the container inherit this; they need nothing of the user's own
    made = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    if "ROOTLESS_NOFILE" in os.environ:
        # a service of many connections raised its limit; the monitor takes it back, for itself and
        # for the container
        made["ROOTLESS_NOFILE"] = os.environ["ROOTLESS_NOFILE"]
    return made


def _place(channel: _socket.socket, place: Callable[[int], str]) -> None:
    kind, payload = frames.read(channel)
    if kind != frames.MADE:
        raise RuntimeFailure("the container's monitor did not start")
    path = place(frames.number(payload))
    channel.sendall(frames.pack(frames.GO, path.encode()))


def _helper_log(orders_path: str, noise: tuple[str, ...] = ()) -> str:
    """The last lines of what the programs around the container said; `noise`: parts of lines that
    mean nothing."""
    path = os.path.join(os.path.dirname(orders_path), "helpers.log")
    try:
        with open(path, errors="replace") as file:
            lines = [line.strip() for line in file if not any(one in line for one in noise)]
    except OSError:
        return ""
    return "; ".join([line for line in lines if line][-3:])


def failure(payload: bytes, orders_path: str, record: ContainerRecord | None) -> RootlessError:
    """The error that an F frame stands for.  `record`: the container's, None for `exec`."""
    from rootless.network.backends import registry as networks
    from rootless.runtime import failures

    backend = networks.recorded(record or {"network": ""}).backend
    said = _helper_log(orders_path, backend.noise)
    return failures.of_engine(frames.Failure(payload), said, network_failure(backend))


def network_failure(backend: Backend) -> Sentence:
    """What explains the failures of a network's sidecar."""

    def sentence(report: Report) -> RootlessError | None:
        if report.name == "udp":
            from rootless.network import ports

            return ports.taken(f"{report.text.partition('>')[0]}/udp", report.reason.lower())
        if report.name == "sidecar-request":
            return backend.refused(report.text)
        if report.name == "ports" and ":" in report.text:
            from rootless.network import ports

            return ports.taken(report.text, report.reason.lower())
        if report.name in ("sidecar", "wait-network", "companion"):
            return backend.did_not_start(report.said or report.reason)
        return None

    return sentence
