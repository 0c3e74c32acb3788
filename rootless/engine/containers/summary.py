"""A container in a list, in the shape of `podman ps --format json`.

Scope: one element of the list, and what of it a template can name.  Source: podman-ps(1).
"""

from __future__ import annotations

import os

from rootless.engine.common import humanize
from rootless.engine.containers import state as container_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.state import State

    Size = tuple[int, int]

# Go's zero time in seconds since the epoch, which podman shows for "not yet"
NEVER = -62135596800
# the names of namespaces: podman's, and those of /proc/PID/ns
NAMESPACES = {
    "Mnt": "mnt", "Cgroup": "cgroup", "Ipc": "ipc", "Net": "net", "Pidns": "pid", "Uts": "uts",
    "User": "user",
}  # fmt: skip


def podman(one: ContainerRef, size: Size | None = None, *, namespaces: bool = False) -> Json:
    """An element of podman's list."""
    state = one.look()
    ended = state.status == "exited"
    return {
        "AutoRemove": one.record["remove"],
        "Command": one.record["command"],
        "CreatedAt": humanize.ago(one.created),
        "Exited": ended,
        "ExitedAt": int(state.finished / 1e9) if ended else NEVER,
        "ExitCode": state.exit_code,
        "Id": one.id,
        "Image": canonical(one),
        "ImageID": one.image_id,
        "IsInfra": False,
        "Labels": one.labels or None,
        "Mounts": mounts(one),
        "Names": [one.name],
        "Namespaces": namespaces_of(state) if namespaces else {},
        "Networks": [],
        "Pid": state.pid,
        "Pod": "",
        "PodName": "",
        "Ports": ports(one),
        "Restarts": state.restarts,
        "Size": {"rootFsSize": size[1], "rwSize": size[0]} if size else None,
        "StartedAt": int(state.started / 1e9) if state.started else NEVER,
        "State": state.status,
        "Status": container_state.describe(state, one.health_text(state)),
        "Created": int(one.created),
    }


def ports(one: ContainerRef) -> list[Json] | None:
    """Published ports as podman lists them, None without any."""
    found = []
    for inside, places in one.ports.items():
        port, _, protocol = inside.partition("/")
        for place in places:
            found.append(
                {
                    "host_ip": place["HostIp"],
                    "container_port": int(port),
                    "host_port": int(place["HostPort"]),
                    "range": 1,
                    "protocol": protocol,
                }
            )
    return found or None


def mounts(one: ContainerRef) -> list[str]:
    """Where something is mounted in it."""
    return [mount["Destination"] for mount in one.record["mounts"] if mount["Type"] != "tmpfs"]


def namespaces_of(state: State) -> dict[str, str]:
    """The numbers of its namespaces by podman's names; nothing of what does not run."""
    found = {}
    for name, kind in NAMESPACES.items():
        try:
            link = os.readlink(f"/proc/{state.pid}/ns/{kind}") if state.pid else ""
        except OSError:
            link = ""
        if link:
            # "mnt:[4026532417]", namespaces(7)
            found[name] = link.partition("[")[2].rstrip("]")
    return found


def canonical(one: ContainerRef) -> str:
    """The whole name of its image, with registry and tag."""
    from rootless.errors import RootlessError
    from rootless.images.names import reference

    try:
        return reference.parse(one.image).canonical if one.image_id else one.image
    except RootlessError:
        return one.image
