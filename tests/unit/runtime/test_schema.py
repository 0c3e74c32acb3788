"""What the specification's JSON schemas take and refuse: vectors of our own, written from its text.

Source: runtime-spec 1.3 schema/config-schema.json, config-linux.json, defs.json, defs-linux.json.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from test_launch_plan_properties import FULL, replaced

from rootless.errors import UsageError
from rootless.runtime import schema

U16, U32, U64, I64 = (1 << 16) - 1, (1 << 32) - 1, (1 << 64) - 1, (1 << 63) - 1
ABSENT: Any = ...


def number(least: int, most: int) -> tuple[list[Any], list[Any]]:
    """Vectors of a whole number in a range."""
    return [least, most], [least - 1, most + 1, str(least), 1.5, True, [], {}]


def required(vector: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
    """The same, and it has to be there."""
    return vector[0], [ABSENT, *vector[1]]


TEXT = (["", "a", "ü"], [1, True, [], {}])
FLAG = ([True, False], [0, 1, "true", []])
TEXTS = ([[], ["a", "b"]], ["a", [1], [None], {}])
TABLE = ([ABSENT], [1, "x", []])
PATH = (["/a", "/"], ["a", "", 1])


def one_of(*words: str) -> tuple[list[Any], list[Any]]:
    return list(words), ["nonsense", words[0].lower() + "x", 1, []]


VECTORS: dict[str, tuple[list[Any], list[Any]]] = {
    "ociVersion": (["1.0.0", "1.2.0-rc.1", "1.3.0+x"], [ABSENT, 1, "", "1", "2.0.0", "x.y.z"]),
    "hostname": TEXT, "domainname": TEXT,
    "annotations": ([{}, {"a": ""}], [{"": "x"}, {"a": 1}, [], "a"]),
    "root": TABLE, "root.path": (["rootfs"], [ABSENT, 1, []]), "root.readonly": FLAG,
    "process": TABLE, "process.terminal": FLAG,
    "process.consoleSize": TABLE,
    "process.consoleSize.height": required(number(0, U16)),
    "process.consoleSize.width": required(number(0, U16)),
    "process.cwd": (["/", "/a b"], [ABSENT, "a", 1]),
    "process.env": TEXTS, "process.args": ([["a"], ["a", ""]], [ABSENT, [], ["a", 1], "a"]),
    "process.user": TABLE, "process.user.uid": number(0, U32 - 1),
    "process.user.gid": number(0, U32 - 1), "process.user.umask": number(0, 0o777),
    "process.user.additionalGids": ([[], [0, 5]], [[-1], ["5"], 5]),
    "process.capabilities": TABLE, "process.capabilities.bounding": TEXTS,
    "process.capabilities.effective": TEXTS, "process.capabilities.permitted": TEXTS,
    "process.capabilities.inheritable": TEXTS, "process.capabilities.ambient": TEXTS,
    "process.rlimits[0].type": (["RLIMIT_CORE"], [ABSENT, "RLIMIT_FOO", 1]),
    "process.rlimits[0].soft": ([0, U64], [ABSENT, -1, U64 + 1, "1"]),
    "process.rlimits[0].hard": ([0, U64], [ABSENT, -1, U64 + 1, "1"]),
    "process.noNewPrivileges": FLAG, "process.oomScoreAdj": number(-1000, 1000),
    "process.apparmorProfile": TEXT, "process.selinuxLabel": TEXT,
    "process.ioPriority.class": required(one_of("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE",
                                                "IOPRIO_CLASS_IDLE")),
    "process.ioPriority.priority": number(0, 7),
    "process.scheduler.policy": required(one_of(
        "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE",
        "SCHED_DEADLINE")),
    "process.scheduler.priority": number(-(1 << 31), (1 << 31) - 1),
    "process.scheduler.runtime": number(0, U64), "process.scheduler.period": number(0, U64),
    "process.scheduler.deadline": number(0, U64), "process.scheduler.nice": number(-20, 19),
    "process.execCPUAffinity.initial": (["0", "0-3,7"], [1, []]),
    "process.execCPUAffinity.final": (["0", "0-3,7"], [1, []]),
    "mounts": ([[]], ["x", {}, [1]]), "mounts[1].destination": (["/a"], [ABSENT, 1]),
    "mounts[1].source": TEXT, "mounts[1].type": TEXT, "mounts[1].options": TEXTS,
    "hooks": TABLE,
    **{f"hooks.{kind}": ([[], [{"path": "/a"}]], [{}, "x", [{}], [{"path": 1}]])
       for kind in ("prestart", "createRuntime", "createContainer", "startContainer",
                    "poststart", "poststop")},
    "hooks.prestart[0].path": (["/a"], [ABSENT, "a", 1]), "hooks.prestart[0].args": TEXTS,
    "hooks.prestart[0].env": TEXTS, "hooks.prestart[0].timeout": ([1, 600], [0, -1, "1", 1.5]),
    "linux": TABLE,
    "linux.namespaces": ([[], [{"type": "user", "path": "/a"}]],
                         [{}, [{}], [{"type": "pid"}, {"type": "pid"}]]),
    "linux.namespaces[1].type": (["mount"], [ABSENT, "mnt", 1]),
    "linux.namespaces[1].path": PATH,
    "linux.uidMappings[0].containerID": required(number(0, U32)),
    "linux.uidMappings[0].hostID": ([0, U32], [ABSENT, -1, U32 + 1, "0"]),
    "linux.gidMappings[0].size": ([1, U32], [ABSENT, -1, U32 + 1, "1"]),
    "linux.timeOffsets": ([{}, {"boottime": {}}], [[], {"boottime": 1}]),
    "linux.timeOffsets.boottime.secs": number(-I64 - 1, I64),
    "linux.timeOffsets.boottime.nanosecs": number(0, U32),
    "linux.devices": ([[], [{"type": "c", "path": "/d", "fileMode": 438, "uid": 0, "gid": 0}],
                       # as stat(2) says it: some engines copy that
                       [{"type": "c", "path": "/d", "fileMode": 0o20666}]],
                      [{}, [{"type": "c"}], [{"path": "/d"}], [{"type": "x", "path": "/d"}],
                       [{"type": "c", "path": "d"}], [{"type": "c", "path": "/d", "major": "1"}],
                       [{"type": "c", "path": "/d", "fileMode": 0o100000}]]),
    "linux.cgroupsPath": TEXT, "linux.sysctl": ([{}, {"a.b": "1"}], [[], {"a.b": 1}]),
    "linux.maskedPaths": TEXTS, "linux.readonlyPaths": TEXTS, "linux.mountLabel": TEXT,
    "linux.rootfsPropagation": one_of("shared", "slave", "private", "unbindable", "rshared",
                                      "rslave", "rprivate", "runbindable"),
    "linux.personality.domain": required(one_of("LINUX", "LINUX32")),
    "linux.memoryPolicy": TABLE,
    "linux.memoryPolicy.mode": required(one_of(*(f"MPOL_{name}" for name in (
        "DEFAULT", "BIND", "INTERLEAVE", "WEIGHTED_INTERLEAVE", "PREFERRED", "PREFERRED_MANY",
        "LOCAL")))),
    "linux.memoryPolicy.nodes": TEXT,
    "linux.memoryPolicy.flags": ([[], ["MPOL_F_STATIC_NODES"]], [["MPOL_F_FOO"], "x"]),
    "linux.netDevices": ([{}, {"eth0": {"name": "a"}}], [[], {"eth0": 1}, {"eth0": {"name": 1}}]),
    "linux.resources": TABLE, "linux.resources.memory": TABLE, "linux.resources.cpu": TABLE,
    "linux.resources.memory.limit": number(-I64 - 1, I64),
    "linux.resources.memory.swap": number(-I64 - 1, I64),
    "linux.resources.memory.reservation": number(-I64 - 1, I64),
    "linux.resources.cpu.shares": number(0, U64), "linux.resources.cpu.period": number(0, U64),
    "linux.resources.cpu.quota": number(-I64 - 1, I64), "linux.resources.cpu.burst": number(0, U64),
    "linux.resources.cpu.cpus": TEXT, "linux.resources.cpu.mems": TEXT,
    "linux.resources.cpu.idle": ([0, 1], [2, -1, "0"]),
    "linux.resources.pids.limit": number(-I64 - 1, I64),
    "linux.resources.blockIO.weightDevice[0].weight": number(0, U16),
    "linux.resources.blockIO.throttleReadBpsDevice[0].rate": ([0, U64], [ABSENT, -1, "1"]),
    "linux.resources.hugepageLimits[0].pageSize": (["2MB"], [ABSENT, 2]),
    "linux.resources.hugepageLimits[0].limit": ([0, U64], [ABSENT, -1, U64 + 1]),
    "linux.resources.rdma": ([{}, {"a": {}}], [[], {"a": 1}, {"a": {"hcaHandles": -1}}]),
    "linux.resources.unified": ([{}, {"a.b": "1"}], [[], {"a.b": 1}]),
    "linux.resources.devices": ([[], [{"allow": True, "type": "c", "access": "rwm"}]],
                                [{}, [{}], [{"allow": "yes"}], [{"allow": True, "major": "1"}]]),
    "linux.seccomp": TABLE,
    "linux.seccomp.defaultAction": required(one_of(
        *(f"SCMP_ACT_{name}" for name in ("KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO",
                                          "TRACE", "ALLOW", "LOG", "NOTIFY")))),
    "linux.seccomp.architectures": ([[], ["SCMP_ARCH_X86_64", "SCMP_ARCH_RISCV64"]],
                                    ["x", ["SCMP_ARCH_FOO"], ["x86_64"]]),
    "linux.seccomp.flags": ([[], ["SECCOMP_FILTER_FLAG_TSYNC"]], ["x", ["FOO"], [1]]),
    "linux.seccomp.listenerPath": PATH, "linux.seccomp.listenerMetadata": TEXT,
    "linux.seccomp.syscalls[1].names": ([["a"]], [ABSENT, [], [1], "a"]),
    "linux.seccomp.syscalls[1].errnoRet": number(0, U32),
    "linux.seccomp.syscalls[1].args[0].index": ([0, 5], [ABSENT, -1, "0"]),
    "linux.seccomp.syscalls[1].args[0].value": ([0, U64], [ABSENT, -1, U64 + 1]),
    "linux.seccomp.syscalls[1].args[0].valueTwo": number(0, U64),
    "linux.seccomp.syscalls[1].args[0].op": one_of(
        *(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))),
}  # fmt: skip


def keys(path: str) -> tuple[Any, ...]:
    found: list[Any] = []
    for part in path.split("."):
        name, *indexes = part.replace("]", "").split("[")
        found += [name, *map(int, indexes)]
    return tuple(found)


CASES = [
    pytest.param(path, value, taken, id=f"{path}={'absent' if value is ... else repr(value)[:30]}")
    for path, (good, bad) in VECTORS.items()
    for values, taken in ((good, True), (bad, False))
    for value in values
]


@pytest.mark.parametrize(("path", "value", "taken"), CASES)
def test_vectors(path: str, value: Any, taken: bool) -> None:
    config = copy.deepcopy(FULL)
    for mount in config["mounts"]:
        mount.setdefault("options", [])
    try:
        config = replaced(config, keys(path), value)
    except KeyError:
        assert value is ABSENT
    if taken:
        schema.check_config(config)
        return
    with pytest.raises(UsageError) as found:
        schema.check_config(config)
    # the place itself, or one inside of it
    assert found.value.message.startswith(path), found.value.message


@pytest.mark.parametrize("place", [(), ("process",), ("linux",), ("linux", "resources"), ("root",)])
def test_what_is_not_known_is_carried(place: tuple[str, ...]) -> None:
    schema.check_config(replaced(FULL, (*place, "org.example.new"), {"a": [1, None]}))


@pytest.mark.parametrize("path", [path for path in VECTORS if path.count(".") < 3])
def test_null_is_as_good_as_absent(path: str) -> None:
    required = ABSENT in VECTORS[path][1]
    config = replaced(FULL, keys(path), None)
    if path == "linux.seccomp.listenerPath":
        config["linux"]["seccomp"].pop("listenerMetadata")
    if required:
        with pytest.raises(UsageError, match="is missing"):
            schema.check_config(config)
    else:
        schema.check_config(config)
