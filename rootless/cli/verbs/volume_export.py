"""`rootless volume export`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._shared_options import OUTPUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume export",
    "NAME",
    "Export the contents of a volume as a tar archive",
    (OUTPUT,),
    minimum=1,
    maximum=1,
    complete=("volume",),
    text="Owners are the IDs inside a container. Stop programs that write to the volume first.",
    examples="rootless volume export papers -o papers.tar",
)


def run(call: Call) -> None:
    """Write it, under a temporary name until it is whole."""
    import os
    import stat
    import sys

    from rootless.errors import StorageError, UsageError

    volumes = call.engine().volumes
    name, path = call.words[0], call.options["output"]
    if not path or path == "-":
        if sys.stdout.isatty():
            raise UsageError("an archive is nothing for a terminal", hint="-o FILE")
        volumes.export(name, 1)
        return
    try:
        # a pipe, a device: nothing can take its place
        special = not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        special = False
    if special:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
        try:
            volumes.export(name, fd)
        finally:
            os.close(fd)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {(error.strerror or '').lower()}") from None
    try:
        volumes.export(name, fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
