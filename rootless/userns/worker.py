"""The other end of `calls`: runs one function inside a user namespace.

    python3 -IS worker.py ORDER ANSWER      two descriptors

Started without site-packages, so the path comes with the order.  The answer is one JSON document:
{"answer": value} or {"error": {"class": ..., "message": ..., "hint": ...}}.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json


def main() -> int:
    """Read the order, run it, write the answer; the exit status is for debugging only."""
    order, answer = int(sys.argv[1]), int(sys.argv[2])
    for fd in (order, answer):
        os.set_inheritable(fd, False)
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    from rootless import documents

    with open(order, "rb") as file:
        wanted = documents.loads(file.read().decode())
    sys.path[:] = wanted["path"]
    try:
        function = _function(wanted["function"])
        if wanted["become_root"]:
            _become_root()
        import _signal  # type: ignore[import-not-found]  # signal would bring enum along

        # held back since the start of this process; from here on ^C becomes an answer
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGINT})
        _make_room()
        try:
            result = {"answer": function(wanted["request"])}
        finally:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGINT})
        text = documents.dumps(result)
    except BaseException as error:
        text = documents.dumps({"error": described(error, wanted["function"])})
    data = memoryview(text.encode())
    try:
        while data:
            data = data[os.write(answer, data) :]
    except BrokenPipeError:
        # who asked is gone
        return 1
    return 0


def _function(name: str) -> Callable[[Json], Json]:
    from importlib import import_module

    module, _, attribute = name.partition(":")
    function: Callable[[Json], Json] = getattr(import_module(module), attribute)
    return function


def _become_root() -> None:
    """What rootless-enter did not do, so that this package could be read: see `calls`."""
    from rootless import kernel

    try:
        os.setgroups([])
    except PermissionError:
        # "deny" is in /proc/self/setgroups
        pass
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # the change of user took it away, and with it everybody's access to our /proc files
    kernel.calls.prctl(kernel.PR_SET_DUMPABLE, 1)
    kernel.calls.prctl(kernel.PR_SET_PDEATHSIG, 9)


def _make_room() -> None:
    """A container may nest thousands of directories: each costs a frame and a few descriptors."""
    import resource

    sys.setrecursionlimit(200000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):
        pass


def described(error: BaseException, function: str) -> Json:
    """Return the error of a function as an answer has it."""
    from rootless import errors

    if isinstance(error, errors.RootlessError):
        # a class of some other module becomes the nearest one that both sides know
        names = [kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__)]
        return {"class": names[0], "message": error.message, "hint": error.hint}
    if isinstance(error, KeyboardInterrupt):
        return {"class": "Interrupted", "message": "interrupted", "hint": ""}
    if isinstance(error, OSError) and error.strerror:
        message = error.strerror[:1].lower() + error.strerror[1:]
        if error.filename is not None:
            message = f"{_shown(error.filename)}: {message}"
    elif isinstance(error, MemoryError):
        message = "out of memory"
    elif isinstance(error, RecursionError):
        message = "there are too many directories within each other"
    else:
        message = f"{type(error).__name__} in {function}: {error}"
    if os.environ.get("ROOTLESS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    return {"class": "RootlessError", "message": message, "hint": ""}


def _shown(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, str | bytes) else str(name)


if __name__ == "__main__":
    try:
        status = main()
        # without the interpreter's teardown: nothing is left to be done
        sys.stdout.flush()
        sys.stderr.flush()
    except KeyboardInterrupt:
        status = 130
    os._exit(status)
