"""A failure that a helper reported, as a sentence for whoever asked.

Two kinds of people read them.  Users of `rootless` know options; what drives `rootless-runtime`
knows the paths of the configuration, and some look for the kernel's words.  So there is a table for
each, from the name of an operation or order to what makes the error; a function that both have
stands in both.
"""

from __future__ import annotations

import errno
import os

from rootless import host
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    HostError,
    RootlessError,
    RuntimeFailure,
)
from rootless.runtime import operations, orders
from rootless.runtime.hooks import HookFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.runtime.frames import Failure

    Sentence = Callable[["Report"], RootlessError | None]


class Report:
    """A failure with its words.

    `name`: of the operation or order; `reason`: the kernel's; `said`: what the programs around the
    container wrote to their log.
    """

    __slots__ = ("code", "index", "name", "reason", "said", "text")

    def __init__(self, failure: Failure, said: str = "") -> None:
        self.index = failure.index
        self.code = failure.code
        self.name = _name(failure.op)
        self.text = failure.text
        self.reason = os.strerror(failure.code)
        self.said = said


def of_engine(failure: Failure, said: str = "", network: Sentence | None = None) -> RootlessError:
    """For users of `rootless`.  `network`: explains the orders of the container's network."""
    report = Report(failure, said)
    special = _ENGINE.get(report.name)
    return (
        (special(report) if special else None)
        or (network(report) if network else None)
        or RuntimeFailure(
            f"the container could not be started: {report.name} {report.text}: {report.reason}",
            hint=f"operation {report.index} of its launch plan; --dry-run prints the plan",
        )
    )


def of_runtime(failure: Failure, said: str = "") -> RootlessError:
    """For whoever drives `rootless-runtime`."""
    report = Report(failure, said)
    report.reason = report.reason.lower()
    special = _RUNTIME.get(report.name)
    return (special(report) if special else None) or RuntimeFailure(
        f"the container could not be made: {report.name} {report.text}: {report.reason}"
    )


def _name(number: int) -> str:
    for table in (operations.NUMBERS, orders.NUMBERS):
        for name, value in table.items():
            if value == number:
                return name
    return f"operation {number}"


# ------------------------------------------------------------ the command


def _exec(report: Report) -> RootlessError:
    if report.code == errno.ENOENT:
        return CommandNotFound(
            f'the command "{report.text}" was not found in the container',
            hint="check its spelling and the PATH of the image, or the interpreter it names",
        )
    hint = ""
    if report.code == errno.ENOEXEC:
        hint = "it is not a program of this machine's architecture, or a script without #!"
    elif report.code == errno.EACCES:
        hint = "it lacks execute permission, or lies on a file system mounted noexec"
    return CommandNotExecutable(
        f'the command "{report.text}" cannot be executed: {report.reason}', hint=hint
    )


def _process_args(report: Report) -> RootlessError:
    if report.code == errno.ENOENT:
        # engines look for these words
        return CommandNotFound(
            f'exec: "{report.text}": executable file not found in $PATH: {report.reason}',
            hint="process.args[0] is looked up inside the root file system",
        )
    return CommandNotExecutable(f'exec: "{report.text}": {report.reason}')


def _working_directory(report: Report) -> RootlessError:
    return RuntimeFailure(
        f"the working directory {report.text} cannot be entered: {report.reason}",
        hint="choose another with -w",
    )


def _process_cwd(report: Report) -> RootlessError:
    return RuntimeFailure(f"process.cwd: cannot enter {report.text}: {report.reason}")


def _keyring(report: Report) -> RootlessError:
    return RuntimeFailure(
        f"the process cannot have a session keyring of its own: {report.reason}",
        hint="sysctl kernel.keys.maxkeys is how many keys a user may have",
    )


def _capabilities(report: Report) -> RootlessError:
    return RuntimeFailure(
        f"process.capabilities: the kernel refuses these sets: {report.reason}",
        hint="what is inheritable must be in the bounding set as well",
    )


def _label(report: Report) -> RootlessError:
    field = "apparmorProfile" if report.text.startswith("exec ") else "selinuxLabel"
    return RuntimeFailure(
        f'process.{field}: "{report.text.removeprefix("exec ")}": {report.reason}'
    )


def _seccomp(report: Report) -> RootlessError | None:
    if report.code != errno.EINVAL:
        return None
    return RuntimeFailure(
        f"linux.seccomp: the filter cannot be loaded: {report.reason}",
        hint="this kernel does not know one of linux.seccomp.flags, or an action "
        "(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV since Linux 5.19)",
    )


def _hook(report: Report) -> RootlessError:
    what = "took too long" if report.code == errno.ETIMEDOUT else "failed"
    return HookFailure(f"the hook {report.text} {what}")


def _runtime_hooks(report: Report) -> RootlessError:
    return HookFailure("a hook failed")


# ------------------------------------------------------------ namespaces and ids


def _clone(report: Report) -> RootlessError:
    refused = report.code in (errno.EPERM, errno.ENOSPC)
    return HostError(
        f"the container's namespaces cannot be made: {report.reason}",
        hint=host.namespace_remedy() if refused else "",
    )


def _map(report: Report) -> RootlessError:
    who = os.path.basename(report.text) or "the kernel"
    return HostError(
        f"{who} could not map the ids of the container: {report.said or report.reason}",
        hint="rootless doctor tells what is missing; --userns single needs no helper",
    )


def _id_mappings(report: Report) -> RootlessError:
    return HostError(f"the ids cannot be mapped: {report.said or report.reason}")


def _sysctl(report: Report) -> RootlessError:
    covered = report.code == errno.EROFS and host.current().covered_proc
    return RuntimeFailure(
        f"the sysctl {report.text} cannot be set: {report.reason}",
        hint=host.WHOLE_PROC if covered else "",
    )


def _hostname(report: Report) -> RootlessError:
    refused = report.code == errno.EPERM
    return RuntimeFailure(
        f"the host name {report.text} cannot be set: {report.reason}",
        hint=host.NO_FILTER if refused else "",
    )


# ------------------------------------------------------------ files


def _joined_proc(report: Report, where: str = "") -> RootlessError | None:
    if report.text != "joined-proc":
        return None
    return RuntimeFailure(
        f"{where}/proc of the joined pid namespace cannot be mounted: {report.reason}",
        hint="its user namespace has to be joined as well, and the /proc around must not be masked",
    )


def _mounts(report: Report) -> RootlessError | None:
    if report.text == "/proc" and host.current().covered_proc:
        return RuntimeFailure(
            f"mounts: /proc cannot be mounted: {report.reason}", hint=host.WHOLE_PROC
        )
    return _joined_proc(report, "mounts: ")


def _idmapped(report: Report) -> RootlessError | None:
    if not report.text.startswith("idmap:"):
        return None
    return RuntimeFailure(
        f"mounts: the ids of {report.text[6:]} cannot be mapped: {report.reason}",
        hint="the kernel maps only what the caller's own user namespace has mounted, and only "
        "of file systems that can be mapped (tmpfs since Linux 6.3)",
    )


def _fifo(report: Report) -> RootlessError:
    there = report.code == errno.EEXIST
    what = "something else is there already" if there else report.reason
    return RuntimeFailure(f"linux.devices: the pipe {report.text} cannot be made as asked: {what}")


def _directory(report: Report) -> RootlessError:
    from rootless import disks

    return disks.refused(report.text, OSError(report.code, report.reason))


def _server(report: Report) -> RootlessError:
    program = os.path.basename(report.text) or "a server of the container's files"
    if program.startswith("python"):
        program = "python-fuse"
    return HostError(
        f"{program} did not start: {report.said or report.reason}",
        hint="see rootless doctor, /dev/fuse",
    )


_ENGINE: dict[str, Sentence] = {
    "exec": _exec,
    "cwd": _working_directory,
    "mkdir": _working_directory,
    "keyring": _keyring,
    "clone": _clone,
    "map": _map,
    "outer": _map,
    "sysctl": _sysctl,
    "hostname": _hostname,
    "mount": _joined_proc,
    "directory": _directory,
    "fuse": _server,
}

_RUNTIME: dict[str, Sentence] = {
    "exec": _process_args,
    "lookup": _process_args,
    "cwd": _process_cwd,
    "mkdir": _process_cwd,
    "keyring": _keyring,
    "caps": _capabilities,
    "label": _label,
    "seccomp": _seccomp,
    "hook": _hook,
    "runtime-hooks": _runtime_hooks,
    "map": _id_mappings,
    "mount": _mounts,
    "bind": _idmapped,
    "fifo": _fifo,
}
