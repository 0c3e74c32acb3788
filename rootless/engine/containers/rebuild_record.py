"""`container.json` again, from what else a container's directory holds.

The launch plan, the monitor's orders and config.json say nearly all that a start needs; `LOST`, and
the words of `create`, are in none of them.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.cgroups import oci
from rootless.engine.containers import record
from rootless.errors import StorageError
from rootless.images.names import reference
from rootless.network import ports
from rootless.network.backends import registry as networks
from rootless.runtime import operations, plan_format
from rootless.runtime import orders as to_monitor
from rootless.storage.drivers import registry as driver_registry
from rootless.userns.idmap import IdMaps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.spec.mounts import MountRecord
    from rootless.images.record import ImageRecord
    from rootless.network.backends.backend import Backend

    Decoded = list[tuple[str, list[str]]]

LOST = "its own labels, health check, networks and their options, secrets and cgroup parent"


def rebuild(one: ContainerRef, images: list[ImageRecord]) -> str:
    """Write it, if all that it stands on is known; what is lost.  Raises RootlessError."""
    orders = _decoded(one, "orders", to_monitor.NUMBERS)
    plan = _decoded(one, "plan", operations.NUMBERS)
    config = one.config()
    made = _record(one, images, config, orders, plan)
    if not documents.fits(made, record.SHAPE):
        raise StorageError(documents.fault(made, record.SHAPE))
    record.write(one.directory, made)
    return LOST


def _decoded(one: ContainerRef, name: str, numbers: dict[str, int]) -> Decoded:
    path = os.path.join(one.directory, name)
    try:
        with open(path, "rb") as file:
            found = plan_format.decode(file.read(), numbers)
    except (OSError, ValueError):
        raise StorageError(f"{path} cannot be read either") from None
    return [(word, [os.fsdecode(text) for text in texts]) for word, texts in found]


def _record(
    one: ContainerRef, images: list[ImageRecord], config: Json, orders: Decoded, plan: Decoded
) -> ContainerRecord:
    order = dict(orders)
    image = _image(one, images)
    if image is None and record.layers(one.directory):
        raise StorageError("its image is not here any more")
    made = record.stand_in(one.directory, one.id)
    policy, count = order["restart"]
    mounts = _mounts(one, config)
    servers = _servers(orders, plan)
    network = _network(order, config)
    made.update(
        {
            "created": os.stat(os.path.join(one.directory, "config.json")).st_mtime,
            "image": reference.parse(image.names[0]).familiar if image and image.names else "",
            "imageId": image.id if image else "",
            "layers": [layer.diff_id for layer in image.layers] if image else [],
            "command": config["process"]["args"],
            "hostname": config.get("hostname", ""),
            "labels": dict(image.config.get("Labels") or {}) if image else {},
            "annotations": config.get("annotations", {}),
            "maps": _maps(config).as_dict(),
            "driver": _driver(one, config, servers, plan),
            "servers": servers,
            "network": network.name,
            "ports": [
                *ports.heard([word for word in order.get("ports", ()) if "/" in word][1:]),
                *network.published(
                    [words[0] for name, words in orders if name == "sidecar-request"]
                ),
            ],
            "mounts": mounts,
            "anonymous": [one["Name"] for one in mounts if len(one.get("Name", "")) == 64],
            "restart": policy if count == "0" else f"{policy}:{count}",
            "remove": "remove" in order,
            "tty": "tty" in order,
            "stdin": order.get("stdin", [""])[0] != "null",
            "stopSignal": order["stop"][0],
            "stopTimeout": int(order["stop"][1]),
            "logDriver": order["log"][0],
            "logPath": order["log"][1],
            "user": "{uid}:{gid}".format(**config["process"]["user"]),
        }
    )
    made["cgroup"]["resources"] = oci.resources(config["linux"].get("resources") or {}).as_dict()
    if "outer" in order:
        made["nested"] = True
    return made


def _image(one: ContainerRef, images: list[ImageRecord]) -> ImageRecord | None:
    """The image of just these layers."""
    from rootless.storage.layers.gc import short

    every = {short(layer.diff_id) for image in images for layer in image.layers}
    wanted = record.layers(one.directory) & every
    for image in images:
        if wanted and {short(layer.diff_id) for layer in image.layers} == wanted:
            return image
    return None


def _maps(config: Json) -> IdMaps:
    uids, gids = (
        tuple((row["containerID"], row["hostID"], row["size"]) for row in config["linux"][name])
        for name in ("uidMappings", "gidMappings")
    )
    return IdMaps(uids, gids, "as it was made", caller=(os.getuid(), os.getgid()))


def _driver(one: ContainerRef, config: Json, servers: list[list[str]], plan: Decoded) -> str:
    merged = os.path.join(one.directory, "merged")
    if config["root"]["path"] != merged:
        return driver_registry.DIRECTORY
    kinds = {words[2] for name, words in plan if name == "host-mount"}
    server = next((argv for _, place, *argv in servers if place == merged), [])
    return driver_registry.of_start(kinds, server).name


def _servers(orders: Decoded, plan: Decoded) -> list[list[str]]:
    places = [words[0] for name, words in plan if name == "fuse"]
    programs = [words for name, words in orders if name == "fuse"]
    return [
        ["1" if late == "1" else "", place, *argv]
        for (late, *argv), place in zip(programs, places, strict=False)
    ]


def _network(order: dict[str, list[str]], config: Json) -> Backend:
    kinds = {space["type"] for space in config["linux"]["namespaces"]}
    sidecar = order.get("sidecar", [])
    return networks.of_start(sidecar, own_namespace="network" in kinds)


def _mounts(one: ContainerRef, config: Json) -> list[MountRecord]:
    volumes = os.path.join(one.ctx.data_dir, "volumes") + "/"
    found: list[MountRecord] = []
    for mount in config["mounts"]:
        source = mount.get("source", "")
        if mount.get("type") != "bind" or source.startswith(
            (one.directory + "/", "/dev/", "/sys/")
        ):
            continue
        name = source.removeprefix(volumes).partition("/")[0] if source.startswith(volumes) else ""
        made: MountRecord = {
            "Type": "volume" if name else "bind",
            "Source": source,
            "Destination": mount["destination"],
            "Driver": "local" if name else "",
            "Mode": "",
            "RW": "ro" not in mount.get("options", ()),
            "Propagation": "rprivate",
        }
        if name:
            made["Name"] = name
        found.append(made)
    return found
