"""The driver `python-fuse`: this package's own overlay (pyfuse/), by the library fuse-python."""

from __future__ import annotations

import os
import sys

from rootless import documents, paths
from rootless.storage.drivers import fuse
from rootless.storage.drivers.driver import Driver, RootMount, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rootless.documents import Json
    from rootless.userns.idmap import IdMaps

_PROGRAM = os.path.join(paths.PACKAGE, "storage", "drivers", "pyfuse", "server.py")


class PythonFuse(Driver):
    """For hosts that have neither the kernel's overlay for users nor fuse-overlayfs."""

    name = "python-fuse"
    works = "this package's own overlay, through fuse-python and /dev/fuse"
    used = "python-fuse is used, which is slower still"
    known_options = {
        "squash_to_root": "", "static_nlink": "", "volatile": "", "timeout": "SECONDS",
    }  # fmt: skip
    served = True
    loses_noted_owners = True

    def why_not(self, maps: IdMaps, *, remapped: bool = False, data: str = "") -> str:
        """Look for the library, and load nothing."""
        if not library():
            return "the library fuse-python is not installed"
        return fuse.device_obstacle()

    def server(self, mount: RootMount) -> Server | None:
        """An interpreter in a home of its own is closed to root of a map without the user's id."""
        return Server(arguments(mount), mount.merged, late=mount.late)

    def made(self, kinds: Collection[str], server: Sequence[str]) -> bool:
        """An interpreter serves the root."""
        # of an earlier version, too, which had it elsewhere
        return any(word.endswith("/pyfuse/server.py") for word in server)


def library() -> bool:
    """Whether fuse-python is installed."""
    return any(os.path.isdir(os.path.join(one, "fuseparts")) for one in sys.path if one)


def arguments(mount: RootMount) -> list[str]:
    """The command line of pyfuse/server.py."""
    chosen = fuse.chosen(mount)
    # names change through this mount alone; of a change through one name of a file its other names
    # are told within a second
    seconds = chosen.get("timeout", "")
    order: Json = {
        "path": sys.path,
        "lowers": mount.lowers,
        "upper": mount.upper,
        "work": mount.work,
        "target": mount.merged,
        "volatile": "volatile" in chosen,
        "static_nlink": "static_nlink" in chosen,
        "uids": mount.uidmapping,
        "gids": mount.gidmapping,
        "late": mount.late,
        "options": [
            "use_ino", "allow_other", "default_permissions", "big_writes", "atomic_o_trunc",
            "suid", "dev", "fsname=python-fuse", f"attr_timeout={seconds or 1}",
            f"entry_timeout={seconds or 3600}", f"negative_timeout={seconds or 3600}",
        ],
    }  # fmt: skip
    if "squash_to_root" in chosen:
        order["squash"] = 0
    return [sys.executable, "-IS", _PROGRAM, documents.dumps(order)]


DRIVER = PythonFuse()
