"""`HostConfig` of `inspect`: what the flags of `run` came to, in docker's and podman's names.

Scope: what was asked for and what the OCI configuration says of it; nothing of the moment.
Sources: docker's API v1.45 (ContainerInspect), podman-inspect(1).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.containers.ref import ContainerRef

_GIVEN = {
    "Dns": "dns", "DnsOptions": "dnsOptions", "DnsSearch": "dnsSearch", "ExtraHosts": "addHost",
    "GroupAdd": "groupAdd",
}  # fmt: skip
_RATES = {
    "BlkioDeviceReadBps": "rbps", "BlkioDeviceWriteBps": "wbps", "BlkioDeviceReadIOps": "riops",
    "BlkioDeviceWriteIOps": "wiops",
}  # fmt: skip
# what cannot be asked for here: always these
_NEVER: Json = {
    "VolumeDriver": "", "ConsoleSize": [0, 0], "Cgroup": "", "Links": None, "Isolation": "",
    "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0, "DeviceCgroupRules": None,
    "DeviceRequests": None, "KernelMemory": 0, "KernelMemoryTCP": 0, "MemorySwappiness": 0,
    "OomKillDisable": False, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0, "DiskQuota": 0, "IntelRdtClosID": "",
}  # fmt: skip


def host_config(one: ContainerRef, config: Json) -> Json:
    """All of it.  `config`: the container's OCI configuration."""
    record = one.record
    asked = record.get("asked") or {}
    policy, _, count = record["restart"].partition(":")
    return {
        **_NEVER,
        "NetworkMode": record["network"],
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": int(count or 0)},
        "AutoRemove": record["remove"],
        "LogConfig": _log(record),
        "Privileged": record["privileged"],
        "ReadonlyRootfs": config["root"]["readonly"],
        "Runtime": record["runtime"],
        "Binds": [
            ":".join(
                (mount.get("Name") or mount["Source"], mount["Destination"], mount["Mode"] or "rw")
            )
            for mount in record["mounts"]
            if mount["Type"] in ("bind", "volume")
        ],
        "PortBindings": one.ports,
        "PublishAllPorts": bool(asked.get("publishAll")),
        "ContainerIDFile": "".join(asked.get("cidfile") or ()),
        "VolumesFrom": asked.get("volumesFrom"),
        **{name: asked.get(key) or [] for name, key in _GIVEN.items()},
        "UsernsMode": "".join(asked.get("userns") or ()),
        "IDMappings": _ids(record),
        "Devices": [_device(word) for word in asked.get("devices") or ()],
        "OomScoreAdj": config["process"].get("oomScoreAdj") or 0,
        "ShmSize": _shm(config),
        **_limits(one),
        **_namespaces(config),
        **_security(one, config),
        "Init": record["init"],
        "Tmpfs": {
            mount["Destination"]: mount["Mode"]
            for mount in record["mounts"]
            if mount["Type"] == "tmpfs"
        },
        "MaskedPaths": config["linux"]["maskedPaths"],
        "ReadonlyPaths": config["linux"]["readonlyPaths"],
    }


def _log(record: ContainerRecord) -> Json:
    options = dict(word.partition("=")[::2] for word in record["logOptions"])
    to_file = record["logDriver"] in ("k8s-file", "json-file")
    return {
        "Type": record["logDriver"],
        "Config": options,
        "Path": record["logPath"] if to_file else "",
        "Tag": options.get("tag", ""),
        "Size": options.get("max-size", "0B"),
    }


def _ids(record: ContainerRecord) -> Json:
    def words(extents: Json) -> list[str]:
        return [":".join(map(str, extent)) for extent in extents]

    return {"UidMap": words(record["maps"]["uids"]), "GidMap": words(record["maps"]["gids"])}


def _device(word: str) -> Json:
    """--device HOST[:CONTAINER[:rwm]]"""
    host, _, rest = word.partition(":")
    inside, _, mode = rest.partition(":")
    if inside and set(inside) <= set("rwm"):
        inside, mode = "", inside
    return {
        "PathOnHost": host,
        "PathInContainer": inside or host,
        "CgroupPermissions": mode or "rwm",
    }


def _shm(config: Json) -> int:
    """Bytes of /dev/shm; 0 where it is another's."""
    for mount in config["mounts"]:
        if mount["destination"] == "/dev/shm":
            for word in mount.get("options") or ():
                if word.startswith("size="):
                    from rootless.cgroups import limits
                    from rootless.errors import UsageError

                    try:
                        return limits.size(word[5:])
                    except UsageError:
                        return 0
    return 0


def _limits(one: ContainerRef) -> Json:
    limits = one.record["cgroup"]["resources"]
    quota, period = limits.get("cpu_quota") or 0, limits.get("cpu_period") or 0
    io = limits.get("io") or {}
    path = one.cgroup()
    return {
        "Memory": limits.get("memory") or 0,
        "MemoryReservation": limits.get("reservation") or 0,
        "MemorySwap": limits.get("swap") or 0,
        "PidsLimit": limits.get("pids") or 0,
        "CpuShares": limits.get("cpu_shares") or 0,
        "CpuPeriod": period,
        "CpuQuota": quota,
        "NanoCpus": quota * 1_000_000_000 // period if quota > 0 and period else 0,
        "CpusetCpus": limits.get("cpuset") or "",
        "CpusetMems": limits.get("mems") or "",
        "BlkioWeight": limits.get("io_weight") or 0,
        "BlkioWeightDevice": [
            {"Path": device, "Weight": weight}
            for device, weight in (limits.get("weights") or {}).items()
        ],
        **{
            name: [
                {"Path": device, "Rate": rates[key]} for device, rates in io.items() if key in rates
            ]
            for name, key in _RATES.items()
        },
        "CgroupConf": limits.get("unified") or None,
        "CgroupParent": one.record["cgroup"]["parent"],
        "CgroupManager": "" if not path else "systemd" if ".scope" in path else "cgroupfs",
        "Cgroups": one.record["cgroup"].get("mode") or "default",
    }


def _namespaces(config: Json) -> Json:
    kinds = {space["type"]: space.get("path") for space in config["linux"]["namespaces"]}
    modes = {
        name: "host" if kind not in kinds else "container" if kinds[kind] else "private"
        for name, kind in (
            ("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts"), ("CgroupnsMode", "cgroup"),
        )
    }  # fmt: skip
    return {**modes, "CgroupMode": modes["CgroupnsMode"]}


def _security(one: ContainerRef, config: Json) -> Json:
    from rootless.runtime import capabilities

    record = one.record
    usual = set(capabilities.DEFAULT)
    bounding = set(config["process"]["capabilities"]["bounding"])
    return {
        "Annotations": record["annotations"],
        "CapAdd": sorted(bounding - usual),
        "CapDrop": sorted(usual - bounding),
        "SecurityOpt": [f"seccomp={record['seccomp']}"] if record["seccomp"] else [],
        "Sysctls": config["linux"]["sysctl"],
        "Ulimits": [
            {"Name": limit["type"], "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in config["process"]["rlimits"]
        ],
    }


def log_path(one: ContainerRef) -> str:
    """The file that has its log, "" where it is elsewhere."""
    return str(_log(one.record)["Path"])


def paths(one: ContainerRef) -> Json:
    """The files that the engine keeps of it."""
    service = one.record["service"] or {}
    asked = one.record.get("asked") or {}
    return {
        "ResolvConfPath": os.path.join(one.directory, "resolv.conf"),
        "HostnamePath": os.path.join(one.directory, "hostname"),
        "HostsPath": os.path.join(one.directory, "hosts"),
        "LogPath": log_path(one),
        "OCIConfigPath": os.path.join(one.directory, "config.json"),
        "StaticDir": one.directory,
        "ConmonPidFile": service.get("pidFile") or "",
        "PidFile": "".join(asked.get("pidFile") or ()),
    }
