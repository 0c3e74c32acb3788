"""What a configuration may hold: types, ranges and words of the OCI runtime specification.

Fields that are not described here are carried and not looked at, as the specification wants.  What
is described and does not fit is named by its JSON path: `linux.namespaces[2].type: ...`.
Source: runtime-spec 1.3 config.md, config-linux.md.
"""

from __future__ import annotations

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.documents import Json

    Check = Callable[[Json, str], None]

_NAMES = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


def _fail(path: str, text: str) -> None:
    raise UsageError(f"{path or 'config.json'}: {text}")


def _typed(value: Json, path: str, kind: type) -> None:
    # true is an int for Python, not for JSON
    if type(value) is not kind:
        _fail(path, f"{_shown(value)} is not {_NAMES[kind]}")


def _shown(value: Json) -> str:
    if isinstance(value, str):
        return f'"{value[:60]}"'
    return {dict: "a table", list: "a list", type(None): "null"}.get(type(value), str(value))


def text(value: Json, path: str) -> None:
    """A string that can be an argument of a system call."""
    _typed(value, path, str)
    if "\0" in value:
        _fail(path, "a text with a NUL byte")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        _fail(path, "a text with half a character")


def absolute(value: Json, path: str) -> None:
    """A path that begins with a slash."""
    text(value, path)
    if not value.startswith("/"):
        _fail(path, f'"{value}" is not an absolute path')


def boolean(value: Json, path: str) -> None:
    """true or false."""
    _typed(value, path, bool)


def integer(least: int, most: int) -> Check:
    """A whole number in a range."""

    def check(value: Json, path: str) -> None:
        _typed(value, path, int)
        if not least <= value <= most:
            _fail(path, f"{value} is not between {least} and {most}")

    return check


u32 = integer(0, (1 << 32) - 1)
# the largest number means "as it is" to the kernel: asked for, it would leave a process with root's
identity = integer(0, (1 << 32) - 2)
u64 = integer(0, (1 << 64) - 1)
u16 = integer(0, (1 << 16) - 1)
i64 = integer(-(1 << 63), (1 << 63) - 1)
i32 = integer(-(1 << 31), (1 << 31) - 1)


def words(what: str, known: str) -> Check:
    """One of some words; `what` they are."""
    choices = known.split()

    def check(value: Json, path: str) -> None:
        text(value, path)
        if value not in choices:
            _fail(path, f'unknown {what} "{value}"')

    return check


def several(of: Check, *, least: int = 0, unique: str = "") -> Check:
    """A list; of tables in which `unique` differs if that is given."""

    def check(value: Json, path: str) -> None:
        _typed(value, path, list)
        if len(value) < least:
            _fail(path, "must not be empty")
        seen = set()
        for number, one in enumerate(value):
            of(one, f"{path}[{number}]")
            key = one.get(unique) if unique else None
            if key is not None and key in seen:
                _fail(f"{path}[{number}].{unique}", f"{_shown(key)} is given twice")
            seen.add(key)

    return check


def table(required: str = "", **fields: Check) -> Check:
    """A table with some fields; `type_` stands for the field type."""
    wanted = required.split()
    checks = {name.rstrip("_"): one for name, one in fields.items()}

    def check(value: Json, path: str) -> None:
        _typed(value, path, dict)
        for name in wanted:
            if value.get(name) is None:
                _fail(f"{path}.{name}".lstrip("."), "is missing")
        for name, one in checks.items():
            # Go's encoder writes null for what is not set
            if value.get(name) is not None:
                one(value[name], f"{path}.{name}".lstrip("."))

    return check


def mapping(of: Check) -> Check:
    """A table with any keys."""

    def check(value: Json, path: str) -> None:
        _typed(value, path, dict)
        for key, one in value.items():
            if not key:
                _fail(path, "has an empty key")
            text(key, path)
            of(one, f"{path}.{key}")

    return check


CAPABILITIES = several(text)
LIMITS = ("RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC "
          "RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE "
          "RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME")  # fmt: skip
NAMESPACES = "pid network mount ipc uts user cgroup time"
ACTIONS = ("SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_TRAP SCMP_ACT_ERRNO "
           "SCMP_ACT_TRACE SCMP_ACT_ALLOW SCMP_ACT_LOG SCMP_ACT_NOTIFY")  # fmt: skip
OPERATORS = ("SCMP_CMP_NE SCMP_CMP_LT SCMP_CMP_LE SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT "
             "SCMP_CMP_MASKED_EQ")  # fmt: skip
ARCHITECTURES = " ".join(
    f"SCMP_ARCH_{name}"
    for name in """X86 X86_64 X32 ARM AARCH64 LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL
    MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 SHEB SH""".split()
)
FLAGS = ("SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW "
         "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")  # fmt: skip

_hook = table(
    "path", path=absolute, args=several(text), env=several(text), timeout=integer(1, 1 << 31)
)
_hooks = several(_hook)

PROCESS = table(
    "args cwd",
    terminal=boolean,
    consoleSize=table("height width", height=u16, width=u16),
    user=table(
        uid=identity, gid=identity, umask=integer(0, 0o777), additionalGids=several(identity)
    ),
    args=several(text, least=1),
    env=several(text),
    cwd=absolute,
    capabilities=table(
        bounding=CAPABILITIES, effective=CAPABILITIES, permitted=CAPABILITIES,
        inheritable=CAPABILITIES, ambient=CAPABILITIES,
    ),
    rlimits=several(
        table("type soft hard", type_=words("limit", LIMITS), soft=u64, hard=u64),
        unique="type",
    ),
    noNewPrivileges=boolean,
    apparmorProfile=text,
    selinuxLabel=text,
    oomScoreAdj=integer(-1000, 1000),
    ioPriority=table(
        "class",
        class_=words("class of priorities", "IOPRIO_CLASS_RT IOPRIO_CLASS_BE IOPRIO_CLASS_IDLE"),
        priority=integer(0, 7),
    ),
    scheduler=table(
        "policy",
        policy=words(
            "scheduler",
            "SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE",
        ),
        nice=integer(-20, 19),
        priority=i32,
        flags=several(text),
        runtime=u64,
        deadline=u64,
        period=u64,
    ),
    execCPUAffinity=table(initial=text, final=text),
)  # fmt: skip


def _device_mode(value: Json, path: str) -> None:
    """Permissions; engines that copy what stat(2) says add the type of a device."""
    kind = value & 0o170000 if type(value) is int and value > 0 else 0
    integer(0, 0o7777)(value - kind if kind in (0o010000, 0o020000, 0o060000) else value, path)


_ids = several(table("containerID hostID size", containerID=u32, hostID=u32, size=u32))
_rates = several(table("major minor rate", major=i64, minor=i64, rate=u64))
_page_limits = several(table("pageSize limit", pageSize=text, limit=u64))
RESOURCES = table(
    devices=several(table("allow", allow=boolean, type_=text, major=i64, minor=i64, access=text)),
    memory=table(
        limit=i64, reservation=i64, swap=i64, kernel=i64, kernelTCP=i64,
        swappiness=integer(0, 100), disableOOMKiller=boolean, useHierarchy=boolean,
        checkBeforeUpdate=boolean,
    ),
    cpu=table(
        shares=u64, quota=i64, burst=u64, period=u64, realtimeRuntime=i64, realtimePeriod=u64,
        cpus=text, mems=text, idle=integer(0, 1),
    ),
    pids=table("limit", limit=i64),
    blockIO=table(
        weight=integer(0, 1000), leafWeight=u16,
        weightDevice=several(
            table("major minor", major=i64, minor=i64, weight=u16, leafWeight=u16)
        ),
        throttleReadBpsDevice=_rates, throttleWriteBpsDevice=_rates,
        throttleReadIOPSDevice=_rates, throttleWriteIOPSDevice=_rates,
    ),
    hugepageLimits=_page_limits,
    network=table(classID=u32, priorities=several(table("name priority", name=text, priority=u32))),
    rdma=mapping(table(hcaHandles=u32, hcaObjects=u32)),
    unified=mapping(text),
)  # fmt: skip

SECCOMP = table(
    "defaultAction",
    defaultAction=words("action", ACTIONS),
    defaultErrnoRet=u32,
    architectures=several(words("architecture", ARCHITECTURES)),
    flags=several(words("flag", FLAGS)),
    listenerPath=absolute,
    listenerMetadata=text,
    syscalls=several(
        table(
            "names action",
            names=several(text, least=1),
            action=words("action", ACTIONS),
            errnoRet=u32,
            args=several(
                table("index value op", index=integer(0, 5), value=u64, valueTwo=u64,
                      op=words("operator", OPERATORS))
            ),
        )
    ),
)  # fmt: skip

CONFIG = table(
    "ociVersion",
    ociVersion=text,
    root=table("path", path=text, readonly=boolean),
    hostname=text,
    domainname=text,
    process=PROCESS,
    mounts=several(
        table("destination", destination=text, source=text, type_=text, options=several(text),
              uidMappings=_ids, gidMappings=_ids)
    ),
    hooks=table(
        prestart=_hooks, createRuntime=_hooks, createContainer=_hooks, startContainer=_hooks,
        poststart=_hooks, poststop=_hooks,
    ),
    annotations=mapping(text),
    linux=table(
        namespaces=several(table("type", type_=words("namespace", NAMESPACES), path=absolute),
                           unique="type"),
        uidMappings=_ids,
        gidMappings=_ids,
        timeOffsets=mapping(table(secs=i64, nanosecs=u32)),
        devices=several(
            table("type path", type_=words("type of device", "c b u p"), path=absolute, major=i64,
                  minor=i64, fileMode=_device_mode, uid=u32, gid=u32)
        ),
        cgroupsPath=text,
        resources=RESOURCES,
        rootfsPropagation=words("propagation", "shared slave private unbindable rshared rslave "
                                "rprivate runbindable"),
        seccomp=SECCOMP,
        sysctl=mapping(text),
        maskedPaths=several(text),
        readonlyPaths=several(text),
        mountLabel=text,
        personality=table("domain", domain=words("personality", "LINUX LINUX32"),
                          flags=several(text)),
        intelRdt=table(),
        netDevices=mapping(table(name=text)),
        memoryPolicy=table(
            "mode",
            mode=words("mode", "MPOL_DEFAULT MPOL_BIND MPOL_INTERLEAVE MPOL_WEIGHTED_INTERLEAVE "
                       "MPOL_PREFERRED MPOL_PREFERRED_MANY MPOL_LOCAL"),
            nodes=text,
            flags=several(words("flag", "MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES "
                                "MPOL_F_STATIC_NODES")),
        ),
    ),
)  # fmt: skip


def _check_seccomp(seccomp: Json) -> None:
    """What one field says about another.  Source: config-linux.md, "Seccomp"."""
    where = "linux.seccomp"
    pairs = [("defaultErrnoRet", "defaultAction", seccomp, where)]
    for number, rule in enumerate(seccomp.get("syscalls") or ()):
        pairs.append(("errnoRet", "action", rule, f"{where}.syscalls[{number}]"))
    for errno, action, rule, path in pairs:
        taken = rule[action] in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
        if rule.get(errno) is not None and not taken:
            _fail(f"{path}.{errno}", f"{rule[action]} gives no error number")
    if seccomp.get("listenerMetadata") and not seccomp.get("listenerPath"):
        _fail(f"{where}.listenerMetadata", "there is no listenerPath to tell it to")


def check_config(config: Json) -> None:
    """Raises UsageError that names the JSON path of what does not fit."""
    CONFIG(config, "")
    _check_seccomp_of(config)
    version = config["ociVersion"].split("-")[0].split("+")[0].split(".")
    if len(version) != 3 or not all(part.isdigit() for part in version):
        _fail("ociVersion", f'"{config["ociVersion"]}" is not a version, as 1.2.0')
    if int(version[0]) != 1:
        _fail("ociVersion", f"version {config['ociVersion']} is not supported, only 1.x")


def _check_seccomp_of(config: Json) -> None:
    seccomp = (config.get("linux") or {}).get("seccomp")
    if seccomp is not None:
        _check_seccomp(seccomp)


def check_process(process: Json) -> None:
    """The same for the process of `exec --process`."""
    PROCESS(process, "process")
