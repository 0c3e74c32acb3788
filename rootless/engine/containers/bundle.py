"""A container's directory: generated files, configuration, plan and orders."""

from __future__ import annotations

import os

from rootless import documents, host, paths
from rootless.cgroups import limits as cgroup_limits
from rootless.engine.common import signals
from rootless.engine.containers import ref as container_ref
from rootless.engine.containers import rootfs
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
    from rootless.engine.containers.draft import Draft
    from rootless.engine.containers.record import ContainerRecord
    from rootless.network.backends.backend import Network
    from rootless.network.ports import Port
    from rootless.runtime.plan_format import Record
    from rootless.userns.idmap import IdMaps

_JOINABLE = ("pid", "ipc", "uts", "cgroup", "network")
_PROC_NAMES = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "network": "net"}


def hostname(draft: Draft) -> str:
    """--hostname, or the short id; the host's own where that name space is shared."""
    if draft.options.uts == "host":
        return os.uname().nodename
    return draft.options.hostname or draft.identifier[:12]


def join_others(draft: Draft) -> None:
    """`container:NAME` of --network, --pid, --ipc and --uts: whose namespaces are shared.

    They belong to that container's user namespace, so this one lives in it as well.
    """
    options = draft.options
    draft.joined = {}
    draft.target = ""
    wanted = {
        "pid": options.pid,
        "ipc": options.ipc,
        "uts": options.uts,
        "cgroup": options.cgroupns,
    }
    if draft.network.target:
        wanted["network"] = "container:" + draft.network.target
    for kind in _JOINABLE:
        text = wanted.get(kind) or ""
        if not text.startswith("container:"):
            continue
        other = container_ref.get(draft.ctx, text[len("container:") :])
        if draft.target and other.id != draft.target:
            raise UsageError("namespaces of two different containers cannot be shared at once")
        if not other.state().pid:
            raise UsageError(
                f"the container {other.name}, whose {kind} namespace is wanted, is not running",
                hint=f"rootless start {other.name}",
            )
        if kind not in {one["type"] for one in other.config()["linux"]["namespaces"]}:
            # what that container shares with the host is shared with the host by this one as well
            if kind == "network":
                draft.network = networks.of_host()
            else:
                setattr(options, "cgroupns" if kind == "cgroup" else kind, "host")
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
        draft.target = other.id
        draft.maps = other.maps()
        # replaced by the pid of that moment whenever this container is started
        draft.joined[kind] = f"/proc/@TARGET@/ns/{_PROC_NAMES[kind]}"


def hello_facts(draft: Draft) -> list[str]:
    """What the image rootless/hello prints about the choices made for it."""
    choice = draft.choice
    network = draft.network
    manager = draft.ctx.cgroups()
    return [
        f"ROOTLESS_HELLO_DRIVER={choice.driver.name}: {choice.why}"
        if choice
        else "ROOTLESS_HELLO_DRIVER=",
        f"ROOTLESS_HELLO_NETWORK={network.name}" + (f": {network.why}" if network.why else ""),
        f"ROOTLESS_HELLO_CGROUP={manager.kind}: {manager.why}",
        f"ROOTLESS_HELLO_RUNTIME={draft.options.runtime or draft.ctx.runtime or 'rootless'}",
        f"ROOTLESS_HELLO_IDS={draft.maps.why}",
    ]


def write_files(draft: Draft) -> None:
    """resolv.conf, hosts and hostname, bound over those of the image."""
    options, directory = draft.options, draft.directory
    if draft.image is None and draft.network.backend.shares_host:
        return
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            host_text = file.read()
    except OSError:
        host_text = ""
    network = _network(draft)
    texts: dict[str, str | bytes] = {
        "resolv.conf": resolv_hosts.resolv_conf(
            host_text,
            network,
            list(options.dns),
            list(options.dns_search),
            list(options.dns_option),
        ),
        "hosts": resolv_hosts.hosts(draft.hostname, draft.name, network, list(options.add_host)),
        "hostname": draft.hostname + "\n",
    }
    taken = {mount["destination"] for mount in draft.binds.mounts}
    if options.tz:
        from rootless.engine.spec import timezone

        texts["localtime"] = timezone.zone(options.tz)
    for name, text in texts.items():
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
        if "/etc/" + name not in taken and not _has_no_place(draft, name):
            draft.binds.mounts.append(
                {"type": "bind", "source": path, "destination": "/etc/" + name, "options": ["bind"]}
            )
    if options.init:
        draft.binds.mounts.append(
            {
                "type": "bind",
                "source": paths.helper("init"),
                "destination": "/run/.rootless-init",
                "options": ["bind", "ro"],
            }
        )


def _network(draft: Draft) -> Network:
    """The network the container is in, also where another one made it."""
    network, target = draft.network, draft.target
    while network.backend.joins:
        record = container_ref.get(draft.ctx, target).record
        network = networks.recorded(record)
        target = record["networkTarget"]
    return network


def _has_no_place(draft: Draft, name: str) -> bool:
    """Whether a read-only mount at /etc lacks this file, so that nothing can be bound there."""
    over = [one for one in draft.binds.mounts if one["destination"] in ("/", "/etc")]
    if not over or "ro" not in over[-1]["options"]:
        return False
    path = name if over[-1]["destination"] == "/etc" else "etc/" + name
    if over[-1]["type"] == "bind" and os.path.lexists(os.path.join(over[-1]["source"], path)):
        return False
    draft.ctx.notice(
        name, f"no /etc/{name} in the container: what is mounted there is read-only and has none",
        always=True,
    )  # fmt: skip
    return True


def _resources(draft: Draft) -> Json:
    options = draft.options
    resources = cgroup_limits.parse(**{name: getattr(options, name) for name in options.LIMITS})
    for name, why in options.REFUSED.items():
        if getattr(options, name) not in (None, False, "", []):
            raise UsageError(
                f"--{name.replace('_', '-')} cannot be had with cgroup version 2", hint=why
            )
    manager = draft.ctx.cgroups(options.cgroups or "")
    manager.check(resources, options.cgroup_parent or "")
    draft.limits = resources.as_dict()
    return resources.oci()


def write_bundle(draft: Draft) -> None:
    """config.json and the launch plan."""
    options = draft.options
    resources = _resources(draft)
    covered = bool(host.current().covered_proc)
    spaces = oci_config.namespaces(options, draft.joined, draft.network.backend.shares_host)
    draft.config = oci_config.config(
        options,
        account=draft.account,
        arguments=draft.arguments,
        env=draft.env,
        image=draft.image_config,
        root=draft.root,
        hostname=draft.hostname,
        mounts=draft.binds.mounts,
        spaces=spaces,
        maps=draft.maps,
        shm_size=cgroup_limits.size(options.shm_size) if options.shm_size else 64 << 20,
        read_only_sysctls=covered,
        resources=resources,
    )
    documents.write(os.path.join(draft.directory, "config.json"), draft.config)
    runtime = options.runtime or draft.ctx.runtime
    if runtime and runtime != "rootless":
        from rootless.engine.containers import external_runtime

        plan = external_runtime.plan(draft, runtime, rootfs.root_operations(draft))
    else:
        preparations = draft.binds.preparations
        # a directory of --rootfs is the user's own: nothing is put there
        if draft.maps.single and draft.root_mount is not None:
            from rootless.engine.spec import single_id

            # after what is copied up: it does not go into volumes
            preparations = [*preparations, *single_id.operations()]
        plan = launch_plan.plan(
            draft.config,
            rootfs.root_operations(draft),
            filter_program=_filter(draft),
            keyring=spec_seccomp.keyring(
                oci_config.security(draft.options).get("seccomp", ""), draft.options.privileged
            ),
            single=draft.maps.single,
            wait_for_network=draft.network.backend.waits,
            preparations=preparations,
            covered_proc=covered,
            # otherwise it is a default, which the filter of a container around may refuse
            own_name=bool(options.hostname),
        )
    if options.preserve_fds:
        from rootless.engine.containers import sd_notify

        sd_notify.preserve(plan, options.preserve_fds)
    plan_format.write(draft.directory, "plan", plan, operations.NUMBERS)


def write_orders(draft: Draft, record: ContainerRecord) -> None:
    """The monitor's orders, with what its events say about the container."""
    from rootless.engine.events import writer as event_writer

    told = to_monitor.events(*event_writer.orders(draft.ctx.data_dir, record))
    plan_format.write(draft.directory, "orders", [*orders(draft), told], to_monitor.NUMBERS)


def _filter(draft: Draft) -> bytes:
    choice = oci_config.security(draft.options).get("seccomp", "")
    bounding = draft.config["process"]["capabilities"]["bounding"]
    return spec_seccomp.program(choice, bounding, draft.maps.single, draft.options.privileged)


def orders(draft: Draft) -> list[Record]:
    """What the monitor is told."""

    options, directory = draft.options, draft.directory
    sockets = paths.socket_directory(draft.identifier)
    policy, count = restart_policy(options.restart)
    made: list[Record] = [
        to_monitor.id_(draft.identifier, draft.name),
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
    made += network_orders(draft.network, draft.ports, sockets)
    if draft.root_mount is not None:
        made += [to_monitor.fuse(server.late, server.argv) for server in draft.root_mount.servers]
    # who applies limits is decided anew at each start
    made.append(to_monitor.go())
    seconds = 10 if options.stop_timeout is None else options.stop_timeout
    stop = options.stop_signal or draft.image_config.get("StopSignal") or "SIGTERM"
    made.append(to_monitor.stop(signals.number(stop), seconds))
    if options.sdnotify or options.preserve_fds:
        from rootless.engine.containers import sd_notify

        made += sd_notify.orders(draft)
    if options.timeout:
        made.append(to_monitor.timeout(options.timeout))
    if options.pid_file:
        made.append(to_monitor.pid_file(os.path.abspath(options.pid_file)))
    if options.rm:
        trees = [directory] if draft.maps.root_is_caller else _pieces(draft)
        trees += [draft.stores.volumes.store.directory(name) for name in draft.binds.anonymous]
        made.append(to_monitor.remove(trees))
        name = os.path.join(draft.ctx.containers_dir, "names", draft.name)
        made.append(to_monitor.unlink([name]))
    return made


def network_orders(network: Network, ports: list[Port], sockets: str) -> list[Record]:
    """Orders for the program beside the container that its network needs, if it needs one."""
    sidecar = network.backend.sidecar(network, ports, sockets)
    if sidecar is None:
        return []
    made = [to_monitor.sidecar(sidecar.argv)]
    if sidecar.datagrams:
        made.append(to_monitor.udp(paths.helper("udp"), sidecar.datagrams))
    if sidecar.requests:
        made.append(to_monitor.sidecar_socket(sidecar.socket))
        made += [to_monitor.sidecar_request(request) for request in sidecar.requests]
    return made


def _journal_fields(draft: Draft) -> tuple[str, ...]:
    from rootless.engine.logs import journald

    return journald.fields(
        log_options.table(draft.options),
        identifier=draft.identifier,
        name=draft.name,
        image=draft.options.image,
        image_id=draft.image.id if draft.image is not None else "",
        labels=oci_config.labels(draft.options, draft.image_config),
        env=draft.env,
    )


def _pieces(draft: Draft) -> list[str]:
    """Root of a map without our own id can empty its directories, but not ours around them."""
    mount = draft.root_mount
    if mount is None or (draft.choice is not None and draft.choice.nested):
        return [draft.directory]
    return [*mount.writable(), draft.directory]


def namespace_orders(draft: Draft) -> list[Record]:
    """Clone flags, id maps, and namespaces of another container to join."""
    flags = launch_plan.clone_flags(draft.config)
    runtime = draft.options.runtime or draft.ctx.runtime
    if runtime and runtime != "rootless":
        # the other runtime makes the rest; these are what the root file system and network need
        flags &= (
            launch_plan.CLONE["user"]
            | launch_plan.CLONE["mount"]
            | launch_plan.CLONE["network"]
            | launch_plan.CLONE["pid"]
            | launch_plan.CLONE["cgroup"]
        )
    if draft.target:
        joins: list[Record] = [to_monitor.join(launch_plan.CLONE["user"], "/proc/@TARGET@/ns/user")]
        joins += [
            to_monitor.join(launch_plan.CLONE[kind], path) for kind, path in draft.joined.items()
        ]
        return [to_monitor.clone(flags & ~launch_plan.CLONE["user"]), *joins]
    if draft.choice is not None and draft.choice.nested:
        from rootless.engine.containers import userns_nested

        outer = draft.ctx.maps
        return [
            to_monitor.clone(flags),
            to_monitor.outer(*map_arguments(outer), drop_groups=not outer.single),
            userns_nested.map_order(draft.maps, outer),
        ]
    return [
        to_monitor.clone(flags),
        to_monitor.map_(*map_arguments(draft.maps), drop_groups=not draft.maps.single),
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
