"""A container's directory: generated files, configuration, plan and orders."""

from __future__ import annotations

import os

from rootless import documents, host, paths
from rootless.cgroups import limits as cgroup_limits
from rootless.engine.common import signals
from rootless.engine.containers import ref as container_ref
from rootless.engine.containers import rootfs
from rootless.engine.containers.draft import ContainerSpec, Namespaces
from rootless.engine.logs import options as log_options
from rootless.engine.spec import oci_config
from rootless.engine.spec import seccomp as spec_seccomp
from rootless.errors import HostError, UsageError
from rootless.network import resolv_hosts
from rootless.network.backends import registry as networks
from rootless.runtime import launch_plan, operations, plan_format
from rootless.runtime import orders as to_monitor
from rootless.userns import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.draft import (
        Draft,
        Ids,
        NetworkPlan,
        Place,
        Process,
        Request,
        Root,
        Source,
    )
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.spec.mounts import Binds
    from rootless.network.backends.backend import Network
    from rootless.network.ports import Port
    from rootless.runtime.plan_format import Record
    from rootless.userns.idmap import IdMaps

_JOINABLE = ("pid", "ipc", "uts", "cgroup", "network")
_PROC_NAMES = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "network": "net"}


def hostname(request: Request, place: Place, spaces: Namespaces) -> str:
    """--hostname, or the short id; the host's own where that name space is shared."""
    if spaces.modes["uts"] == "host":
        return os.uname().nodename
    return request.options.hostname or place.identifier[:12]


def join_others(request: Request, ids: Ids, network: Network, *, starts: bool) -> Namespaces:
    """`container:NAME` of --network, --pid, --ipc and --uts: whose namespaces are shared.

    They belong to that container's user namespace, so this one lives in it as well.
    """
    modes = oci_config.namespace_modes(request.options)
    wanted = dict(modes)
    wanted["network"] = "container:" + network.target if network.target else None
    joined: dict[str, str] = {}
    target, maps = "", ids.maps
    for kind in _JOINABLE:
        text = wanted[kind] or ""
        if not text.startswith("container:"):
            continue
        other = container_ref.get(request.ctx, text[len("container:") :])
        if target and other.id != target:
            raise UsageError("namespaces of two different containers cannot be shared at once")
        # whoever only makes it may start the other one until this one is started
        if starts and not other.state().pid:
            raise UsageError(
                f"the container {other.name}, whose {kind} namespace is wanted, is not running",
                hint=f"rootless start {other.name}",
            )
        if kind not in {one["type"] for one in other.config()["linux"]["namespaces"]}:
            # what that container shares with the host is shared with the host by this one as well
            if kind == "network":
                network = networks.of_host()
            else:
                modes[kind] = "host"
            continue
        covered = host.current().covered_proc
        if covered:
            # In the /proc around, whoever has CAP_SYS_PTRACE in that user namespace could name the
            # launcher of this one, and its root is the host's for a moment.
            raise HostError(
                f"the {kind} namespace of {other.name} cannot be shared here: {covered} is "
                "covered, so containers see each other in the /proc around them",
                hint=host.WHOLE_PROC,
            )
        target = other.id
        maps = other.maps()
        # replaced by the pid of that moment whenever this container is started
        joined[kind] = f"/proc/@TARGET@/ns/{_PROC_NAMES[kind]}"
    return Namespaces(modes, joined, target, maps, network)


def hello_facts(request: Request, spaces: Namespaces, plan: NetworkPlan, root: Root) -> list[str]:
    """What the image rootless/hello prints about the choices made for it."""
    choice = root.choice
    network = plan.network
    manager = request.ctx.cgroups()
    return [
        f"ROOTLESS_HELLO_DRIVER={choice.driver.name}: {choice.why}"
        if choice
        else "ROOTLESS_HELLO_DRIVER=",
        f"ROOTLESS_HELLO_NETWORK={network.name}" + (f": {network.why}" if network.why else ""),
        f"ROOTLESS_HELLO_CGROUP={manager.kind}: {manager.why}",
        f"ROOTLESS_HELLO_RUNTIME={request.runtime}",
        f"ROOTLESS_HELLO_IDS={spaces.maps.why}",
    ]


def write_files(
    request: Request,
    source: Source,
    place: Place,
    spaces: Namespaces,
    plan: NetworkPlan,
    process: Process,
    binds: Binds,
) -> list[Json]:
    """Write resolv.conf, hosts and hostname; returns the mounts that put them over the image's."""
    options, directory = request.options, place.directory
    made: list[Json] = []
    if source.image is None and plan.network.backend.shares_host:
        return made
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            host_text = file.read()
    except OSError:
        host_text = ""
    network = _network(request, spaces, plan)
    texts: dict[str, str | bytes] = {
        "resolv.conf": resolv_hosts.resolv_conf(
            host_text,
            network,
            list(options.dns),
            list(options.dns_search),
            list(options.dns_option),
        ),
        "hosts": resolv_hosts.hosts(process.hostname, place.name, network, list(options.add_host)),
        "hostname": process.hostname + "\n",
    }
    if options.no_hosts:
        del texts["hosts"]
    if options.no_hostname:
        del texts["hostname"]
    taken = {mount["destination"] for mount in binds.mounts}
    if options.tz:
        from rootless.engine.spec import timezone

        texts["localtime"] = timezone.zone(options.tz)
    for name, text in texts.items():
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        if "/etc/" + name not in taken and not _has_no_place(request, binds, name):
            made.append(
                {"type": "bind", "source": path, "destination": "/etc/" + name, "options": ["bind"]}
            )
        for below in options.chrootdirs if name in ("resolv.conf", "hosts") else ():
            if not below.startswith("/") or ".." in below.split("/"):
                raise UsageError(f'--chrootdirs "{below}" is not an absolute path')
            target = f"{below.rstrip('/')}/etc/{name}"
            made.append(
                {"type": "bind", "source": path, "destination": target, "options": ["bind"]}
            )
    if options.init:
        made.append(
            {
                "type": "bind",
                "source": paths.helper("init"),
                "destination": "/run/.rootless-init",
                "options": ["bind", "ro"],
            }
        )
    return made


def _network(request: Request, spaces: Namespaces, plan: NetworkPlan) -> Network:
    """The network the container is in, also where another one made it."""
    network, target = plan.network, spaces.target
    while network.backend.joins:
        record = container_ref.get(request.ctx, target).record
        network = networks.recorded(record)
        target = record["networkTarget"]
    return network


def _has_no_place(request: Request, binds: Binds, name: str) -> bool:
    """Whether a read-only mount at /etc lacks this file, so that nothing can be bound there."""
    over = [one for one in binds.mounts if one["destination"] in ("/", "/etc")]
    if not over or "ro" not in over[-1]["options"]:
        return False
    path = name if over[-1]["destination"] == "/etc" else "etc/" + name
    if over[-1]["type"] == "bind" and os.path.lexists(os.path.join(over[-1]["source"], path)):
        return False
    request.ctx.notice(
        name, f"no /etc/{name} in the container: what is mounted there is read-only and has none",
        always=True,
    )  # fmt: skip
    return True


def _resources(request: Request) -> cgroup_limits.Resources:
    options = request.options
    resources = cgroup_limits.parse(**{name: getattr(options, name) for name in options.LIMITS})
    for name, why in options.REFUSED.items():
        if getattr(options, name) not in (None, False, "", []):
            raise UsageError(
                f"--{name.replace('_', '-')} cannot be had with cgroup version 2", hint=why
            )
    manager = request.ctx.cgroups(options.cgroups or "")
    manager.check(resources, options.cgroup_parent or "")
    return resources


def spec(
    request: Request,
    source: Source,
    spaces: Namespaces,
    plan: NetworkPlan,
    root: Root,
    process: Process,
    mounts: list[Json],
) -> ContainerSpec:
    """Make the OCI configuration; `mounts` are those beside the default ones."""
    options = request.options
    resources = _resources(request)
    config = oci_config.config(
        options,
        account=process.account,
        arguments=process.arguments,
        env=process.env,
        image=source.config,
        root=root.path,
        hostname=process.hostname,
        mounts=mounts,
        spaces=oci_config.namespaces(spaces.modes, spaces.joined, plan.network.backend.shares_host),
        maps=spaces.maps,
        shm_size=cgroup_limits.size(options.shm_size) if options.shm_size else 64 << 20,
        read_only_sysctls=bool(host.current().covered_proc),
        resources=resources.oci(),
    )
    return ContainerSpec(config, resources.as_dict())


def write_bundle(draft: Draft) -> None:
    """config.json and the launch plan."""
    options, root, config = draft.request.options, draft.root, draft.spec.config
    single = draft.spaces.maps.single
    documents.write(os.path.join(draft.place.directory, "config.json"), config)
    runtime = draft.request.runtime
    if runtime != "rootless":
        from rootless.engine.containers import external_runtime

        plan = external_runtime.plan(draft, runtime, rootfs.root_operations(root))
    else:
        preparations = draft.binds.preparations
        # a directory of --rootfs is the user's own: nothing is put there
        if single and root.mount is not None:
            from rootless.engine.spec import single_id

            # after what is copied up: it does not go into volumes
            preparations = [*preparations, *single_id.operations()]
        plan = launch_plan.plan(
            config,
            rootfs.root_operations(root),
            filter_program=_filter(draft),
            keyring=spec_seccomp.keyring(
                oci_config.security(options).get("seccomp", ""), options.privileged
            ),
            single=single,
            wait_for_network=draft.network.network.backend.waits,
            unreachable=draft.network.network.backend.unreachable(draft.network.network.options),
            preparations=preparations,
            covered_proc=bool(host.current().covered_proc),
            # otherwise it is a default, which the filter of a container around may refuse
            own_name=bool(options.hostname),
        )
    if options.preserve_fds:
        from rootless.engine.containers import sd_notify

        sd_notify.preserve(plan, options.preserve_fds)
    plan_format.write(draft.place.directory, "plan", plan, operations.NUMBERS)


def write_orders(draft: Draft, record: ContainerRecord) -> None:
    """The monitor's orders, with what its events say about the container."""
    from rootless.engine.events import writer as event_writer

    told = to_monitor.events(*event_writer.orders(draft.request.ctx.data_dir, record))
    plan_format.write(draft.place.directory, "orders", [*orders(draft), told], to_monitor.NUMBERS)


def _filter(draft: Draft) -> bytes:
    options = draft.request.options
    choice = oci_config.security(options).get("seccomp", "")
    bounding = draft.spec.config["process"]["capabilities"]["bounding"]
    return spec_seccomp.program(choice, bounding, draft.spaces.maps.single, options.privileged)


def orders(draft: Draft) -> list[Record]:
    """What the monitor is told."""

    options, place, mount = draft.request.options, draft.place, draft.root.mount
    directory, sockets = place.directory, paths.socket_directory(place.identifier)
    policy, count = restart_policy(options.restart)
    made: list[Record] = [
        to_monitor.id_(place.identifier, place.name),
        to_monitor.directory(directory, "state"),
        to_monitor.socket(sockets),
        to_monitor.executor(paths.helper("launch"), os.path.join(directory, "plan")),
        to_monitor.log_errors(os.path.join(directory, "helpers.log")),
        to_monitor.stdin("once" if options.interactive else "null"),
        to_monitor.restart(policy, int(count)),
    ]
    made += namespace_orders(draft)
    if options.tty:
        made.append(to_monitor.tty())
    made += log_options.orders(options, directory, lambda: _journal_fields(draft))
    made += network_orders(draft.network.network, draft.network.ports, sockets)
    if mount is not None:
        made += [to_monitor.fuse(server.late, server.argv) for server in mount.servers]
    # who applies limits is decided anew at each start
    made.append(to_monitor.go())
    seconds = 10 if options.stop_timeout is None else options.stop_timeout
    stop = options.stop_signal or draft.source.config.get("StopSignal") or "SIGTERM"
    made.append(to_monitor.stop(signals.number(stop), seconds))
    if options.sdnotify or options.preserve_fds:
        from rootless.engine.containers import sd_notify

        made += sd_notify.orders(draft)
    if options.timeout:
        made.append(to_monitor.timeout(options.timeout))
    if options.pid_file:
        made.append(to_monitor.pid_file(os.path.abspath(options.pid_file)))
    if options.rm:
        from rootless.engine.containers import owned

        made += owned.orders(draft)
    return made


def network_orders(network: Network, ports: list[Port], sockets: str) -> list[Record]:
    """Orders for the program beside the container that its network needs, if it needs one."""
    sidecar = network.backend.sidecar(network, ports, sockets)
    if sidecar is None:
        return []
    made = [to_monitor.sidecar(sidecar.argv)]
    if sidecar.ports:
        made.append(to_monitor.ports(paths.helper("ports"), sidecar.ports))
    if sidecar.datagrams:
        made.append(to_monitor.udp(paths.helper("udp"), sidecar.datagrams))
    if sidecar.requests:
        made.append(to_monitor.sidecar_socket(sidecar.socket))
        made += [to_monitor.sidecar_request(request) for request in sidecar.requests]
    return made


def _journal_fields(draft: Draft) -> tuple[str, ...]:
    from rootless.engine.logs import journald

    options, source = draft.request.options, draft.source
    return journald.fields(
        log_options.table(options),
        identifier=draft.place.identifier,
        name=draft.place.name,
        image=options.image,
        image_id=source.image.id if source.image is not None else "",
        labels=oci_config.labels(options, source.config),
        env=draft.process.env,
    )


def namespace_orders(draft: Draft) -> list[Record]:
    """Clone flags, id maps, and namespaces of another container to join."""
    flags = launch_plan.clone_flags(draft.spec.config)
    spaces, choice = draft.spaces, draft.root.choice
    if draft.request.runtime != "rootless":
        # the other runtime makes the rest; these are what the root file system and network need
        flags &= (
            launch_plan.CLONE["user"]
            | launch_plan.CLONE["mount"]
            | launch_plan.CLONE["network"]
            | launch_plan.CLONE["pid"]
            | launch_plan.CLONE["cgroup"]
        )
    if spaces.target:
        joins: list[Record] = [to_monitor.join(launch_plan.CLONE["user"], "/proc/@TARGET@/ns/user")]
        joins += [
            to_monitor.join(launch_plan.CLONE[kind], path) for kind, path in spaces.joined.items()
        ]
        return [to_monitor.clone(flags & ~launch_plan.CLONE["user"]), *joins]
    if draft.network.network.places:
        from rootless.engine.containers import named_networks

        return named_networks.namespace_orders(draft, flags)
    if choice is not None and choice.nested:
        from rootless.engine.containers import userns_nested

        outer = draft.request.ctx.maps
        return [
            to_monitor.clone(flags),
            to_monitor.outer(*map_arguments(outer), drop_groups=not outer.single),
            userns_nested.map_order(spaces.maps, outer),
        ]
    return [
        to_monitor.clone(flags),
        to_monitor.map_(*map_arguments(spaces.maps), drop_groups=not spaces.maps.single),
    ]


def map_arguments(maps: IdMaps) -> tuple[str, str, tuple[str, str]]:
    """What the monitor needs to write a map."""
    # root of this namespace writes any map itself, and a single own id needs no help
    return maps.proc_text("uids"), maps.proc_text("gids"), helpers.needed(maps)


def restart_policy(text: str | None) -> tuple[str, str]:
    """`on-failure:3` -> ("on-failure", "3").  Raises UsageError."""
    policy, _, count = (text or "no").partition(":")
    if policy not in ("no", "always", "unless-stopped", "on-failure") or (
        count and not count.isdigit()
    ):
        raise UsageError(
            f'unknown --restart "{text}"', hint="no, on-failure[:N], always or unless-stopped"
        )
    return policy, count or "0"
