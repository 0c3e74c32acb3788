"""Answers about containers as docker's schemas have them.

Scope: the engine's own attributes, and what was asked for when the container was made, laid into
docker's fields: all of them there, of the right types, null where docker has null.
"""

from __future__ import annotations

from rootless.api import network_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.network_names import Ids
    from rootless.documents import Json
    from rootless.engine.containers.container import Container

ZERO_TIME = "0001-01-01T00:00:00Z"

_HOST_CONFIG: Json = {
    "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}},
    "NetworkMode": "bridge", "PortBindings": {},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False,
    "VolumeDriver": "", "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None,
    "CapDrop": None, "CgroupnsMode": "private", "Dns": [], "DnsOptions": [], "DnsSearch": [],
    "ExtraHosts": None, "GroupAdd": None, "IpcMode": "private", "Cgroup": "", "Links": None,
    "OomScoreAdj": 0, "PidMode": "", "Privileged": False, "PublishAllPorts": False,
    "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "",
    "ShmSize": 67108864, "Runtime": "rootless", "Isolation": "", "CpuShares": 0, "Memory": 0,
    "NanoCpus": 0, "CgroupParent": "", "BlkioWeight": 0, "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [], "CpuPeriod": 0, "CpuQuota": 0, "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
    "DeviceCgroupRules": None, "DeviceRequests": None, "MemoryReservation": 0, "MemorySwap": 0,
    "MemorySwappiness": None, "OomKillDisable": False, "PidsLimit": None, "Ulimits": None,
    "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
    "MaskedPaths": [], "ReadonlyPaths": [],
}  # fmt: skip

_CONFIG: Json = {
    "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": True,
    "AttachStderr": True, "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": [],
    "Cmd": None, "Image": "", "Volumes": None, "WorkingDir": "", "Entrypoint": None,
    "OnBuild": None, "Labels": {},
}  # fmt: skip

_ENDPOINT: Json = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None,
    "GwPriority": 0, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
    "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}  # fmt: skip


def inspected(container: Container, exchange: Exchange, ids: Ids, *, size: bool = False) -> Json:
    """GET /containers/{id}/json."""
    from rootless.engine.containers import exec_object, requested

    attrs = container.attrs
    asked = requested.read(container)
    found = attrs["State"]
    for key in ("StartedAt", "FinishedAt"):
        found[key] = _moment(found[key])
    made: Json = {
        "Id": attrs["Id"],
        "Created": attrs["Created"],
        "Path": attrs["Path"],
        "Args": attrs["Args"],
        "State": {
            **{
                key: found[key]
                for key in (
                    "Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid",
                    "ExitCode", "Error", "StartedAt", "FinishedAt",
                )
            },
            **({"Health": found["Health"]} if "Health" in found else {}),
        },
        "Image": attrs["Image"],
        "ResolvConfPath": attrs["ResolvConfPath"],
        "HostnamePath": attrs["HostnamePath"],
        "HostsPath": attrs["HostsPath"],
        "LogPath": attrs["LogPath"],
        "Name": attrs["Name"],
        "RestartCount": attrs["RestartCount"],
        "Driver": attrs["Driver"],
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": exec_object.listed(container) or None,
        "HostConfig": _host_config(container, attrs, asked),
        "GraphDriver": {
            "Name": attrs["GraphDriver"]["Name"],
            "Data": attrs["GraphDriver"]["Data"] or None,
        },
        "Mounts": mounts(attrs["Mounts"]),
        "Config": _config(attrs, asked),
        "NetworkSettings": _network(container, attrs, asked, ids),
    }  # fmt: skip
    if size:
        from rootless.engine.containers import size as container_size

        rw, whole = container_size.of(container.ctx, [container])[container.id]
        made |= {"SizeRw": rw, "SizeRootFs": whole}
    if exchange.version >= (1, 46) and asked.get("Platform"):
        made["ImageManifestDescriptor"] = None
    return made


def _moment(text: str) -> str:
    return ZERO_TIME if text.startswith("1970-01-01T00:00:00") else text


def _host_config(container: Container, attrs: Json, asked: Json) -> Json:
    told = attrs["HostConfig"]
    made = dict(_HOST_CONFIG)
    given = asked.get("HostConfig")
    if given is None:
        # made by the command line: what holds, in docker's fields
        made |= {key: told[key] for key in told if key in made}
        made["NetworkMode"] = network_names.mode(container)
        made["CapAdd"], made["CapDrop"] = told["CapAdd"] or None, told["CapDrop"] or None
        made["PidMode"] = "" if told["PidMode"] == "private" else told["PidMode"]
        made["UTSMode"] = "" if told["UTSMode"] == "private" else told["UTSMode"]
        made["PidsLimit"] = told["PidsLimit"] or None
        made["LogConfig"] = told["LogConfig"]
    else:
        made |= {key: value for key, value in given.items() if value is not None}
        made["MaskedPaths"] = told["MaskedPaths"]
        made["ReadonlyPaths"] = told["ReadonlyPaths"]
        made["AutoRemove"] = told["AutoRemove"]
        made["ShmSize"] = given.get("ShmSize") or 67108864
        made["Runtime"] = given.get("Runtime") or "rootless"
        if not given.get("NetworkMode") or given.get("NetworkMode") == "default":
            made["NetworkMode"] = network_names.mode(container)
        if not (given.get("LogConfig") or {}).get("Type"):
            made["LogConfig"] = {
                "Type": told["LogConfig"]["Type"], "Config": told["LogConfig"]["Config"],
            }  # fmt: skip
        elif made["LogConfig"].get("Config") is None:
            made["LogConfig"] = {**made["LogConfig"], "Config": {}}
        if not (given.get("RestartPolicy") or {}).get("Name"):
            made["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        else:
            made["RestartPolicy"] = told["RestartPolicy"]
        for key in ("IpcMode", "CgroupnsMode"):
            made[key] = given.get(key) or "private"
    return made


def _config(attrs: Json, asked: Json) -> Json:
    told = attrs["Config"]
    given = asked.get("Config") or {}
    made = dict(_CONFIG)
    made |= {
        key: told[key] for key in ("Hostname", "User", "Tty", "OpenStdin", "Env", "Image", "Labels")
    }
    made["WorkingDir"] = told["WorkingDir"] if told["WorkingDir"] != "/" else ""
    arguments = list(told["Cmd"] or ())
    entry = list(told["Entrypoint"] or ())
    if given:
        own = given.get("Entrypoint")
        entry = [own] if isinstance(own, str) else own if own is not None else entry
        for key in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce", "Domainname", "Env",
                    "Volumes", "OnBuild", "MacAddress", "Shell"):  # fmt: skip
            if given.get(key) is not None:
                made[key] = given[key]
        made["Image"] = given.get("Image") or made["Image"]
    if arguments[:2] == ["/run/.rootless-init", "--"]:
        arguments = arguments[2:]
    made["Cmd"] = arguments[len(entry or ()) :] or None
    made["Entrypoint"] = entry or None
    if told["ExposedPorts"] or given.get("ExposedPorts"):
        made["ExposedPorts"] = {
            **{key: {} for key in given.get("ExposedPorts") or {}}, **told["ExposedPorts"],
        }  # fmt: skip
    if given.get("StopSignal") or told["StopSignal"] != "SIGTERM":
        made["StopSignal"] = told["StopSignal"]
    if given.get("StopTimeout") is not None:
        made["StopTimeout"] = given["StopTimeout"]
    if given.get("Healthcheck"):
        made["Healthcheck"] = given["Healthcheck"]
    elif told.get("Healthcheck"):
        made["Healthcheck"] = told["Healthcheck"]
    return made


def mounts(found: Json) -> list[Json]:
    """The mounts, each with docker's fields."""
    made = []
    for one in found:
        mode = one["Mode"]
        kind = one["Type"]
        made.append(
            {
                "Type": kind,
                **({"Name": one["Name"]} if one.get("Name") else {}),
                "Source": one["Source"],
                "Destination": one["Destination"],
                **({"Driver": one["Driver"]} if one.get("Driver") else {}),
                "Mode": mode if kind != "volume" or mode else "z",
                "RW": one["RW"],
                "Propagation": one["Propagation"] if kind == "bind" else "",
            }
        )
    return made


def _network(container: Container, attrs: Json, asked: Json, ids: Ids) -> Json:
    told = attrs["NetworkSettings"]
    running = attrs["State"]["Running"]
    table: Json = told["Ports"] if running else {}
    for port in attrs["Config"]["ExposedPorts"]:
        if running:
            table.setdefault(port, None)
    endpoints = _endpoints(container, attrs, asked, ids)
    first = next(iter(endpoints.values()), _ENDPOINT)
    return {
        "Bridge": "",
        "SandboxID": container.id if running else "",
        "SandboxKey": told["SandboxKey"],
        "Ports": table,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{
            key: first[key]
            for key in (
                "EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress",
                "IPPrefixLen", "IPv6Gateway", "MacAddress",
            )
        },
        "Networks": endpoints,
    }  # fmt: skip


def _endpoints(container: Container, attrs: Json, asked: Json, ids: Ids) -> Json:
    """NetworkSettings.Networks."""
    running = attrs["State"]["Running"]
    told = attrs["NetworkSettings"]["Networks"]
    given = (asked.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    made: Json = {}
    for name, place in zip(network_names.names(container), told.values(), strict=False):
        wanted = given.get(name) or {}
        one = {**_ENDPOINT, **{key: place[key] for key in _ENDPOINT if place.get(key)}}
        one |= {
            key: wanted[key] for key in ("Aliases", "IPAMConfig", "DriverOpts") if wanted.get(key)
        }
        one["NetworkID"] = ids(name)
        one["EndpointID"] = container.id if running else ""
        if name not in (*network_names.WITHOUT, "bridge"):
            aliases = [*(one["Aliases"] or ()), container.name, container.short_id]
            one["DNSNames"] = list(dict.fromkeys(aliases))
        elif not wanted.get("Aliases"):
            one["Aliases"] = None
        if not running:
            for key in ("Gateway", "IPAddress", "MacAddress"):
                one[key] = ""
            one["IPPrefixLen"] = 0
        made[name] = one
    return made


def summary(container: Container, ids: Ids, *, size: bool = False) -> Json:
    """One of GET /containers/json."""
    from rootless.engine.containers import requested

    record = container.record
    state = container.look()
    named = (requested.read(container).get("Config") or {}).get("Image")
    running = state.status in ("running", "paused")
    ports: list[Json] = []
    if running and not state.network_lost and not state.ports_lost:
        for port in record["ports"]:
            ports.append(
                {
                    "IP": port["host_ip"] or "0.0.0.0",
                    "PrivatePort": port["container_port"],
                    "PublicPort": port["host_port"],
                    "Type": port["protocol"],
                }
            )
        there = {f"{one['PrivatePort']}/{one['Type']}" for one in ports}
        for one in record["exposed"]:
            if one not in there:
                number, _, kind = one.partition("/")
                ports.append({"PrivatePort": int(number), "Type": kind or "tcp"})
    networks: Json = {
        name: {**_ENDPOINT, "NetworkID": ids(name)} for name in network_names.names(container)
    }
    made: Json = {
        "Id": container.id,
        "Names": ["/" + container.name],
        "Image": named or container.image,
        "ImageID": f"sha256:{container.image_id}" if container.image_id else "",
        "Command": container.command_text(),
        "Created": int(container.created),
        "Ports": ports,
        "Labels": container.labels,
        "State": state.status,
        "Status": container.status_text(),
        "HostConfig": {"NetworkMode": network_names.mode(container)},
        "NetworkSettings": {"Networks": networks},
        "Mounts": mounts(record["mounts"]),
    }
    if size:
        from rootless.engine.containers import size as container_size

        rw, whole = container_size.of(container.ctx, [container])[container.id]
        made |= {"SizeRw": rw, "SizeRootFs": whole}
    return made
