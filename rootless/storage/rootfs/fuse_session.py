"""Servers of file systems (FUSE) around a worker: for `cp`, `diff` and reading before a start.

Beside a container the monitor does the same (helpers/monitor/file_servers.c).  Here the caller is
in a user and mount namespace that is made for the occasion, so what is mounted vanishes with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

from rootless import kernel
from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rootless.documents import Json

_PATIENCE = 60  # seconds until a server must have mounted


class Servers:
    """Running servers; a context manager, leaving it ends them, the last first."""

    def __init__(self, described: Iterable[Sequence[str]]) -> None:
        """Start each of `described` (Server.as_json).  Raises StorageError."""
        self._running: list[subprocess.Popen[bytes]] = []
        try:
            for _, mount_point, *argv in described:
                self._start(argv, mount_point)
        except BaseException:
            self.close()
            raise

    def _start(self, argv: list[str], mount_point: str) -> None:
        before = os.stat(mount_point).st_dev
        server = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=_die_together,
        )
        self._running.append(server)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and server.poll() is None:
            try:
                if os.stat(mount_point).st_dev != before:
                    return
            except OSError:
                pass  # mounted, and not answering yet
            time.sleep(0.002)
        said = b""
        if server.poll() is not None and server.stderr is not None:
            said = server.stderr.read(4096)
        text = said.decode(errors="replace").strip().replace("\n", "; ")
        name = os.path.basename(argv[0])
        raise StorageError(f"{name} does not serve {mount_point}: {text or 'it does not answer'}")

    def close(self) -> None:
        """End them and wait until each has written everything."""
        while self._running:
            server = self._running.pop()
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stderr is not None:
                server.stderr.close()

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _die_together() -> None:
    kernel.calls.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def read_worker(request: Json) -> Json:
    """{"servers", "lowers", "paths"} -> the text of each path in the union, None if there is none.

    For an image whose layers are served: what `read_file` does for plain directories.
    """
    from rootless.storage.rootfs.read_file import read_lowers

    made = []
    with Servers(request["servers"]):
        for path in request["paths"]:
            data = read_lowers(request["lowers"], path)
            made.append(None if data is None else data.decode("utf-8", "surrogateescape"))
    return made
