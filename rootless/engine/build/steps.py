"""RUN: one step in a container of its own, which nobody can find and nothing outlives.

Scope: from `rootless.build.protocols.Process` to a launch plan, its mounts and its end.  A step is
launched as `run` launches a container, in a user namespace of its own: what one step leaves running
cannot look at another one, nor at who works on the build's files.  Its files are mounted in its own
mount namespace, above a skeleton with the mount points that the image lacks, so that none of them
is left in the layer.
"""

from __future__ import annotations

import os
import select
import shutil
import stat
import threading
from collections.abc import Callable

from rootless import documents, host, paths
from rootless.build.protocols import Process, Sink, Snapshot, StepMount
from rootless.cgroups import limits
from rootless.engine.build import step_options
from rootless.engine.build.layers import BuildLayers, Draft
from rootless.engine.containers import bundle
from rootless.engine.containers import rootfs as container_rootfs
from rootless.engine.containers import start as container_start
from rootless.engine.spec import oci_config, single_id
from rootless.engine.spec import seccomp as spec_seccomp
from rootless.engine.spec import user as spec_user
from rootless.engine.spec.options import ContainerOptions
from rootless.errors import Interrupted, UsageError
from rootless.network import resolv_hosts
from rootless.network.backends import registry as networks
from rootless.runtime import attended, launch_plan
from rootless.runtime import orders as to_monitor
from rootless.storage.rootfs.read_file import read_lowers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.network.backends.backend import Network
    from rootless.runtime.plan_format import Record
    from rootless.storage.drivers.driver import Server

_HOSTNAME = "buildkitsandbox"  # what scripts of Dockerfiles have come to know
_PIECE = 1 << 16
_WORKER = "rootless.engine.build.mounts:"
_ALWAYS = (("/proc", "d"), ("/dev", "d"), ("/sys", "d"), ("/etc/hosts", "f"),
           ("/etc/resolv.conf", "f"))  # fmt: skip


class RunSteps:
    """`rootless.build.protocols.Steps` with containers of ours.  `options` has what holds for every
    step: capabilities, limits of processes, host names."""

    def __init__(
        self, layers: BuildLayers, options: ContainerOptions, *, in_ci: bool = False
    ) -> None:
        """`in_ci`: steps that cannot have a network of their own have that of the job."""
        self._in_ci = in_ci or host.contained() or "KUBERNETES_SERVICE_HOST" in os.environ
        self.layers = layers
        self.engine = layers.engine
        self.maps = layers.maps
        self.options = options
        self.limits = step_options.Limits(self.engine, options)
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def run(self, snapshot: Snapshot, process: Process, log: Sink, cancel: threading.Event) -> int:
        """Run a step; its exit status."""
        assert isinstance(snapshot, Draft)
        if cancel.is_set():
            raise Interrupted("the build was ended")
        with _Step(self, snapshot, process) as step:
            return step.run(log, cancel)

    def network(self, name: str) -> Network:
        """The network of a step.

        Within a container without /dev/net/tun there is only one network to be had, and it is not
        the host's: a step may use it, as everything else in that container.
        """
        if name not in ("", "default"):
            return networks.parse(name)
        found = networks.default(shared=self._in_ci)
        if found.backend.shares_host:
            self.engine.context.notice(
                "build-network", f"steps use the network of this container: {found.why}"
            )
        return found

    def held(self, name: str) -> threading.Lock:
        """The lock of a cache mount that steps do not share."""
        with self._guard:
            return self._locks.setdefault(name, threading.Lock())


class _Step:
    def __init__(self, steps: RunSteps, draft: Draft, process: Process) -> None:
        self.steps = steps
        self.layers = steps.layers
        self.draft = draft
        self.process = process
        self.mounts: list[Json] = []
        self.before: list[Record] = []
        self.points: list[tuple[str, str]] = list(_ALWAYS)
        self.servers: list[Server] = []
        self.environment = dict(process.environment)
        self._cgroups: list[str] = []
        self._extra: list[Draft] = []
        self._doomed: list[str] = []
        self._closing: list[Callable[[], None]] = []
        # what is made for this step alone: the snapshot's own directory may serve the next one
        self.directory = os.path.join(draft.directory, "step")
        os.mkdir(self.directory, 0o711)

    def __enter__(self) -> _Step:
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._doomed:
            try:
                os.unlink(path)
            except OSError:
                continue
        for close in reversed(self._closing):
            close()
        if self._cgroups:
            step_options.removed(self._cgroups)
        shutil.rmtree(self.directory, ignore_errors=True)
        for draft in self._extra:
            self.layers.abandon(draft)

    # ------------------------------------------------------------ mounts

    def _prepare(self) -> None:
        wanted = [mount for mount in self.process.mounts if mount.target != "/"]
        if len(wanted) != len(self.process.mounts):
            raise UsageError("RUN --mount cannot cover the root of the files")
        for mount in wanted:
            getattr(self, "_" + mount.kind)(mount)

    def _bind(self, mount: StepMount, source: str | None = None, *words: str) -> None:
        """Show a file or directory of this host."""
        path = mount.source if source is None else source
        kind = "d" if os.path.isdir(path) else "f"
        self._point(mount.target, kind)
        options = ["bind", "nosuid", "nodev", *(["ro"] if mount.read_only else []), *words]
        self.mounts.append(
            {"type": "bind", "source": path, "destination": mount.target, "options": options}
        )

    def _point(self, target: str, kind: str) -> None:
        if not target.startswith("/dev/"):
            self.points.append((target, kind))

    def _tree(self, mount: StepMount) -> None:
        """Files of layers.  The path in them was found without links by a worker: they are an
        image's, and a link in them could lead anywhere on this host."""
        directories = self.layers.directories(mount.chain)
        found = self.layers.work(
            _WORKER + "find_worker", {"path": mount.source}, trees={-1: mount.chain}
        )
        if not found["kind"]:
            raise UsageError(f'RUN --mount: "/{mount.source}" was not found')
        # who may mount could take "read-only" away again, and write to a layer that others have
        strong = self.process.security == "insecure" or bool(self.steps.options.cap_add)
        if len(directories) == 1 and mount.read_only and not strong:
            top = directories[0]
        else:
            draft = self.layers.draft(mount.chain)
            self._extra.append(draft)
            self.before += container_rootfs.root_operations_of(draft.mount)
            self.servers += draft.mount.servers
            top = draft.mount.merged
        self._point(mount.target, found["kind"])
        options = ["bind", "nosuid", "nodev", *(["ro"] if mount.read_only else [])]
        source = os.path.join(top, found["path"]) if found["path"] else top
        self.mounts.append(
            {"type": "bind", "source": source, "destination": mount.target, "options": options}
        )

    def _cache(self, mount: StepMount) -> None:
        name, _, path = mount.source.partition("/")
        if mount.sharing in ("locked", "private"):
            name = self._own_cache(name, mount.sharing)
        directory = os.path.join(self.layers.top, "caches", name)
        request: dict[str, Json] = {
            "directory": directory, "making": os.path.join(self.directory, f"m{len(self.mounts)}"),
            "mode": mount.mode, "uid": mount.uid, "gid": mount.gid,
            "path": path, "single": False,
        }  # fmt: skip
        if not os.path.isdir(os.path.join(directory, "fs")):
            trees = {-1: mount.chain} if mount.chain else None
            self.layers.work(_WORKER + "cache_worker", request, trees=trees)
        else:
            os.utime(directory)
        self._bind(mount, os.path.join(directory, "fs"))

    def _own_cache(self, name: str, sharing: str) -> str:
        """The directory of a cache that no two steps use at once: this one waits for it (locked),
        or gets another one (private)."""
        base = os.path.join(self.layers.top, "caches")
        number = 0
        while True:
            chosen = name if not number else f"{name}-{number}"
            held = self.steps.held(chosen)
            if held.acquire(blocking=sharing == "locked"):
                path = os.path.join(base, f"{chosen}.lock")
                try:
                    lock = documents.Lock(path, blocking=sharing == "locked")
                except BlockingIOError:
                    held.release()
                else:
                    self._closing += [held.release, lock.close]
                    return chosen
            number += 1

    def _tmpfs(self, mount: StepMount) -> None:
        self._point(mount.target, "d")
        options = ["nosuid", "nodev", "mode=1777"]
        if mount.size:
            options.append(f"size={mount.size}")
        self.mounts.append(
            {"type": "tmpfs", "source": "tmpfs", "destination": mount.target, "options": options}
        )

    def _text(self, mount: StepMount) -> None:
        path = os.path.join(self.directory, f"text{len(self.mounts)}")
        _write_new(path, mount.data, mount.mode or 0o755)
        self._bind(mount, path)

    def _secret(self, mount: StepMount) -> None:
        """A file in the user's runtime directory, which is memory and mode 0700, for as long as the
        step runs.  Whoever is killed leaves it to the next build's `forget_secrets`."""
        directory = secrets_directory()
        path = os.path.join(directory, f"{os.getpid()}-{os.urandom(8).hex()}")
        self._doomed.append(path)
        _write_new(path, mount.data, 0o600)
        owner = (mount.uid, mount.gid)
        mode = 0o400 if mount.mode is None else mount.mode
        if owner != (0, 0) and not self.steps.maps.single:
            self.layers.work(
                _WORKER + "give_worker", {"path": path, "owner": [*owner], "mode": mode}
            )
        else:
            os.chmod(path, mode)
        self._bind(mount, path, "noexec")

    def _ssh(self, mount: StepMount) -> None:
        self.environment.setdefault("SSH_AUTH_SOCK", mount.target)
        self._bind(mount)

    def _of_host(self) -> None:
        """--volume and --device."""
        options = self.steps.options
        if not (options.volume or options.device):
            return
        found = step_options.binds(self.steps.engine, options, self.directory, (0, 0))
        for mount in found.mounts:
            kind = "d" if os.path.isdir(mount["source"]) else "f"
            self._point(mount["destination"], kind)
        self.mounts += found.mounts
        self.before += found.preparations

    # ------------------------------------------------------------ launching

    def run(self, log: Sink, cancel: threading.Event) -> int:
        self._prepare()
        self._of_host()
        self.layers.show_points(self.draft, self._missing(), self._single_id_files())
        reading, writing = os.pipe()
        erring, errors = os.pipe()
        try:
            try:
                running = self._start(writing, errors)
            finally:
                os.close(writing)
                os.close(errors)
            status = _attend(running, {reading: 1, erring: 2}, log, cancel)
            self.layers.take_points(self.draft)
            return status
        finally:
            os.close(reading)
            os.close(erring)

    def _missing(self) -> list[tuple[str, str]]:
        """Mount points; where a link of the image is on the way, what it leads to."""
        if len(self.points) == len(_ALWAYS):
            return self.points
        request: dict[str, Json] = {"paths": [path for path, _ in self.points]}
        found = (
            self.layers.work(_WORKER + "targets_worker", request, trees={-1: self.draft.parent})
            if self.draft.parent
            else request["paths"]
        )
        return [(path, kind) for path, (_, kind) in zip(found, self.points, strict=True)]

    def _single_id_files(self) -> dict[str, str]:
        """What programs of an image need where there is a single id, below the image's own."""
        found = {}
        for _, (path, text) in single_id.operations() if self.steps.maps.single else []:
            inner = os.path.dirname(str(path)).lstrip("/")
            # only whether there is a directory: what its name leads to is not touched
            if any(os.path.isdir(os.path.join(one, inner)) for one in self.draft.mount.lowers):
                found[str(path)] = str(text)
        return found

    def _start(self, stdout: int, stderr: int) -> attended.Attended:
        process, maps, mount = self.process, self.steps.maps, self.draft.mount
        options = self.steps.options
        covered = bool(host.current().covered_proc)
        network = self.steps.network(process.network)
        account = spec_user.account(
            process.user, list(options.group_add), lambda path: read_lowers(mount.lowers, path)
        )
        environment = {**self.environment}
        environment.setdefault("HOME", account.home)
        for name, value in process.secrets.items():
            environment[name] = value.decode("utf-8", "surrogateescape")
        self._network_files(network)
        chosen = ContainerOptions("", **_step_options(options, process))
        config = oci_config.config(
            chosen,
            account=account,
            arguments=list(process.argv),
            env=[f"{name}={value}" for name, value in environment.items()],
            image={"WorkingDir": process.cwd},
            root=mount.merged,
            hostname=_HOSTNAME,
            mounts=self.mounts,
            spaces=oci_config.namespaces(
                oci_config.namespace_modes(chosen), {}, network.backend.shares_host
            ),
            maps=maps,
            shm_size=limits.size(chosen.shm_size) if chosen.shm_size else 64 << 20,
            read_only_sysctls=covered,
            resources={},
        )
        choice = oci_config.security(chosen).get("seccomp", "")
        bounding = config["process"]["capabilities"]["bounding"]
        plan = launch_plan.plan(
            config,
            [*container_rootfs.root_operations_of(mount), *self.before],
            filter_program=spec_seccomp.program(choice, bounding, maps.single, chosen.privileged),
            keyring=spec_seccomp.keyring(choice, chosen.privileged),
            single=maps.single,
            wait_for_network=network.backend.waits,
            covered_proc=covered,
            own_name=False,
        )
        orders: list[Record] = [
            to_monitor.clone(launch_plan.clone_flags(config)),
            to_monitor.map_(*bundle.map_arguments(maps), drop_groups=not maps.single),
        ]
        orders += bundle.network_orders(network, [], "")
        servers = [*self.draft.mount.servers, *self.servers]
        orders += [to_monitor.fuse(server.late, server.argv) for server in servers]
        return attended.start(
            plan, orders, directory=self.directory,
            log=os.path.join(self.directory, "helpers.log"), stdout=stdout, stderr=stderr,
            network=container_start.network_failure(network.backend),
            place=self._placed if self.steps.limits.wanted else None,
        )  # fmt: skip

    def _placed(self, pid: int) -> str:
        return self.steps.limits.place(pid, self._cgroups)

    def _network_files(self, network: Network) -> None:
        """resolv.conf and hosts, over those of the image and in no layer."""
        options = self.steps.options
        try:
            with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
                host_text = file.read()
        except OSError:
            host_text = ""
        texts = {
            "resolv.conf": resolv_hosts.resolv_conf(
                host_text, network, list(options.dns), list(options.dns_search),
                list(options.dns_option),
            ),
            "hosts": resolv_hosts.hosts(_HOSTNAME, "", network, list(options.add_host)),
        }  # fmt: skip
        taken = {mount["destination"] for mount in self.mounts}
        for name, text in texts.items():
            if f"/etc/{name}" in taken or "/etc" in taken:
                continue
            path = os.path.join(self.directory, name)
            _write_new(path, text.encode(), 0o644)
            self.mounts.insert(
                0,
                {"type": "bind", "source": path, "destination": f"/etc/{name}",
                 "options": ["bind"]},
            )  # fmt: skip


def _step_options(options: ContainerOptions, process: Process) -> dict[str, object]:
    given: dict[str, object] = {
        "cap_add": list(options.cap_add),
        "cap_drop": list(options.cap_drop),
        "ulimit": list(options.ulimit),
        "security_opt": list(options.security_opt),
        "shm_size": options.shm_size,
    }
    if process.security == "insecure":
        given["privileged"] = True
    return given


def _attend(
    running: attended.Attended, streams: dict[int, int], log: Sink, cancel: threading.Event
) -> int:
    """Pass output on until both ends are closed and the process has ended."""
    poll = select.poll()
    for fd in streams:
        poll.register(fd, select.POLLIN)
    open_streams = dict(streams)
    try:
        while open_streams:
            for fd, _ in poll.poll(100):
                data = os.read(fd, _PIECE)
                if data:
                    log(open_streams[fd], data)
                else:
                    poll.unregister(fd)
                    del open_streams[fd]
            if cancel.is_set():
                raise Interrupted("the build was ended")
        return running.wait()
    except BaseException:
        running.kill()
        raise


def _write_new(path: str, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def secrets_directory() -> str:
    """Where secrets are while a step runs."""
    paths.ensure(paths.runtime_dir())
    directory = os.path.join(paths.runtime_dir(), "build-secrets")
    paths.ensure(directory, 0o700)
    return directory


def forget_secrets() -> None:
    """Remove those of builds that were killed."""
    directory = os.path.join(paths.runtime_dir(), "build-secrets")
    for name in documents.names_in(directory):
        pid = name.partition("-")[0]
        if not (pid.isdigit() and os.path.isdir(f"/proc/{pid}")):
            try:
                os.unlink(os.path.join(directory, name))
            except OSError:
                continue


def is_socket(path: str) -> bool:
    """Whether there is a socket at a path."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
