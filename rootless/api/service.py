"""The service: its sockets, what it takes off its process, and an engine for each request."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys

from rootless import paths
from rootless.api import router
from rootless.api.server import Server, own_user
from rootless.api.shared import Service
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.api.shared import Maker


def default_path() -> str:
    """Where clients find the socket when no other place was named."""
    return os.path.join(paths.runtime_dir(), "docker.sock")


def run(address: str, make: Maker, *, idle: float, debug: bool = False) -> None:
    """Serve at unix://PATH, tcp://127.0.0.1:PORT or fd:// until idle or told to end."""
    listeners, made, admit = _listen(address or f"unix://{default_path()}")
    _prepare_process()
    service = Service(make, socket_path=_path_of(listeners), debug=debug)
    server = Server(listeners, lambda one: router.answer(service, one), idle=idle, admit=admit)
    # by the loop, never by an exception: one that is raised inside a destructor would be lost
    signal.set_wakeup_fd(server.waker, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: server.end())
    try:
        _ready()
        server.serve()
    finally:
        for one in listeners:
            one.close()
        if made:
            _remove(made)
    # threads that still wait for somebody are not waited for; containers live on without us
    sys.stdout.flush()
    os._exit(0)


def _prepare_process() -> None:
    """Take off the process what was the caller's own, so that no container inherits it.

    Containers get what a daemon's would: no terminal, no umask and no directory of whoever happened
    to start the service, none of its sockets, and the usual limit of descriptors.
    """
    os.umask(0o022)
    os.chdir("/")
    for name in [
        "TERM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
        "LISTEN_FDNAMES", "DOCKER_HOST",
    ]:  # fmt: skip
        if name != "NOTIFY_SOCKET":
            os.environ.pop(name, None)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1):
        if fd == 0 or os.isatty(fd):
            os.dup2(null, fd)
    os.close(null)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or hard == resource.RLIM_INFINITY:
        # monitors take it back, see engine.containers.start
        os.environ["ROOTLESS_NOFILE"] = str(soft)
        most = 1 << 20 if hard == resource.RLIM_INFINITY else hard
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            os.environ.pop("ROOTLESS_NOFILE")


def _ready() -> None:
    """Tell systemd, where it waits (sd_notify(3), Type=notify)."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(b"READY=1", address)
    except OSError:
        pass


def _listen(
    address: str,
) -> tuple[list[socket.socket], str, Callable[[socket.socket], bool]]:
    """The sockets, the path of the one that was made, and who is let in."""
    kind, colon, rest = address.partition("://")
    if not colon:
        raise UsageError(
            f'cannot listen at "{address}"', hint="unix://PATH, tcp://127.0.0.1:PORT or fd://"
        )
    if kind == "fd":
        return _inherited(), "", _local
    if kind == "unix":
        if not rest.startswith("/"):
            raise UsageError(f'"{rest}" is no absolute path', hint="unix:///run/user/1000/...")
        return [_unix(rest)], rest, own_user
    if kind == "tcp":
        from rootless.api import loopback

        return [loopback.listen(rest)], "", loopback.own_user
    raise UsageError(
        f'cannot listen at "{address}"', hint="unix://PATH, tcp://127.0.0.1:PORT or fd://"
    )


def _local(connected: socket.socket) -> bool:
    if connected.family == socket.AF_UNIX:
        return own_user(connected)
    from rootless.api import loopback

    return loopback.own_user(connected)


def _unix(path: str) -> socket.socket:
    """A listening socket that only its owner may connect to.  Raises HostError, UsageError."""
    directory = os.path.dirname(path)
    if directory == paths.runtime_dir():
        paths.ensure(directory)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _answers(path):
            raise HostError(
                f"a service listens at {path} already", hint="choose another path: unix://PATH"
            )
        _remove(path)
        old = os.umask(0o177)  # from its first moment on
        try:
            made.bind(path)
        finally:
            os.umask(old)
        made.listen(512)
    except OSError as error:
        made.close()
        raise HostError(f"cannot listen at {path}: {error.strerror or error}") from None
    except BaseException:
        made.close()
        raise
    return made


def _path_of(listeners: list[socket.socket]) -> str:
    for one in listeners:
        if one.family == socket.AF_UNIX:
            name = one.getsockname()
            if isinstance(name, str):
                return name
    return ""


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(path)
            return True
        except OSError:
            return False


def _remove(path: str) -> None:
    """Remove a socket, and nothing else that may be there."""
    import stat

    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass


def _inherited() -> list[socket.socket]:
    """Those of systemd (sd_listen_fds(3)).  Raises UsageError."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit() or count == "0":
        raise UsageError("no sockets were handed over", hint="fd:// is for units of systemd")
    made = []
    for fd in range(3, 3 + int(count)):
        os.set_inheritable(fd, False)
        made.append(socket.socket(fileno=fd))
    return made
