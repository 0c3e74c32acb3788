"""Further processes in a running container: `exec`."""

from __future__ import annotations

import os

from rootless import documents, host, paths
from rootless.engine.common import environment
from rootless.engine.spec import seccomp as spec_seccomp
from rootless.errors import Conflict, HostError
from rootless.runtime import launch_plan, operations, plan_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import Popen

    from rootless.documents import Json
    from rootless.engine.containers.exec_result import ExecResult
    from rootless.engine.containers.ref import ContainerRef
    from rootless.engine.containers.start import Started
    from rootless.engine.spec.option_values import ExecOptions
    from rootless.runtime.plan_format import Record


def _process(container: ContainerRef, options: ExecOptions, config: Json) -> Json:
    """The OCI process of the command: the container's own, with what the options change."""
    process = dict(config["process"])
    process["args"] = list(options.command)
    process["terminal"] = bool(options.tty)
    process.pop("consoleSize", None)
    if options.workdir:
        process["cwd"] = options.workdir
    env = {}
    for word in process["env"]:
        name, _, value = word.partition("=")
        env[name] = value
    if options.user:
        from rootless.engine.spec import user as spec_user

        account = spec_user.account(options.user, [], reader(container))
        process["user"] = {
            **process["user"],
            "uid": account.uid,
            "gid": account.gid,
            "additionalGids": account.groups,
        }
        # what the container was told at its making is for all of its users, as with docker
        if not container.record.get("ownHome"):
            env["HOME"] = account.home
    if options.tty:
        env["TERM"] = os.environ.get("TERM") or "xterm"
    for path in options.env_file:
        environment.assign(env, environment.from_file(path))
    environment.assign(env, options.env)
    process["env"] = [f"{name}={value}" for name, value in env.items()]
    if options.privileged:
        from rootless.runtime import capabilities

        process["capabilities"] = {"bounding": capabilities.adjust(["ALL"], [], True)}
    # other users than root get only the bounds, as in a container that is made for them
    bounding = process["capabilities"]["bounding"]
    held = [] if process["user"]["uid"] else bounding
    process["capabilities"] = {**process["capabilities"], "permitted": held, "effective": held}
    return process


def reader(container: ContainerRef) -> Callable[[str], bytes | None]:
    """What reads an account file of the running container, None where there is none."""
    pid, _ = container.process()
    inside: dict[str, bytes | None] = {}

    def read(path: str) -> bytes | None:
        try:
            return _read(pid, path)
        except PermissionError:
            # a server of files (FUSE) answers nobody outside the user namespace of its mount, not
            # even the namespace's owner: so somebody goes in, once for all files
            if not inside:
                inside.update(_read_inside(container, pid))
            return inside[path]

    return read


def _read(pid: int, path: str) -> bytes | None:
    """The container's links may not lead out of its root.  Raises PermissionError."""
    from rootless.storage.trees.read import read_below

    try:
        return read_below(f"/proc/{pid}/root", path)
    except PermissionError:
        raise
    except OSError:
        return None


def _read_inside(container: ContainerRef, pid: int) -> dict[str, bytes | None]:
    from rootless.userns import calls

    paths = ["/etc/passwd", "/etc/group"]
    found = calls.call(
        "rootless.storage.rootfs.fuse_session:read_worker",
        {"servers": [], "lowers": [f"/proc/{pid}/root"], "paths": paths},
        join_pid=pid,
        maps=container.maps(),
    )
    return {
        path: None if text is None else str(text).encode("utf-8", "surrogateescape")
        for path, text in zip(paths, found, strict=True)
    }


def plan(container: ContainerRef, options: ExecOptions) -> list[Record]:
    """The plan that enters the container.  Raises Conflict when it does not run."""
    found = container.state()
    if not found.alive:
        raise Conflict(
            f"the container {container.name} is not running",
            hint=f"rootless start {container.name}",
        )
    if found.status == "paused":
        raise Conflict(
            f"the container {container.name} is paused", hint=f"rootless unpause {container.name}"
        )
    config = container.config()
    pid, start = container.process(found)
    process = _process(container, options, config)
    # with a single id everything the container has lives in one namespace; whoever has been mapped
    # shares nothing with the host that was not asked for, so what is joined is what differs
    flags = 0
    for kind, flag in launch_plan.CLONE.items():
        if kind != "time" and _differs(pid, kind):
            flags |= flag
    bounding = process["capabilities"]["bounding"]
    record = container.record
    single = bool(record["maps"]["single"])
    # all rights for this one command do not take the container's filter away
    privileged = bool(record["privileged"])
    return launch_plan.join_plan(
        process,
        pid=pid,
        start=start,
        namespaces=flags,
        cgroup=container.cgroup(),
        filter_program=spec_seccomp.program(record["seccomp"], bounding, single, privileged),
        keyring=spec_seccomp.keyring(record["seccomp"], privileged),
        single=single,
        covered_proc=single and bool(host.current().covered_proc),
    )


def _differs(pid: int, kind: str) -> bool:
    name = {"mount": "mnt", "network": "net"}.get(kind, kind)
    try:
        theirs, ours = os.stat(f"/proc/{pid}/ns/{name}"), os.stat(f"/proc/self/ns/{name}")
    except OSError:
        return True
    return (theirs.st_ino, theirs.st_dev) != (ours.st_ino, ours.st_dev)


def become(container: ContainerRef, options: ExecOptions) -> str:
    """Replace this process by the command; for `-d` start it and return an id.

    Without a terminal the launcher itself takes this process's place: the command has our own
    descriptors, no byte is copied by anyone, and its exit status is ours.
    """
    if not options.command:
        from rootless.errors import UsageError

        raise UsageError(
            "exec needs a command", hint="rootless exec CONTAINER COMMAND [ARGUMENT...]"
        )
    items = plan(container, options)
    identifier = os.urandom(32).hex()
    told = tell(container, identifier)
    directory = os.path.join(container.directory, "exec")
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        pass
    name = identifier[:12] + ".plan"
    if options.tty or options.detach:
        path = plan_format.write(directory, name, items, operations.NUMBERS)
        return _with_monitor(container, options, identifier, directory, path, told)
    path = plan_format.write(directory, name, [told, *items], operations.NUMBERS)
    admit = admission(container)
    if admit is not None:
        admit(os.getpid())
    if not options.interactive:
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    program = paths.helper("launch")
    try:
        os.execv(program, ["rootless-launch", "-", path])
    except OSError as error:
        raise HostError(
            f"cannot start {program}: {error.strerror}", hint="install rootless again"
        ) from None


def tell(container: ContainerRef, identifier: str) -> Record:
    """Tell that a command is entered; what tells, as well, how it ends."""
    from rootless.engine.events import writer as event_writer

    record = container.record
    attributes = event_writer.of_container(record, execID=identifier)
    container.emit("exec", execID=identifier)
    fields = event_writer.fields("container", container.id, container.name, attributes)
    return operations.events(event_writer.directory(container.ctx.data_dir), fields)


def _with_monitor(
    container: ContainerRef,
    options: ExecOptions,
    identifier: str,
    directory: str,
    plan_path: str,
    told: Record,
) -> str:
    started = monitored(container, options, identifier, directory, plan_path, told)
    if options.detach:
        os.close(started.channel)
        return identifier
    from rootless.engine.containers.attach import Session

    Session(None, fd=started.channel).become_client(
        stdin=bool(options.interactive),
        tty=bool(options.tty),
        detach_keys=options.detach_keys or "",
    )
    return identifier


def monitored(
    container: ContainerRef,
    options: ExecOptions,
    identifier: str,
    directory: str,
    plan_path: str,
    told: Record,
    *,
    keep_state: bool = False,
    window: tuple[int, int] | None = None,
) -> Started:
    """Start the command under a monitor of its own; the caller owns the channel.

    `keep_state`: the state stays when it has ended, for somebody who asks how.
    """
    from rootless.runtime import orders as to_monitor

    short = identifier[:12]
    orders: list[Record] = [
        to_monitor.id_(identifier, container.name),
        to_monitor.directory(directory, short + ".state"),
        to_monitor.executor(paths.helper("launch"), plan_path),
        to_monitor.log_errors(os.path.join(directory, short + ".log")),
        to_monitor.stdin("once" if options.interactive else "null"),
        to_monitor.exec_session(),
        told,
    ]
    if options.tty:
        orders.append(to_monitor.tty())
    ends = [".log", ".orders"] if keep_state else [".state", ".log", ".orders"]
    names = [plan_path, *(os.path.join(directory, short + end) for end in ends)]
    orders.append(to_monitor.unlink(names))
    admit = admission(container)
    if admit is not None:
        orders.append(to_monitor.go())
    orders_path = plan_format.write(directory, short + ".orders", orders, to_monitor.NUMBERS)
    from rootless.engine.containers import start as container_start

    return container_start.spawn(
        orders_path, container.name, place=admit, tty=bool(options.tty), window=window
    )


def run(
    container: ContainerRef,
    command: list[str] | str,
    *,
    timeout: float | None = None,
    check: bool = False,
    **words: object,
) -> ExecResult:
    """Run a command and collect what it writes (the library's `exec`).

    `input`: bytes for its standard input.  `timeout`: seconds after which it is killed; raises
    TimedOut.  `check`: raises CommandFailed unless it ends with 0.  Other words: ExecOptions.
    """
    import subprocess

    from rootless.engine.containers import exec_result
    from rootless.engine.spec.option_values import ExecOptions

    given = words.pop("input", None)
    options = ExecOptions(command=command, interactive=given is not None, **words)
    fed = given if isinstance(given, bytes) else None
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    process = begin(
        container, options, stdin=nothing if fed is None else pipe, stdout=pipe, stderr=pipe
    )
    result = exec_result.collect(process, fed, timeout, options.command)
    if check:
        result.check(options.command, container.name)
    return result


def begin(
    container: ContainerRef, options: ExecOptions, *, stdin: int, stdout: int, stderr: int
) -> Popen[bytes]:
    """Start a command with these streams, as subprocess.Popen takes them."""
    import subprocess

    items = plan(container, options)
    directory = os.path.join(container.directory, "exec")
    os.makedirs(directory, 0o700, exist_ok=True)
    identifier = os.urandom(32).hex()
    items.insert(0, tell(container, identifier))
    path = plan_format.write(directory, identifier[:12] + ".plan", items, operations.NUMBERS)
    admit = admission(container)
    # the launcher waits for this lock; our own process stays where it is
    lock = documents.Lock(path) if admit is not None else None
    try:
        process = subprocess.Popen(
            [paths.helper("launch"), "-", path], stdin=stdin, stdout=stdout, stderr=stderr
        )
        if admit is not None:
            try:
                admit(process.pid)
            except BaseException:
                process.kill()
                process.wait()
                raise
    finally:
        if lock is not None:
            lock.close()
    return process


def admission(container: ContainerRef) -> Callable[[int], str] | None:
    """What brings a process near the container's cgroup, where it cannot go there by itself."""
    path = container.cgroup()
    if not path:
        return None
    from rootless.cgroups import exec_cgroup

    if not exec_cgroup.must_be_asked(path):
        return None

    def admit(pid: int) -> str:
        exec_cgroup.admit(path, pid)
        return ""

    return admit


def sessions(container: ContainerRef) -> list[str]:
    """Ids of exec sessions that a monitor keeps."""
    return [
        name[: -len(".state")]
        for name in documents.names_in(os.path.join(container.directory, "exec"))
        if name.endswith(".state")
    ]
