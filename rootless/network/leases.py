"""Addresses of running containers: one locked file each, in a directory for each network.

The lock is the lease.  A container's monitor holds it, so a killed monitor's address is free at
once, and nothing has to be counted.  What the file says is for the resolver of names:

    ID
    NAME...
    MAC
    ADDRESS...

Source: flock(2).
"""

from __future__ import annotations

import os
import time

from rootless.errors import Conflict, UsageError
from rootless.network.subnets import Subnet, number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from rootless.network.definitions import SubnetRecord


class Lease:
    """A held address; closing `fd` lets it go."""

    __slots__ = ("address", "fd", "path")

    def __init__(self, address: str, fd: int, path: str) -> None:
        self.address = address
        self.fd = fd
        self.path = path


def _take(path: str, *, new: bool) -> int:
    """The descriptor of a lock that we hold now; -1 where somebody else does."""
    import fcntl

    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_EXCL if new else 0)
    while True:
        try:
            fd = os.open(path, flags, 0o600)
        except FileExistsError:
            return -1
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return -1
        if os.fstat(fd).st_nlink:
            return fd
        # it was given up between our open and our lock
        os.close(fd)


def lease(
    directory: str,
    record: SubnetRecord,
    *,
    wanted: str = "",
    reserved: Collection[str] = (),
) -> Lease:
    """Take an address of a subnet: `wanted`, or the lowest that is free and not `reserved`.

    Raises Conflict when there is none.
    """
    if wanted:
        path = os.path.join(directory, wanted)
        fd = _take(path, new=False)
        for _ in range(20):
            if fd >= 0:
                break
            # its container may have ended just now; the resolver looks at it for a moment
            time.sleep(0.005)
            fd = _take(path, new=False)
        if fd < 0:
            raise Conflict(
                f"the address {wanted} is in use", hint="choose another one, or none: --ip"
            )
        return Lease(wanted, fd, path)
    subnet = Subnet(record["subnet"])
    first = number(record["first"]) if record.get("first") else subnet.first + 1
    last = number(record["last"]) if record.get("last") else subnet.last - (subnet.size == 32)
    last = min(last, first + (1 << 20))
    gateway = number(record["gateway"])
    known = set(os.listdir(directory))
    # those of monitors that were killed have a file still, and come last
    for new in (True, False):
        for value in range(first, last + 1):
            text = shown(value, subnet.size)
            if value == gateway or text in reserved or (text in known) == new:
                continue
            path = os.path.join(directory, text)
            fd = _take(path, new=new)
            if fd >= 0:
                return Lease(text, fd, path)
    # all that had none when we looked were taken meanwhile
    raise Conflict(
        f"no address is free in {record['subnet']}", hint="a network with a larger --subnet"
    )


def check(record: SubnetRecord, wanted: str) -> None:
    """Raise UsageError for an address that cannot be given."""
    subnet = Subnet(record["subnet"])
    if wanted not in subnet:
        raise UsageError(f"the address {wanted} is not in {subnet}")
    value = number(wanted)
    if value in (subnet.first, number(record["gateway"])) or (
        subnet.size == 32 and value == subnet.last
    ):
        raise UsageError(f"the address {wanted} is the network's own")


def publish(held: Lease, identifier: str, names: list[str], mac: str, addresses: list[str]) -> None:
    """Write down whose the address is."""
    text = "\n".join((identifier, " ".join(names), mac, " ".join(addresses), ""))
    os.ftruncate(held.fd, 0)
    os.pwrite(held.fd, text.encode(), 0)


def is_held(path: str) -> bool:
    """Whether somebody has this lease."""
    import fcntl

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
