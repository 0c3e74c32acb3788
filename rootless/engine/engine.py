"""The engine: what a user's directory of images, containers and volumes can do."""

from __future__ import annotations

from rootless.engine.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rootless.cgroups.managers import Manager
    from rootless.documents import Json
    from rootless.engine.common.demands import Demands
    from rootless.engine.containers.collection import Containers
    from rootless.engine.events.reader import Event
    from rootless.engine.images.collection import Images
    from rootless.engine.images.image import Image
    from rootless.engine.images.manifests import Manifests
    from rootless.engine.networks.collection import Networks
    from rootless.engine.networks.users import MemberRecord
    from rootless.engine.spec.options import ContainerOptions
    from rootless.engine.volumes.collection import Volumes
    from rootless.progress import Progress
    from rootless.userns.idmap import IdMaps


class Engine:
    """One user's containers, images and volumes.

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
        self.context = Context(
            data_dir,
            storage_driver=storage_driver,
            storage_options=storage_options,
            cgroup_manager=cgroup_manager,
            runtime=runtime,
            progress=progress,
            emit=self._emit,
        )
        # each is made, and its modules are loaded, when it is first asked for
        self._containers: Containers | None = None
        self._images: Images | None = None
        self._manifests: Manifests | None = None
        self._networks: Networks | None = None
        self._volumes: Volumes | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held, so nothing is let go."""

    def __repr__(self) -> str:
        return f"<Engine {self.data_dir}>"

    def __getattr__(self, name: str) -> object:
        """Raises NotOffered for what docker's client has and this has not."""
        if name in _NOT_OFFERED:
            from rootless.errors import NotOffered

            raise NotOffered(
                f"Engine.{name} is docker's and not here: {_NOT_OFFERED[name]}",
                hint="docs/python.md says what there is",
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self) -> None:
        """Nothing is held, so nothing is let go."""

    def ping(self) -> bool:
        """Whether it can be used; there is no daemon that could be away."""
        return True

    def _emit(
        self, kind: str, action: str, identifier: str, name: str, attributes: dict[str, str]
    ) -> None:
        from rootless.engine.events import writer as event_writer

        event_writer.append(self.context.data_dir, kind, action, identifier, name, attributes)

    # collections

    @property
    def containers(self) -> Containers:
        """Containers: run, create, get, list, prune."""
        if self._containers is None:
            from rootless.engine.containers.collection import Containers

            self._containers = Containers(self.context, self)
        return self._containers

    @property
    def images(self) -> Images:
        """Images: pull, load, get, list, tag, remove, prune."""
        if self._images is None:
            from rootless.engine.images.collection import Images

            self._images = Images(self.context, _Users(self))
            self._images.builder = self._build
        return self._images

    @property
    def manifests(self) -> Manifests:
        """Manifest lists: create, add, annotate, push, inspect, remove."""
        if self._manifests is None:
            from rootless.engine.images.manifests import Manifests

            self._manifests = Manifests(self.context)
        return self._manifests

    @property
    def volumes(self) -> Volumes:
        """Volumes: create, get, list, remove, prune."""
        if self._volumes is None:
            from rootless.engine.volumes.collection import Volumes

            self._volumes = Volumes(self.context, _Users(self))
        return self._volumes

    @property
    def networks(self) -> Networks:
        """Networks with names: create, get, list, remove, prune."""
        if self._networks is None:
            from rootless.engine.networks.collection import Networks

            self._networks = Networks(self.context, _Users(self))
        return self._networks

    def _build(self, **words: Json) -> tuple[Image, Iterator[Json]]:
        from rootless.engine.build import library

        return library.build(self, **words)

    # what was configured

    @property
    def data_dir(self) -> str:
        """The directory that has everything."""
        return self.context.data_dir

    @property
    def containers_dir(self) -> str:
        """The directory of the containers."""
        return self.context.containers_dir

    @property
    def storage_driver(self) -> str | None:
        """The driver that was asked for; None: the best of this host."""
        return self.context.storage_driver

    @property
    def storage_options(self) -> list[str]:
        """Options of the driver."""
        return self.context.storage_options

    @property
    def cgroup_manager(self) -> str | None:
        """The cgroup manager that was asked for; None: the best of this host."""
        return self.context.cgroup_manager

    @property
    def runtime(self) -> str | None:
        """The OCI runtime that was asked for; None: the built-in one."""
        return self.context.runtime

    @property
    def demands(self) -> Demands | None:
        """What is demanded of the signatures of images, beside the policy."""
        return self.context.demands

    @demands.setter
    def demands(self, value: Demands | None) -> None:
        self.context.demands = value

    @property
    def progress(self) -> Progress:
        """Who hears of long operations."""
        return self.context.progress

    @property
    def maps(self) -> IdMaps:
        """The user's own id map: what layers are unpacked with."""
        return self.context.maps

    def cgroups(self, mode: str = "") -> Manager:
        """The cgroup manager of this host; `mode` is what `--cgroups` says.  Raises as choose."""
        return self.context.cgroups(mode)

    # what concerns all of it

    def events(
        self,
        since: float | None = None,
        until: float | None = None,
        filters: Mapping[str, str | list[str]] | None = None,
        stream: bool = True,
        stop: Callable[[], bool] | None = None,
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
            stop=stop,
        )

    def dry_run(self, options: ContainerOptions) -> str:
        """Return what `run` would do: the launch plan and the monitor's orders, as text."""
        from rootless.engine.containers import dry_run as container_dry_run

        return container_dry_run.describe(self.containers, options)

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

        return system_doctor.checks(self.context)

    def unshare(self, command: list[str] | str) -> None:
        """Replace this process by a command (or the shell) as root of the user namespace."""
        from rootless.engine.system import info as system_info

        system_info.unshare(self.context, command)

    # registries

    def login(
        self,
        username: str = "",
        password: str = "",
        email: str | None = None,
        registry: str = "docker.io",
        reauth: bool = False,
        *,
        authfile: str = "",
        tls_verify: bool | None = None,
        cert_dir: str = "",
    ) -> Json:
        """Try a password at a registry and keep it; {"Status": ..., "Kept": where}.

        Without a name and a password, what is stored is tried.  `email` and `reauth` are
        docker's and mean nothing here.  Raises RegistryError, UsageError.
        """
        from rootless.engine.images import login as image_login

        return image_login.login(
            username, password, registry, authfile=authfile, tls_verify=tls_verify,
            cert_dir=cert_dir,
        )  # fmt: skip

    def check_login(self, username: str, password: str, registry: str = "docker.io") -> None:
        """Try a password at a registry and keep nothing.  Raises RegistryError, UsageError."""
        from rootless.engine.images import login as image_login

        image_login.check(username, password, registry)

    def logged_in(self, registry: str, *, authfile: str = "") -> str:
        """The name that is stored for a registry, "" if none is."""
        from rootless.engine.images import login as image_login

        return image_login.logged_in(registry, authfile)

    def logout(self, registry: str = "docker.io", *, authfile: str = "") -> list[str]:
        """Forget a password; the places that still have one.  Raises UsageError."""
        from rootless.images.registry import login as registry_login

        return registry_login.logout(registry, authfile=authfile)

    def logout_all(self, *, authfile: str = "") -> None:
        """Forget all passwords in the file where `login` writes."""
        from rootless.images.registry import credentials

        credentials.remove_all(authfile)


def from_env(**options: object) -> Engine:
    """The engine, where docker's client would be asked for: `import rootless as docker`.

    Options of docker's (version, timeout, ...) are taken and mean nothing: there is no daemon.
    """
    known = {"data_dir", "storage_driver", "storage_options", "cgroup_manager", "runtime"}
    words = {name: value for name, value in options.items() if name in known}
    return Engine(**words)  # type: ignore[arg-type]


_NOT_OFFERED = {
    "api": "there is no daemon and no socket to talk to",
    "swarm": "one user's containers on one host are no cluster",
    "services": "they are of a swarm; see docs/services.md for systemd's",
    "nodes": "they are of a swarm",
    "configs": "they are of a swarm",
    "plugins": "the engine has none",
}


class _Users:
    """The answers of the containers to the collections below them: who uses what."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_images(self) -> dict[str, list[str]]:
        from rootless.engine.containers import usage

        return usage.of_images(self._engine.containers)

    def of_volumes(self) -> dict[str, list[str]]:
        from rootless.engine.containers import usage

        return usage.of_volumes(self._engine.containers)

    def of_networks(self) -> dict[str, list[MemberRecord]]:
        from rootless.engine.containers import usage

        return usage.of_networks(self._engine.containers)

    def layers(self) -> set[str] | None:
        """Also those of the build cache: None while a build goes on."""
        from rootless.engine.build import cache
        from rootless.engine.containers import usage
        from rootless.storage.layers.gc import short

        found = usage.layers(self._engine.context)
        if found is None or cache.is_busy(self._engine.data_dir):
            return None
        return found | {short(one) for one in cache.diff_ids(self._engine.data_dir)}

    def remove(self, name: str) -> None:
        self._engine.containers.get(name, damaged=True).remove(force=True)
