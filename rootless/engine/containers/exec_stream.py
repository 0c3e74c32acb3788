"""A command in a container whose output is read while it runs, or that is spoken with.

Scope: the library's `exec_run(stream=)` and `exec_run(socket=)`; `exec` has the commands that are
waited for.
"""

from __future__ import annotations

import os

from rootless.engine.containers import exec as container_exec
from rootless.engine.containers import exec_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from socket import socket as Socket

    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.spec.option_values import ExecOptions


def pairs(container: ContainerRef, options: ExecOptions) -> Iterator[tuple[str, bytes]]:
    """("stdout" | "stderr", bytes) as they come.  It has begun when this returns; who closes the
    iterator before the end kills the command."""
    import subprocess

    pipe = subprocess.PIPE
    process = container_exec.begin(
        container, options, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    return _read(process)


def _read(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, bytes]]:
    import selectors

    assert process.stdout is not None and process.stderr is not None
    with process, selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ, "stdout")
        waiting.register(process.stderr, selectors.EVENT_READ, "stderr")
        try:
            while waiting.get_map():
                for key, _ in waiting.select():
                    data = os.read(key.fd, 65536)
                    if data:
                        yield key.data, data
                    else:
                        waiting.unregister(key.fileobj)
        except GeneratorExit:
            # before `with` waits for its end
            exec_result.end(process)
            raise


def talk(container: ContainerRef, options: ExecOptions) -> Socket:
    """A socket whose other end is the command's input and output; both streams are one."""
    import socket
    import subprocess
    import threading

    ours, theirs = socket.socketpair()
    with theirs:
        stdin = theirs.fileno() if options.interactive else subprocess.DEVNULL
        process = container_exec.begin(
            container, options, stdin=stdin, stdout=theirs.fileno(), stderr=theirs.fileno()
        )
    threading.Thread(target=process.wait, daemon=True).start()
    return ours
