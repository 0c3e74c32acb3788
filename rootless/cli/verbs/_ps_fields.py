"""The fields of `ps`, for a template, `--sort` and `--ns`; loaded where one is asked for."""

from __future__ import annotations

from rootless.cli import output
from rootless.engine.common import humanize
from rootless.engine.containers import state as container_state
from rootless.engine.containers import summary
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.listing import Fields
    from rootless.documents import Json
    from rootless.engine.containers.container import Container
    from rootless.engine.containers.state import State

# of docker's object
DOCKER = (
    "Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks",
    "Ports", "RunningFor", "Size", "State", "Status",
)  # fmt: skip
_NAMESPACES = {
    "CGROUPNS": "Cgroup", "IPC": "Ipc", "MNT": "Mnt", "NET": "Net", "PIDNS": "Pidns",
    "USERNS": "User", "UTS": "Uts",
}  # fmt: skip


class Row:
    """A container in the list: its state is looked at once."""

    def __init__(self, one: Container, full: bool, size: tuple[int, int] | None) -> None:
        self.one = one
        self.full = full
        self.size = size
        self._state: State | None = None
        self._namespaces: dict[str, str] | None = None

    @property
    def state(self) -> State:
        """How it is now."""
        if self._state is None:
            self._state = self.one.look()
        return self._state

    @property
    def namespaces(self) -> dict[str, str]:
        """The numbers of its namespaces."""
        if self._namespaces is None:
            self._namespaces = summary.namespaces_of(self.state)
        return self._namespaces

    def identifier(self) -> str:
        """The id, shortened where that is wanted."""
        return self.one.id if self.full else self.one.short_id

    def command(self) -> str:
        """The command in quotes, shortened where that is wanted."""
        text = self.one.command_text()
        return f'"{text}"' if self.full or len(text) <= 20 else f'"{text[:19]}…"'

    def size_text(self) -> str:
        """`12kB (virtual 1.2MB)`, as docker has it."""
        if self.size is None:
            return "0B"
        written, whole = (output.human_size(one) for one in self.size)
        return f"{written} (virtual {whole})"


def _image_id(row: Row) -> str:
    return row.one.image_id if row.full else row.one.image_id[:12]


def _status(row: Row) -> str:
    return container_state.describe(row.state, row.one.health_text(row.state))


def _labels(row: Row) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(row.one.labels.items()))


def _mounts(row: Row) -> str:
    return ",".join(
        mount.get("Name") or mount["Source"]
        for mount in row.one.record["mounts"]
        if mount["Type"] != "tmpfs"
    )


def _local_volumes(row: Row) -> str:
    mounts = row.one.record["mounts"]
    return str(sum(mount.get("Driver") == "local" for mount in mounts))


def _moment(nanoseconds: int) -> int:
    return int(nanoseconds / 1e9) if nanoseconds else summary.NEVER


def _exited_at(row: Row) -> int:
    return _moment(row.state.finished if row.state.status == "exited" else 0)


FIELDS: Fields = {
    "AutoRemove": ("AUTOREMOVE", lambda row: row.one.record["remove"]),
    "CIDFile": ("CIDFILE", lambda row: ""),
    "Cgroup": ("CGROUP", lambda row: row.one.cgroup()),
    "Command": ("COMMAND", Row.command),
    "Created": ("CREATED", lambda row: humanize.local(row.one.created)),
    "CreatedAt": ("CREATED AT", lambda row: humanize.local(row.one.created)),
    "CreatedHuman": ("CREATED", lambda row: humanize.ago(row.one.created)),
    "ExitCode": ("EXIT CODE", lambda row: row.state.exit_code),
    "Exited": ("EXITED", lambda row: row.state.status == "exited"),
    "ExitedAt": ("EXITED AT", _exited_at),
    "ID": ("CONTAINER ID", Row.identifier),
    "Id": ("CONTAINER ID", Row.identifier),
    "Image": ("IMAGE", lambda row: row.one.image),
    "ImageID": ("IMAGE ID", _image_id),
    "IsInfra": ("IS INFRA", lambda row: False),
    "Labels": ("LABELS", _labels),
    "LocalVolumes": ("LOCAL VOLUMES", _local_volumes),
    "Mounts": ("MOUNTS", _mounts),
    "Names": ("NAMES", lambda row: row.one.name),
    "Namespaces": ("NAMESPACES", lambda row: row.namespaces),
    "Networks": ("NETWORKS", lambda row: ",".join(row.one.networks)),
    "Pid": ("PID", lambda row: row.state.pid),
    "Platform": ("PLATFORM", lambda row: "linux"),
    "Pod": ("POD ID", lambda row: ""),
    "PodName": ("PODNAME", lambda row: ""),
    "Ports": ("PORTS", lambda row: row.one.ports_text()),
    "Restarts": ("RESTARTS", lambda row: row.state.restarts),
    "RunningFor": ("CREATED", lambda row: humanize.ago(row.one.created)),
    "Size": ("SIZE", Row.size_text),
    "StartedAt": ("STARTED AT", lambda row: _moment(row.state.started)),
    "State": ("STATE", lambda row: row.state.status),
    "Status": ("STATUS", _status),
}  # fmt: skip
FIELDS |= {
    name: (name, lambda row, kind=kind: row.namespaces.get(kind, ""))  # type: ignore[misc]
    for name, kind in _NAMESPACES.items()
}
NS_COLUMNS = ("ID", "Names", "Pid", *_NAMESPACES)

# podman-ps(1); each from the least to the most
_SORTS = {
    "command": lambda row: row.one.command_text(),
    "created": lambda row: row.one.created,
    "id": lambda row: row.one.id,
    "image": lambda row: row.one.image,
    "names": lambda row: row.one.name,
    "runningfor": lambda row: row.one.created,
    "size": lambda row: row.size[1] if row.size else 0,
    "status": lambda row: row.state.status,
}


def sort(rows: list[Row], key: str) -> None:
    """Sort as `--sort` says.  Raises UsageError."""
    if key not in _SORTS:
        raise UsageError(f'--sort: containers cannot be sorted by "{key}"', hint=", ".join(_SORTS))
    rows.sort(key=_SORTS[key])


def podman(rows: list[Row], namespaces: bool) -> list[Json]:
    """The array of `podman ps --format json`."""
    return [summary.podman(row.one, row.size, namespaces=namespaces) for row in rows]
