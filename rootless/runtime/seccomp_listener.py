"""Hands the descriptor of a seccomp filter's notifications to the agent that the bundle names.

Source: runtime-spec config-linux.md, "Seccomp", `listenerPath` and "The Container Process State".
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json


def hand_over(seccomp: Json, state: Json, pid: int, fd: int) -> None:
    """Connect to the agent, tell it whose descriptor this is, and close it here.

    Raises RuntimeFailure.
    """
    import _socket

    told: Json = {"ociVersion": state["ociVersion"], "fds": ["seccompFd"], "pid": pid}
    if seccomp.get("listenerMetadata"):
        told["metadata"] = seccomp["listenerMetadata"]
    told["state"] = state
    path = seccomp["listenerPath"]
    talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        talk.connect(path)
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(4, "little"))
        talk.sendmsg([documents.dumps(told).encode()], [rights])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RuntimeFailure(
            f'linux.seccomp.listenerPath: "{path}" cannot be told: {reason}',
            hint="the agent has to listen there before the container starts",
        ) from None
    finally:
        talk.close()
        os.close(fd)
