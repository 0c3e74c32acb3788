"""What drivers need whose files a program serves (FUSE): the device, and options by file system.

Source: fuse-overlayfs(1), whose words for them python-fuse takes as well.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.storage.drivers.driver import RootMount

# file systems of other machines (statfs(2)): other ids, access control lists or counts of
# subdirectories are refused there, or cost a request each
NETWORK = {
    0x6969: "NFS", 0x517B: "SMB", 0xFF534D42: "SMB", 0xFE534D42: "SMB", 0x0BD00BD0: "Lustre",
    0x47504653: "GPFS", 0x00C36400: "CephFS", 0x01021997: "9p", 0x5346414F: "AFS",
    0x65735546: "a file system in user space",
}  # fmt: skip


def device_obstacle() -> str:
    """Why no program can serve files here; empty if one can."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    return ""


def by_file_system(directory: str, *, single: bool) -> dict[str, str]:
    """What a server needs for directories on this file system."""
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


def chosen(mount: RootMount) -> dict[str, str]:
    """The options for this mount; what `--storage-opt` says comes last."""
    made = by_file_system(os.path.dirname(mount.upper), single=mount.single)
    if mount.volatile:
        made["volatile"] = ""
    if mount.served:
        # a layer that a program serves answers questions for ACLs by ENOTSUP, and the kernel then
        # refuses the file to everybody but its owner
        made["noacl"] = ""
    return made | mount.options
