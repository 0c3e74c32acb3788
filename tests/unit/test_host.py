"""Facts about the host that are read and not tried."""

from __future__ import annotations

import pytest

from rootless import host

_ROOT = "20 1 8:1 / / rw - ext4 /dev/vda rw\n"
_PROC = "30 20 0:5 / /proc rw,nosuid shared:3 - proc proc rw\n"


@pytest.mark.parametrize(
    ("lines", "covered"),
    [
        (_PROC, ""),
        # a mount point that is empty for ever hides nothing
        (_PROC + "31 30 0:9 / /proc/sys/fs/binfmt_misc rw shared:9 - binfmt_misc none rw\n", ""),
        (_PROC + "31 30 0:6 /null /proc/keys ro - devtmpfs dev rw\n", "/proc/keys"),
        # read-only by a mount of itself
        (_PROC + "31 30 0:5 /sys /proc/sys ro - proc proc rw\n", "/proc/sys"),
        # a second one that is whole is enough, a part of one is none
        (_PROC + "31 30 0:6 /null /proc/keys ro - devtmpfs dev rw\n"
         "40 20 0:7 / /mnt/my\\040proc rw - proc proc rw\n", ""),
        (_PROC + "31 30 0:6 /null /proc/keys ro - devtmpfs dev rw\n"
         "40 20 0:7 /sys /mnt/sys rw - proc proc rw\n", "/proc/keys"),
        # optional fields of any number, and a name that looks like the mark between
        (_PROC + "31 30 0:6 / /proc/- rw shared:1 master:2 - tmpfs - rw\n", "/proc/-"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_covers_a_part_of_proc(lines: str, covered: str) -> None:
    assert host.covered_in(_ROOT + lines) == covered
