"""What the command says when something is not as asked: on standard error and in `--log`.

The log's forms are those of runc, which engines read.
"""

from __future__ import annotations

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.errors import RootlessError

# a fifo without a reader must not hold the caller up
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


def error(found: RootlessError, shared: dict[str, Json]) -> None:
    """An error, with its hint; also to the log where there is one."""
    hint = f"hint: {found.hint}\n" if found.hint else ""
    _print(f"error: {found.message}\n{hint}")
    _log("error", found.message, shared)


def warnings(sentences: list[str], shared: dict[str, Json]) -> None:
    """Sentences about what is done otherwise: to the log, or to standard error without one.

    Who asks for a log passes the standard error of `run` on to its user as the container's.
    """
    for one in sentences:
        if not _log("warning", one, shared):
            _print(f"warning: {one}\n")


def check(shared: dict[str, Json]) -> None:
    """Make the log, as runc and crun do before anything else.  Raises UsageError.

    An engine reads there what went wrong: one that cannot be written must be told while there is
    somebody who listens to standard error.
    """
    path = shared.get("log")
    if not path:
        return
    try:
        os.close(os.open(path, _APPEND, 0o644))
    except OSError as found:
        shared["log"] = ""
        raise UsageError(
            f"the log {path} cannot be written: {(found.strerror or str(found)).lower()}",
            hint="--log names a file in a directory that is there and yours",
        ) from None


def _print(text: str) -> None:
    from rootless.cli import output

    # a bundle's words may be an image's
    output.remark(text)


def _log(level: str, message: str, shared: dict[str, Json]) -> bool:
    """Append one line to the log; whether it is there now."""
    path = shared.get("log")
    if not path:
        return False
    import time

    from rootless import documents

    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if shared.get("log_format") == "json":
        line = documents.dumps({"level": level, "msg": message, "time": now})
    else:
        line = f'time="{now}" level={level} msg={documents.dumps(message)}'
    try:
        fd = os.open(path, _APPEND, 0o644)
    except OSError:
        return False
    try:
        os.write(fd, line.encode() + b"\n")
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
