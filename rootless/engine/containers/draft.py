"""A container in the making: the values that the steps of `create` return.

Each step takes the values that it needs and returns a new one, complete; so the types say what has
to be known before what.  The order:

    Request -> Source -> Ids -> Place -> Namespaces -> NetworkPlan -> Root -> Process -> Draft

A step changes no value of an earlier one, and never the caller's options.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Request:
    """What was asked for, checked as far as it can be alone, and with what it is made."""

    __slots__ = ("ctx", "options", "runtime", "stores")

    def __init__(self, ctx: Context, stores: Stores, options: ContainerOptions) -> None:
        self.ctx = ctx
        self.stores = stores
        self.options = options
        self.runtime = options.runtime or ctx.runtime or "rootless"

    def asked(self) -> dict[str, list[str]]:
        """What inspect shows as it was asked for, because it cannot be seen in what came of it."""
        options = self.options
        given: dict[str, Sequence[str | None]] = {
            "dns": options.dns,
            "dnsOptions": options.dns_option,
            "dnsSearch": options.dns_search,
            "addHost": options.add_host,
            "groupAdd": options.group_add,
            "volumesFrom": options.volumes_from,
            "devices": options.device,
            "cidfile": [options.cidfile],
            "pidFile": [options.pid_file],
            "userns": [options.userns],
            "publishAll": ["true"] if options.publish_all else [],
        }
        found = {name: [str(one) for one in value if one] for name, value in given.items()}
        return {name: words for name, words in found.items() if words}


class Source:
    """What the container is made from: an image, one file (`file`), or a directory (neither)."""

    __slots__ = ("config", "file", "image")

    def __init__(
        self, image: ImageRecord | None, config: Json, file: SingleFile | None = None
    ) -> None:
        self.image = image
        self.config = config
        self.file = file


class Ids:
    """The id map that was asked for, and the user (`NAME[:GROUP]`) of the first process."""

    __slots__ = ("maps", "user")

    def __init__(self, maps: IdMaps, user: str) -> None:
        self.maps = maps
        self.user = user


class Place:
    """The container's directory, which exists, and the name that was taken for it."""

    __slots__ = ("directory", "identifier", "lock", "name")

    def __init__(self, identifier: str, directory: str, lock: DirectoryLock, name: str) -> None:
        self.identifier = identifier
        self.directory = directory
        self.lock = lock
        self.name = name


class Namespaces:
    """Whose namespaces the container lives in.

    `modes`: for each kind but the network's what was asked for, `host` where the container that
    was named shares the host's; `joined`: the paths of those of the container `target`; `maps`: the
    id map of the user namespace that it comes to; `network`: the one it comes to.
    """

    __slots__ = ("joined", "maps", "modes", "network", "target")

    def __init__(
        self,
        modes: dict[str, str | None],
        joined: dict[str, str],
        target: str,
        maps: IdMaps,
        network: Network,
    ) -> None:
        self.modes = modes
        self.joined = joined
        self.target = target
        self.maps = maps
        self.network = network


class NetworkPlan:
    """The network that the container gets, and the ports that are published there."""

    __slots__ = ("network", "ports")

    def __init__(self, network: Network, ports: list[Port]) -> None:
        self.network = network
        self.ports = ports


class Root:
    """The root file system at `path`; without `mount` a directory of the host as it is."""

    __slots__ = ("choice", "mount", "path")

    def __init__(self, path: str, choice: Choice | None, mount: RootMount | None) -> None:
        self.path = path
        self.choice = choice
        self.mount = mount


class Process:
    """The container's first process."""

    __slots__ = ("account", "arguments", "env", "hostname")

    def __init__(
        self, arguments: list[str], env: list[str], account: Account, hostname: str
    ) -> None:
        self.arguments = arguments
        self.env = env
        self.account = account
        self.hostname = hostname


class ContainerSpec:
    """The OCI configuration, and the limits by their names in our record."""

    __slots__ = ("config", "limits")

    def __init__(self, config: Json, limits: ResourcesRecord) -> None:
        self.config = config
        self.limits = limits


class Draft:
    """All of it: what the bundle, the monitor's orders and the record are written from."""

    __slots__ = (
        "binds",
        "ids",
        "network",
        "place",
        "process",
        "request",
        "root",
        "source",
        "spaces",
        "spec",
    )

    def __init__(
        self,
        request: Request,
        source: Source,
        ids: Ids,
        place: Place,
        spaces: Namespaces,
        network: NetworkPlan,
        root: Root,
        process: Process,
        binds: Binds,
        spec: ContainerSpec,
    ) -> None:
        self.request = request
        self.source = source
        self.ids = ids
        self.place = place
        self.spaces = spaces
        self.network = network
        self.root = root
        self.process = process
        self.binds = binds
        self.spec = spec
