"""What containers use: images, layers and volumes, for those who would remove them."""

from __future__ import annotations

import os

from rootless import documents
from rootless.engine.containers import record as container_record
from rootless.errors import ContainerNotFound, DamagedDocument
from rootless.storage.layers.gc import short as short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.collection import Containers
    from rootless.engine.context import Context
    from rootless.engine.networks.users import MemberRecord

    Users = dict[str, list[str]]


def of_images(containers: Containers) -> Users:
    """Ids of images that containers use, and the names of those containers."""
    table: Users = {}
    for one in containers.list(all=True):
        mounted = {mount["Source"] for mount in one.record["mounts"] if mount["Type"] == "image"}
        for identity in {one.image_id, *mounted}:
            table.setdefault(identity, []).append(one.name)
    return table


def of_volumes(containers: Containers) -> Users:
    """Names of volumes that containers use, and the names of those containers."""
    table: Users = {}
    for one in containers.list(all=True):
        for mount in one.record["mounts"]:
            if mount.get("Name"):
                table.setdefault(mount["Name"], []).append(one.name)
    return table


def of_networks(containers: Containers) -> dict[str, list[MemberRecord]]:
    """Names of networks, and the containers on them."""
    from rootless.engine.containers import named_networks

    table: dict[str, list[MemberRecord]] = {}
    for one in containers.list(all=True):
        places = one.record.get("networks") or []
        running = bool(places) and one.look().alive
        now = named_networks.addresses(one.directory) if running else []
        for name in dict.fromkeys([place["name"] for place in places] + [a["name"] for a in now]):
            has = next((each for each in now if each["name"] == name), None)
            table.setdefault(name, []).append(
                {
                    "id": one.id,
                    "name": one.name,
                    "running": running and has is not None,
                    "mac": has["mac"] if has else "",
                    "address": has["address"] if has else "",
                    "address6": has["address6"] if has else "",
                }
            )
    return table


def layers(ctx: Context) -> set[str] | None:
    """Short names of the layers that containers need.

    None while somebody makes a container, whose needs are not written down yet.
    """
    found: set[str] = set()
    for identifier in documents.names_in(ctx.containers_dir):
        path = os.path.join(ctx.containers_dir, identifier)
        if len(identifier) != 64:
            continue
        try:
            record = container_record.read(path, identifier)
            found.update(short_name(one) for one in record["layers"])
            for mount in record["mounts"]:
                found.update(short_name(one) for one in mount.get("Layers", ()))
        except DamagedDocument:
            found.update(container_record.layers(path))
        except ContainerNotFound:
            try:
                documents.DirectoryLock(path).close()
            except BlockingIOError:
                return None
            except OSError:
                continue
    return found
