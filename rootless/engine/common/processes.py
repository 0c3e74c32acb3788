"""Processes of this host: which one a pid means, and what it is called.

A pid counts only together with the start time of its process and the boot in which it was seen.
"""

from __future__ import annotations

import os


def start_time(pid: int) -> int:
    """Start of a process in clock ticks since boot, 0 if it is gone (proc(5), stat, field 22)."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        text = os.read(fd, 1024)
    except OSError:
        return 0
    finally:
        os.close(fd)
    fields = text[text.rindex(b")") + 2 :].split()
    # a zombie has ended; it only waits to be reaped
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def boot_id() -> str:
    """The kernel's name for this boot."""
    try:
        # bytes: the codec `ascii` would be one more module to load
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            return file.read(64).decode().strip()
    except OSError:
        return ""


def program_name(pid: int) -> str:
    """The kernel's short name of a process, empty if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
