"""Which system calls a container may make: the default profile, and profiles in files.

The default allows what docker's does and refuses the rest with EPERM; the kernel's interfaces that
need a capability are allowed with it.  It is written here by topic, and turned into the
`linux.seccomp` object of an OCI configuration.  Files of docker's format (`--security-opt
seccomp=FILE`) go the same way.
Source: moby/profiles seccomp/default_linux.go for what is allowed; OCI runtime specification,
config-linux.md, "Seccomp" for the form.
"""

from __future__ import annotations

import os

from rootless import documents
from rootless.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    Document = dict[str, Any]

EPERM = 1
ENOSYS = 38

_FILES = """
access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat
faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32
fchownat fcntl fcntl64 fdatasync flock fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link linkat listmount
_llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat
openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
rename renameat renameat2 rmdir sendfile sendfile64 splice stat stat64 statfs statfs64 statmount
statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat
utime utimensat utimensat_time64 utimes vmsplice write writev cachestat
fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat
llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
"""

_WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1
inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup
io_submit _newselect pause pipe pipe2 poll ppoll ppoll_time64 pselect6 pselect6_time64 select
signalfd signalfd4
"""

_MEMORY = """
brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock
mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc
pkey_free pkey_mprotect remap_file_pages
"""

_PROCESSES = """
capget capset execve execveat exit exit_group fork getcpu getegid getegid32 geteuid geteuid32
getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid
getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid getuid getuid32
get_robust_list get_thread_area ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl
prlimit64 process_mrelease restart_syscall riscv_hwprobe rseq setfsgid setfsgid32 setfsuid
setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid
setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setuid setuid32
set_robust_list set_thread_area set_tid_address sysinfo tgkill times tkill ugetrlimit uname
uretprobe vfork wait4 waitid waitpid
landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield
"""

_TIME = """
adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer
time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
"""

_TALKING = """
accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg
recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair
ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop
semtimedop_time64 shmat shmctl shmdt shmget getrandom
"""

# what a capability opens, by capability
_WITH_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount
        open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog
        umount umount2 unshare""",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": """
        kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace""",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

_ARM = "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"
_WITH_ARCHITECTURE = {
    "amd64": "arch_prctl modify_ldt",
    "x86": "modify_ldt",
    "arm64": _ARM,
    "arm": _ARM,
}

# NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET (include/uapi/linux/sched.h)
_NAMESPACE_FLAGS = 0x7E020000

# Linux, 16-bit uid emulation and SVR4 personalities that change nothing of consequence, and the
# value that only asks: PER_LINUX, PER_LINUX32, UNAME26, both, and 0xffffffff
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

# Address families that may be opened, above the first eleven.  Left out are those without an
# implementation in current kernels, AF_ALG (38: the kernel's cryptography, which no ordinary
# program needs and which has had holes) and AF_VSOCK (40: a road to the hypervisor and to other
# guests that no network namespace closes).  It is a list of the allowed because the kernel looks
# at the low half of the argument only, so a comparison "not 40" is passed by 40 plus 2**32.
_FAMILIES = (*range(13, 19), 21, 22, 24, *range(26, 34), 35, 36, 39, *range(41, 46))

# machine -> (docker's name of it, the OCI names of what its kernel runs, its own first)
MACHINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "x86_64": ("amd64", ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")),
    "aarch64": ("arm64", ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")),
    "i686": ("x86", ("SCMP_ARCH_X86",)),
    "armv7l": ("arm", ("SCMP_ARCH_ARM",)),
}
"""Machines (uname -m) that filters can be made for."""


def machine(name: str = "") -> str:
    """The key in `MACHINES` for a machine (uname -m), by default this one.

    Raises HostError for a machine whose system calls are not known.
    """
    name = name or os.uname().machine
    if name in MACHINES:
        return name
    aliases = {"i386": "i686", "i586": "i686", "armv6l": "armv7l", "armv8l": "armv7l"}
    if name in aliases:
        return aliases[name]
    raise HostError(
        f"the system calls of {name} machines are not known, so none can be filtered",
        hint="run without a filter: --security-opt seccomp=unconfined",
    )


def oci_seccomp(
    capabilities: Collection[str], arch: str = "", *, kernel: tuple[int, int] | None = None
) -> Document:
    """The default profile as `linux.seccomp`, for a container with these capabilities.

    `arch` is a machine (uname -m), `kernel` a version; both are this host's by default.
    Raises HostError for a machine whose system calls are not known.
    """
    name = machine(arch)
    golang, architectures = MACHINES[name]
    allowed: set[str] = set()
    for group in (_FILES, _WAITING, _MEMORY, _PROCESSES, _TIME, _TALKING):
        allowed.update(group.split())
    allowed.update(_WITH_ARCHITECTURE[golang].split())
    for capability, words in _WITH_CAPABILITY.items():
        if capability in capabilities:
            allowed.update(words.split())
    if (kernel or kernel_version()) >= (4, 8):
        # before 4.8 a tracer could change a call after the filter had looked at it
        allowed.update(("process_vm_readv", "process_vm_writev", "ptrace"))

    rules: list[Document] = [{"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"}]
    rules.append(_allow("socket", "SCMP_CMP_LT", 12))
    rules.extend(_allow("socket", "SCMP_CMP_EQ", family) for family in _FAMILIES)
    rules.extend(_allow("personality", "SCMP_CMP_EQ", value) for value in _PERSONALITIES)
    if "CAP_SYS_ADMIN" not in capabilities:
        rules.append(_allow("clone", "SCMP_CMP_MASKED_EQ", _NAMESPACE_FLAGS))
        # its flags are in memory, where a filter cannot look; ENOSYS makes C libraries use clone
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": list(architectures),
        "syscalls": rules,
    }


def _allow(name: str, operator: str, value: int) -> Document:
    return {
        "names": [name],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": value, "op": operator}],
    }


def load(
    path: str,
    capabilities: Collection[str],
    arch: str = "",
    *,
    kernel: tuple[int, int] | None = None,
) -> Document:
    """The profile in a file of docker's JSON format (or OCI's own) as `linux.seccomp`.

    Raises UsageError when the file cannot be read or is not such a profile.
    """
    try:
        document = documents.read(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the seccomp profile {path}: {error.strerror}",
            hint="--security-opt seccomp= takes the path of a JSON file, or unconfined",
        ) from None
    except ValueError as error:
        raise UsageError(
            f"the seccomp profile {path} is not JSON: {error}",
            hint="its format is that of docker's default profile",
        ) from None
    return from_docker(document, capabilities, arch, kernel=kernel, source=path)


def from_docker(
    document: object,
    capabilities: Collection[str],
    arch: str = "",
    *,
    kernel: tuple[int, int] | None = None,
    source: str = "profile",
) -> Document:
    """A decoded profile of docker's format as `linux.seccomp`.

    Its rules are kept or left out by their `includes` and `excludes` (caps, arches, minKernel),
    and `archMap` becomes the list of this machine's architectures.  Raises UsageError; `source` is
    the name that the error gives to the profile.
    """
    profile = _checked(document, source)
    name = machine(arch)
    golang, _ = MACHINES[name]
    version = kernel or kernel_version()
    result: Document = {"defaultAction": profile["defaultAction"]}
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            result[key] = profile[key]
    result["architectures"] = _architectures(profile, name)
    rules: list[Document] = []
    for rule in profile["syscalls"]:
        includes, excludes = rule["includes"], rule["excludes"]
        if includes["arches"] and golang not in includes["arches"]:
            continue
        if not all(capability in capabilities for capability in includes["caps"]):
            continue
        if includes["minKernel"] and version < includes["minKernel"]:
            continue
        if golang in excludes["arches"]:
            continue
        if any(capability in capabilities for capability in excludes["caps"]):
            continue
        if excludes["minKernel"] and version >= excludes["minKernel"]:
            continue
        kept: Document = {"names": rule["names"], "action": rule["action"]}
        if rule["errnoRet"] is not None:
            kept["errnoRet"] = rule["errnoRet"]
        if rule["args"]:
            kept["args"] = rule["args"]
        rules.append(kept)
    result["syscalls"] = rules
    return result


def _architectures(profile: Document, name: str) -> list[str]:
    own = MACHINES[name][1]
    for entry in profile["archMap"]:
        if entry["architecture"] == own[0]:
            return [own[0], *entry["subArchitectures"]]
    # the machine's own architecture can always be used, as libseccomp has it
    return [own[0], *(a for a in profile["architectures"] if a != own[0])]


def kernel_version() -> tuple[int, int]:
    """This kernel's version, for instance (6, 1)."""
    major, _, rest = os.uname().release.partition(".")
    return (_leading_number(major), _leading_number(rest))


def _leading_number(text: str) -> int:
    length = 0
    while text[length : length + 1].isdecimal():
        length += 1
    return int(text[:length] or 0)


_ACTIONS = {
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
}


def _checked(document: object, source: str) -> Document:
    """A copy with every field there and of its type.  Raises UsageError naming the wrong one."""
    if not isinstance(document, dict):
        raise _wrong(source, "it is not an object")
    if document.get("defaultAction") not in _ACTIONS:
        raise _wrong(source, f"defaultAction {document.get('defaultAction')!r} is unknown")
    profile: Document = {**document}
    if not isinstance(profile.get("defaultErrnoRet", 0) or 0, int):
        raise _wrong(source, f"defaultErrnoRet {profile['defaultErrnoRet']!r} is not a number")
    profile["architectures"] = _words(profile.get("architectures"), source, "architectures")
    if not isinstance(entries := _present(profile.get("archMap")), list):
        raise _wrong(source, "archMap is not a list")
    profile["archMap"] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("architecture"), str):
            raise _wrong(source, f"archMap has no architecture in {entry!r}")
        below = _words(entry.get("subArchitectures"), source, "subArchitectures")
        profile["archMap"].append({**entry, "subArchitectures": below})
    if not isinstance(rules := _present(profile.get("syscalls")), list):
        raise _wrong(source, "syscalls is not a list")
    profile["syscalls"] = [_checked_rule(rule, source) for rule in rules]
    return profile


def _checked_rule(rule: object, source: str) -> Document:
    if not isinstance(rule, dict):
        raise _wrong(source, f"the rule {rule!r} is not an object")
    names = _words(rule.get("names"), source, "names")
    # docker's older format has one name to a rule
    if isinstance(rule.get("name"), str) and rule["name"]:
        names.append(rule["name"])
    if not names:
        raise _wrong(source, f"a rule names no system call: {rule!r}")
    if rule.get("action") not in _ACTIONS:
        raise _wrong(source, f"the action {rule.get('action')!r} of {names[0]} is unknown")
    number = rule.get("errnoRet")
    if number is not None and not isinstance(number, int):
        raise _wrong(source, f"errnoRet {number!r} of {names[0]} is not a number")
    arguments = _present(rule.get("args"))
    if not isinstance(arguments, list) or not all(isinstance(a, dict) for a in arguments):
        raise _wrong(source, f"args of {names[0]} is not a list of objects")
    return {
        "names": names,
        "action": rule["action"],
        "errnoRet": number,
        "args": arguments,
        "includes": _condition(rule.get("includes"), source),
        "excludes": _condition(rule.get("excludes"), source),
    }


def _condition(value: object, source: str) -> Document:
    if value is not None and not isinstance(value, dict):
        raise _wrong(source, f"includes or excludes is not an object: {value!r}")
    condition = value or {}
    text = condition.get("minKernel") or ""
    major, dot, minor = str(text).partition(".")
    if text and not (dot and major.isdecimal() and minor.isdecimal()):
        raise _wrong(source, f"minKernel {text!r} is not like 4.8")
    return {
        "caps": _words(condition.get("caps"), source, "caps"),
        "arches": _words(condition.get("arches"), source, "arches"),
        "minKernel": (int(major), int(minor)) if text else None,
    }


def _present(value: object) -> object:
    # docker's own tools write null for an empty list
    return [] if value is None else value


def _words(value: object, source: str, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _wrong(source, f"{key} is not a list of names")
    return list(value)


def _wrong(source: str, what: str) -> UsageError:
    return UsageError(
        f"the seccomp profile {source} cannot be understood: {what}",
        hint="its format is that of docker's default profile",
    )
