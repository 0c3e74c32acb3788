"""What podman's `info` says of the host and of the store, as a tree in its names.

Scope: `host`, `store`, `registries`, `plugins` and `version` of podman-info(1).
What podman says of conmon is said of the monitor, which is its counterpart here.
"""

from __future__ import annotations

import os
import time

from rootless import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.context import Context


def version(found: Json) -> Json:
    """podman's object of a version; `found`: ours."""
    built = _built()
    return {
        "APIVersion": found["Version"],
        "Version": found["Version"],
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": time.asctime(time.gmtime(built)),
        "Built": built,
        "OsArch": found["OsArch"],
        "Os": found["Os"],
    }


def _built() -> int:
    """When the program was installed: that of its launcher."""
    try:
        return int(os.stat(paths.helper("launch")).st_mtime)
    except OSError:
        return 0


def tree(ctx: Context, found: Json) -> Json:
    """All of it; `found`: what `info` says."""
    return {
        "host": _host(ctx, found),
        "store": _store(ctx, found),
        "registries": _registries(),
        "plugins": {
            "volume": ["local"],
            "network": _networks(),
            "log": ["k8s-file", "none", "json-file", "journald"],
            "authorization": None,
        },
        "version": version(found["Client"]),
    }


def _networks() -> list[str]:
    from rootless.network.backends import registry

    return list(registry.NAMES)


def _host(ctx: Context, found: Json) -> Json:
    from rootless.runtime import capabilities

    memory = _memory()
    program = {
        "name": found["Runtime"],
        "package": "",
        "path": paths.helper("create") if found["Runtime"] == "rootless" else found["Runtime"],
        "version": f"rootless version {found['Client']['Version']}",
    }
    return {
        "arch": found["Client"]["Arch"],
        "buildahVersion": found["Client"]["Version"],
        "cgroupManager": found["CgroupManager"],
        "cgroupVersion": "v2" if found["CgroupVersion"] == "2" else "v1",
        "cgroupControllers": _controllers(),
        "conmon": {
            "package": "",
            "path": paths.helper("monitor"),
            "version": f"rootless-monitor version {found['Client']['Version']}",
        },
        "cpus": found["NCPU"],
        "cpuUtilization": _utilization(),
        "databaseBackend": "files",
        "distribution": _distribution(),
        "eventLogger": "file",
        "freeLocks": 0,
        "hostname": found["Name"],
        "idMappings": {
            f"{kind[:3]}map": [
                {"container_id": inside, "host_id": outside, "size": size}
                for inside, outside, size in found["IDMappings"][kind]
            ]
            for kind in ("uids", "gids")
        },
        "kernel": found["KernelVersion"],
        "linkmode": "static",
        "logDriver": "k8s-file",
        "memFree": memory.get("MemFree", 0),
        "memTotal": memory.get("MemTotal", found["MemTotal"]),
        "networkBackend": found["Network"],
        "ociRuntime": program,
        "os": "linux",
        "remoteSocket": {
            "path": "unix://" + os.path.join(found["RuntimeDir"], "docker.sock"),
            "exists": os.path.exists(os.path.join(found["RuntimeDir"], "docker.sock")),
        },
        "rootlessNetworkCmd": found["Network"],
        "security": {
            "apparmorEnabled": False,
            "capabilities": ",".join(capabilities.DEFAULT),
            "rootless": True,
            "seccompEnabled": True,
            "seccompProfilePath": "builtin",
            "selinuxEnabled": os.path.exists("/sys/fs/selinux/enforce"),
        },
        "serviceIsRemote": False,
        **_network_programs(),
        "swapFree": memory.get("SwapFree", 0),
        "swapTotal": memory.get("SwapTotal", 0),
        "uptime": _uptime(),
    }


def _store(ctx: Context, found: Json) -> Json:
    try:
        room = os.statvfs(ctx.data_dir)
        allocated, free = room.f_frsize * room.f_blocks, room.f_frsize * room.f_bfree
    except OSError:
        allocated = free = 0
    return {
        "configFile": os.path.join(paths.config_dir(), "config.toml"),
        "containerStore": {
            "number": found["Containers"],
            "paused": found["ContainersPaused"],
            "running": found["ContainersRunning"],
            "stopped": found["ContainersStopped"],
        },
        "graphDriverName": found["Driver"],
        "graphOptions": dict(one.partition("=")[::2] for one in ctx.storage_options),
        "graphRoot": ctx.data_dir,
        "graphRootAllocated": allocated,
        "graphRootUsed": allocated - free,
        "graphStatus": {"Reason": found["DriverReason"]},
        "imageCopyTmpDir": ctx.data_dir,
        "imageStore": {"number": found["Images"]},
        "runRoot": found["RuntimeDir"],
        "transientStore": False,
        "volumePath": os.path.join(ctx.data_dir, "volumes"),
    }


def _registries() -> Json:
    """registries.conf as it is read; an unreadable one is for whoever pulls."""
    from rootless.errors import RootlessError
    from rootless.images.names import registries

    try:
        known = registries.configuration()
    except RootlessError:
        return {"search": ["docker.io"]}
    found: Json = {}
    for prefix, entry in known.entries.items():
        found[prefix] = {
            "Prefix": prefix,
            "Location": entry.get("location") or "",
            "Insecure": bool(entry.get("insecure")),
            "PullFromMirror": entry.get("pull-from-mirror") or "",
            "Mirrors": entry.get("mirror"),
            "Blocked": bool(entry.get("blocked")),
            "MirrorByDigestOnly": bool(entry.get("mirror-by-digest-only")),
        }
    return {**found, "search": known.search or ["docker.io"]}


def _network_programs() -> dict[str, Json]:
    """Those of the networks that have one, by their names."""
    from rootless.network.backends import registry

    return {
        one.name: _program(one.name)
        for one in registry.all_backends()
        if not (one.shares_host or one.joins or one.isolated)
    }


def _program(name: str) -> Json:
    """Where a program is; empty where it is not."""
    import shutil

    return {"executable": shutil.which(name) or "", "package": "", "version": ""}


def _controllers() -> list[str]:
    """Controllers of the group that this process is in, cgroups(7)."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            own = next((one[3:].strip() for one in file if one.startswith("0::")), "/")
        with open(f"/sys/fs/cgroup{own}/cgroup.controllers", encoding="utf-8") as file:
            return file.read().split()
    except OSError:
        return []


def _memory() -> dict[str, int]:
    """Bytes by the names of proc_meminfo(5)."""
    found = {}
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                found[name] = int(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return found


def _utilization() -> Json:
    """Percent since the host was started, proc_stat(5)."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:]]
    except (OSError, ValueError):
        times = []
    whole = sum(times) or 1
    user, nice, system, idle = (times + [0] * 4)[:4]
    return {
        "userPercent": round(100 * (user + nice) / whole, 2),
        "systemPercent": round(100 * system / whole, 2),
        "idlePercent": round(100 * idle / whole, 2),
    }


def _distribution() -> Json:
    """From os-release(5)."""
    words = {}
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                name, equals, value = line.strip().partition("=")
                if equals:
                    words[name] = value.strip("\"'")
    except (OSError, ValueError):
        pass
    return {
        "distribution": words.get("ID", "unknown"),
        "version": words.get("VERSION_ID", "unknown"),
        "variant": words.get("VARIANT_ID", ""),
        "codename": words.get("VERSION_CODENAME", ""),
    }


def _uptime() -> str:
    """`26h 11m 51.00s`, as podman says it."""
    try:
        with open("/proc/uptime", encoding="ascii") as file:
            seconds = float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        seconds = 0.0
    whole = int(seconds)
    return f"{whole // 3600}h {whole // 60 % 60}m {seconds % 60:.2f}s"
