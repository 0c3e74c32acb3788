"""OCI configuration -> launch plan.

A pure function over plain data: what it returns is what will be done, in that order.  The order has
reasons, given where it matters.  Source: OCI runtime specification 1.3, config.md, config-linux.md.
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.runtime import capabilities, operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.documents import Json
    from rootless.runtime.plan_format import Record

CLONE = {
    "time": 0x80,
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}

RLIMITS = {
    name: number
    for number, name in enumerate(
        """RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC
        RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE
        RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME""".split()
    )
}

_KILL = 9


def clone_flags(config: Json) -> int:
    """The CLONE_NEW* flags of the namespaces that the configuration wants to be made anew."""
    flags = 0
    for number, namespace in enumerate(config["linux"]["namespaces"]):
        if namespace["type"] not in CLONE:
            raise UsageError(
                f'linux.namespaces[{number}].type: unknown namespace "{namespace["type"]}"'
            )
        if not namespace.get("path"):
            flags |= CLONE[namespace["type"]]
    if config["linux"].get("timeOffsets"):
        # can be set only while nobody is in it yet: the plan makes it
        flags &= ~CLONE["time"]
    return flags


def _time_offsets(linux: Json) -> list[Record]:
    """Source: runtime-spec config-linux.md, "Offset for Time Namespace"; time_namespaces(7)."""
    offsets = linux.get("timeOffsets")
    if not offsets:
        return []
    if not any(one["type"] == "time" and not one.get("path") for one in linux["namespaces"]):
        raise UsageError(
            "linux.timeOffsets: clocks differ only in a time namespace of the container's own",
            hint='add {"type": "time"} to linux.namespaces',
        )
    for name in offsets:
        if name not in ("monotonic", "boottime"):
            raise UsageError(f'linux.timeOffsets: no namespace has a clock "{name}" of its own')
    lines = "".join(
        f"{name} {one.get('secs') or 0} {one.get('nanosecs') or 0}\n"
        for name, one in offsets.items()
    )
    return [operations.time_offsets(lines)]


def plan(
    config: Json,
    rootfs: Sequence[Record],
    *,
    filter_program: bytes = b"",
    filter_flags: int = 0,
    single: bool = False,
    wait_for_network: bool = False,
    unreachable: Sequence[str] = (),
    preparations: Sequence[Record] = (),
    gate: Gate | None = None,
    keyring: str = "needed",
    covered_proc: bool = False,
    own_name: bool = True,
) -> list[Record]:
    """The launch plan of a new container.

    `rootfs` are the operations that make `root.path` hold the root file system, `preparations`
    those that come between it and the mounts (copying an image's files up into a volume).
    `unreachable`: networks to close the way to.
    `single`: only one id is mapped, so groups cannot be set and other users need a nested
    namespace.  `gate`: it is made by `create` and waits for `start`.  `keyring`: whether the
    process has a session keyring of its own: "needed", "wished" (the filter lets nobody read keys,
    so it may be missing where the caller's keys are too many), or "" for the caller's.
    `covered_proc`: a new procfs is refused here (host.covered_in).  `own_name`: a host name that
    cannot be set is a failure.  Raises UsageError naming the JSON path of a value that means
    nothing.
    """
    from rootless.runtime import mounts

    linux = config["linux"]
    process = config["process"]
    made = clone_flags(config)
    own = {one["type"] for one in linux["namespaces"]}
    # the namespace starts as a copy of the caller's: from here nothing may travel back or forth
    wanted = linux.get("rootfsPropagation") or "rprivate"
    first = mounts.MS_PRIVATE if wanted.endswith(("private", "unbindable")) else mounts.MS_SLAVE
    # mount points have modes of their own, not the caller's
    ops: list[Record] = [operations.umask(0o022), *_oom_score(process), *_labels(process)]
    ops += _time_offsets(linux)
    if covered_proc and _nests(process, single):
        ops.append(operations.host_proc())
    ops.append(operations.propagation("/", mounts.MS_REC | first))
    ops += rootfs
    ops.append(operations.root(config["root"]["path"], bind=not rootfs))
    ops += preparations
    ops += mounts.operations(
        config,
        own_pid="pid" in own,
        own_net="network" in own,
        covered_proc=covered_proc,
    )
    ops += mounts.devices(config)
    if made & CLONE["network"]:
        ops.append(operations.loopback())
    ops += _names(config, made, gate, own_name)
    if gate is not None:
        ops += gate.before_pivot()
    enters = "pid" in own and not made & CLONE["pid"]
    if enters and _nests(process, single):
        # who makes a user namespace has to be one that can be traced
        ops.append(operations.nest(*_ids(process), ready=True))
    ops.append(operations.pivot())
    if wanted.endswith(("shared", "unbindable")):
        ops.append(operations.propagation("/", mounts.propagation(wanted)))
    # sysctls before /proc/sys becomes read-only; masks after everything that still needs /proc
    ops += [
        operations.sysctl(sysctl_path(key), str(value))
        for key, value in (linux.get("sysctl") or {}).items()
    ]
    if linux.get("readonlyPaths"):
        ops.append(operations.readonly(linux["readonlyPaths"]))
    if linux.get("maskedPaths"):
        ops.append(operations.mask(linux["maskedPaths"]))
    if config["root"].get("readonly"):
        if process["cwd"] != "/":
            # afterwards a new one could not be made any more
            ops.append(operations.mkdir(process["cwd"]))
        ops.append(operations.root_attr(mounts.ATTR_RDONLY))
    if unreachable:
        ops.append(operations.unreachable(unreachable))
    if wait_for_network:
        # as late as possible: the sidecar starts while the mounts are made
        ops.append(operations.wait_network())
    if enters:
        # those who are in it can name this process from here on, and until the pivot its root was
        # the host's; whoever looks for it by its number has done so
        ops.append(operations.enter_pid())
    if linux.get("personality"):
        ops.append(operations.personality(_personality(linux["personality"])))
    ops += _memory_policy(linux)
    ops += _process(
        process,
        single=single,
        bind_console=True,
        filter_program=filter_program,
        filter_flags=filter_flags,
        gate=gate,
        keyring=keyring,
    )
    return ops


def _names(config: Json, made: int, gate: Gate | None, own_name: bool) -> list[Record]:
    """hostname and domainname, in a namespace of the container's own or (the command) a joined one.

    The engine's containers that join another's leave its name as it is.
    """
    joined = gate is not None and any(one["type"] == "uts" for one in config["linux"]["namespaces"])
    if not made & CLONE["uts"] and not joined:
        return []
    ops = []
    if config.get("hostname"):
        ops.append(operations.hostname(config["hostname"], lenient=not own_name))
    if config.get("domainname"):
        ops.append(operations.domainname(config["domainname"], lenient=not own_name))
    return ops


def sysctl_path(key: str) -> str:
    """A key as a path below /proc/sys; as sysctl(8) reads it, by the separator that comes first."""
    dot, slash = key.find("."), key.find("/")
    if slash >= 0 and (dot < 0 or slash < dot):
        return key
    return key.translate({ord("."): "/", ord("/"): "."})


def _personality(value: Json) -> int:
    if value.get("flags"):
        raise UsageError("linux.personality.flags: there are none that can be set")
    return {"LINUX": 0, "LINUX32": 8}[value["domain"]]


class Gate:
    """What `create` adds to a plan: hooks, the socket to wait at, descriptors to keep.

    `listener`: the descriptor's number, -1 where `run` does not wait; `states`: the state for hooks
    while the container is made and when it is, with @PID@ for the pid.
    """

    def __init__(
        self, listener: int, hooks: Json, states: tuple[str, str], preserved: int = 0
    ) -> None:
        self.listener = listener
        self.hooks = hooks
        self.states = states
        self.preserved = preserved

    def before_pivot(self) -> list[Record]:
        """Hooks that see the container's mounts, and the host's files."""
        ops: list[Record] = []
        if self.hooks.get("prestart") or self.hooks.get("createRuntime"):
            ops.append(operations.runtime_hooks())
        return ops + self._run("createContainer")

    def before_filter(self, command: str) -> list[Record]:
        """Wait; then the hooks of `start`."""
        ops: list[Record] = []
        if self.listener >= 0:
            # what cannot be executed is told by `create`, not only by `start`
            ops = [operations.lookup(command), operations.gate(self.listener)]
        return ops + self._run("startContainer")

    def _run(self, kind: str) -> list[Record]:
        made: list[Record] = []
        state = self.states[kind == "startContainer"]
        for hook in self.hooks.get(kind) or ():
            path = hook["path"]
            words, env = hook.get("args") or [path], hook.get("env") or []
            made.append(operations.hook(path, hook.get("timeout") or 0, state, words, env))
        return made


def join_plan(
    process: Json,
    *,
    pid: int,
    start: int,
    namespaces: int,
    cgroup: str = "",
    filter_program: bytes = b"",
    filter_flags: int = 0,
    single: bool = False,
    own_user: bool = True,
    preserved: int = 0,
    linux: Json = None,
    keyring: str = "needed",
    covered_proc: bool = False,
) -> list[Record]:
    """The plan of a further process in a running container (`exec`).

    `own_user`: it has a user namespace of its own, whose root the process becomes first.  `linux`:
    of the container's configuration, where that says something about every process.
    `covered_proc`: as in `plan`.
    """
    ops = [*_oom_score(process), *_labels(process), *_affinity(process, "initial")]
    nested = _nests(process, single)
    if nested and covered_proc:
        ops.append(operations.host_proc())
    if cgroup:
        # before joining: afterwards the path would mean something else, or nothing
        ops.append(operations.cgroup_join(cgroup + "/cgroup.procs"))
    # who makes a user namespace has to be one that can be traced, so it is made on the way, while
    # nobody inside can name who does; in the /proc around they could, and find the host's files
    ids = _ids(process) if nested and not covered_proc else None
    ops.append(operations.join(pid, start, namespaces, ids))
    if own_user:
        ops.append(operations.root_ids(drop_groups=not single))
    ops += _affinity(process, "final")
    ops += _memory_policy(linux or {})
    ops += _process(
        process,
        single=single,
        bind_console=False,
        filter_program=filter_program,
        filter_flags=filter_flags,
        joins=True,
        preserved=preserved,
        keyring=keyring,
    )
    return ops


def _ids(process: Json) -> tuple[int, int]:
    user = process.get("user") or {}
    return user.get("uid") or 0, user.get("gid") or 0


def _nests(process: Json, single: bool) -> bool:
    """Whether the process gets a namespace of its own, for an id that the container lacks."""
    return single and _ids(process) != (0, 0)


def _process(
    process: Json,
    *,
    single: bool,
    bind_console: bool,
    filter_program: bytes,
    filter_flags: int = 0,
    joins: bool = False,
    gate: Gate | None = None,
    preserved: int = 0,
    keyring: str = "needed",
) -> list[Record]:
    user = process.get("user") or {}
    uid, gid = _ids(process)
    # batch systems append to what is there: of a name that is given twice the last one counts,
    # where getenv(3) would take the first
    env = {one.partition("=")[0]: one for one in process.get("env") or ()}.values()
    ops: list[Record] = []
    if process.get("terminal"):
        size = process.get("consoleSize") or {"height": 0, "width": 0}
        owner = "" if single else str(uid)
        ops.append(
            operations.tty(size["height"], size["width"], bind_console=bind_console, owner=owner)
        )
    elif not joins:
        ops.append(operations.setsid())
    for number, limit in enumerate(process.get("rlimits") or ()):
        if limit["type"] not in RLIMITS:
            raise UsageError(f'process.rlimits[{number}].type: unknown limit "{limit["type"]}"')
        ops.append(operations.rlimit(RLIMITS[limit["type"]], limit["soft"], limit["hard"]))
    ops += _scheduling(process)
    # the specification would leave the caller's where none is named; runc and crun have this one,
    # and what a person has chosen for files of the host is nothing that an image should notice
    umask = user.get("umask")
    ops.append(operations.umask(0o022 if umask is None else umask))
    ops.append(operations.cwd(process["cwd"], create=not joins))
    if _nests(process, single):
        ops.append(operations.nest(uid, gid))
    caps = process.get("capabilities") or {}
    bounding = capabilities.mask(caps.get("bounding") or ())
    ops.append(operations.bounding(bounding))
    groups = () if single else user.get("additionalGids") or ()
    ops.append(operations.user(uid, gid, set_groups=not single, groups=groups))
    if keyring:
        # counted as the user's, who has it now
        ops.append(operations.keyring(needed=keyring == "needed"))
    if not joins and (gate is None or gate.listener < 0):
        # changing ids cleared it, so it is asked for only now.  A helper of `run` that is killed
        # takes its process along: until that is written down nobody else could find it
        ops.append(operations.pdeathsig(_KILL))
    ops.append(_rights(caps, bounding, uid, bool(process.get("noNewPrivileges"))))
    if process.get("noNewPrivileges"):
        ops.append(operations.no_new_privs())
    # what the launcher needs memory or further calls for comes before a filter that may forbid them
    ops.append(operations.env(env))
    if gate is not None:
        ops += gate.before_filter(process["args"][0])
        preserved = gate.preserved
    if preserved:
        ops.append(operations.preserve(preserved))
    if filter_program:
        # while capabilities are still effective (it needs CAP_SYS_ADMIN); exec itself then reduces
        # root to the bounding set and everybody else to the ambient set
        ops.append(operations.seccomp(filter_flags, filter_program))
    ops.append(operations.exec_(process["args"]))
    return ops


def _rights(caps: Json, bounding: int, uid: int, confined: bool) -> Record:
    """The sets before exec, which makes of them what the process has.  See capabilities(7).

    `confined` (no_new_privs): exec gives nothing that was not permitted before, neither to root nor
    by file capabilities; so what is permitted is what was asked for.  Without it root gets the
    bounding set and everybody else the ambient one, whatever was permitted; what matters then is
    that a filter is loaded (CAP_SYS_ADMIN), and that root gains nothing at exec, for with that the
    kernel would take the signal for the parent's death from it, and make it undumpable.
    """
    masks = [
        capabilities.mask(caps.get(kind) or ())
        for kind in ("inheritable", "ambient", "permitted", "effective")
    ]
    inheritable, ambient, permitted, effective = masks
    # as the kernel and other runtimes have it: only what is both can be ambient
    ambient &= permitted & inheritable
    if not confined:
        loads = 1 << capabilities.NUMBERS["CAP_SYS_ADMIN"]
        permitted |= loads | (bounding if uid == 0 else 0)
        effective = permitted if uid == 0 else effective | loads
    return operations.caps(inheritable, ambient, permitted, effective & permitted)


# What few configurations have: its module is loaded for those alone.


def _oom_score(process: Json) -> list[Record]:
    """Before anything else: /proc is the host's still, and no image decides what its names mean."""
    wanted = process.get("oomScoreAdj")
    return [] if wanted is None else [operations.oom_score(wanted)]


def _labels(process: Json) -> list[Record]:
    if not process.get("apparmorProfile") and not process.get("selinuxLabel"):
        return []
    from rootless.runtime import process_attributes

    return process_attributes.labels(process)


def _scheduling(process: Json) -> list[Record]:
    if not process.get("ioPriority") and not process.get("scheduler"):
        return []
    from rootless.runtime import process_attributes

    return process_attributes.scheduling(process)


def _affinity(process: Json, which: str) -> list[Record]:
    if not process.get("execCPUAffinity"):
        return []
    from rootless.runtime import process_attributes

    return process_attributes.affinity(process, which)


def _memory_policy(linux: Json) -> list[Record]:
    if not linux.get("memoryPolicy"):
        return []
    from rootless.runtime import process_attributes

    return process_attributes.memory_policy(linux)
