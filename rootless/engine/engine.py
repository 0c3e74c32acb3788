"""The engine: what a person's directory of images, containers and volumes can do."""

from __future__ import annotations

import os

from rootless import paths
from rootless.engine.images.login import Logins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.containers.collection import Containers
    from rootless.engine.events.reader import Event
    from rootless.engine.images.collection import Images
    from rootless.engine.images.manifests import Manifests
    from rootless.engine.images.trust import Demands
    from rootless.engine.spec.options import ContainerOptions
    from rootless.engine.volumes.collection import Volumes
    from rootless.progress import Progress
    from rootless.userns.idmap import IdMaps


class Engine(Logins):
    """One person's containers, images and volumes.

    It holds no connection and no process: any number of engines, in any number of threads and
    programs, may work on the same directory.  `data_dir` is by default
    $XDG_DATA_HOME/rootless; `storage_driver`, `cgroup_manager` and `runtime` override what would
    be chosen, `storage_options` are options of the driver; `progress` hears of long operations (or
    makes who does, when it is needed).
    """

    def __init__(
        self,
        *,
        data_dir: str = "",
        storage_driver: str | None = None,
        storage_options: list[str] | str | None = None,
        cgroup_manager: str | None = None,
        runtime: str | None = None,
        progress: Progress | Callable[[], Progress] | None = None,
    ) -> None:
        self.data_dir = os.path.abspath(data_dir or paths.data_dir())
        self.containers_dir = os.path.join(self.data_dir, "containers")
        from rootless.engine.common import arguments, config

        chosen = config.of_engine()
        self.storage_driver = storage_driver or chosen.get("storage_driver")
        self.storage_options = arguments.words(
            "storage_options", storage_options or chosen.get("storage_opt")
        )
        self.cgroup_manager = cgroup_manager or chosen.get("cgroup_manager")
        self.runtime = runtime or chosen.get("runtime")
        self._progress = progress
        self.demands: Demands | None = None
        self._maps: IdMaps | None = None
        self._cgroups: dict[str, Manager] = {}

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held, so nothing is let go."""

    @property
    def containers(self) -> Containers:
        """Containers: run, create, get, list, prune."""
        from rootless.engine.containers.collection import Containers

        return Containers(self)

    @property
    def images(self) -> Images:
        """Images: pull, load, get, list, tag, remove, prune."""
        from rootless.engine.images.collection import Images

        return Images(self)

    @property
    def manifests(self) -> Manifests:
        """Manifest lists: create, add, annotate, push, inspect, remove."""
        from rootless.engine.images.manifests import Manifests

        return Manifests(self)

    @property
    def volumes(self) -> Volumes:
        """Volumes: create, get, list, remove, prune."""
        from rootless.engine.volumes.collection import Volumes

        return Volumes(self)

    @property
    def progress(self) -> Progress:
        """Who hears of long operations."""
        from rootless.progress import Progress

        if not isinstance(self._progress, Progress):
            self._progress = self._progress() if self._progress else Progress()
        return self._progress

    @property
    def maps(self) -> IdMaps:
        """The person's own id map: what layers are unpacked with."""
        if self._maps is None:
            from rootless.userns import idmap

            self._maps = idmap.default_maps()
        return self._maps

    def cgroups(self, mode: str = "") -> Manager:
        """Who applies limits on this host; `mode` is what `--cgroups` says.  Raises as choose."""
        if mode not in self._cgroups:
            from rootless import cgroups

            self._cgroups[mode] = cgroups.choose(self.cgroup_manager, mode)
        return self._cgroups[mode]

    def notice(self, key: str, text: str, *, always: bool = False) -> None:
        """Tell the person what a default could not do: once for each boot, or `always`.

        `key` names the matter.  What was asked for by name is an error instead, never a notice.
        """
        if not always and not _first_time(key):
            return
        self.progress.message(f"note: {text}")

    def event(
        self,
        kind: str,
        action: str,
        identifier: str,
        name: str = "",
        attributes: dict[str, str] | None = None,
    ) -> None:
        """Write down that something happened, for `events`; costs one open, write and close.

        `kind`: container, image, volume, network, pod, system; `action`: podman's word for it,
        but `die`.  Never raises: what was done is done, whether it could be written down or not.
        """
        from rootless.engine.events import writer as event_writer

        event_writer.append(
            self.data_dir, kind, action, identifier, name or identifier, attributes or {}
        )

    def container_event(self, action: str, record: Json, **more: str) -> None:
        """As `event`, for the container of this record; `more`: attributes besides its own."""
        from rootless.engine.events import writer as event_writer

        attributes = event_writer.of_container(record, **more)
        self.event("container", action, record["id"], record["name"], attributes)

    def events(
        self,
        since: float | None = None,
        until: float | None = None,
        filters: Mapping[str, str | list[str]] | None = None,
        stream: bool = True,
    ) -> Iterator[Event]:
        """What happens, as it happens; see rootless.engine.events.reader.read."""
        from rootless.engine.common import arguments
        from rootless.engine.events import reader as event_reader

        return event_reader.read(
            self.data_dir,
            since=since,
            until=until,
            filters=arguments.filters(filters),
            stream=stream,
        )

    def prepare_data_dir(self) -> None:
        """Make the directories that a first run needs.

        Nobody else may pass the first: an image or a container can hold a program with the setuid
        bit, which another user of the host would start as ourselves (CVE-2021-41091).  Below it
        mapped ids could pass; --userns nomap, whose root is none of ours, needs o+x on the first.
        """
        paths.ensure_data(self.data_dir)
        for name in ("containers", "containers/names", "layers", "volumes"):
            paths.ensure(os.path.join(self.data_dir, name), 0o711)

    def dry_run(self, options: ContainerOptions) -> str:
        """What `run` would do: the launch plan and the monitor's orders, for a person to read."""
        from rootless.engine.containers import dry_run as container_dry_run

        return container_dry_run.describe(self, options)

    def info(self) -> Json:
        """The host and the choices made on it."""
        from rootless.engine.system import info as system_info

        return system_info.info(self)

    def version(self) -> Json:
        """Versions of this program and of the programs it uses."""
        from rootless.engine.system import info as system_info

        return system_info.version()

    def df(self) -> Json:
        """How much room everything takes: the shape of docker's API; see engine.system.df."""
        from rootless.engine.system import df as system_df

        return system_df.df(self)

    def doctor(self) -> list[Json]:
        """Every precondition of this host, tried."""
        from rootless.engine.system import doctor as system_doctor

        return system_doctor.checks(self)

    def unshare(self, command: list[str] | str) -> None:
        """Replace this process by a command (or the shell) as root of the user namespace."""
        from rootless.engine.system import info as system_info

        system_info.unshare(self, command)


def _first_time(key: str) -> bool:
    """Whether this was not told yet since the last boot (or the last emptying of /tmp)."""
    directory = os.path.join(paths.runtime_dir(), "told")
    for _ in range(2):
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(os.path.join(directory, key), flags, 0o600))
            return True
        except FileExistsError:
            return False
        except FileNotFoundError:
            paths.ensure(paths.runtime_dir())
            os.makedirs(directory, 0o700, exist_ok=True)
        except OSError:
            return True
    return True
