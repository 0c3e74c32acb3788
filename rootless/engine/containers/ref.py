"""A container by its id: its record, its state, its directory; what most modules need of one."""

from __future__ import annotations

import os

from rootless import documents, paths
from rootless.engine.common import processes
from rootless.engine.containers import names as container_names
from rootless.engine.containers import record
from rootless.engine.containers import state as container_state
from rootless.errors import ContainerNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.containers.state import State
    from rootless.engine.context import Context
    from rootless.network.ports import PortRecord
    from rootless.userns.idmap import IdMaps


class ContainerRef:
    """The part of `Container` that changes nothing; every look at its state is a fresh one."""

    def __init__(self, ctx: Context, identifier: str) -> None:
        """Raises ContainerNotFound, DamagedDocument."""
        self.ctx = ctx
        self.id: str = identifier
        self.directory = os.path.join(ctx.containers_dir, identifier)
        self.reload()

    def reload(self) -> None:
        """Read again what was asked for (a rename changes it)."""
        self.record: ContainerRecord = record.read(self.directory, self.id)

    def __repr__(self) -> str:
        return f"<Container {self.short_id} {self.name}>"

    @property
    def short_id(self) -> str:
        """The first 12 digits of the id."""
        return self.id[:12]

    @property
    def name(self) -> str:
        """Its unique name."""
        return self.record["name"]

    @property
    def image(self) -> str:
        """The image as it was named, without what docker leaves out."""
        return self.record["image"]

    @property
    def image_id(self) -> str:
        """64 hex digits; empty for --rootfs."""
        return self.record["imageId"]

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels and its own."""
        return dict(self.record["labels"])

    @property
    def networks(self) -> list[str]:
        """The networks with names that it is on; else the backend of its network."""
        places = self.record.get("networks")
        return [one["name"] for one in places] if places else [self.record["network"]]

    @property
    def ports(self) -> dict[str, list[dict[str, str]]]:
        """Where they are published: {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}."""
        from rootless.engine.common import humanize

        return humanize.port_table(self._published())

    def _published(self) -> list[PortRecord]:
        """Its ports as recorded, while there is somebody who publishes them."""
        found = self.record["ports"]
        if not found:
            return found
        state = container_state.read(self.directory)
        return [] if state.network_lost or state.ports_lost else found

    @property
    def created(self) -> float:
        """When it was made, in seconds since the epoch."""
        return float(self.record["created"])

    def state(self) -> State:
        """A fresh look at its life.  Raises DamagedDocument."""
        found = self.look()
        if found.damage is not None:
            raise found.damage
        return found

    def look(self) -> State:
        """As `state`, for lists: whose document cannot be read is `dead`."""
        found = container_state.read(self.directory)
        if found.status == "running" and container_state.paused(self.cgroup()):
            found.status = "paused"
        return found

    def process(self, found: State | None = None) -> tuple[int, int]:
        """(host pid, start time in ticks since boot) of its first process; (0, 0) without one.

        Under another runtime that is the runtime's child: `state` knows the runtime itself.
        `found`: the state, where it was just looked at.
        """
        found = found or self.state()
        if not found.pid or self.record["runtime"] == "rootless":
            return found.pid, found.pid_start
        from rootless.engine.containers import external_runtime

        pid = external_runtime.inner(found.pid)
        return pid, processes.start_time(pid) if pid else 0

    @property
    def status(self) -> str:
        """created, running, paused, restarting or exited; dead when its state is damaged."""
        return self.look().status

    def maps(self) -> IdMaps:
        """The ids of the container and of the host."""
        from rootless.userns.idmap import IdMaps

        return IdMaps.from_dict(self.record["maps"])

    def storage_maps(self) -> IdMaps:
        """The map in which all of the container's files can be handled."""
        maps = self.maps()
        return maps if maps.single else self.ctx.maps

    def cgroup(self) -> str:
        """The path of the container's cgroup, empty without one."""
        try:
            with open(os.path.join(self.directory, "cgroup"), encoding="utf-8") as file:
                path = file.read()
        except (OSError, ValueError):
            return ""
        return path if path[:1] == "/" and path.isprintable() else ""

    def config(self) -> Json:
        """The OCI runtime configuration.  Raises DamagedDocument."""
        try:
            return record.config(self.directory, self.id)
        except FileNotFoundError:
            path = os.path.join(self.directory, "config.json")
            raise documents.damaged(path, "it is missing", record.remedy(self.short_id)) from None

    def manager(self) -> Manager:
        """Who applies its limits on this host.  Raises UsageError, HostError."""
        return self.ctx.cgroups(self.record["cgroup"].get("mode", ""))

    def listener(self) -> int:
        """The monitor that serves its socket, whatever its state says; 0 without one."""
        path = os.path.join(paths.socket_directory(self.id), "attach")
        if not os.path.exists(path):
            return 0
        # one that has told the end goes by itself
        container_state.settle(self.directory)
        from rootless.engine.containers import monitor

        return monitor.listener(path)

    def emit(self, action: str, **more: str) -> None:
        """Write an event of this container; `more`: attributes besides its own."""
        from rootless.engine.events import writer as event_writer

        event_writer.emit_container(self.ctx, action, self.record, **more)

    def lock(self) -> documents.Lock:
        """Whoever changes the container's state holds this."""
        try:
            return documents.Lock(os.path.join(self.directory, "lock"))
        except FileNotFoundError:
            raise ContainerNotFound(f'no such container: "{self.name}"') from None

    def status_text(self) -> str:
        """`Up 3 minutes`, `Exited (0) 5 seconds ago`, as docker says it."""
        found = self.look()
        return container_state.describe(found, self.health_text(found))

    @property
    def health(self) -> str:
        """starting, healthy or unhealthy; none without a health check."""
        from rootless.engine.health import config as health_config

        return health_config.status(self.directory, self.record, self.look())

    def health_text(self, found: State) -> str:
        """What its health adds to that: ` (healthy)`, or nothing."""
        if not self.record.get("health"):
            return ""
        from rootless.engine.health import config as health_config

        return health_config.in_words(self.directory, self.record, found)

    def command_text(self) -> str:
        """The command as one string."""
        return " ".join(self.record["command"])

    def ports_text(self) -> str:
        """`0.0.0.0:8080->80/tcp, …`."""
        from rootless.engine.common import humanize

        return humanize.ports(self._published())


def get(ctx: Context, text: str) -> ContainerRef:
    """The container of this name, id or beginning of an id.  Raises ContainerNotFound."""
    return ContainerRef(ctx, container_names.resolve(ctx.containers_dir, text))
