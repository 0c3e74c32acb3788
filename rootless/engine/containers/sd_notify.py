"""A container as a service: readiness, the watchdog, sockets that systemd opened.

`--sdnotify` says who tells systemd that the service is ready: the command that starts the container
(`conmon`, by podman's name for it; `healthy`, after the first check that went well), or the
container itself (`container`), whose messages the monitor passes on.  Sockets of socket activation
travel from us through the monitor to the command.

Source: sd_notify(3), sd_listen_fds(3), systemd.service(5), podman-run(1).
"""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.errors import HostError, RootlessError, UsageError
from rootless.runtime import operations
from rootless.runtime import orders as to_monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from rootless.documents import Json
    from rootless.engine.containers.draft import Draft
    from rootless.engine.containers.record import ServiceRecord
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.health.record import HealthRecord
    from rootless.engine.spec.options import ContainerOptions
    from rootless.runtime.plan_format import Record

MODES = ("conmon", "container", "healthy", "ignore")
INSIDE = "/run/notify"
SOCKET = "notify.sock"
_FIRST = 3  # SD_LISTEN_FDS_START
_MOST = 1000


def from_environment(options: ContainerOptions) -> None:
    """For the command line: what systemd gave to this process is meant for the container.

    The library leaves it alone: there it belongs to the program that uses the library.
    """
    if os.environ.get("NOTIFY_SOCKET") and options.sdnotify is None:
        options.sdnotify = "container"
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or count == "0":
        return
    options.preserve_fds = max(int(count), options.preserve_fds or 0)
    # the launcher writes the number that the command has in its own pid namespace
    given = [f"LISTEN_FDS={count}", "LISTEN_PID=1"]
    names = os.environ.get("LISTEN_FDNAMES")
    options.env = [*given, *([f"LISTEN_FDNAMES={names}"] if names else []), *options.env]


def check(options: ContainerOptions) -> None:
    """What can be known to be wrong before anything is made.  Raises UsageError."""
    mode = options.sdnotify
    if mode is not None and mode not in MODES:
        raise UsageError(f'unknown --sdnotify "{mode}"', hint=", ".join(MODES))
    count = options.preserve_fds or 0
    if not 0 <= count <= _MOST:
        raise UsageError(f"--preserve-fds {count} is not between 0 and {_MOST}")
    for fd in range(_FIRST, _FIRST + count):
        if not _is_given(fd):
            raise UsageError(
                f"--preserve-fds {count}: descriptor {fd} is not open",
                hint="open it in the shell, as in: exec 3<>FILE",
            )


def _is_given(fd: int) -> bool:
    """Whether a descriptor is the caller's: ours close themselves when a program is executed."""
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


def record(options: ContainerOptions, health: HealthRecord | None) -> ServiceRecord | None:
    """What the container's document keeps of it; None for most containers.  Raises UsageError."""
    if options.sdnotify == "healthy" and not health:
        raise UsageError(
            "--sdnotify healthy has no health check to wait for", hint="give one by --health-cmd"
        )
    found: ServiceRecord = {}
    if options.sdnotify not in (None, "ignore"):
        found["sdnotify"] = options.sdnotify
    if options.conmon_pidfile:
        found["pidFile"] = os.path.abspath(options.conmon_pidfile)
    if options.preserve_fds:
        found["preserve"] = options.preserve_fds
    return found or None


def _listens_at(identifier: str) -> str:
    return os.path.join(paths.socket_directory(identifier), "notify")


def variables() -> list[str]:
    """Return the variables of a container that notifies systemd itself."""
    made = [f"NOTIFY_SOCKET={INSIDE}/{SOCKET}"]
    if os.environ.get("WATCHDOG_USEC"):
        # without WATCHDOG_PID it is meant for whoever reads it, sd_watchdog_enabled(3)
        made.append(f"WATCHDOG_USEC={os.environ['WATCHDOG_USEC']}")
    return made


def mount(identifier: str) -> Json:
    """Make the directory of the socket that such a container writes to; returns its mount."""
    # the source must be there when the configuration is read, by another runtime as well
    os.makedirs(_listens_at(identifier), 0o755, exist_ok=True)
    return {
        "type": "bind",
        "source": _listens_at(identifier),
        "destination": INSIDE,
        # one may write to a socket there, but not fill the host's runtime directory
        "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
    }


def orders(draft: Draft) -> list[Record]:
    """What the monitor is told."""
    options = draft.request.options
    made: list[Record] = []
    if options.sdnotify not in (None, "ignore"):
        path = os.path.join(_listens_at(draft.place.identifier), SOCKET)
        made.append(to_monitor.notify(path if options.sdnotify == "container" else ""))
    if options.preserve_fds:
        made.append(to_monitor.preserve(options.preserve_fds))
    return made


def preserve(plan: list[Record], count: int) -> None:
    """Let the plan's command keep its descriptors: they close themselves otherwise."""
    # before the filter, at which everything else is given its close-on-exec flag
    at = [name for name, _ in plan].index("env")
    plan.insert(at, operations.preserve(count))


# at the start


def environment(kept: ServiceRecord) -> dict[str, str]:
    """Variables for the monitor."""
    if not kept.get("sdnotify"):
        return {}
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC")
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def before(container: ContainerRef) -> None:
    """Make what the monitor and the launcher expect; after a reboot it is gone."""
    kept = container.record["service"]
    if kept and kept.get("sdnotify") == "container":
        os.makedirs(_listens_at(container.id), 0o755, exist_ok=True)


def descriptors(
    channel: _socket.socket, count: int
) -> tuple[_socket.socket, list[tuple[int, int, int]]]:
    """Actions of posix_spawn: ours from 3 on become the monitor's from 4 on; 3 is the channel.

    The channel is returned with a number above all of them.  Raises UsageError when one is not
    open.
    """
    import _socket
    import fcntl

    for fd in range(_FIRST, _FIRST + count):
        if not _is_given(fd):
            raise UsageError(
                f"the container wants {count} descriptors, and descriptor {fd} is not open",
                hint="it was made with --preserve-fds or by socket activation: run it the same way",
            )
    high = fcntl.fcntl(channel.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST + count + 1)
    channel.close()
    moves = [(os.POSIX_SPAWN_DUP2, fd, fd + 1) for fd in range(_FIRST + count - 1, _FIRST - 1, -1)]
    return _socket.socket(fileno=high), moves


def started(container: ContainerRef, channel: int, *, stays: bool) -> None:
    """Tell systemd; with `healthy` wait first.  `stays`: we become the container's client.

    Raises RootlessError when the container ends before it is healthy; `channel` is closed then.
    """
    try:
        _started(container, stays)
    except BaseException:
        os.close(channel)
        raise


def _started(container: ContainerRef, stays: bool) -> None:
    kept, monitor = container.record["service"], container.state().monitor
    if kept is None:
        return
    if kept.get("pidFile"):
        documents.write_bytes(kept["pidFile"], f"{monitor}\n".encode())
    mode = kept.get("sdnotify")
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not mode or not address:
        return
    # who stays is the service's main process already
    text = "" if stays else f"MAINPID={monitor}\n"
    if mode == "conmon":
        text += "READY=1\n"
    if text:
        send(address, text)
    if mode == "healthy":
        wait_until_healthy(container)
        send(address, "READY=1\n")


def send(address: str, text: str) -> None:
    """One message to a socket of sd_notify(3).  Raises HostError."""
    import _socket

    target = "\0" + address[1:] if address.startswith("@") else address
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        sender.sendto(text.encode(), target)
    except OSError as error:
        raise HostError(
            f"the socket {address} of NOTIFY_SOCKET does not answer: {error.strerror}",
            hint="use --sdnotify ignore outside of a service",
        ) from None
    finally:
        sender.close()


def wait_until_healthy(container: ContainerRef) -> None:
    """Return when the first health check has gone well.  Raises RootlessError when it ends."""
    import time

    pause = 0.02
    while True:
        found = container.state()
        if not found.alive and not found.monitor:
            raise RootlessError(
                f"the container {container.name} ended with status {found.exit_code} before it "
                "was healthy",
                hint=f"rootless logs {container.name}",
            )
        if health(container) == "healthy":
            return
        time.sleep(pause)
        pause = min(pause * 1.3, 0.5)


def health(container: ContainerRef) -> str:
    """What the last health check came to: starting, healthy, unhealthy; empty without checks."""
    if not container.record.get("health"):
        return ""
    from rootless.engine.health import config as health_config

    return health_config.status(container.directory, container.record, container.state())
