"""What a container gets that asks for nothing: masks, mounts, devices, environment, sysctls.

The lists are docker's, so that an image finds here what it finds there.
Scope: data for an OCI configuration.  Carrying it out is the launch plan's business.
Hot: loaded by `run`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Mount = dict[str, Any]

MASKED_PATHS: tuple[str, ...] = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What a container must not see: it tells about the host or lets the host be measured."""

READONLY_PATHS: tuple[str, ...] = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

DEVICES: tuple[str, ...] = ("null", "zero", "full", "random", "urandom", "tty")
"""Names in /dev that every container has (OCI runtime specification, "Default Devices")."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ENVIRONMENT: tuple[str, ...] = ("PATH=" + PATH,)

SHM_SIZE = 64 << 20
"""Bytes of /dev/shm where --shm-size does not say otherwise."""


def masked_paths() -> list[str]:
    """`MASKED_PATHS`, and the counters of thermal throttling of each processor that has them."""
    paths = list(MASKED_PATHS)
    base = "/sys/devices/system/cpu"
    # these counters are a side channel; virtual machines have none, so the first processor tells
    if os.path.isdir(f"{base}/cpu0/thermal_throttle"):
        for name in sorted(os.listdir(base)):
            if name.startswith("cpu") and name[3:].isdigit():
                paths.append(f"{base}/{name}/thermal_throttle")
    return paths


def mounts(
    *,
    tty_group: bool,
    shm_size: int = SHM_SIZE,
    own_network: bool = True,
    own_ipc: bool = True,
    own_pid: bool = True,
    own_cgroup: bool = True,
) -> list[Mount]:
    """The mounts of an OCI configuration, in the order in which they are to be made.

    `tty_group`: gid 5 is mapped, so terminals may belong to it as they do on every distribution;
    otherwise they belong to their user's group, because devpts refuses an unmapped gid.
    `shm_size` is in bytes.  A namespace that is not the container's own is shared with the host,
    and the kernel then lets nobody in a user namespace mount its file system anew, so the host's
    is bound instead.
    """
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if tty_group:
        terminals.append("gid=5")
    quiet = ["nosuid", "noexec", "nodev"]
    shared = ["rbind", "rslave", *quiet]
    shm = [*quiet, "mode=1777", f"size={shm_size}"]
    made = [
        _mount("/proc", "proc", quiet) if own_pid else _mount("/proc", "bind", shared, "/proc"),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", terminals),
        _mount("/sys", "sysfs", [*quiet, "ro"])
        if own_network
        else _mount("/sys", "bind", [*shared, "ro"], "/sys"),
        _mount("/sys/fs/cgroup", "cgroup", [*quiet, "relatime", "ro"])
        if own_cgroup
        else _mount("/sys/fs/cgroup", "bind", [*shared, "ro"], "/sys/fs/cgroup"),
    ]
    if own_ipc:
        made.append(_mount("/dev/mqueue", "mqueue", quiet))
        made.append(_mount("/dev/shm", "tmpfs", shm, "shm"))
    else:
        # not every host has message queues mounted
        made += [
            _mount(path, "bind", shared, path)
            for path in ("/dev/mqueue", "/dev/shm")
            if os.path.isdir(path)
        ]
    return made


def _mount(destination: str, kind: str, options: list[str], source: str = "") -> Mount:
    return {
        "destination": destination,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def sysctls(*, own_network: bool = True, largest_gid: int = 0) -> dict[str, str]:
    """Kernel settings of a container's own network namespace; none where it shares another.

    `ping` without privilege for every group up to `largest_gid`, the last one of the id map's
    first extent (the kernel refuses a range whose ends are not mapped), and ports below 1024 for
    everybody inside.
    """
    if not own_network:
        return {}
    return {
        "net.ipv4.ping_group_range": f"0 {largest_gid}",
        "net.ipv4.ip_unprivileged_port_start": "0",
    }
