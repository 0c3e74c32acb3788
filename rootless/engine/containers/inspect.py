"""`inspect` of a container, in the shape that scripts written for docker expect."""

from __future__ import annotations

import os

from rootless.engine.common import humanize
from rootless.engine.health import config as health_config
from rootless.network.backends import registry as networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State


def container(one: ContainerRef) -> Json:
    """The shape of `docker container inspect`, with what is ours beside it."""
    record = one.record
    state = one.state()
    config = one.config()
    process = config["process"]
    arguments = process["args"]
    policy, _, count = record["restart"].partition(":")
    checked = health_config.shown(one.directory, record, state)
    network = networks.recorded(record)
    addresses = network.backend.settings(network.options)
    return {
        "Id": one.id,
        "Created": humanize.rfc3339(one.created),
        "Path": arguments[0],
        "Args": arguments[1:],
        "State": {
            "Status": state.status,
            "Running": state.status in ("running", "paused"),
            "Paused": state.status == "paused",
            "Restarting": state.status == "restarting",
            "OOMKilled": state.oom_killed,
            "Dead": False,
            "Pid": state.pid,
            "MonitorPid": state.monitor,
            "ExitCode": state.exit_code,
            "Error": _complaint(one, state),
            "StartedAt": humanize.rfc3339(state.started / 1e9),
            "FinishedAt": humanize.rfc3339(state.finished / 1e9),
            "CgroupPath": one.cgroup(),
            "NetworkLost": state.network_lost,
            **({"Health": checked} if checked else {}),
        },
        "Image": f"sha256:{one.image_id}" if one.image_id else "",
        "ImageName": one.image,
        "ResolvConfPath": os.path.join(one.directory, "resolv.conf"),
        "HostnamePath": os.path.join(one.directory, "hostname"),
        "HostsPath": os.path.join(one.directory, "hosts"),
        "LogPath": record["logPath"] if record["logDriver"] in ("k8s-file", "json-file") else "",
        "OCIConfigPath": os.path.join(one.directory, "config.json"),
        "Name": "/" + one.name,
        "RestartCount": state.restarts,
        "Driver": record["driver"],
        "Platform": "linux",
        "HostConfig": {
            "NetworkMode": record["network"],
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": int(count or 0)},
            "AutoRemove": record["remove"],
            "LogConfig": {
                "Type": record["logDriver"],
                "Config": dict(word.partition("=")[::2] for word in record["logOptions"]),
            },
            "Privileged": record["privileged"],
            "ReadonlyRootfs": config["root"]["readonly"],
            "Runtime": record["runtime"],
            "Binds": [
                ":".join(
                    (
                        mount.get("Name") or mount["Source"],
                        mount["Destination"],
                        mount["Mode"] or "rw",
                    )
                )
                for mount in record["mounts"]
                if mount["Type"] != "tmpfs"
            ],
            "PortBindings": one.ports,
            "Memory": record["cgroup"]["resources"].get("memory") or 0,
            "PidsLimit": record["cgroup"]["resources"].get("pids") or 0,
            **_words(one, config),
            "MaskedPaths": config["linux"]["maskedPaths"],
            "ReadonlyPaths": config["linux"]["readonlyPaths"],
        },
        "IDMappings": record["maps"],
        "EffectiveCaps": process["capabilities"]["effective"],
        "BoundingCaps": process["capabilities"]["bounding"],
        "GraphDriver": _graph(one),
        "Mounts": record["mounts"],
        "Config": {
            "Hostname": record["hostname"],
            "User": record["user"],
            "Tty": record["tty"],
            "OpenStdin": record["stdin"],
            "Env": process["env"],
            "Cmd": record["command"],
            "CreateCommand": record.get("createCommand") or [],
            "Image": one.image,
            "WorkingDir": process["cwd"],
            "Entrypoint": record["entrypoint"],
            "Labels": record["labels"],
            "Annotations": record["annotations"],
            "StopSignal": record["stopSignal"],
            "StopTimeout": record["stopTimeout"],
            "ExposedPorts": {port: {} for port in record["exposed"]},
            "Timeout": record.get("timeout") or 0,
            **health_config.configured(record),
        },
        "NetworkSettings": {
            "Ports": one.ports,
            **addresses,
            "SandboxKey": f"/proc/{state.pid}/ns/net" if state.pid else "",
            "Networks": {record["network"]: addresses},
        },
    }


def _words(one: ContainerRef, config: Json) -> Json:
    """What the flags of `run` came to, as docker's HostConfig tells it."""
    from rootless.runtime import capabilities

    record = one.record
    limits = record["cgroup"]["resources"]
    usual = set(capabilities.DEFAULT)
    bounding = set(config["process"]["capabilities"]["bounding"])
    kinds = {space["type"]: space.get("path") for space in config["linux"]["namespaces"]}
    modes = {
        name: "host" if kind not in kinds else "container" if kinds[kind] else "private"
        for name, kind in (
            ("PidMode", "pid"), ("IpcMode", "ipc"), ("UTSMode", "uts"), ("CgroupnsMode", "cgroup"),
        )
    }  # fmt: skip
    return {
        **modes,
        "Annotations": record["annotations"],
        "CapAdd": sorted(bounding - usual),
        "CapDrop": sorted(usual - bounding),
        "CgroupParent": record["cgroup"]["parent"],
        "CpuShares": limits.get("cpu_shares") or 0,
        "CpuPeriod": limits.get("cpu_period") or 0,
        "CpuQuota": limits.get("cpu_quota") or 0,
        "CpusetCpus": limits.get("cpuset") or "",
        "MemorySwap": limits.get("swap") or 0,
        "Init": record["init"],
        "SecurityOpt": [f"seccomp={record['seccomp']}"] if record["seccomp"] else [],
        "Sysctls": config["linux"]["sysctl"],
        "Tmpfs": {
            mount["Destination"]: mount["Mode"]
            for mount in record["mounts"]
            if mount["Type"] == "tmpfs"
        },
        "Ulimits": [
            {"Name": limit["type"], "Soft": limit["soft"], "Hard": limit["hard"]}
            for limit in config["process"]["rlimits"]
        ],
    }


def _graph(one: ContainerRef) -> Json:
    """Where its files are; names of keys as docker's for overlay2."""
    from rootless.engine.containers import copy as container_copy
    from rootless.engine.containers import rootfs as container_rootfs

    if container_rootfs.driver_of(one).layered:
        data = {"LowerDir": ":".join(container_copy.lowers(one))}
        data |= {
            name: os.path.join(one.directory, directory)
            for name, directory in (
                ("UpperDir", "upper"),
                ("WorkDir", "work"),
                ("MergedDir", "merged"),
            )
        }
    else:
        data = {"MergedDir": container_rootfs.path_of(one)}
    return {"Name": one.record["driver"], "Data": data}


def _complaint(one: ContainerRef, state: State) -> str:
    """What went wrong beside the container: its monitor, its files, a layer that did not arrive."""
    if state.lost:
        return "the monitor was killed"
    if state.network_lost:
        what = networks.recorded(one.record).backend.lost
        return f"{what}; rootless restart {one.name}"
    if state.files_lost:
        return "the program that serves this container's files ended, and the container with it"
    from rootless.engine.containers import lazy_start

    return "".join(lazy_start.complaints(one)[-1:])
