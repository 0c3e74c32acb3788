"""What each driver is told: by the file system it works on, and by `--storage-opt`.

Source: fuse-overlayfs(1), the kernel's overlayfs.rst, containers-storage.conf(5) for the spelling
`overlay.mountopt=a,b`.
"""

from __future__ import annotations

import os

from rootless import documents, host, paths
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.storage.rootfs.root_filesystem import RootMount

# option -> what its value looks like; "": it has none
KNOWN: dict[str, dict[str, str]] = {
    "overlay": {"volatile": "", "index": "on|off", "xino": "on|off|auto"},
    "fuse-overlayfs": {
        "squash_to_root": "", "squash_to_uid": "ID", "squash_to_gid": "ID", "static_nlink": "",
        "xattr_permissions": "1|2", "noacl": "", "volatile": "", "timeout": "SECONDS",
        "fast_ino": "", "fsync": "0|1", "threaded": "0|1", "max_threads": "N",
        "max_idle_threads": "N", "clone_fd": "",
    },
    "python-fuse": {
        "squash_to_root": "", "static_nlink": "", "volatile": "", "timeout": "SECONDS",
    },
    "copy": {},
}  # fmt: skip

# file systems of other machines (statfs(2)): other ids, access control lists or counts of
# subdirectories are refused there, or cost a request each
NETWORK = {
    0x6969: "NFS", 0x517B: "SMB", 0xFF534D42: "SMB", 0xFE534D42: "SMB", 0x0BD00BD0: "Lustre",
    0x47504653: "GPFS", 0x00C36400: "CephFS", 0x01021997: "9p", 0x5346414F: "AFS",
    0x65735546: "a file system in user space",
}  # fmt: skip


def parse(driver: str, words: list[str]) -> dict[str, str]:
    """`--storage-opt` words -> option: value.  Raises UsageError, HostError."""
    known = KNOWN[driver]
    made: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        name = name.removeprefix("overlay.").removeprefix(driver + ".")
        if name == "mountopt":
            made.update(parse(driver, [one for one in value.split(",") if one and one != "nodev"]))
            continue
        if name == "size":
            raise HostError(
                f"--storage-opt {word}: the size of a root file system cannot be limited without "
                "a quota that only an administrator can set",
                hint="--read-only with --tmpfs /data:size=64m limits what a container writes",
            )
        if name not in known:
            raise UsageError(
                f'--storage-opt: the driver {driver} has no option "{name}"',
                hint=", ".join(known) or "it has none",
            )
        if bool(value) != bool(known[name]) or not _fits(value, known[name]):
            form = f"{name}={known[name]}" if known[name] else name
            raise UsageError(f'--storage-opt: invalid "{word}"', hint=form)
        made[name] = value
    return made


def _fits(value: str, form: str) -> bool:
    if form in ("ID", "N"):
        return value.isdigit()
    if form == "SECONDS":
        return value.replace(".", "", 1).isdigit()
    return not form or value in form.split("|")


def by_file_system(directory: str, *, single: bool) -> dict[str, str]:
    """What fuse-overlayfs needs for directories on this file system."""
    made: dict[str, str] = {}
    if single:
        # there is one id: whatever else stands in an inode (root squashed by a server) is its
        made["squash_to_root"] = ""
    if file_system(directory) in NETWORK:
        made |= {"noacl": "", "static_nlink": ""}
        if not single and _has_attributes(directory):
            # owners and modes are kept in an attribute, because the server refuses other ids
            made["xattr_permissions"] = "2"
    return made


def file_system(directory: str) -> int:
    """Its number (statfs(2)); 0 when it does not say."""
    from rootless import kernel

    try:
        return kernel.calls.statfs(directory).type & 0xFFFFFFFF
    except OSError:
        return 0


def _has_attributes(directory: str) -> bool:
    try:
        os.setxattr(directory, "user.rootless.probe", b"y")
        os.removexattr(directory, "user.rootless.probe")
    except OSError:
        return False
    return True


def _chosen(mount: RootMount) -> dict[str, str]:
    made = by_file_system(os.path.dirname(mount.upper), single=mount.single)
    if mount.volatile:
        made["volatile"] = ""
    if mount.served:
        # a layer that a program serves answers questions for ACLs by ENOTSUP, and the kernel then
        # refuses the file to everybody but its owner
        made["noacl"] = ""
    return made | mount.forced


def fuse_overlayfs(mount: RootMount) -> list[str]:
    """How fuse-overlayfs is started; it stays in the foreground under the monitor."""
    options = [
        "lowerdir=" + ":".join(_escaped(one) for one in mount.lowers),
        f"upperdir={_escaped(mount.upper)}",
        f"workdir={_escaped(mount.work)}",
    ]
    options += [f"{name}={value}" if value else name for name, value in _chosen(mount).items()]
    if mount.uidmapping:
        options += [f"uidmapping={mount.uidmapping}", f"gidmapping={mount.gidmapping}"]
    return [host.current().fuse_overlayfs, "-f", "-o", ",".join(options), mount.merged]


def _escaped(path: str) -> str:
    # as libfuse splits its options; of a colon fuse-overlayfs knows no other spelling
    return path.replace("\\", "\\\\").replace(",", "\\,")


def python_fuse(mount: RootMount) -> list[str]:
    """How this package's own overlay is started (storage/drivers/pyfuse/server.py)."""
    import sys

    chosen = _chosen(mount)
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
    program = os.path.join(paths.PACKAGE, "storage", "drivers", "pyfuse", "server.py")
    return [sys.executable, "-IS", program, documents.dumps(order)]
