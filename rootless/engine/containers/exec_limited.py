"""A command in a container that may take so long and write so much, as health checks need it."""

from __future__ import annotations

import os
import select
import time

from rootless import documents, paths
from rootless.engine.containers import exec as container_exec
from rootless.engine.containers import exec_result
from rootless.engine.spec.option_values import ExecOptions
from rootless.runtime import operations, plan_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.ref import ContainerRef

_MOST = 1 << 16  # bytes of output that are read, however much of it is to be kept


def execute(container: ContainerRef, command: list[str], seconds: float) -> tuple[int, str]:
    """Run it inside: (exit status, what it wrote to both streams); -1 when it took too long."""
    items = container_exec.plan(container, ExecOptions(command=command))
    directory = os.path.join(container.directory, "exec")
    os.makedirs(directory, 0o700, exist_ok=True)
    path = plan_format.write(directory, os.urandom(6).hex() + ".plan", items, operations.NUMBERS)
    out, ours = os.pipe()
    try:
        # the launcher waits for this lock, until it is where it can enter the cgroup from
        with documents.Lock(path):
            pid = os.posix_spawn(
                paths.helper("launch"),
                ["rootless-launch", "-", path],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, ours, 1),
                    (os.POSIX_SPAWN_DUP2, ours, 2),
                ],
            )
            admit = container_exec.admission(container)
            if admit is not None:
                admit(pid)
        os.close(ours)
        ours = -1
        return _wait(pid, out, seconds)
    finally:
        os.close(out)
        if ours >= 0:
            os.close(ours)


def _wait(pid: int, out: int, seconds: float) -> tuple[int, str]:
    ended = os.pidfd_open(pid)
    text, late = bytearray(), False
    deadline = time.monotonic() + seconds
    waiting = select.poll()
    waiting.register(out, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and not late:
                late = True
                exec_result.kill(pid)
                deadline += 5
                continue
            ready = dict(waiting.poll(max(0, int(left * 1000) + 1)))
            if out in ready:
                part = os.read(out, 65536)
                if not part:
                    waiting.unregister(out)
                text += part[: _MOST - len(text)]
            elif ended in ready or late:
                # what it left behind may hold the stream open for ever
                break
    finally:
        os.close(ended)
    if late:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        return -1, f"Health check exceeded timeout ({seconds:g}s)"
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code, text.decode("utf-8", "replace")
