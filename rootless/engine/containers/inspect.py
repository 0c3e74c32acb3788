"""`inspect` of a container, in the shape that scripts written for docker and podman expect.

What docker and podman have under one name is docker's; what only one of them has is there as well.
"""

from __future__ import annotations

import os

from rootless.engine.common import humanize
from rootless.engine.containers import inspect_host_config
from rootless.engine.health import config as health_config
from rootless.network.backends import registry as networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State

NEVER = "0001-01-01T00:00:00Z"


class _Look:
    """One look at a container: what several parts of the answer need, each read once."""

    def __init__(self, one: ContainerRef) -> None:
        self.one = one
        self.record = one.record
        self.state = one.state()
        self.config = one.config()
        self.process = self.config["process"]


def container(one: ContainerRef, wanted: set[str] | None = None) -> Json:
    """All of it, or the parts that are wanted.

    Where something is wanted that there is not, all of it: who asks sees what there is.
    """
    look = _Look(one)
    if wanted is not None and wanted <= set(_PARTS):
        return {name: part(look) for name, part in _PARTS.items() if name in wanted}
    return {name: part(look) for name, part in _PARTS.items()}


def _state(look: _Look) -> Json:
    one, state = look.one, look.state
    checked = health_config.shown(one.directory, look.record, state)
    return {
        "OciVersion": look.config.get("ociVersion") or "",
        "Status": state.status,
        "Running": state.status in ("running", "paused"),
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": False,
        "Pid": state.pid,
        "ConmonPid": state.monitor,
        "MonitorPid": state.monitor,
        "ExitCode": state.exit_code,
        "Error": _complaint(one, state),
        "StartedAt": humanize.rfc3339(state.started / 1e9),
        "FinishedAt": humanize.rfc3339(state.finished / 1e9),
        "CgroupPath": one.cgroup(),
        "NetworkLost": state.network_lost or state.ports_lost,
        "StoppedByUser": os.path.exists(os.path.join(one.directory, "stopping")),
        "Checkpointed": False,
        "CheckpointedAt": NEVER,
        "RestoredAt": NEVER,
        **({"Health": checked} if checked else {}),
    }


def _image_digest(look: _Look) -> str:
    """Of its manifest; "" where the image has gone meanwhile."""
    from rootless.errors import RootlessError
    from rootless.images.store.store import ImageStore

    if not look.one.image_id:
        return ""
    try:
        return ImageStore(look.one.ctx.data_dir).resolve(look.one.image_id).manifest_digest
    except RootlessError:
        return ""


def _image_name(look: _Look) -> str:
    from rootless.errors import RootlessError
    from rootless.images.names import reference

    try:
        return reference.parse(look.one.image).familiar if look.one.image_id else look.one.image
    except RootlessError:
        return look.one.image


def _mounts(look: _Look) -> list[Json]:
    options = {one["destination"]: one.get("options") or [] for one in look.config["mounts"]}
    return [
        {**mount, "Options": options.get(mount["Destination"], [])}
        for mount in look.record["mounts"]
    ]


def _config(look: _Look) -> Json:
    record, process = look.record, look.process
    service = record["service"] or {}
    return {
        "Hostname": record["hostname"],
        "Domainname": "",
        "User": record["user"],
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": record["tty"],
        "OpenStdin": record["stdin"],
        "StdinOnce": False,
        "Env": process["env"],
        "Cmd": record["command"],
        "CreateCommand": record.get("createCommand") or [],
        "Image": look.one.image,
        "Volumes": None,
        "WorkingDir": process["cwd"],
        "Entrypoint": record["entrypoint"],
        "OnBuild": None,
        "Labels": record["labels"],
        "Annotations": record["annotations"],
        "StopSignal": record["stopSignal"],
        "StopTimeout": record["stopTimeout"],
        "ExposedPorts": {port: {} for port in record["exposed"]},
        "Timeout": record.get("timeout") or 0,
        "Umask": f"{process['user'].get('umask', 0o22):04o}",
        "Passwd": True,
        "sdNotifyMode": service.get("sdnotify") or "container",
        **health_config.configured(record),
    }


_NO_ADDRESSES: Json = {
    "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
    "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "",
}  # fmt: skip


def _places(look: _Look) -> dict[str, Json]:
    """Addresses by network: of one of its own, or of networks with names.

    Of the latter there are none while it does not run.
    """
    places = look.record.get("networks")
    if not places:
        network = networks.recorded(look.record)
        return {network.name: {**_NO_ADDRESSES, **network.backend.settings(network.options)}}
    from rootless.engine.containers import named_networks

    now = {each["name"]: each for each in named_networks.addresses(look.one.directory)}
    made: dict[str, Json] = {}
    for place in places:
        has = now.get(place["name"]) if look.state.pid else None
        made[place["name"]] = {
            **_NO_ADDRESSES,
            "Aliases": [*place["aliases"], look.one.id[:12]],
            **(named_networks.shown(has) if has else {}),
        }
    return made


def _network(look: _Look) -> Json:
    places = _places(look)
    addresses = _NO_ADDRESSES
    if len(places) == 1:
        # docker's and podman's: those of the only network
        addresses = {key: next(iter(places.values()))[key] for key in _NO_ADDRESSES}
    pid = look.state.pid
    return {
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": look.one.ports,
        **addresses,
        "SandboxKey": f"/proc/{pid}/ns/net" if pid else "",
        "Networks": {
            name: {
                "IPAMConfig": None,
                "Links": None,
                "Aliases": None,
                "DriverOpts": None,
                "NetworkID": name,
                "DNSNames": None,
                **place,
            }
            for name, place in places.items()
        },
    }


def _path(name: str) -> Callable[[_Look], str]:
    return lambda look: str(inspect_host_config.paths(look.one)[name])


_PARTS: dict[str, Callable[[_Look], Json]] = {
    "Id": lambda look: look.one.id,
    "Created": lambda look: humanize.rfc3339(look.one.created),
    "Path": lambda look: look.process["args"][0],
    "Args": lambda look: look.process["args"][1:],
    "State": _state,
    "Image": lambda look: f"sha256:{look.one.image_id}" if look.one.image_id else "",
    "ImageDigest": _image_digest,
    "ImageName": _image_name,
    "Rootfs": lambda look: "" if look.one.image_id else look.one.image,
    "Pod": lambda look: "",
    "ResolvConfPath": _path("ResolvConfPath"),
    "HostnamePath": _path("HostnamePath"),
    "HostsPath": _path("HostsPath"),
    "LogPath": _path("LogPath"),
    "OCIConfigPath": _path("OCIConfigPath"),
    "StaticDir": _path("StaticDir"),
    "OCIRuntime": lambda look: look.record["runtime"],
    "ConmonPidFile": _path("ConmonPidFile"),
    "PidFile": _path("PidFile"),
    "Name": lambda look: "/" + look.one.name,
    "RestartCount": lambda look: look.state.restarts,
    "Driver": lambda look: look.record["driver"],
    "Platform": lambda look: "linux",
    "MountLabel": lambda look: "",
    "ProcessLabel": lambda look: "",
    "AppArmorProfile": lambda look: "",
    "ExecIDs": lambda look: [],
    "HostConfig": lambda look: inspect_host_config.host_config(look.one, look.config),
    "IDMappings": lambda look: look.record["maps"],
    "EffectiveCaps": lambda look: look.process["capabilities"]["effective"],
    "BoundingCaps": lambda look: look.process["capabilities"]["bounding"],
    "GraphDriver": lambda look: _graph(look.one),
    "Mounts": _mounts,
    "Dependencies": lambda look: [one for one in (look.record["networkTarget"],) if one],
    "Namespace": lambda look: "",
    "IsInfra": lambda look: False,
    "IsService": lambda look: False,
    "Config": _config,
    "NetworkSettings": _network,
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
        return f"{what}; it is started again until it works"
    if state.ports_lost:
        return "the proxy of the published ports ended; it is started again until it works"
    if state.files_lost:
        return "the program that serves this container's files ended, and the container with it"
    from rootless.engine.containers import lazy_start

    return "".join(lazy_start.complaints(one)[-1:])
