"""A conversation with a container's monitor, as the C client or as Python reads it."""

from __future__ import annotations

import os

from rootless import paths
from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.channel import Channel
    from rootless.engine.containers.ref import ContainerRef

DETACH_KEYS = "ctrl-p,ctrl-q"


class Session:
    """The channel to a running container: either a descriptor or the path of its socket."""

    def __init__(self, container: ContainerRef | None, *, fd: int = -1, path: str = "") -> None:
        self.container = container
        self.fd = fd
        self.path = path

    def become_client(
        self,
        *,
        stdin: bool = False,
        tty: bool = False,
        detach_keys: str = "",
        sig_proxy: bool = True,
        stdout: bool = True,
        stderr: bool = True,
    ) -> None:
        """Replace this process by the C client, which ends as the container ends.  Never returns.

        A waiting interpreter would hold 8 MB for as long as the container runs; the client holds
        some dozen kilobytes.
        """
        arguments = ["rootless-attach"]
        if self.fd >= 0:
            os.set_inheritable(self.fd, True)
            arguments += ["--fd", str(self.fd)]
        else:
            arguments += ["--socket", self.path]
        if stdin:
            arguments.append("--stdin")
        if tty:
            arguments.append("--tty")
        keys = parse_keys(detach_keys or DETACH_KEYS)
        arguments += ["--detach-keys", keys.hex()]
        if not sig_proxy:
            arguments.append("--no-sig-proxy")
        if not stdout:
            arguments.append("--no-stdout")
        if not stderr:
            arguments.append("--no-stderr")
        program = paths.helper("attach")
        try:
            os.execv(program, arguments)
        except OSError as error:
            raise HostError(
                f"cannot start {program}: {error.strerror}", hint="install rootless again"
            ) from None

    def channel(self) -> Channel:
        """The frames, for Python programs."""
        from rootless.engine.containers.channel import Channel

        return Channel(self.fd if self.fd >= 0 else self.path)


def parse_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` -> b"\\x10\\x11"; "" and "none" -> b"" (docker-attach(1)).

    Raises UsageError.
    """
    from rootless.errors import UsageError

    made = bytearray()
    if text in ("", "none"):
        return b""
    special = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}
    for word in text.split(","):
        low = word.lower()
        if len(word) == 1 and word.isascii():
            made += word.encode()
        elif low.startswith("ctrl-") and len(word) == 6:
            key = low[5]
            if "a" <= key <= "z":
                made.append(ord(key) - 96)
                continue
            if key in special:
                made.append(special[key])
                continue
            raise UsageError(f'invalid --detach-keys "{text}"', hint="as in ctrl-p,ctrl-q")
        else:
            raise UsageError(f'invalid --detach-keys "{text}"', hint="as in ctrl-p,ctrl-q")
    return bytes(made)
