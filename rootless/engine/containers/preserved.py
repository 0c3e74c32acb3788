"""`--preserve-fd N,…`: single descriptors of the caller for the container's command."""

from __future__ import annotations

import fcntl
import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.spec.options import ContainerOptions


def choose(options: ContainerOptions) -> None:
    """Have the named descriptors, from 3 on, be those of `--preserve-fds`.  Raises UsageError.

    What lies between them is not the container's: it gets /dev/null there.  For the command line,
    before it opens anything.
    """
    if options.preserve_fds:
        raise UsageError("--preserve-fd and --preserve-fds contradict each other")
    words = [one for word in options.preserve_fd for one in word.split(",") if one]
    wanted = set()
    for word in words:
        if not (word.isascii() and word.isdigit() and 3 <= int(word) <= 1000):
            raise UsageError(f'--preserve-fd "{word}" is no descriptor from 3 on')
        wanted.add(int(word))
    for fd in wanted:
        try:
            given = os.get_inheritable(fd)
        except OSError:
            given = False
        if not given:
            raise UsageError(
                f"--preserve-fd {fd}: descriptor {fd} is not open",
                hint=f"open it in the shell, as in: exec {fd}<>FILE",
            )
    last = max(wanted, default=2)
    opened = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    nothing = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, last + 1)
    os.close(opened)
    for fd in range(3, last):
        if fd not in wanted:
            os.dup2(nothing, fd, inheritable=True)
    os.close(nothing)
    options.preserve_fds = last - 2
