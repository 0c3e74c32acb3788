"""OCI configuration -> launch plan.

A pure function over plain data: what it returns is what will be done, in that order.  The order has
reasons, given where it matters.  Source: OCI runtime specification 1.2, config.md, config-linux.md.
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.runtime import capabilities, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.documents import Json
    from rootless.runtime.records import Record

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

_KILL = "9"


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
    return flags


def plan(
    config: Json,
    rootfs: Sequence[Record],
    *,
    filter_program: bytes = b"",
    single: bool = False,
    wait_for_network: bool = False,
    preparations: Sequence[Record] = (),
) -> list[Record]:
    """The launch plan of a new container.

    `rootfs` are the operations that make `root.path` hold the root file system, `preparations`
    those that come between it and the mounts (copying an image's files up into a volume).
    `single`: only one id is mapped, so groups cannot be set and other users need a nested
    namespace.  Raises UsageError naming the JSON path of a value that means nothing.
    """
    linux = config["linux"]
    process = config["process"]
    made = clone_flags(config)
    # the namespace starts as a copy of the caller's: from here nothing may travel back or forth
    ops: list[Record] = [("propagation", ("/", str(mounts.MS_REC | mounts.MS_PRIVATE)))]
    ops += rootfs
    ops.append(("root", (config["root"]["path"], "0" if rootfs else "1")))
    ops += preparations
    ops += mounts.operations(
        config, new_pid=bool(made & CLONE["pid"]), new_net=bool(made & CLONE["network"])
    )
    ops += mounts.devices(config)
    if made & CLONE["network"]:
        ops.append(("loopback", ()))
    if config.get("hostname") and made & CLONE["uts"]:
        ops.append(("hostname", (config["hostname"],)))
    if config.get("domainname") and made & CLONE["uts"]:
        ops.append(("domainname", (config["domainname"],)))
    ops.append(("pivot", ()))
    # sysctls before /proc/sys becomes read-only; masks after everything that still needs /proc
    ops += [
        ("sysctl", (key.replace(".", "/"), str(value)))
        for key, value in linux.get("sysctl", {}).items()
    ]
    if linux.get("readonlyPaths"):
        ops.append(("readonly", tuple(linux["readonlyPaths"])))
    if linux.get("maskedPaths"):
        ops.append(("mask", tuple(linux["maskedPaths"])))
    if config["root"].get("readonly"):
        ops.append(("root-attr", (str(mounts.ATTR_RDONLY),)))
    if process.get("oomScoreAdj") is not None:
        ops.append(("oom-score", (str(process["oomScoreAdj"]),)))
    if wait_for_network:
        # as late as possible: slirp4netns starts while the mounts are made
        ops.append(("wait-network", ()))
    ops += _process(process, single=single, bind_console=True, filter_program=filter_program)
    return ops


def join_plan(
    process: Json,
    *,
    pid: int,
    start: int,
    namespaces: int,
    cgroup: str = "",
    filter_program: bytes = b"",
    single: bool = False,
) -> list[Record]:
    """The plan of a further process in a running container (`exec`)."""
    ops: list[Record] = []
    if cgroup:
        # before joining: afterwards the path would mean something else, or nothing
        ops.append(("cgroup-join", (cgroup + "/cgroup.procs",)))
    ops.append(("join", (str(pid), str(start), str(namespaces))))
    ops.append(("root-ids", ("0" if single else "1",)))
    ops += _process(
        process, single=single, bind_console=False, filter_program=filter_program, joins=True
    )
    return ops


def _process(
    process: Json, *, single: bool, bind_console: bool, filter_program: bytes, joins: bool = False
) -> list[Record]:
    user = process["user"]
    uid, gid = user["uid"], user["gid"]
    nested = single and (uid, gid) != (0, 0)
    ops: list[Record] = []
    if process.get("terminal"):
        size = process.get("consoleSize") or {"height": 0, "width": 0}
        owner = "" if single else str(uid)
        ops.append(
            ("tty", (str(size["height"]), str(size["width"]), str(int(bind_console)), owner))
        )
    elif not joins:
        ops.append(("setsid", ()))
    for number, limit in enumerate(process.get("rlimits", ())):
        if limit["type"] not in RLIMITS:
            raise UsageError(f'process.rlimits[{number}].type: unknown limit "{limit["type"]}"')
        ops.append(
            ("rlimit", (str(RLIMITS[limit["type"]]), str(limit["soft"]), str(limit["hard"])))
        )
    if user.get("umask") is not None:
        ops.append(("umask", (format(user["umask"], "o"),)))
    ops.append(("cwd", (process["cwd"], "0" if joins else "1")))
    if nested:
        ops.append(("nest", (str(uid), str(gid))))
    caps = process.get("capabilities", {})
    bounding = capabilities.mask(caps.get("bounding", ()))
    ops.append(("bounding", (format(bounding, "x"),)))
    groups = () if single else tuple(str(one) for one in user.get("additionalGids", ()))
    ops.append(("user", (str(uid), str(gid), "0" if single else "1", *groups)))
    if not joins:
        # changing ids cleared it, so it is asked for only now
        ops.append(("pdeathsig", (_KILL,)))
    ambient = capabilities.mask(caps.get("ambient", ()))
    inheritable = capabilities.mask(caps.get("inheritable", ())) | ambient
    ops.append(("caps", (format(inheritable, "x"), format(ambient, "x"))))
    if process.get("noNewPrivileges"):
        ops.append(("no-new-privs", ()))
    if filter_program:
        # while capabilities are still effective (it needs CAP_SYS_ADMIN); exec itself then reduces
        # root to the bounding set and everybody else to the ambient set
        ops.append(("seccomp", ("0", filter_program)))
    ops.append(("env", tuple(process.get("env", ()))))
    ops.append(("exec", tuple(process["args"])))
    return ops
