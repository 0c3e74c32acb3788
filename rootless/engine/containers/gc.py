"""What commands that were killed left behind: found and removed by the next one that looks.

A directory in the making is locked by its maker (flock(2), which ends with the process).  Without
`container.json` and without that lock it is rubbish; so is a container of `run --rm` that was never
started and whose maker is gone.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.containers import record
from rootless.errors import ContainerNotFound, DamagedDocument, RootlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.context import Context


def sweep_name(ctx: Context, name: str) -> bool:
    """Remove the holder of a name if it is rubbish; whether it was."""
    try:
        identifier = os.readlink(os.path.join(ctx.containers_dir, "names", name))
    except OSError:
        return False
    return sweep(ctx, identifier, named=True)


def sweep(ctx: Context, identifier: str, *, named: bool = False) -> bool:
    """Remove a container's directory if it is rubbish; whether it was.

    `named`: it holds a name, so its maker had locked it before it was looked at.
    """
    from rootless.engine.containers import owned

    directory = os.path.join(ctx.containers_dir, identifier)
    try:
        lock = documents.DirectoryLock(directory)
    except OSError:
        return False  # somebody makes it, or it is gone
    try:
        if not _is_rubbish(directory, named or _has_name(ctx.containers_dir, identifier)):
            return False
        # its maker may have come as far as the sockets, just before the monitor would start
        owned.Owned(identifier, ctx.maps).release(ctx)
        return True
    except (OSError, RootlessError):
        return False
    finally:
        lock.close()


def _is_rubbish(directory: str, named: bool) -> bool:
    try:
        found = record.read(directory, os.path.basename(directory))
    except ContainerNotFound:
        # an empty one may have been made just now, by somebody who has not come to locking it yet
        return named or bool(os.listdir(directory)) or _older_than_a_moment(directory)
    except (OSError, DamagedDocument):
        return False
    never_started = not os.path.exists(os.path.join(directory, "state"))
    return bool(found["remove"] and found.get("starts") and never_started)


def _has_name(containers: str, identifier: str) -> bool:
    directory = os.path.join(containers, "names")
    try:
        # asked only of what looks like rubbish, so that reading all names costs nothing that counts
        return any(
            os.readlink(os.path.join(directory, name)) == identifier
            for name in documents.names_in(directory)
        )
    except OSError:
        return False


def _older_than_a_moment(directory: str) -> bool:
    import time

    return time.time() - os.stat(directory).st_mtime > 2
