"""POST /containers/create: docker's body as the engine's options.

Scope: every field is done, means nothing on Linux or without root, or is refused by its name.
Nothing is dropped in silence: a field that this table does not know is an error.
"""

from __future__ import annotations

import os

from rootless.api import endpoints, values
from rootless.api.exchange import ApiError
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json
    from rootless.engine.engine import Engine
    from rootless.engine.networks.collection import Networks

    Words = dict[str, object]


def create(service: Service, exchange: Exchange, _: str) -> None:
    """POST /containers/create."""
    from rootless.api.shared import Told
    from rootless.engine.containers import names as container_names
    from rootless.engine.containers import requested
    from rootless.engine.spec.options import ContainerOptions

    body = exchange.body.json()
    told = Told()
    engine = service.engine(told)
    name = exchange.query.get("name", "")
    if name:
        name = name.removeprefix("/")
        if not container_names.is_valid(name):
            raise UsageError(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
    if not body:
        raise UsageError("Config cannot be empty in order to create a container")
    host = body.get("HostConfig")
    if host is not None and not isinstance(host, dict):
        raise UsageError("HostConfig is no object")
    for one in (host or {}).get("Mounts") or ():
        _volume_of(engine, one)
    words = options(body, service.socket_path, engine.networks)
    warnings = words.pop("warnings", [])
    assert isinstance(warnings, list)
    # docker's clients pull by themselves when they are told that there is no such image
    words |= {"name": name or None, "pull": "never"}
    words["platform"] = exchange.query.get("platform") or None
    image = str(body.get("Image") or "")
    if not image:
        raise UsageError("no image was named")
    container = engine.containers.create(ContainerOptions(image, **words))
    config = engine.images.get(container.image_id).config if container.image_id else {}
    requested.write(container, request(body, config))
    exchange.json({"Id": container.id, "Warnings": [*warnings, *told.messages]}, 201)


def request(body: Json, image: Json) -> Json:
    """What `inspect` shows again as it was asked for, with what the image adds to it."""
    host = body.get("HostConfig") or {}
    config = {
        key: value for key, value in body.items() if key not in ("HostConfig", "NetworkingConfig")
    }
    given = list(body.get("Env") or ())
    names = {one.partition("=")[0] for one in given}
    config["Env"] = given + [
        one for one in image.get("Env") or () if one.partition("=")[0] not in names
    ]
    for key in ("Volumes", "ExposedPorts"):
        config[key] = {**(image.get(key) or {}), **(body.get(key) or {})} or None
    for key in ("OnBuild", "Healthcheck", "StopSignal"):
        if not config.get(key) and image.get(key):
            config[key] = image[key]
    return {
        "Config": config,
        "HostConfig": host,
        "NetworkingConfig": body.get("NetworkingConfig") or {},
    }


def options(body: Json, own_socket: str = "", networks: Networks | None = None) -> Words:
    """The engine's options.  Raises UsageError, ApiError."""
    words: Words = {}
    host = body.get("HostConfig")
    if host is not None and not isinstance(host, dict):
        raise UsageError("HostConfig is no object")
    for table, fields, what in (
        (body, _CONFIG, "Config"),
        (host or {}, _HOST, "HostConfig"),
    ):
        for key, value in table.items():
            take = fields.get(key)
            if take is None:
                # other spellings are the same field to docker's decoder
                take = fields.get(_LOWER.get(key.lower(), ""))
            if take is None:
                if value in (None, "", 0, False, [], {}):
                    continue
                raise UsageError(f"{what}.{key} is not known here")
            take(words, value)
    _mounts(words, body, host or {}, own_socket)
    _logging(words, host or {})
    endpoints.networks(words, body, host or {}, networks)
    endpoints.ports(words, body, host or {})
    return words


# takers of one field each


def _to(name: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value not in (None, ""):
            words[name] = value

    return take


def _text(name: str, key: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value is None or value == "":
            return
        if not isinstance(value, str):
            raise UsageError(f"{key} is a text, not {value!r}")
        words[name] = value

    return take


def _flag(name: str, key: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value is None:
            return
        if not isinstance(value, bool):
            raise UsageError(f"{key} is true or false, not {value!r}")
        words[name] = value

    return take


def _number(name: str, key: str, *unset: int, text: bool = False) -> Callable[[Words, Json], None]:
    """A whole number; `unset`: those that mean that nothing was asked for."""

    def take(words: Words, value: Json) -> None:
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{key} is a whole number, not {value!r}")
        if value not in unset:
            words[name] = str(value) if text else value

    return take


def _list(name: str, key: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        found = values.texts(value, key)
        if found:
            words[name] = found

    return take


def _pairs(name: str, key: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        found = values.table(value, key)
        if found:
            words[name] = [f"{one}={text}" for one, text in found.items()]

    return take


def _nothing(words: Words, value: Json) -> None:
    """Means nothing for a container here, or is read elsewhere."""


def _refused(key: str, why: str, *unset: object) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        # by type as well: 0 == False
        if value is None or value in ("", 0, [], {}) or value in unset:
            return
        raise UsageError(f"{key} is not supported: {why}")

    return take


def _discarded(key: str, *unset: object) -> Callable[[Words, Json], None]:
    """What docker discards with a warning on a host with cgroup version 2."""

    def take(words: Words, value: Json) -> None:
        if value is None or value in ("", 0, [], {}) or value in unset:
            return
        told = words.setdefault("warnings", [])
        assert isinstance(told, list)
        told.append(f"{key} is discarded: it is not part of cgroup version 2.")

    return take


def _env(words: Words, value: Json) -> None:
    found = values.texts(value, "Env")
    words["env"] = [one for one in found if "=" in one]
    # docker: a name alone takes the variable of the image away
    words["unsetenv"] = [one for one in found if "=" not in one and one]


def _command(name: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value is None:
            return
        found = [value] if isinstance(value, str) else values.texts(value, name)
        if name == "entrypoint":
            if not found:
                return
            # docker-run(1): --entrypoint "" takes the image's away
            words[name] = [] if found == [""] else found
        else:
            words[name] = found

    return take


def _healthcheck(words: Words, value: Json) -> None:
    if not value:
        return
    test = values.texts(value.get("Test"), "Healthcheck.Test")
    if test == ["NONE"]:
        words["no_healthcheck"] = True
        return
    words["healthcheck"] = {**value, "Test": test} if test else {**value, "Test": None}


def _restart(words: Words, value: Json) -> None:
    if not value:
        return
    name, count = value.get("Name") or "no", value.get("MaximumRetryCount") or 0
    if count and name != "on-failure":
        raise UsageError(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    words["restart"] = f"{name}:{count}" if count else name


def _devices(words: Words, value: Json) -> None:
    made = words.setdefault("device", [])
    assert isinstance(made, list)
    for one in value or ():
        outside, inside = one.get("PathOnHost") or "", one.get("PathInContainer") or ""
        made.append(":".join([outside, inside or outside, one.get("CgroupPermissions") or "rwm"]))


def _device_requests(words: Words, value: Json) -> None:
    made = words.setdefault("device", [])
    assert isinstance(made, list)
    for one in value or ():
        if one.get("Driver") != "cdi":
            raise ApiError(
                500,
                f'could not select device driver "{one.get("Driver") or ""}" with capabilities: '
                f"{one.get('Capabilities')}",
            )
        made += values.texts(one.get("DeviceIDs"), "DeviceIDs")


def _weights(name: str, key: str, amount: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value:
            words[name] = [f"{one.get('Path')}:{one.get(amount)}" for one in value]

    return take


def _ulimits(words: Words, value: Json) -> None:
    if value:
        words["ulimit"] = [
            f"{one.get('Name')}={one.get('Soft')}:{one.get('Hard')}" for one in value
        ]


def _cpus(words: Words, value: Json) -> None:
    if value:
        words["cpus"] = f"{int(value) / 1e9:.9f}".rstrip("0").rstrip(".")


def _pids(words: Words, value: Json) -> None:
    if value:
        words["pids_limit"] = max(-1, int(value))


def _mode(name: str, *usual: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        if value and value not in usual:
            words[name] = value

    return take


def _security(words: Words, value: Json) -> None:
    made: list[str] = []
    for one in values.texts(value, "SecurityOpt"):
        name, _, rest = one.replace(":", "=", 1).partition("=")
        if name == "seccomp" and rest[:1] in ("{", "["):
            raise UsageError(
                "HostConfig.SecurityOpt: a seccomp profile in the request is not supported; "
                "name a file with rootless create --security-opt seccomp=FILE, or use unconfined"
            )
        if name == "seccomp" and rest == "builtin":
            continue
        if name == "apparmor" and rest not in ("unconfined", ""):
            raise UsageError("HostConfig.SecurityOpt: AppArmor profiles need root")
        if name == "writable-cgroups":
            raise UsageError(f"HostConfig.SecurityOpt: {name} is not supported")
        made.append(one)
    words.setdefault("security_opt", [])
    assert isinstance(words["security_opt"], list)
    words["security_opt"] += made


def _paths(key: str) -> Callable[[Words, Json], None]:
    def take(words: Words, value: Json) -> None:
        """null: the usual ones; []: none, which `systempaths=unconfined` comes to."""
        if value is None:
            return
        if value:
            raise UsageError(
                f"HostConfig.{key}: only null (the usual ones) and [] (none) are supported"
            )
        made = words.setdefault("security_opt", [])
        assert isinstance(made, list)
        if "unmask=ALL" not in made:
            made.append("unmask=ALL")

    return take


def _volume_of(engine: Engine, mount: Json) -> None:
    """Make the volume of a mount that says how it is to be made."""
    given = mount.get("VolumeOptions") or {}
    driver = given.get("DriverConfig") or {}
    labels = values.table(given.get("Labels"), "Mounts.VolumeOptions.Labels")
    if mount.get("Type") != "volume" or not (labels or driver.get("Options")):
        return
    if not mount.get("Source"):
        raise UsageError("a volume of Mounts with labels or options needs a name, its Source")
    options = values.table(driver.get("Options"), "Mounts.VolumeOptions.DriverConfig.Options")
    engine.volumes.create(str(mount["Source"]), labels, "local", options, ignore=True)


def _mounts(words: Words, body: Json, host: Json, own_socket: str) -> None:
    volumes: list[str] = []
    targets: set[str] = set()
    for bind in values.texts(host.get("Binds"), "HostConfig.Binds"):
        source, colon, rest = bind.partition(":")
        if not colon:
            raise UsageError(f"invalid volume specification: '{bind}'")
        if source[:1] in (".", "~"):
            raise UsageError(
                f"invalid volume specification: '{bind}': the source is no absolute path and no "
                "name of a volume"
            )
        source = values.shared_socket(source, own_socket)
        if source.startswith("/") and not os.path.lexists(source):
            # as docker does for -v, not for --mount
            try:
                os.makedirs(source)
            except OSError as error:
                raise UsageError(
                    f"error while creating mount source path '{source}': {error.strerror}"
                ) from None
        target, _, flags = rest.partition(":")
        targets.add(os.path.normpath(target))
        kept = [
            one for one in flags.split(",") if one not in ("", "consistent", "cached", "delegated")
        ]
        volumes.append(":".join([source, target, *([",".join(kept)] if kept else [])]))
    mounts: list[str] = []
    for one in host.get("Mounts") or ():
        word = values.mount(one, own_socket)
        mounts.append(word)
        targets.add(os.path.normpath(str(one.get("Target") or "")))
    tmpfs = values.table(host.get("Tmpfs"), "HostConfig.Tmpfs")
    targets |= {os.path.normpath(one) for one in tmpfs}
    for target in body.get("Volumes") or ():
        # docker's clients write binds here as well: the library once more, Debian's client those
        # of volumes with names only here
        place = target if target.startswith("/") else target.partition(":")[2].partition(":")[0]
        if not place.startswith("/"):
            raise UsageError(f"invalid mount path: '{target}' mount path must be absolute")
        if os.path.normpath(place) not in targets:
            volumes.append(target)
    words["volume"], words["mount"] = volumes, mounts
    words["tmpfs"] = [f"{one}:{text}" if text else one for one, text in tmpfs.items()]


_LOG_DRIVERS = {"": "json-file", "json-file": "json-file", "local": "k8s-file",
                "k8s-file": "k8s-file", "journald": "journald", "none": "none"}  # fmt: skip


def _logging(words: Words, host: Json) -> None:
    given = host.get("LogConfig") or {}
    name = given.get("Type") or ""
    if name not in _LOG_DRIVERS:
        raise UsageError(f"logger: no log driver named '{name}' is registered")
    words["log_driver"] = _LOG_DRIVERS[name]
    found = values.table(given.get("Config"), "LogConfig.Config")
    # files of docker's are compressed when they are rotated; ours are not, which shows nowhere
    words["log_opt"] = [f"{key}={value}" for key, value in found.items() if key != "compress"]


_WINDOWS = "it is of Windows"

_CONFIG: dict[str, Callable[[Words, Json], None]] = {
    "Hostname": _text("hostname", "Hostname"),
    "Domainname": _refused("Domainname", "a container has one host name here, Hostname"),
    "User": _text("user", "User"),
    "AttachStdin": _nothing,
    "AttachStdout": _nothing,
    "AttachStderr": _nothing,
    "ExposedPorts": _nothing,
    "Tty": _flag("tty", "Tty"),
    "OpenStdin": _flag("interactive", "OpenStdin"),
    "StdinOnce": _nothing,
    "Env": _env,
    "Cmd": _command("command"),
    "Healthcheck": _healthcheck,
    "ArgsEscaped": _nothing,
    "Image": _nothing,
    "Volumes": _nothing,
    "WorkingDir": _text("workdir", "WorkingDir"),
    "Entrypoint": _command("entrypoint"),
    "NetworkDisabled": _nothing,
    "MacAddress": _refused("MacAddress", "the network of this container has none to choose"),
    "OnBuild": _nothing,
    "Labels": _pairs("label", "Labels"),
    "StopSignal": _text("stop_signal", "StopSignal"),
    "StopTimeout": _number("stop_timeout", "StopTimeout"),
    "Shell": _nothing,
    "HostConfig": _nothing,
    "NetworkingConfig": _nothing,
    "Platform": _nothing,
    "Name": _nothing,
}

_HOST: dict[str, Callable[[Words, Json], None]] = {
    # limits
    "CpuShares": _number("cpu_shares", "CpuShares", 0),
    "Memory": _number("memory", "Memory", 0, text=True),
    "CgroupParent": _text("cgroup_parent", "CgroupParent"),
    "BlkioWeight": _number("blkio_weight", "BlkioWeight", 0),
    "BlkioWeightDevice": _weights("blkio_weight_device", "BlkioWeightDevice", "Weight"),
    "BlkioDeviceReadBps": _weights("device_read_bps", "BlkioDeviceReadBps", "Rate"),
    "BlkioDeviceWriteBps": _weights("device_write_bps", "BlkioDeviceWriteBps", "Rate"),
    "BlkioDeviceReadIOps": _weights("device_read_iops", "BlkioDeviceReadIOps", "Rate"),
    "BlkioDeviceWriteIOps": _weights("device_write_iops", "BlkioDeviceWriteIOps", "Rate"),
    "CpuPeriod": _number("cpu_period", "CpuPeriod", 0),
    "CpuQuota": _number("cpu_quota", "CpuQuota", 0),
    "CpuRealtimePeriod": _refused("CpuRealtimePeriod", "it is not part of cgroup version 2"),
    "CpuRealtimeRuntime": _refused("CpuRealtimeRuntime", "it is not part of cgroup version 2"),
    "CpusetCpus": _text("cpuset_cpus", "CpusetCpus"),
    "CpusetMems": _text("cpuset_mems", "CpusetMems"),
    "Devices": _devices,
    "DeviceCgroupRules": _refused("DeviceCgroupRules", "only root may filter devices"),
    "DeviceRequests": _device_requests,
    "KernelMemory": _refused("KernelMemory", "memory of the kernel counts towards Memory"),
    "KernelMemoryTCP": _refused("KernelMemoryTCP", "memory of the kernel counts towards Memory"),
    "MemoryReservation": _number("memory_reservation", "MemoryReservation", 0, text=True),
    "MemorySwap": _number("memory_swap", "MemorySwap", 0, text=True),
    "MemorySwappiness": _discarded("MemorySwappiness", -1),
    "NanoCpus": _cpus,
    "OomKillDisable": _discarded("OomKillDisable"),
    "Init": _flag("init", "Init"),
    "PidsLimit": _pids,
    "Ulimits": _ulimits,
    "CpuCount": _refused("CpuCount", _WINDOWS),
    "CpuPercent": _refused("CpuPercent", _WINDOWS),
    "IOMaximumIOps": _refused("IOMaximumIOps", _WINDOWS),
    "IOMaximumBandwidth": _refused("IOMaximumBandwidth", _WINDOWS),
    # the rest
    "Binds": _nothing,
    "ContainerIDFile": _nothing,
    "LogConfig": _nothing,
    "NetworkMode": _nothing,
    "PortBindings": _nothing,
    "RestartPolicy": _restart,
    "AutoRemove": _flag("rm", "AutoRemove"),
    "VolumeDriver": _refused("VolumeDriver", "there is only the driver local", "local"),
    "VolumesFrom": _list("volumes_from", "VolumesFrom"),
    "Mounts": _nothing,
    "ConsoleSize": _nothing,
    "Annotations": _pairs("annotation", "Annotations"),
    "CapAdd": _list("cap_add", "CapAdd"),
    "CapDrop": _list("cap_drop", "CapDrop"),
    "Capabilities": _refused("Capabilities", "name them in CapAdd and CapDrop"),
    "CgroupnsMode": _text("cgroupns", "CgroupnsMode"),
    "Dns": _list("dns", "Dns"),
    "DnsOptions": _list("dns_option", "DnsOptions"),
    "DnsSearch": _list("dns_search", "DnsSearch"),
    "ExtraHosts": _list("add_host", "ExtraHosts"),
    "GroupAdd": _list("group_add", "GroupAdd"),
    "IpcMode": _mode("ipc", "private", "shareable"),
    "Cgroup": _refused("Cgroup", "a container has a cgroup of its own"),
    "Links": _refused("Links", "containers find each other by name in networks of their own"),
    "OomScoreAdj": _number("oom_score_adj", "OomScoreAdj", 0),
    "PidMode": _mode("pid"),
    "Privileged": _flag("privileged", "Privileged"),
    "PublishAllPorts": _flag("publish_all", "PublishAllPorts"),
    "ReadonlyRootfs": _flag("read_only", "ReadonlyRootfs"),
    "SecurityOpt": _security,
    "StorageOpt": _pairs("storage_opt", "StorageOpt"),
    "Tmpfs": _nothing,
    "UTSMode": _mode("uts"),
    "UsernsMode": _mode("userns"),
    "ShmSize": _number("shm_size", "ShmSize", 0, text=True),
    "Sysctls": _pairs("sysctl", "Sysctls"),
    "Runtime": _text("runtime", "Runtime"),
    "Isolation": _refused("Isolation", _WINDOWS, "default"),
    "MaskedPaths": _paths("MaskedPaths"),
    "ReadonlyPaths": _paths("ReadonlyPaths"),
}

_LOWER = {key.lower(): key for key in (*_CONFIG, *_HOST)}
