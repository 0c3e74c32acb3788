"""The driver `fuse-overlayfs`: the program of that name serves the files.

Source: fuse-overlayfs(1).
"""

from __future__ import annotations

from rootless import host
from rootless.storage.drivers import fuse
from rootless.storage.drivers.driver import Driver, RootMount, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rootless.userns.idmap import IdMaps

PROGRAM = "fuse-overlayfs"


class FuseOverlayfs(Driver):
    """Works on every file system that has extended attributes, and shows files with other ids."""

    name = PROGRAM
    works = "the program is installed and /dev/fuse is open"
    used = "fuse-overlayfs is used, which is slower"
    known_options = {
        "squash_to_root": "", "squash_to_uid": "ID", "squash_to_gid": "ID", "static_nlink": "",
        "xattr_permissions": "1|2", "noacl": "", "volatile": "", "timeout": "SECONDS",
        "fast_ino": "", "fsync": "0|1", "threaded": "0|1", "max_threads": "N",
        "max_idle_threads": "N", "clone_fd": "",
    }  # fmt: skip
    served = True
    nests = True
    plain_whiteouts = True
    squashes_owners = True

    def why_not(self, maps: IdMaps, *, remapped: bool = False, data: str = "") -> str:
        """It needs its program and /dev/fuse."""
        if not program():
            return f"the program {PROGRAM} is not installed"
        return fuse.device_obstacle()

    def remedy(self, problem: str) -> str:
        """Install it, where nothing else is missing."""
        return f"as root: apt-get install {PROGRAM}" if "installed" in problem else ""

    def server(self, mount: RootMount) -> Server | None:
        """It stays in the foreground under the monitor."""
        return Server(arguments(mount), mount.merged)

    def mount_read_only(self, path: str, base: str, lowers: list[str]) -> bool:
        """False where it is not installed.  It goes on in the background until it is unmounted."""
        import subprocess

        if not program():
            return False
        options = "ro,lowerdir=" + ":".join(lowers)
        done = subprocess.run([program(), "-o", options, path], capture_output=True, text=True)
        if done.returncode:
            raise OSError(0, f"{PROGRAM}: {done.stderr.strip()}")
        return True

    def made(self, kinds: Collection[str], server: Sequence[str]) -> bool:
        """The program has this name."""
        return bool(server) and server[0].endswith(PROGRAM)

    def without_mapping(self, server: Sequence[str]) -> list[str]:
        """Leave out the last two of its options, which `arguments` adds."""
        words = list(server)
        if "-o" in words:
            at = words.index("-o") + 1
            words[at] = words[at].rpartition(",uidmapping=")[0] or words[at]
        return words

    def notes_owners(self, server: Sequence[str]) -> bool:
        """Under the option xattr_permissions."""
        return any("xattr_permissions=" in word for word in server)


def program() -> str:
    """Where it is installed; empty where it is not."""
    return host.current().program(PROGRAM)


def arguments(mount: RootMount) -> list[str]:
    """Its command line."""
    options = [
        "lowerdir=" + ":".join(_escaped(one) for one in mount.lowers),
        f"upperdir={_escaped(mount.upper)}",
        f"workdir={_escaped(mount.work)}",
    ]
    options += [f"{name}={value}" if value else name for name, value in fuse.chosen(mount).items()]
    if mount.uidmapping:
        options += [f"uidmapping={mount.uidmapping}", f"gidmapping={mount.gidmapping}"]
    return [program(), "-f", "-o", ",".join(options), mount.merged]


def _escaped(path: str) -> str:
    # as libfuse splits its options; of a colon fuse-overlayfs knows no other spelling
    return path.replace("\\", "\\\\").replace(",", "\\,")


DRIVER = FuseOverlayfs()
