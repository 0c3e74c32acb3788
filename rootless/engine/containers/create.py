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
from rootless.engine.containers.draft import Draft
from rootless.engine.logs import options as log_options
from rootless.engine.spec import mounts as spec_mounts
from rootless.engine.spec import oci_config
from rootless.engine.spec import user as spec_user
from rootless.errors import Conflict, RootlessError, UsageError
from rootless.network import ports
from rootless.network.backends import registry as networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.engine.containers.record import ContainerRecord
    from rootless.engine.containers.stores import Stores
    from rootless.engine.context import Context
    from rootless.engine.health.record import HealthRecord
    from rootless.engine.spec.mounts import MountsRecord
    from rootless.engine.spec.options import ContainerOptions
    from rootless.images.store.store import ImageRecord


def create(
    ctx: Context, stores: Stores, options: ContainerOptions, *, starts: bool = False
) -> tuple[str, documents.DirectoryLock]:
    """Make the container; returns its id and the lock that says that its maker lives.

    `starts`: the caller starts it at once and keeps the lock until then; if it is killed before,
    a container of --rm is rubbish.  Raises what is wrong; nothing is left behind then.
    """
    draft = Draft()
    draft.ctx = ctx
    draft.stores = stores
    draft.options = options
    _check(options)
    draft.network = networks.parse(options.network)
    draft.ports = ports.parse_publish(list(options.publish), [])
    _find_image(draft)
    if options.publish_all:
        exposed = _exposed(draft)
        draft.ports = ports.parse_publish(list(options.publish), exposed)
    if draft.ports and not draft.network.backend.publishes:
        _discard_ports(draft)
    _choose_ids(draft)
    if options.name and options.replace:
        _replace(ctx, stores, options.name)
    draft.identifier = container_names.new_id()
    draft.directory = os.path.join(ctx.containers_dir, draft.identifier)
    _make_directory(ctx, draft)
    draft.name = ""
    try:
        draft.name = _take_name(ctx, options.name or "", draft.identifier)
        if (options.userns or "").partition(":")[0] == "auto":
            from rootless.engine.containers import userns_auto

            userns_auto.give(draft, (options.userns or "").partition(":")[2])
        _fill(draft)
        _record(draft, starts)
        _tell(draft)
    except BaseException:
        draft.lock.close()
        _abandon(draft)
        raise
    return draft.identifier, draft.lock


def _discard_ports(draft: Draft) -> None:
    """docker and podman start the container all the same, with a warning; so scripts rely on it.

    Where nothing could be reached at all it is an error, but for the image's own ports (-P).
    """
    network = draft.network
    backend = network.backend
    why = f"there is no network here: {network.why}" if network.why else backend.unpublished
    if backend.isolated and draft.options.publish:
        raise UsageError(f"ports cannot be published: {why}", hint="leave -p out")
    draft.ctx.notice("ports", f"published ports are discarded: {why}", always=True)
    draft.ports = []


def _exposed(draft: Draft) -> list[str]:
    """Ports of the image and of --expose, as 80/tcp.  Raises UsageError."""
    found = {str(port) for port in draft.image_config.get("ExposedPorts") or ()}
    for word in draft.options.expose:
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
        container_names.check(options.name)
    if options.hostname:
        container_names.check_hostname(options.hostname)
    if options.cidfile and os.path.exists(options.cidfile):
        raise Conflict(
            f"the container id file {options.cidfile} exists",
            hint="remove it, or name another file",
        )


def _tell(draft: Draft) -> None:
    """What defaults could not do here, and what would mend it."""
    ctx, options = draft.ctx, draft.options
    if draft.image is not None:
        machine = os.uname().machine
        usual = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
        if draft.image.architecture not in ("", usual):
            from rootless.engine.images import platform as image_platform

            image_platform.report_foreign(ctx, draft.image)
    if draft.maps.single and not options.userns:
        ctx.notice("single", f"containers have a single id here: {draft.maps.why}")
    if draft.network.backend.isolated and draft.network.why:
        ctx.notice("network", f"containers have no network here: {draft.network.why}")
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


def _make_directory(ctx: Context, draft: Draft) -> None:
    # others' mapped ids must be able to walk through, to the root file system; never to list
    try:
        paths.directory(draft.directory, 0o711)
    except FileNotFoundError:
        ctx.prepare()
        paths.directory(draft.directory, 0o711)
    draft.lock = documents.DirectoryLock(draft.directory)


def _abandon(draft: Draft) -> None:
    from rootless.storage.trees import remove as trees_remove

    if draft.name:
        container_names.release(draft.ctx.containers_dir, draft.name, draft.identifier)
    else:
        from rootless.engine.containers import gc as container_gc

        # an interrupt may come when the name is taken and nobody knows yet which it is
        container_gc.release_names(draft.ctx.containers_dir, draft.identifier)
    trees_remove.remove(draft.directory, draft.maps if draft.maps.single else draft.ctx.maps)


def _find_image(draft: Draft) -> None:
    options = draft.options
    draft.file = None
    if options.rootfs:
        path = os.path.abspath(os.path.expanduser(options.image.removesuffix(":O")))
        if not os.path.isdir(path):
            raise UsageError(f"--rootfs: {path} is not a directory")
        draft.image, draft.image_config = None, {}
        return
    if options.image.startswith(("/", "./", "../", "~/")):
        from rootless.engine.images import squashfs

        path = os.path.abspath(os.path.expanduser(options.image))
        draft.file, draft.image_config = squashfs.find(draft.ctx, path)
        draft.image = None
        return
    draft.image = draft.stores.images.for_run(
        options.image, options.pull, options.platform, lazy=options.lazy
    )
    draft.image_config = draft.image.config


def _choose_ids(draft: Draft) -> None:
    from rootless.userns import idmap

    base = draft.ctx.maps
    options = draft.options
    text = options.userns or "private"
    kind, _, rest = text.partition(":")
    if options.uidmap or options.gidmap:
        draft.maps = idmap.custom(list(options.uidmap), list(options.gidmap), base)
    elif kind in ("auto", "host", "private", ""):
        draft.maps = base
    elif kind == "single":
        draft.maps = idmap.single_maps(os.getuid(), os.getgid(), "asked for by --userns single")
    elif kind == "nomap":
        draft.maps = idmap.no_map(base)
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
        draft.maps = base if base.single else kept
        if options.user is None:
            # podman's rule: who asks to keep the id wants to be that id
            uid, gid = wanted.get("uid", os.getuid()), wanted.get("gid", os.getgid())
            draft.options.user = f"{uid}:{gid}"
    elif kind == "container":
        draft.maps = base
    else:
        raise UsageError(
            f'unknown --userns "{text}"', hint="auto, keep-id[:uid=,gid=], host, nomap or single"
        )


def _fill(draft: Draft) -> None:
    """Everything in the container's directory but `container.json`."""
    options = draft.options
    # joins, host name and limits are checked before anything is built on them; whose user namespace
    # is shared says which ids there are
    container_bundle.join_others(draft)
    container_rootfs.prepare_root(draft)
    draft.arguments = oci_config.command(options, draft.image_config)
    draft.hostname = container_bundle.hostname(draft)
    user = options.user if options.user is not None else draft.image_config.get("User") or ""
    draft.account = spec_user.account(
        user, list(options.group_add), lambda path: container_rootfs.read_file(draft, path)
    )
    draft.env = oci_config.environment(
        options, draft.image_config, draft.hostname, draft.account.home
    )
    if draft.image is not None and "docker.io/rootless/hello:latest" in draft.image.names:
        draft.env += container_bundle.hello_facts(draft)
    if options.init:
        draft.arguments = ["/run/.rootless-init", "--", *draft.arguments]
    draft.binds = spec_mounts.Binds(
        draft.stores.volumes.store, draft.directory, (draft.account.uid, draft.account.gid)
    )
    spec_mounts.collect(options, draft.image_config, draft.binds, _others(draft))
    if draft.binds.preparations and not draft.maps.root_is_caller:
        from rootless.engine.containers import volume_chown

        if volume_chown.needed(draft):
            volume_chown.lend(draft)
    container_bundle.write_files(draft)
    if options.sdnotify:
        from rootless.engine.containers import sd_notify

        sd_notify.prepare(draft)
    container_bundle.write_bundle(draft)


def _others(draft: Draft) -> list[tuple[MountsRecord, str]]:
    """The records of --volumes-from, each with its mode: ro, rw or "" for as they are."""
    made: list[tuple[MountsRecord, str]] = []
    for word in draft.options.volumes_from:
        name, _, modes = word.partition(":")
        wanted = [one for one in modes.split(",") if one not in ("", "z", "Z")]
        if len(wanted) > 1 or not set(wanted) <= {"ro", "rw"}:
            raise UsageError(f'invalid --volumes-from "{word}"', hint="CONTAINER[:ro]")
        record = container_ref.get(draft.ctx, name).record
        made.append((record, wanted[0] if wanted else ""))
    return made


def _record(draft: Draft, starts: bool) -> None:
    options = draft.options
    image = draft.image
    entry = list(draft.image_config.get("Entrypoint") or ())
    health = _health(draft)
    service = None
    if options.sdnotify or options.preserve_fds or options.conmon_pidfile:
        from rootless.engine.containers import sd_notify

        service = sd_notify.record(options, health)
    record: ContainerRecord = {
        "version": container_record.VERSION,
        "id": draft.identifier,
        "name": draft.name,
        "created": time.time(),
        "image": options.image
        if options.rootfs or image is None
        else _image_name(options.image, image),
        "imageId": image.id if image is not None else "",
        "layers": [layer.diff_id for layer in image.layers] if image is not None else [],
        "command": draft.arguments,
        "entrypoint": entry,
        "hostname": draft.hostname,
        "labels": oci_config.labels(options, draft.image_config),
        "annotations": draft.config["annotations"],
        "maps": draft.maps.as_dict(),
        "driver": draft.choice.driver.name if draft.choice else container_rootfs.DIRECTORY,
        **container_rootfs.root_record(draft),
        "network": draft.network.name,
        "networkOptions": draft.network.options,
        "networkTarget": draft.target,
        "ports": [port.as_dict() for port in draft.ports],
        "mounts": draft.binds.described,
        "anonymous": draft.binds.anonymous,
        "restart": options.restart or "no",
        "remove": bool(options.rm),
        "starts": starts,
        "tty": bool(options.tty),
        "stdin": bool(options.interactive),
        "stopSignal": options.stop_signal or draft.image_config.get("StopSignal") or "SIGTERM",
        "stopTimeout": 10 if options.stop_timeout is None else options.stop_timeout,
        "logDriver": log_options.driver(options),
        "logPath": log_options.path(options, draft.directory),
        "logOptions": list(options.log_opt),
        "privileged": bool(options.privileged),
        "ownHome": f"HOME={draft.account.home}" not in draft.config["process"]["env"],
        "runtime": options.runtime or draft.ctx.runtime or "rootless",
        "cgroup": {
            "resources": draft.limits,
            "parent": options.cgroup_parent or "",
            "mode": options.cgroups or "",
        },
        "detachKeys": options.detach_keys or "",
        "user": options.user if options.user is not None else draft.image_config.get("User") or "",
        "init": bool(options.init),
        "createCommand": list(options.create_command),
        "exposed": _exposed(draft),
        "seccomp": oci_config.security(options).get("seccomp", ""),
        "health": health,
        "timeout": options.timeout or 0,
        "service": service,
    }
    if options.cidfile:
        documents.write_bytes(options.cidfile, draft.identifier.encode())
    container_bundle.write_orders(draft, record)
    container_record.write(draft.directory, record)
    from rootless.engine.events import writer as event_writer

    for name in draft.binds.made:
        draft.stores.volumes.event("create", name)
    event_writer.emit_container(draft.ctx, "create", record)


def _health(draft: Draft) -> HealthRecord | None:
    options = draft.options
    if (
        "Healthcheck" not in draft.image_config
        and not options.no_healthcheck
        and all(getattr(options, name) is None for name in options.HEALTH)
    ):
        return None
    from rootless.engine.health import config as health_config

    return health_config.parse(options, draft.image_config)


def _image_name(given: str, image: ImageRecord) -> str:
    from rootless.images.names import reference

    try:
        canonical = reference.parse(given).canonical
    except RootlessError:
        canonical = ""
    if canonical in image.names:
        return reference.parse(canonical).familiar
    return reference.parse(image.names[0]).familiar if image.names else given
