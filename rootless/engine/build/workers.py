"""Processes in the user namespace that work on the files of a build, and stay for its time.

Scope: starting them, one request at a time to each, ending them.  A process is started when it is
first needed: a build that finds everything in the cache needs none.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Callable

from rootless import documents
from rootless.errors import RootlessError
from rootless.userns import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps

_MOST = 2
_WORKER = "rootless.engine.build.inside:serve"


class Workers:
    """A context manager; leaving it ends the processes."""

    def __init__(self, maps: IdMaps) -> None:
        self._maps = maps
        self._free: list[_Worker] = []
        self._count = 0
        self._condition = threading.Condition()
        self._tasks: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._starter: threading.Thread | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, head: Json, stdout: int | None = None) -> Json:
        """Carry out a request (see `inside`): what the function returned, or raised."""
        worker = self._take()
        try:
            answer = worker.ask(head, stdout)
        except BaseException:
            worker.close()
            with self._condition:
                self._count -= 1
                self._condition.notify()
            raise
        with self._condition:
            self._free.append(worker)
            self._condition.notify()
        if "error" in answer:
            raise calls.error_of(answer["error"])
        return answer["answer"]

    def _take(self) -> _Worker:
        with self._condition:
            while not self._free and self._count >= _MOST:
                self._condition.wait()
            if self._free:
                return self._free.pop()
            self._count += 1
        try:
            return self._start()
        except BaseException:
            with self._condition:
                self._count -= 1
                self._condition.notify()
            raise

    def _start(self) -> _Worker:
        """Start one from a thread that stays: the kernel ends a child with the thread that made it
        (PR_SET_PDEATHSIG), and the one that asks may be about to end."""
        with self._condition:
            if self._starter is None:
                self._starter = threading.Thread(target=self._serve, daemon=True)
                self._starter.start()
        made: list[_Worker] = []
        failed: list[BaseException] = []
        ready = threading.Event()

        def task() -> None:
            try:
                made.append(_Worker(self._maps))
            except BaseException as error:
                failed.append(error)
            ready.set()

        self._tasks.put(task)
        ready.wait()
        if failed:
            raise failed[0]
        return made[0]

    def _serve(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def close(self) -> None:
        """End all of them."""
        with self._condition:
            free, self._free = self._free, []
            starter, self._starter = self._starter, None
        for worker in free:
            worker.close()
        if starter is not None:
            self._tasks.put(None)
            starter.join()


class _Worker:
    def __init__(self, maps: IdMaps) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fd = theirs.fileno()
            self._call = calls.spawn(
                _WORKER, {"channel": fd}, maps=maps, mount_namespace=True, pass_fds=(fd,)
            )
        except BaseException:
            self._channel.close()
            raise
        finally:
            theirs.close()

    def ask(self, head: Json, stdout: int | None) -> Json:
        data = documents.dumps(head).encode()
        size = len(data).to_bytes(8, "little")
        try:
            if stdout is None:
                self._channel.sendall(size)
            else:
                socket.send_fds(self._channel, [size], [stdout])
            self._channel.sendall(data)
            length = int.from_bytes(self._exactly(8), "little")
            return documents.loads(self._exactly(length).decode())
        except (BrokenPipeError, ConnectionError, EOFError):
            # it could not be started, or was killed: its own answer says which
            self._call.wait()
            raise RootlessError("the process that works on the build's files has ended") from None

    def _exactly(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._channel.recv(min(length, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._channel.close()
        self._call.close()


def removed(paths: list[str], workers: Workers) -> None:
    """Remove trees with whatever owners; what cannot be removed is left to the next build."""
    doomed = [path for path in paths if os.path.lexists(path)]
    if doomed:
        workers.call({"function": "rootless.engine.build.inside:remove_worker",
                      "request": {"paths": doomed}})  # fmt: skip
