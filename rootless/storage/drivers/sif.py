"""Singularity Image Format: which part of the file holds the root file system.

Scope: the header and the descriptors, read only.  Source: sylabs/sif, pkg/sif/sif.go and
descriptor.go (all numbers little-endian, no padding).
"""

from __future__ import annotations

import struct

from rootless.errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER = struct.Struct("<32s10s3s3s16s8q")
_DESCRIPTOR = struct.Struct("<iBIII7q128s384s")
_MAGIC = b"SIF_MAGIC\0"
_PARTITION = 0x4004
_SQUASHFS, _PRIMARY, _SYSTEM = 1, 2, 1
_FILE_SYSTEMS = {2: "ext3", 3: "an archive", 4: "raw", 5: "encrypted squashfs"}
_MOST = 4096
"""Descriptors; Singularity makes 48."""


def is_sif(head: bytes) -> bool:
    """Whether the first bytes of a file are a SIF header's."""
    return head[32:42] == _MAGIC


def partition(read: Callable[[int, int], bytes], size: int) -> tuple[int, int]:
    """(offset, length) of the squashfs with the root file system in a file of `size` bytes.

    `read(offset, count)`.  Raises StorageError: every number here is a stranger's.
    """
    head = read(0, _HEADER.size)
    if len(head) < _HEADER.size:
        raise _damaged("its header is cut short")
    fields = _HEADER.unpack(head)
    total, start = fields[8], fields[9]
    if not 0 < total <= _MOST or not _HEADER.size <= start <= size - total * _DESCRIPTOR.size:
        raise _damaged(f"it says that {total} descriptors begin at {start} of {size} bytes")
    table = read(start, total * _DESCRIPTOR.size)
    found: tuple[int, int] | None = None
    others: list[str] = []
    for number in range(len(table) // _DESCRIPTOR.size):
        one = _DESCRIPTOR.unpack_from(table, number * _DESCRIPTOR.size)
        if one[0] != _PARTITION or not one[1]:
            continue
        kind, role = struct.unpack_from("<ii", one[13])
        offset, length = one[5], one[6]
        if role not in (_PRIMARY, _SYSTEM):
            continue
        if kind != _SQUASHFS:
            others.append(_FILE_SYSTEMS.get(kind, f"the kind {kind}"))
            continue
        if not _HEADER.size <= offset < size or not 0 < length <= size - offset:
            raise _damaged(f"a partition has {length} bytes from {offset} on, of {size}")
        if role == _PRIMARY or found is None:
            found = offset, length
    if found is None:
        what = f": it is {others[0]}" if others else ""
        raise StorageError(
            f"the SIF file has no squashfs with a root file system{what}",
            hint="build it anew with singularity or apptainer, without encryption",
        )
    return found


def _damaged(why: str) -> StorageError:
    return StorageError(f"the SIF file is damaged: {why}", hint="copy or build it again")
