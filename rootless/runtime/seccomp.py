"""The system call filter of a container, as bytes for the kernel.

Compiling costs some milliseconds, so the common filters are kept in the cache directory; reading
one costs what reading a small file does.  The profile and the compiler load only when needed.
Hot: loaded by `run`.
"""

from __future__ import annotations

import os
import stat

from rootless import documents, paths
from rootless.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    Document = dict[str, Any]

VERSION = "1"
"""Part of the cached files' names: raise it when the profile or the compiler changes."""

NEW_LISTENER = 8
"""SECCOMP_FILTER_FLAG_NEW_LISTENER of seccomp(2)."""

LARGEST = 4096 * 8
"""Bytes of the longest program that the kernel takes."""

RELEVANT = 0xC406FF0004
"""Mask of the capabilities that the default profile looks at; the others share a cached file."""

_SINGLE_ANSWERED = (
    "chown chown32 lchown lchown32 fchown fchown32 fchownat "
    "setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 "
    "setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 "
    "setgroups setgroups32 capset"
)


def single_id_filter() -> list[Document]:
    """The rules for a container that has one id only, in the form of OCI's `syscalls`.

    Calls that change an owner, an id or the capabilities, and the making of device nodes, are
    answered with success and not carried out: there is only one id, so they could only fail, and
    package managers give up when they do (arXiv 2405.06085).  Nothing is allowed by this that was
    not.  The filter must be loaded after the launcher's own calls of these names, or they would be
    answered as well.
    """
    done = {"action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    rules: list[Document] = [{"names": _SINGLE_ANSWERED.split(), **done}]
    for name, index in (("mknod", 1), ("mknodat", 2)):
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            # the kernel takes the low 16 bits of the mode; files, fifos and sockets can be made
            kinds = {"index": index, "value": 0o170000, "valueTwo": kind}
            rules.append({"names": [name], **done, "args": [{**kinds, "op": "SCMP_CMP_MASKED_EQ"}]})
    return rules


def program(
    capabilities: Collection[str],
    *,
    single: bool = False,
    oci: Document | None = None,
    privileged: bool = False,
    arch: str = "",
) -> bytes:
    """The filter as an array of struct sock_filter; empty if nothing is to be filtered.

    `oci` is a `linux.seccomp` object that takes the place of the default profile.  `single`: the
    container has one id only (see `single_id_filter`, whose answers take precedence).
    `privileged` (or unconfined): no profile.  `arch` is a machine (uname -m), by default this one.
    Names of system calls that are not known are skipped; `unknown_names` lists them.
    Raises UsageError for a profile that cannot be understood, HostError for a machine whose system
    calls are not known.
    """
    from rootless.runtime import bpf, profile

    if privileged and not single:
        return b""
    if privileged:
        every = profile.MACHINES[profile.machine(arch)][1]
        oci = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": list(every)}
    elif oci is None:
        oci = profile.oci_seccomp(capabilities, arch)
    return bpf.compile_seccomp(oci, arch, single_id_filter() if single else ())[0]


def unknown_names(oci: Document, arch: str = "") -> list[str]:
    """Names in a `linux.seccomp` object that no system call of this machine has."""
    from rootless.runtime import bpf

    return bpf.compile_seccomp(oci, arch)[1]


def flags(oci: Document) -> int:
    """The flags argument of seccomp(2) for a `linux.seccomp` object (its list of names).

    Raises UsageError for an unknown one.
    """
    from rootless.errors import UsageError

    known = {
        "SECCOMP_FILTER_FLAG_TSYNC": 1,
        "SECCOMP_FILTER_FLAG_LOG": 2,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
    }
    bits = 0
    for name in oci.get("flags") or ():
        if name not in known:
            raise UsageError(f"unknown seccomp flag {name!r}", hint="one of " + ", ".join(known))
        bits |= known[name]
    if _notifies(oci):
        # TSYNC only in the form that goes with a listener
        bits |= NEW_LISTENER | (16 if bits & 1 else 0)
    elif bits & 32:
        raise UsageError(
            "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for a listener"
        )
    return bits


def _notifies(oci: Document) -> bool:
    """Whether a listener is to be told.  Raises UsageError when that cannot work."""
    from rootless.errors import UsageError

    rules = oci.get("syscalls") or ()
    default = oci.get("defaultAction")
    wanted = "SCMP_ACT_NOTIFY" in [default, *(rule["action"] for rule in rules)]
    if not wanted:
        # the specification: the path is then ignored
        return False
    if not oci.get("listenerPath"):
        raise UsageError("linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs somebody to notify")
    passing = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
    about = [rule["action"] for rule in rules if "sendmsg" in rule["names"]]
    if not all(one in passing for one in about or [default]):
        raise UsageError(
            "linux.seccomp: sendmsg must be allowed, the descriptor for the listener goes that way"
        )
    return True


def default_filter(
    capability_mask: int, single: bool = False, *, unconfined: bool = False
) -> bytes:
    """The default filter for a set of capabilities (bit n for capability n), cached.

    Empty for an unconfined container, unless it has a single id.  A cache that cannot be written
    is done without.  Raises HostError for a machine whose system calls are not known.
    """
    if unconfined and not single:
        return b""
    host = os.uname()
    mask = 0 if unconfined else capability_mask & RELEVANT
    mode = ("unconfined-" if unconfined else "") + ("single" if single else "default")
    # the one thing that the default profile asks of the kernel's version
    if host.release.startswith(("2.", "3.", "4.")):
        mode += "-" + ".".join(host.release.split(".", 2)[:2])
    directory = os.path.join(paths.cache_dir(), "seccomp")
    path = f"{directory}/{host.machine}-{VERSION}-{mask:x}-{mode}.bpf"
    kept = read(path)
    if kept is not None:
        return kept
    from rootless.runtime import capabilities

    made = program(capabilities.names(mask), single=single, privileged=unconfined)
    try:
        paths.ensure(directory)
        documents.write_bytes(path, made, mode=0o600)
    except (OSError, HostError):
        # a read-only or full home costs milliseconds at each start, and nothing else
        pass
    return made


def read(path: str) -> bytes | None:
    """A cached program, or nothing if it is not there or is not to be trusted."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        # in a cache directory that others may write to, somebody could have put a filter there
        # that allows everything
        status = os.fstat(fd)
        size = status.st_size
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.getuid()
            or status.st_mode & 0o022
            or size % 8
            or not 0 < size <= LARGEST
        ):
            return None
        data = os.read(fd, size)
        return data if len(data) == size else None
    except OSError:
        return None
    finally:
        os.close(fd)
