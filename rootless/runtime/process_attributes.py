"""How the kernel treats a process: priorities, processors, memory nodes and labels, as operations.

Source: runtime-spec 1.3 config.md, "Linux Process"; config-linux.md, "Memory policy".
"""

from __future__ import annotations

from rootless.errors import UsageError
from rootless.runtime import operations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.documents import Json
    from rootless.runtime.plan_format import Record

_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_POLICIES = {"SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5,
             "SCHED_DEADLINE": 6}  # fmt: skip
_SCHED_FLAGS = {"SCHED_FLAG_RESET_ON_FORK": 1, "SCHED_FLAG_RECLAIM": 2, "SCHED_FLAG_DL_OVERRUN": 4,
                "SCHED_FLAG_KEEP_POLICY": 8, "SCHED_FLAG_KEEP_PARAMS": 16,
                "SCHED_FLAG_UTIL_CLAMP_MIN": 32, "SCHED_FLAG_UTIL_CLAMP_MAX": 64}  # fmt: skip
MEMORY_MODES = {
    "MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6,
}  # fmt: skip
MEMORY_FLAGS = {
    "MPOL_F_STATIC_NODES": 1 << 15,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_NUMA_BALANCING": 1 << 13,
}


def scheduling(process: Json) -> list[Record]:
    """ioPriority and scheduler.  Raises UsageError for an unknown word."""
    ops: list[Record] = []
    priority = process.get("ioPriority")
    if priority:
        level = priority.get("priority") or 0
        ops.append(operations.io_priority(_CLASSES[priority["class"]], level))
    scheduler = process.get("scheduler")
    if scheduler:
        bits = 0
        for number, name in enumerate(scheduler.get("flags") or ()):
            if name not in _SCHED_FLAGS:
                raise UsageError(f'process.scheduler.flags[{number}]: unknown flag "{name}"')
            bits |= _SCHED_FLAGS[name]
        if scheduler["policy"] not in _POLICIES:
            raise UsageError(f"process.scheduler.policy: {scheduler['policy']} is not in Linux")
        numbers = [
            scheduler.get(name) or 0
            for name in ("nice", "priority", "runtime", "deadline", "period")
        ]
        ops.append(operations.scheduler(_POLICIES[scheduler["policy"]], bits, *numbers))
    return ops


def affinity(process: Json, which: str) -> list[Record]:
    """execCPUAffinity: the processors before (`initial`) and after (`final`) the cgroup is entered.

    Of a further process alone: a container's first one has none.  Raises UsageError.
    """
    chosen = (process.get("execCPUAffinity") or {}).get(which)
    if not chosen:
        return []
    found = numbers(chosen, f"process.execCPUAffinity.{which}", "processors")
    return [operations.affinity(found)]


def memory_policy(linux: Json) -> list[Record]:
    """linux.memoryPolicy, as set_mempolicy(2) takes it.  Raises UsageError."""
    policy = linux.get("memoryPolicy")
    if not policy:
        return []
    mode = MEMORY_MODES[policy["mode"]]
    for name in policy.get("flags") or ():
        mode |= MEMORY_FLAGS[name]
    nodes = policy.get("nodes") or ""
    found = numbers(nodes, "linux.memoryPolicy.nodes", "memory nodes") if nodes else []
    return [operations.memory_policy(mode, found)]


def labels(process: Json) -> list[Record]:
    """apparmorProfile and selinuxLabel, set when the process executes.

    Whether the kernel has them is for the caller to know (bundles.py).
    """
    ops: list[Record] = []
    if process.get("selinuxLabel"):
        ops.append(operations.label("exec", process["selinuxLabel"]))
    profile = process.get("apparmorProfile")
    if profile and profile != "unconfined":
        # its own directory since Linux 5.1, where several security modules can be at work
        ops.append(operations.label("apparmor/exec", "exec " + profile))
    return ops


def numbers(text: str, path: str, what: str) -> list[int]:
    """`0-3,7` -> numbers.  Raises UsageError that names the JSON path.

    Bounded before anything is made of it (CVE-2018-20699: a list that fills the memory).
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        good = first.isascii() and first.isdigit() and len(last or first) < 6
        if not good or (dash and not (last.isascii() and last.isdigit())):
            raise UsageError(f'{path}: "{text[:60]}" is no list of {what}')
        if not int(first) <= int(last or first) <= 8191:
            raise UsageError(f'{path}: "{text[:60]}" is no list of {what} between 0 and 8191')
        found += range(int(first), int(last or first) + 1)
    return found
