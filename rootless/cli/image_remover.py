"""`run --rmi`: the process that stays behind the client and removes the image in the end."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.engine import Engine


def stay(engine: Engine, image: str) -> None:
    """Return in a child, which becomes the client; the parent waits for it, removes the image and
    ends with its exit status.

    The terminal sends what is typed to both, so the parent lets those signals pass; others that it
    gets alone are passed on.
    """
    from rootless.errors import RootlessError

    child = os.fork()
    if not child:
        return
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: os.kill(child, number))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    try:
        engine.images.remove(image)
    except RootlessError as error:
        # as with --rm, what the command said counts
        os.write(2, f"rootless: {error.message}\n".encode())
    os._exit(128 - code if code < 0 else code)
