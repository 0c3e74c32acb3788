"""`container.json`: its shape, read and written here; and what stands for one that is damaged.

Hot: no imports that cost anything.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.containers import names as container_names
from rootless.errors import ContainerNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NotRequired, TypedDict

    from rootless.cgroups.limits import ResourcesRecord
    from rootless.documents import Json
    from rootless.engine.health.record import HealthRecord
    from rootless.engine.spec.mounts import MountRecord
    from rootless.network.backends.backend import PlaceRecord
    from rootless.network.ports import PortRecord
    from rootless.userns.idmap import MapsRecord

    class CgroupRecord(TypedDict):
        """The limits of a container, and where its cgroup is."""

        resources: ResourcesRecord
        parent: str
        mode: NotRequired[str]

    class ServiceRecord(TypedDict, total=False):
        """What systemd has to do with a container."""

        sdnotify: str
        pidFile: str
        preserve: int

    class RootRecord(TypedDict, total=False):
        """How the root file system of a container is put together."""

        servers: list[list[str]]  # storage.drivers.driver.Server
        lowers: list[str]
        nested: bool

    class SecretUse(TypedDict):
        """How a container has a secret."""

        name: str
        target: str
        mode: int
        uid: int
        gid: int

    class ContainerRecord(RootRecord):
        """What was asked for: the document as readers of this version have it."""

        version: int
        id: str
        name: str
        created: float
        image: str
        imageId: str
        layers: list[str]
        command: list[str]
        entrypoint: list[str] | None
        hostname: str
        labels: dict[str, str]
        annotations: dict[str, str]
        maps: MapsRecord
        driver: str
        network: str
        networkOptions: NotRequired[dict[str, str] | None]
        networkTarget: str
        networks: NotRequired[list[PlaceRecord]]
        ports: list[PortRecord]
        mounts: list[MountRecord]
        anonymous: list[str]
        restart: str
        remove: bool
        starts: NotRequired[bool]
        tty: bool
        stdin: bool
        stopSignal: str
        stopTimeout: int
        logDriver: str
        logPath: str
        logOptions: list[str]
        privileged: bool
        ownHome: NotRequired[bool]
        runtime: str
        cgroup: CgroupRecord
        detachKeys: str
        user: str
        init: bool
        createCommand: NotRequired[list[str]]
        exposed: list[str]
        seccomp: str
        health: HealthRecord | None
        timeout: NotRequired[float]
        asked: NotRequired[dict[str, list[str]]]
        requires: NotRequired[list[str]]
        secrets: NotRequired[list[SecretUse]]
        service: ServiceRecord | None


VERSION = 1


def moment(value: Json) -> bool:
    """Seconds since the epoch that a calendar has."""
    return type(value) in (int, float) and 0 <= value < 1e11


def _identifier(value: Json) -> bool:
    return type(value) is str and len(value) == 64 and not value.strip("0123456789abcdef")


def _digest(value: Json) -> bool:
    return type(value) is str and value[:7] == "sha256:" and _identifier(value[7:])


def _name(value: Json) -> bool:
    return type(value) is str and container_names.is_valid(value)


def _number(value: Json) -> bool:
    return type(value) is int and 0 <= value < 1 << 32


def _seconds(value: Json) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e10


def _wait(value: Json) -> bool:
    """--stop-timeout: less than nothing is for ever."""
    return type(value) is int and -(1 << 32) < value < 1 << 32


def _restart(value: Json) -> bool:
    if type(value) is not str:
        return False
    policy, colon, count = value.partition(":")
    known = policy in ("no", "always", "unless-stopped", "on-failure")
    return known and (not colon or not count or (count.isascii() and count.isdigit()))


def _extent(value: Json) -> bool:
    inside, outside, size = value if type(value) is list and len(value) == 3 else (None,) * 3
    return _number(inside) and _number(outside) and _number(size)


def _pair(value: Json) -> bool:
    return type(value) is list and len(value) == 2 and _number(value[0]) and _number(value[1])


def _maps(value: Json) -> bool:
    """IdMaps.as_dict."""
    try:
        return (
            bool(value["uids"] and value["gids"])
            and all([_extent(one) for one in value["uids"] + value["gids"]])
            and type(value["why"]) is str
            and documents.text(value["why"])
            and _pair(value["caller"])
        )
    except (TypeError, KeyError):
        return False


def _path(value: Json) -> bool:
    return type(value) is str and value[:1] == "/" and documents.text(value)


def _server(value: Json) -> bool:
    """storage.rootfs.Server: [late, mount point, program, argument...]."""
    return documents.fits(value, [str]) and len(value) > 2 and _path(value[1]) and _path(value[2])


_LIMIT = (int, None)
_WORDS = documents.words
_CHECK = {
    "test": _WORDS,
    "command": _WORDS,
    "interval": _seconds,
    "timeout": _seconds,
    "retries": _number,
}

_RESOURCES: Json = {
    "memory?": _LIMIT,
    "swap?": _LIMIT,
    "reservation?": _LIMIT,
    "cpu_quota?": _LIMIT,
    "cpu_period?": _LIMIT,
    "cpu_shares?": _LIMIT,
    "pids?": _LIMIT,
    "io_weight?": _LIMIT,
    "cpuset?": str,
    "mems?": str,
    "io?": {"*": {"*": int}},
    "weights?": {"*": int},
    "unified?": documents.texts,
}

SHAPE: Json = {
    "version?": int,
    "id": _identifier,
    "name": _name,
    "created": moment,
    "image": str,
    "imageId": lambda value: value == "" or _identifier(value),
    "layers": lambda value: type(value) is list and all([_digest(one) for one in value]),
    "command": _WORDS,
    "entrypoint?": (None, _WORDS),
    "hostname?": str,
    "labels": documents.texts,
    "annotations?": documents.texts,
    "maps": _maps,
    "driver": str,
    "servers?": [_server],
    "lowers?": [_path],
    "nested?": bool,
    "network": str,
    "networkOptions?": (None, documents.texts),
    "networkTarget?": lambda value: value == "" or _identifier(value),
    "networks?": [
        {"name": _name, "ip": str, "ip6": str, "mac": str, "interface": str, "aliases": _WORDS}
    ],
    "ports": [
        {
            "host_ip": str,
            "host_port": _number,
            "container_port": _number,
            "protocol": frozenset(("tcp", "udp")),
        }
    ],
    "mounts": [
        {
            "Type": str,
            "Name?": str,
            "Source": str,
            "Destination": _path,
            "Driver?": str,
            "Mode": str,
            "RW": bool,
            "Propagation": str,
            "Layers?": [_digest],
        }
    ],
    "anonymous": [_name],
    "restart": _restart,
    "remove": bool,
    "starts?": bool,
    "tty": bool,
    "stdin": bool,
    "stopSignal": str,
    "stopTimeout": _wait,
    "logDriver": str,
    "logPath": str,
    "logOptions?": _WORDS,
    "privileged?": bool,
    "runtime": str,
    "cgroup": {
        "resources": lambda value: value == {} or documents.fits(value, _RESOURCES),
        "parent?": str,
        "mode?": str,
    },
    "detachKeys?": str,
    "user?": str,
    "init?": bool,
    "createCommand?": _WORDS,
    "exposed?": _WORDS,
    "seccomp?": str,
    "timeout?": _seconds,
    "asked?": {"*": _WORDS},
    "requires?": [_identifier],
    "secrets?": [{"name": _name, "target": str, "mode": _number, "uid": _number, "gid": _number}],
    "ownHome?": bool,
    "service?": (
        None,
        {"sdnotify?": str, "pidFile?": str, "preserve?": _number},
    ),
    "health?": (
        None,
        {
            **_CHECK,
            "startPeriod": _seconds,
            "startInterval": _seconds,
            "onFailure": str,
            "startup": (None, {**_CHECK, "success": _number}),
            "destination": str,
            "logCount": _number,
            "logSize": _number,
        },
    ),
}

# what is read of a bundle's configuration here; the rest is for whoever starts it
CONFIG: Json = {
    "process": {
        "args": lambda value: documents.fits(value, [str]) and bool(value),
        "env": _WORDS,
        "cwd": str,
        "user": {"uid": _number, "gid": _number, "additionalGids?": [_number], "umask?": _number},
        "capabilities": {"effective": _WORDS, "bounding": _WORDS},
        "rlimits": [{"type": str, "soft": int, "hard": int}],
        "noNewPrivileges?": bool,
        "terminal?": bool,
    },
    "root": {"path": str, "readonly": bool},
    "mounts": [{"destination": str, "type?": str, "source?": str, "options?": _WORDS}],
    "annotations?": documents.texts,
    "linux": {
        "namespaces": [{"type": str, "path?": str}],
        "sysctl": documents.texts,
        "maskedPaths": _WORDS,
        "readonlyPaths": _WORDS,
    },
}


def remedy(identifier: str) -> str:
    """The hint of an error about a document of one container."""
    return f"rootless system check --repair; or remove the container: rootless rm -f {identifier}"


def read(directory: str, identifier: str) -> ContainerRecord:
    """What was asked of a container.

    Raises ContainerNotFound, DamagedDocument, NewerDocument.
    """
    path = os.path.join(directory, "container.json")
    try:
        found = documents.read_as(path, SHAPE, remedy(identifier[:12]), newest=VERSION)
    except (FileNotFoundError, NotADirectoryError):
        raise ContainerNotFound(f'no such container: "{identifier[:12]}"') from None
    if found["id"] != identifier:
        raise documents.damaged(path, "it is another container's", remedy(identifier[:12]))
    return _migrated(found)


def _migrated(found: Json) -> ContainerRecord:
    # what containers of earlier versions do not say; new values each time, as callers change them
    for key, value in (
        ("entrypoint", None), ("hostname", ""), ("annotations", {}), ("networkTarget", ""),
        ("logOptions", []), ("privileged", False), ("detachKeys", ""), ("user", ""),
        ("init", False), ("exposed", []), ("seccomp", ""), ("service", None), ("health", None),
    ):  # fmt: skip
        found.setdefault(key, value)
    found["cgroup"].setdefault("parent", "")
    found["version"] = VERSION
    record: ContainerRecord = found
    return record


def write(directory: str, record: ContainerRecord) -> None:
    """Replace the document.  Raises OSError."""
    documents.write(os.path.join(directory, "container.json"), record)


def config(directory: str, identifier: str) -> Json:
    """The OCI runtime configuration of a container.  Raises OSError, DamagedDocument."""
    path = os.path.join(directory, "config.json")
    return documents.read_as(path, CONFIG, remedy(identifier[:12]))


def _means(directory: str) -> Iterator[bytes]:
    """What a container is started by, where damage of its record has not come to."""
    links = os.path.join(directory, "lowers")
    for name in documents.names_in(links):
        try:
            yield os.fsencode(os.readlink(os.path.join(links, name)))
        except OSError:
            continue
    for name in ("plan", "orders"):
        try:
            with open(os.path.join(directory, name), "rb") as file:
                yield file.read()
        except OSError:
            continue


def layers(directory: str) -> set[str]:
    """Short names of the layers that a container mounts, by its plan or by a server.

    Any 32 hexadecimal digits: overlay's options name layers by what is left of their paths.
    """
    import re

    pattern = rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"
    return {name.decode() for text in _means(directory) for name in re.findall(pattern, text)}


def volumes(directory: str) -> set[str]:
    """Names of the volumes that a container mounts."""
    found = set()
    for text in _means(directory):
        for piece in text.split(b"/_data")[:-1]:
            path, slash, name = piece.rpartition(b"/")
            if slash and path.endswith(b"/volumes"):
                found.add(name.decode(errors="replace"))
    return found


def stand_in(directory: str, identifier: str) -> ContainerRecord:
    """For lists and for removal: what can be known of a container without its document."""
    name = identifier[:12]
    links = os.path.join(os.path.dirname(directory), "names")
    for one in documents.names_in(links):
        try:
            if os.readlink(os.path.join(links, one)) == identifier:
                name = one
        except OSError:
            continue
    try:
        made = os.stat(directory).st_ctime
    except OSError:
        made = 0.0
    return {
        "version": VERSION,
        "id": identifier,
        "name": name,
        "created": made,
        "image": "<damaged>",
        "imageId": "",
        "layers": [],
        "command": [],
        "entrypoint": [],
        "hostname": "",
        "labels": {},
        "annotations": {},
        "maps": {"uids": [], "gids": [], "why": "", "caller": [], "single": False},
        "driver": "",
        "network": "",
        "networkOptions": {},
        "networkTarget": "",
        "ports": [],
        # so that nobody removes what it needs
        "mounts": [
            {
                "Type": "volume",
                "Name": one,
                "Source": "",
                "Destination": "/",
                "Driver": "local",
                "Mode": "",
                "RW": True,
                "Propagation": "",
            }
            for one in sorted(volumes(directory))
        ],
        "anonymous": [],
        "restart": "no",
        "remove": False,
        "starts": False,
        "tty": False,
        "stdin": False,
        "stopSignal": "SIGTERM",
        "stopTimeout": 10,
        "logDriver": "none",
        "logPath": "",
        "logOptions": [],
        "privileged": False,
        "runtime": "rootless",
        "cgroup": {"resources": {}, "parent": "", "mode": ""},
        "detachKeys": "",
        "user": "",
        "ownHome": False,
        "init": False,
        "createCommand": [],
        "exposed": [],
        "seccomp": "",
        "health": None,
        "timeout": 0,
        "service": None,
    }
