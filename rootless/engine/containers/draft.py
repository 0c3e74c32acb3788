"""A container in the making."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.limits import ResourcesRecord
    from rootless.documents import DirectoryLock, Json
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.engine.spec.mounts import Binds
    from rootless.engine.spec.options import ContainerOptions
    from rootless.engine.spec.user import Account
    from rootless.images.store.store import ImageRecord
    from rootless.network.backends.backend import Network
    from rootless.network.ports import Port
    from rootless.storage.drivers.driver import RootMount
    from rootless.storage.drivers.registry import Choice
    from rootless.storage.drivers.squashfs import SingleFile
    from rootless.userns.idmap import IdMaps


class Draft:
    """A container in the making; what the steps of `create` hand to each other."""

    __slots__ = (
        "account",
        "arguments",
        "binds",
        "choice",
        "config",
        "ctx",
        "directory",
        "env",
        "file",
        "hostname",
        "identifier",
        "image",
        "image_config",
        "joined",
        "limits",
        "lock",
        "maps",
        "name",
        "network",
        "options",
        "ports",
        "resources",
        "root",
        "root_mount",
        "stores",
        "target",
    )

    ctx: Context
    stores: Stores
    options: ContainerOptions
    identifier: str
    name: str
    directory: str
    image: ImageRecord | None
    file: SingleFile | None
    image_config: Json
    maps: IdMaps
    network: Network
    ports: list[Port]
    choice: Choice | None
    root_mount: RootMount | None
    root: str
    joined: dict[str, str]
    target: str
    hostname: str
    account: Account
    arguments: list[str]
    env: list[str]
    binds: Binds
    config: Json
    limits: ResourcesRecord
    resources: Json
    lock: DirectoryLock
