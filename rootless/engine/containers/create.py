"""Make a container: everything that must exist before its monitor can be started.

The order is chosen so that a crash at any point leaves a directory without `container.json`, and
its maker holds a lock on it while it lives: so the next command knows rubbish from what is in the
making.
"""

from __future__ import annotations

import os
import time

from rootless import documents, host, paths
from rootless.engine.common import signals
from rootless.engine.containers import attach as container_attach
from rootless.engine.containers import bundle as container_bundle
from rootless.engine.containers import names as container_names
from rootless.engine.containers import record as container_record
from rootless.engine.containers import ref as container_ref
from rootless.engine.containers import rootfs as container_rootfs
from rootless.engine.containers import secrets
from rootless.engine.containers.draft import (
    Draft,
    Ids,
    NetworkPlan,
    Place,
    Process,
    Request,
    Source,
)
from rootless.engine.logs import options as log_options
from rootless.engine.spec import mounts as spec_mounts
from rootless.engine.spec import oci_config, systemd_mode
from rootless.engine.spec import user as spec_user
from rootless.errors import Conflict, RootlessError, UsageError
from rootless.network import ports
from rootless.network.backends import registry as networks
from rootless.runtime import operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.engine.containers.draft import Namespaces, Root
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.engine.health.record import HealthRecord
    from rootless.engine.spec.mounts import MountsRecord
    from rootless.engine.spec.options import ContainerOptions
    from rootless.images.store.store import ImageRecord
    from rootless.network.backends.backend import Network


def create(
    ctx: Context, stores: Stores, options: ContainerOptions, *, starts: bool = False
) -> tuple[str, documents.DirectoryLock]:
    """Make the container; returns its id and the lock that says that its maker lives.

    `starts`: the caller starts it at once and keeps the lock until then; if it is killed before,
    a container of --rm is rubbish.  Raises what is wrong; nothing is left behind then.
    """
    _check(options)
    request = Request(ctx, stores, options)
    network = networks.parse(options.network)
    wanted = options.ip or options.ip6 or options.mac_address or options.network_alias
    reached = True
    if network.places or wanted:
        from rootless.engine.containers import named_networks

        named_networks.chosen(options, network)
        reached = named_networks.resolve(ctx.data_dir, network)
    published = ports.parse_publish(list(options.publish), [])
    source = _find_source(request)
    if options.publish_all:
        published = ports.parse_publish(list(options.publish), _exposed(request, source))
    if published and not (network.backend.publishes and reached):
        _discard_ports(request, network, "" if reached else "all its networks are internal")
        published = []
    ids = _choose_ids(request, source)
    if options.name and options.replace:
        _replace(ctx, stores, options.name.removeprefix("/"))
    identifier = container_names.new_id()
    directory = os.path.join(ctx.containers_dir, identifier)
    lock = _make_directory(ctx, directory)
    name, maps = "", ids.maps
    anonymous: list[str] = []
    try:
        name = _take_name(ctx, (options.name or "").removeprefix("/"), identifier)
        place = Place(identifier, directory, lock, name)
        if (options.userns or "").partition(":")[0] == "auto":
            from rootless.engine.containers import userns_auto

            rest = (options.userns or "").partition(":")[2]
            ids = Ids(userns_auto.give(request, source, place, rest), ids.user)
        # before anything is built on it: whose user namespace is shared says which ids there are
        spaces = container_bundle.join_others(request, ids, network, starts=starts)
        maps = spaces.maps
        if spaces.target and network.places:
            raise UsageError(
                "a container that shares another one's namespaces cannot be on networks of its own",
                hint="--network container:NAME",
            )
        plan = NetworkPlan(spaces.network, published)
        draft = _fill(request, source, ids, place, spaces, plan, anonymous)
        _record(draft, starts)
        _notice_defaults(draft)
    except BaseException:
        lock.close()
        from rootless.engine.containers import owned

        # an interrupt may come when the name is taken and nobody knows yet which it is
        owned.Owned(identifier, maps if maps.single else ctx.maps, name=name).release(ctx)
        for volume in anonymous:
            stores.volumes.store.remove_quietly(volume)
        raise
    return identifier, lock


def _discard_ports(request: Request, network: Network, why: str) -> None:
    """docker and podman start the container all the same, with a warning; so scripts rely on it.

    Where nothing could be reached at all it is an error, but for the image's own ports (-P).
    """
    backend = network.backend
    if not why:
        why = f"there is no network here: {network.why}" if network.why else backend.unpublished
    if backend.isolated and request.options.publish:
        raise UsageError(f"ports cannot be published: {why}", hint="leave -p out")
    request.ctx.notice("ports", f"published ports are discarded: {why}", always=True)


def _exposed(request: Request, source: Source) -> list[str]:
    """Ports of the image and of --expose, as 80/tcp.  Raises UsageError."""
    found = {str(port) for port in source.config.get("ExposedPorts") or ()}
    for word in request.options.expose:
        # one parser for both: what can be exposed is what can be published
        found |= {f"{one.container_port}/{one.protocol}" for one in ports.parse_exposed(word)}
    return sorted(found)


def _check(options: ContainerOptions) -> None:
    """What can be known to be wrong before anything is done."""
    if options.rm and (options.restart or "no") != "no":
        raise UsageError(
            "--rm and --restart contradict each other: what is removed cannot be restarted",
            hint="leave one of them out",
        )
    if options.sdnotify or options.preserve_fds:
        from rootless.engine.containers import sd_notify

        sd_notify.check(options)
    if options.timeout is not None and options.timeout < 0:
        raise UsageError(f"--timeout {options.timeout} is no number of seconds")
    if options.detach_keys:
        container_attach.parse_keys(options.detach_keys)
    if options.stop_signal:
        signals.number(options.stop_signal)
    if options.name:
        # docker's API shows names with a slash
        container_names.check(options.name.removeprefix("/"))
    if options.hostname:
        container_names.check_hostname(options.hostname)
    if options.cidfile and os.path.exists(options.cidfile):
        raise Conflict(
            f"the container id file {options.cidfile} exists",
            hint="remove it, or name another file",
        )


def _notice_defaults(draft: Draft) -> None:
    """Warn about defaults that this host cannot provide."""
    ctx, options, image = draft.request.ctx, draft.request.options, draft.source.image
    maps, network = draft.spaces.maps, draft.network.network
    if image is not None:
        machine = os.uname().machine
        usual = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
        if image.architecture not in ("", usual):
            from rootless.engine.images import platform as image_platform

            image_platform.report_foreign(ctx, image)
    _notice_foreign_id(draft)
    if maps.single and not options.userns:
        ctx.notice("single", f"containers have a single id here: {maps.why}")
    if network.backend.isolated and network.why:
        ctx.notice("network", f"containers have no network here: {network.why}")
    covered = host.current().covered_proc
    if covered and options.pid is None:
        ctx.notice(
            "proc",
            "containers show the /proc around them here, read-only, with its processes and their "
            f"numbers: a new one is refused because {covered} is covered; {host.WHOLE_PROC}",
        )
    if options.detach and os.path.isdir("/run/systemd/system"):
        from rootless.engine.common import linger

        who = linger.missing()
        if who:
            ctx.notice(
                "linger",
                "this container ends when your last session here does; "
                f"loginctl enable-linger {who} keeps it",
            )


def _notice_foreign_id(draft: Draft) -> None:
    """`-u $(id -u) -v $PWD:/w`: inside a user namespace that number is another user's."""
    ctx, maps, uid = draft.request.ctx, draft.spaces.maps, os.getuid()
    user = draft.ids.user.partition(":")[0]
    if user != str(uid) or maps.single or maps.to_host_uid(uid) == uid:
        return
    for mount in draft.binds.described:
        if mount["Type"] != "bind" or not mount["RW"] or {"U", "O"} & {*mount["Mode"].split(",")}:
            continue
        found = os.stat(mount["Source"])
        if found.st_uid == uid and not found.st_mode & 0o002:
            ctx.notice(
                "",
                f"user {uid} cannot write to {mount['Destination']}: on this host it is another "
                "user than you; with --userns keep-id it is you",
                always=True,
            )
            return


def _take_name(ctx: Context, wanted: str, identifier: str) -> str:
    """Take the name; if a command that was killed left it behind, clean up after that one first."""
    try:
        return container_names.take(ctx.containers_dir, wanted, identifier)
    except Conflict:
        from rootless.engine.containers import gc as container_gc

        if not container_gc.sweep_name(ctx, wanted):
            raise
        return container_names.take(ctx.containers_dir, wanted, identifier)


def _replace(ctx: Context, stores: Stores, name: str) -> None:
    from rootless.errors import ContainerNotFound

    try:
        # by its name alone: "d" is also the beginning of somebody's id
        identifier = os.readlink(os.path.join(ctx.containers_dir, "names", name))
    except OSError:
        return
    try:
        from rootless.engine.containers import remove as container_remove

        container_remove.remove(container_ref.get(ctx, identifier), stores, force=True)
    except ContainerNotFound:
        pass


def _make_directory(ctx: Context, directory: str) -> documents.DirectoryLock:
    # others' mapped ids must be able to walk through, to the root file system; never to list
    try:
        paths.directory(directory, 0o711)
    except FileNotFoundError:
        ctx.prepare()
        paths.directory(directory, 0o711)
    return documents.DirectoryLock(directory)


def _find_source(request: Request) -> Source:
    options = request.options
    if options.rootfs:
        path = os.path.abspath(os.path.expanduser(options.image.removesuffix(":O")))
        if not os.path.isdir(path):
            raise UsageError(f"--rootfs: {path} is not a directory")
        return Source(None, {})
    if options.image.startswith(("/", "./", "../", "~/")):
        from rootless.engine.images import squashfs

        path = os.path.abspath(os.path.expanduser(options.image))
        file, config = squashfs.find(request.ctx, path)
        return Source(None, config, file)
    image = request.stores.images.for_run(
        options.image,
        options.pull,
        options.platform,
        lazy=options.lazy,
        tls_verify=options.registry[0],
        settings=options.registry[1],
    )
    return Source(image, image.config)


def _choose_ids(request: Request, source: Source) -> Ids:
    from rootless.userns import idmap

    base = request.ctx.maps
    options = request.options
    user = options.user
    text = options.userns or "private"
    kind, _, rest = text.partition(":")
    if options.uidmap or options.gidmap:
        maps = idmap.custom(list(options.uidmap), list(options.gidmap), base)
    elif kind in ("auto", "host", "private", ""):
        maps = base
    elif kind == "single":
        maps = idmap.single_maps(os.getuid(), os.getgid(), "asked for by --userns single")
    elif kind == "nomap":
        maps = idmap.no_map(base)
    elif kind == "keep-id":
        wanted: dict[str, int] = {}
        for part in filter(None, rest.split(",")):
            key, _, value = part.partition("=")
            if key not in ("uid", "gid") or not value.isdigit():
                raise UsageError(f'invalid --userns "{text}"', hint="keep-id[:uid=N,gid=N]")
            wanted[key] = int(value)
        # with a single id root must stay mapped, or nothing could be mounted; the user's own id
        # is then given by a namespace inside, as every other USER is (runtime.compile, "nest")
        kept = idmap.keep_id(base, wanted.get("uid"), wanted.get("gid"))
        maps = base if base.single else kept
        if user is None:
            # podman's rule: who asks to keep the id wants to be that id
            uid, gid = wanted.get("uid", os.getuid()), wanted.get("gid", os.getgid())
            user = f"{uid}:{gid}"
    elif kind == "container":
        maps = base
    else:
        raise UsageError(
            f'unknown --userns "{text}"', hint="auto, keep-id[:uid=,gid=], host, nomap or single"
        )
    return Ids(maps, user if user is not None else source.config.get("User") or "")


def _fill(
    request: Request,
    source: Source,
    ids: Ids,
    place: Place,
    spaces: Namespaces,
    network: NetworkPlan,
    anonymous: list[str],
) -> Draft:
    """Write everything in the container's directory but the orders and `container.json`.

    `anonymous` gets the names of its volumes as they are made.
    """
    options = request.options
    root = container_rootfs.prepare_root(request, source, place, spaces)
    process = _process(request, source, ids, place, spaces, network, root)
    account = process.account
    binds = spec_mounts.Binds(
        request.stores.volumes.store,
        place.directory,
        (account.uid, account.gid),
        lambda name: _mounted_image(request, spaces, name),
    )
    binds.anonymous = anonymous
    spec_mounts.collect(options, source.config, binds, _others(request))
    if options.systemd and systemd_mode.wanted(options, process.arguments):
        systemd_mode.mount(binds)
    if binds.preparations and not spaces.maps.root_is_caller:
        from rootless.engine.containers import volume_chown

        if volume_chown.needed(spaces.maps):
            volume_chown.lend(binds, base=request.ctx.maps, maps=spaces.maps)
    mounts = container_bundle.write_files(request, source, place, spaces, network, process, binds)
    if options.sdnotify == "container":
        from rootless.engine.containers import sd_notify

        mounts.append(sd_notify.mount(place.identifier))
    if options.secret:
        mounts += _secrets(request, place, spaces, binds)
    spec = container_bundle.spec(
        request, source, spaces, network, root, process, [*binds.mounts, *mounts]
    )
    draft = Draft(request, source, ids, place, spaces, network, root, process, binds, spec)
    container_bundle.write_bundle(draft)
    return draft


def _process(
    request: Request,
    source: Source,
    ids: Ids,
    place: Place,
    spaces: Namespaces,
    network: NetworkPlan,
    root: Root,
) -> Process:
    options, image = request.options, source.image
    arguments = oci_config.command(options, source.config)
    if options.init:
        arguments = ["/run/.rootless-init", "--", *arguments]
    hostname = container_bundle.hostname(request, place, spaces)
    account = spec_user.account(
        ids.user,
        list(options.group_add),
        lambda path: container_rootfs.read_file(root, spaces.maps, path),
    )
    env = oci_config.environment(options, source.config, hostname, account.home)
    if image is not None and "docker.io/rootless/hello:latest" in image.names:
        env += container_bundle.hello_facts(request, spaces, network, root)
    if options.sdnotify == "container":
        from rootless.engine.containers import sd_notify

        env += sd_notify.variables()
    return Process(arguments, env, account, hostname)


def _mounted_image(request: Request, spaces: Namespaces, name: str) -> spec_mounts.MountedImage:
    """The image of --mount type=image, fetched and unpacked if need be."""
    images = request.stores.images
    record = images.for_run(name, None)
    return spec_mounts.MountedImage(
        record.id, [one.diff_id for one in record.layers], images.unpack(record, spaces.maps)
    )


def _secrets(
    request: Request, place: Place, spaces: Namespaces, binds: spec_mounts.Binds
) -> list[Json]:
    """Mounts of the secrets; whose they are is set when it is started."""
    uses = secrets.parse(request.options.secret)
    store = secrets.Secrets(request.ctx.data_dir)
    made = secrets.mounts(place.identifier, uses)
    for use, mount in zip(uses, made, strict=True):
        store.get(use["name"])
        if (use["uid"] or use["gid"]) and not spaces.maps.single:
            binds.preparations.append(operations.chown(mount["source"], use["uid"], use["gid"]))
    return made


def _stop_signal(draft: Draft) -> str:
    options = draft.request.options
    systemd = options.systemd and systemd_mode.wanted(options, draft.process.arguments)
    if systemd and not options.stop_signal:
        return systemd_mode.STOP_SIGNAL
    return str(options.stop_signal or draft.source.config.get("StopSignal") or "SIGTERM")


def _others(request: Request) -> list[tuple[MountsRecord, str]]:
    """The records of --volumes-from, each with its mode: ro, rw or "" for as they are."""
    made: list[tuple[MountsRecord, str]] = []
    for word in request.options.volumes_from:
        name, _, modes = word.partition(":")
        wanted = [one for one in modes.split(",") if one not in ("", "z", "Z")]
        if len(wanted) > 1 or not set(wanted) <= {"ro", "rw"}:
            raise UsageError(f'invalid --volumes-from "{word}"', hint="CONTAINER[:ro]")
        record = container_ref.get(request.ctx, name).record
        made.append((record, wanted[0] if wanted else ""))
    return made


def _record(draft: Draft, starts: bool) -> None:
    request, source, place, spaces = draft.request, draft.source, draft.place, draft.spaces
    options, ctx, image = request.options, request.ctx, source.image
    network, choice, config = draft.network.network, draft.root.choice, draft.spec.config
    entry = list(source.config.get("Entrypoint") or ())
    health = _health(options, source.config)
    service = None
    if options.sdnotify or options.preserve_fds or options.conmon_pidfile:
        from rootless.engine.containers import sd_notify

        service = sd_notify.record(options, health)
    record: ContainerRecord = {
        "version": container_record.VERSION,
        "id": place.identifier,
        "name": place.name,
        "created": time.time(),
        "image": options.image
        if options.rootfs or image is None
        else _image_name(options.image, image),
        "imageId": image.id if image is not None else "",
        "layers": [layer.diff_id for layer in image.layers] if image is not None else [],
        "command": draft.process.arguments,
        "entrypoint": entry,
        "hostname": draft.process.hostname,
        "labels": oci_config.labels(options, source.config),
        "annotations": config["annotations"],
        "maps": spaces.maps.as_dict(),
        "driver": choice.driver.name if choice else container_rootfs.DIRECTORY,
        **container_rootfs.root_record(source, draft.root),
        "network": network.name,
        "networkOptions": network.options,
        "networkTarget": spaces.target,
        "networks": network.places,
        "ports": [port.as_dict() for port in draft.network.ports],
        "mounts": draft.binds.described,
        "anonymous": draft.binds.anonymous,
        "restart": options.restart or "no",
        "remove": bool(options.rm),
        "starts": starts,
        "tty": bool(options.tty),
        "stdin": bool(options.interactive),
        "stopSignal": _stop_signal(draft),
        "stopTimeout": 10 if options.stop_timeout is None else options.stop_timeout,
        "logDriver": log_options.driver(options),
        "logPath": log_options.path(options, place.directory),
        "logOptions": list(options.log_opt),
        "privileged": bool(options.privileged),
        "ownHome": f"HOME={draft.process.account.home}" not in config["process"]["env"],
        "runtime": request.runtime,
        "cgroup": {
            "resources": draft.spec.limits,
            "parent": options.cgroup_parent or "",
            "mode": options.cgroups or "",
        },
        "detachKeys": options.detach_keys or "",
        "user": draft.ids.user,
        "init": bool(options.init),
        "createCommand": list(options.create_command),
        "exposed": _exposed(request, source),
        "seccomp": oci_config.security(options).get("seccomp", ""),
        "health": health,
        "timeout": options.timeout or 0,
        "asked": draft.request.asked(),
        "secrets": secrets.parse(options.secret),
        "requires": [container_ref.get(ctx, one).id for one in options.requires],
        "service": service,
    }
    if options.cidfile:
        documents.write_bytes(options.cidfile, place.identifier.encode())
    container_bundle.write_orders(draft, record)
    container_record.write(place.directory, record)
    from rootless.engine.events import writer as event_writer

    for name in draft.binds.made:
        request.stores.volumes.event("create", name)
    event_writer.emit_container(ctx, "create", record)


def _health(options: ContainerOptions, image: Json) -> HealthRecord | None:
    if (
        "Healthcheck" not in image
        and not options.no_healthcheck
        and all(getattr(options, name) is None for name in options.HEALTH)
    ):
        return None
    from rootless.engine.health import config as health_config

    return health_config.parse(options, image)


def _image_name(given: str, image: ImageRecord) -> str:
    """The name by which it was found: as it was typed, or in full where that is under localhost/.

    An id finds the first name.
    """
    from rootless.images.names import filenames, reference

    try:
        wanted = reference.parse(given)
    except RootlessError:
        known = []
    else:
        known = [name for name in filenames.candidates(wanted) if name in image.names]
    if known:
        return given if known[0] == wanted.canonical else known[0]
    return reference.parse(image.names[0]).familiar if image.names else given
