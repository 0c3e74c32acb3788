"""The host, versions, events, disk usage, passwords."""

from __future__ import annotations

import os

from rootless.api import passwords
from rootless.api.exchange import NEWEST_TEXT, OLDEST, ApiError
from rootless.api.network_names import Ids
from rootless.errors import RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.api.exchange import Exchange
    from rootless.api.shared import Service
    from rootless.documents import Json


def ping(service: Service, exchange: Exchange, _: str) -> None:
    """GET and HEAD /_ping."""
    exchange.send(
        200,
        b"OK",
        "text/plain; charset=utf-8",
        [
            ("Builder-Version", "1"), ("Swarm", "inactive"),
            ("Cache-Control", "no-cache, no-store, must-revalidate"), ("Pragma", "no-cache"),
        ],
    )  # fmt: skip


def version(service: Service, exchange: Exchange, _: str) -> None:
    """GET /version."""
    told = service.engine().version()["Server"]
    oldest = ".".join(map(str, OLDEST))
    details = {
        "ApiVersion": NEWEST_TEXT, "Arch": told["Arch"], "BuildTime": "", "Experimental": "false",
        "GitCommit": "", "GoVersion": "", "KernelVersion": told["KernelVersion"],
        "MinAPIVersion": oldest, "Os": "linux",
    }  # fmt: skip
    exchange.json(
        {
            "Platform": {"Name": "rootless"},
            "Components": [
                {"Name": "Engine", "Version": told["Version"], "Details": details},
                {"Name": "Python", "Version": told["Python"], "Details": {}},
            ],
            "Version": told["Version"],
            "ApiVersion": NEWEST_TEXT,
            "MinAPIVersion": oldest,
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": told["Arch"],
            "KernelVersion": told["KernelVersion"],
            "BuildTime": "",
        }
    )


def info(service: Service, exchange: Exchange, _: str) -> None:
    """GET /info."""
    from rootless.engine.common import humanize

    engine = service.engine()
    told = engine.info()
    version_two = told["CgroupVersion"] == "2"
    limited = told["CgroupDriver"] in ("systemd", "cgroupfs") and version_two
    import time

    exchange.json(
        {
            "ID": _identity(),
            "Containers": told["Containers"],
            "ContainersRunning": told["ContainersRunning"],
            "ContainersPaused": told["ContainersPaused"],
            "ContainersStopped": told["ContainersStopped"],
            "Images": told["Images"],
            "Driver": told["Driver"],
            "DriverStatus": [],
            "SystemStatus": None,
            "Plugins": {
                "Volume": ["local"], "Network": ["bridge", "host", "null"],
                "Authorization": None, "Log": ["journald", "json-file", "k8s-file", "none"],
            },
            "MemoryLimit": limited, "SwapLimit": limited, "CpuCfsPeriod": limited,
            "CpuCfsQuota": limited, "CPUShares": limited, "CPUSet": limited, "PidsLimit": limited,
            "KernelMemoryTCP": False, "OomKillDisable": False,
            "IPv4Forwarding": True, "BridgeNfIptables": False, "BridgeNfIp6tables": False,
            "Debug": service.debug, "NFd": 0, "NGoroutines": 0, "NEventsListener": 0,
            "SystemTime": humanize.rfc3339(time.time()),
            "LoggingDriver": "json-file",
            "CgroupDriver": told["CgroupDriver"] if limited else "none",
            "CgroupVersion": told["CgroupVersion"],
            "KernelVersion": told["KernelVersion"],
            "OperatingSystem": told["OperatingSystem"],
            "OSVersion": "",
            "OSType": "linux",
            "Architecture": told["Architecture"],
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {
                "AllowNondistributableArtifactsCIDRs": [],
                "AllowNondistributableArtifactsHostnames": [],
                "InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": [],
            },
            "NCPU": len(os.sched_getaffinity(0)),
            "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "GenericResources": None,
            "DockerRootDir": told["DockerRootDir"],
            "HttpProxy": "", "HttpsProxy": "", "NoProxy": "",
            "Name": os.uname().nodename,
            "Labels": [],
            "ExperimentalBuild": False,
            "ServerVersion": told["ServerVersion"],
            "Runtimes": {told["DefaultRuntime"]: {"path": told["DefaultRuntime"]}},
            "DefaultRuntime": told["DefaultRuntime"],
            "Swarm": {
                "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive",
                "ControlAvailable": False, "Error": "", "RemoteManagers": None,
            },
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": "rootless-init",
            "ContainerdCommit": {"ID": "", "Expected": ""},
            "RuncCommit": {"ID": "", "Expected": ""},
            "InitCommit": {"ID": "", "Expected": ""},
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
            "Warnings": None if limited else ["WARNING: No limits: no cgroups are delegated"],
        }
    )  # fmt: skip


def _identity() -> str:
    """The same on each call, and another for each user of each host."""
    import hashlib

    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine = file.read().strip()
    except OSError:
        machine = os.uname().nodename
    digest = hashlib.sha256(f"{machine} {os.getuid()}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def events(service: Service, exchange: Exchange, _: str) -> None:
    """GET /events."""
    from rootless.engine.common import times

    moments: dict[str, float | None] = {}
    for key in ("since", "until"):
        text = exchange.query.get(key, "")
        moments[key] = times.moment(text) if text and text != "0" else None
    until = moments["until"]
    found = service.engine().events(
        since=moments["since"], until=until, filters=exchange.filters(), stop=exchange.gone
    )
    exchange.stream("application/json")
    for one in found:
        attrs = one.attrs
        kept = {key: attrs[key] for key in ("Type", "Action", "Actor", "scope", "time", "timeNano")}
        if attrs["Type"] in ("container", "image"):
            kept |= {key: attrs[key] for key in ("status", "id")}
            if attrs["from"]:
                kept["from"] = attrs["from"]
        if exchange.version >= (1, 53):
            kept.pop("status", None)
        exchange.line(kept)
    exchange.finish()


def df(service: Service, exchange: Exchange, _: str) -> None:
    """GET /system/df."""
    from rootless.api import images, shapes, volumes

    engine = service.engine()
    told = engine.df()
    wanted = exchange.queries.get("type") or ["container", "image", "volume", "build-cache"]
    made: Json = {}
    ids = Ids(engine)
    if "image" in wanted:
        made["LayersSize"] = told["LayersSize"]
        made["Images"] = [images.of_df(one) for one in told["Images"]]
    if "container" in wanted:
        sizes = {one["Id"]: one["SizeRw"] for one in told["Containers"]}
        made["Containers"] = [
            {**shapes.summary(one, ids), "SizeRw": sizes.get(one.id, 0), "SizeRootFs": 0}
            for one in engine.containers.list(all=True)
        ]
    if "volume" in wanted:
        made["Volumes"] = [
            {**volumes.shown(one), "UsageData": one["UsageData"]} for one in told["Volumes"]
        ]
    if "build-cache" in wanted:
        made["BuildCache"] = []
    if exchange.version < (1, 42):
        made["BuilderSize"] = 0
    exchange.json(made)


def auth(service: Service, exchange: Exchange, _: str) -> None:
    """POST /auth: try a password, keep nothing; docker's client keeps it by itself."""
    body = exchange.body.json()
    registry = passwords.registry_of(str(body.get("serveraddress") or ""))
    try:
        service.engine().check_login(
            str(body.get("username") or ""), str(body.get("password") or ""), registry
        )
    except RegistryError as error:
        raise ApiError(401, error.message) from None
    exchange.json({"Status": "Login Succeeded", "IdentityToken": ""})
