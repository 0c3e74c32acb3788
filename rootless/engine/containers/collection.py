"""`engine.containers`: names as in docker's Python client."""

from __future__ import annotations

from rootless import documents
from rootless.engine.containers import names as container_names
from rootless.errors import Conflict, ContainerNotFound, DamagedDocument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, overload

    from rootless.documents import Json
    from rootless.engine.containers.attach import Session
    from rootless.engine.containers.container import Container
    from rootless.engine.containers.exec_result import ExecResult
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.engine.spec.options import ContainerOptions
    from rootless.images.store.store import ImageRecord

    ContainerList = list[Container]
    Strings = list[str]
    Filters = Mapping[str, str | Strings]


class Containers:
    """The containers of one engine."""

    def __init__(self, ctx: Context, stores: Stores) -> None:
        self.ctx = ctx
        self._stores = stores

    def create(
        self,
        image: str | ImageRecord | ContainerOptions,
        command: Strings | str | None = None,
        **words: object,
    ) -> Container:
        """Make a container without starting it; words as `run` has them."""
        from rootless.engine.containers import create as container_create
        from rootless.engine.containers import run as container_run
        from rootless.engine.containers.container import Container

        options = container_run.options(image, command, words)
        identifier, lock = container_create.create(self.ctx, self._stores, options)
        lock.close()
        return Container(self.ctx, identifier, self._stores)

    def launch(
        self, options: ContainerOptions, *, attach: bool
    ) -> tuple[Container, Session | None]:
        """Make and start a container; with `attach` also the session that talks to it.

        If it cannot be started it is removed: who asks for a running container and gets an error
        wants nothing left behind.
        """
        from rootless.engine.containers import create as container_create
        from rootless.engine.containers.container import Container

        identifier, lock = container_create.create(self.ctx, self._stores, options, starts=True)
        try:
            container = Container(self.ctx, identifier, self._stores)
            try:
                return container, container.start(attach=attach)
            except BaseException:
                try:
                    container.remove(force=True, volumes=True)
                except ContainerNotFound:
                    pass  # with --rm the monitor was first
                raise
        finally:
            lock.close()

    if TYPE_CHECKING:

        @overload
        def run(
            self,
            image: str | ImageRecord,
            command: Strings | str | None = None,
            *,
            detach: Literal[True],
            **words: object,
        ) -> Container: ...

        @overload
        def run(
            self,
            image: str | ImageRecord,
            command: Strings | str | None = None,
            *,
            detach: Literal[False] = False,
            **words: object,
        ) -> ExecResult: ...

    def run(
        self,
        image: str | ImageRecord,
        command: Strings | str | None = None,
        *,
        detach: bool = False,
        **words: object,
    ) -> Container | ExecResult:
        """Make and start a container.

        Detached, the container is returned; otherwise it is waited for, removed, and its
        ExecResult returned.  `input`: bytes for its standard input.  Other words are options, as
        help("rootless.engine.spec.options.ContainerOptions") describes them:
        bool: detach, env_host, init, interactive, lazy, no_healthcheck, no_hostname, no_hosts,
            privileged, publish_all, read_only, replace, rm, rootfs, tty, unsetenv_all,
            writable_tmpfs
        int: blkio_weight, cpu_period, cpu_quota, cpu_shares, health_max_log_count,
            health_max_log_size, health_retries, health_startup_retries, health_startup_success,
            oom_score_adj, pids_limit, preserve_fds, stop_timeout, timeout
        list of str: add_host, annotation, blkio_weight_device, cap_add, cap_drop, cgroup_conf,
            chrootdirs, device, device_read_bps, device_read_iops, device_write_bps,
            device_write_iops, dns, dns_option, dns_search, env, env_file, env_merge, expose,
            gidmap, group_add, label, label_file, log_opt, mount, network, network_alias,
            preserve_fd, publish, requires, secret, security_opt, storage_opt, sysctl, tmpfs,
            uidmap, ulimit, unsetenv, volume, volumes_from
        str: cgroup_parent, cgroupns, cgroups, cidfile, conmon_pidfile, cpus, cpuset_cpus,
            cpuset_mems, detach_keys, health_interval, health_log_destination, health_on_failure,
            health_start_interval, health_start_period, health_startup_interval,
            health_startup_timeout, health_timeout, hostname, http_proxy, image_volume, ip, ip6,
            ipc, log_driver, mac_address, memory, memory_reservation, memory_swap, name,
            personality, pid, pid_file, platform, pull, read_only_tmpfs, restart, runtime, sdnotify,
            shm_size, stop_signal, storage_driver, systemd, tz, umask, user, userns, uts, workdir
        str, or list of str: entrypoint, health_cmd, health_startup_cmd
        """
        from rootless.engine.containers import run as container_run

        fed = words.pop("input", None)
        words |= {"detach": detach, "interactive": fed is not None}
        options = container_run.options(image, command, words)
        container, session = self.launch(options, attach=not detach)
        if session is None:
            return container
        result = container_run.collect(session, fed)
        if not options.rm:
            container.remove(force=True, volumes=True)
        return result

    def get(self, text: str, *, damaged: bool = False) -> Container:
        """The container of this name, id or beginning of an id.

        Raises ContainerNotFound; DamagedDocument, unless `damaged`: then one whose document cannot
        be read is found as well, and can be removed.
        """
        from rootless.engine.containers.container import Container

        identifier = container_names.resolve(self.ctx.containers_dir, text)
        try:
            return Container(self.ctx, identifier, self._stores)
        except DamagedDocument as error:
            if not damaged:
                raise
            from rootless.engine.containers.damaged import Damaged

            return Damaged(self.ctx, identifier, self._stores, error)

    def list(self, all: bool = False, filters: Filters | None = None) -> ContainerList:
        """Running containers, or all; newest first.  Filters as docker's: {"status": "exited"},
        several values of one in a list.  Raises UsageError."""
        from rootless.engine.containers.container import Container

        found = []
        for identifier in documents.names_in(self.ctx.containers_dir):
            if len(identifier) != 64:
                continue
            try:
                one = Container(self.ctx, identifier, self._stores)
            except ContainerNotFound:
                self._sweep(identifier)
                continue
            except DamagedDocument as error:
                from rootless.engine.containers.damaged import Damaged

                one = Damaged(self.ctx, identifier, self._stores, error)
            starting = one.record["remove"] and one.record.get("starts") and one.status == "created"
            if not (starting and self._sweep(identifier)):
                found.append(one)
        if filters:
            from rootless.engine.common import arguments
            from rootless.engine.containers import filters as container_filters

            rules = arguments.filters(filters)
            found = container_filters.passing(self.ctx, self._stores, found, rules)
            all = all or "status" in filters or "exited" in filters
        if not all:
            found = [one for one in found if one.status in ("running", "paused", "restarting")]
        found.sort(key=lambda one: one.created, reverse=True)
        return found

    def prune(self, filters: Filters | None = None) -> Json:
        """Remove what does not run; {"ContainersDeleted": [ids], "SpaceReclaimed": bytes}."""
        from rootless.engine.common import disk_usage

        ended = [one for one in self.list(all=True, filters=filters)
                 if one.status in ("created", "exited", "dead")]  # fmt: skip
        sizes = disk_usage.measured(self.ctx.maps, [one.directory for one in ended])
        gone: Strings = []
        freed = 0
        for one in ended:
            try:
                one.remove()
            except (Conflict, ContainerNotFound):
                continue
            gone.append(one.id)
            freed += sizes.get(one.directory, 0)
        self.ctx.emit("container", "prune", "", "", {"count": str(len(gone))})
        return {"ContainersDeleted": gone, "SpaceReclaimed": freed}

    def _sweep(self, identifier: str) -> bool:
        from rootless.engine.containers import gc as container_gc

        return container_gc.sweep(self.ctx, identifier)
