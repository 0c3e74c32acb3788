"""From any config.json to a launch plan: an error that names the value, or a plan with it all."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from rootless.cgroups import limits
from rootless.cgroups import oci as cgroups
from rootless.cgroups.managers import Manager
from rootless.errors import RootlessError
from rootless.runtime import bundles, launch_plan, mounts, operations, plan_format, schema
from rootless.runtime import orders as to_helper

ONE = [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
HOOK = {"path": "/bin/true", "args": ["true", "x"], "env": ["A=b"], "timeout": 3}
RATE = [{"major": 8, "minor": 0, "rate": 100}]

# every field of the specification that means something on Linux, with a value that is accepted
FULL: dict[str, Any] = {
    "ociVersion": "1.2.0",
    "hostname": "host", "domainname": "domain", "annotations": {"a.b": "c"},
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "terminal": True, "consoleSize": {"height": 20, "width": 70},
        "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [5]},
        "args": ["true", "x"], "env": ["PATH=/bin"], "cwd": "/tmp",
        "capabilities": {
            **{name: ["CAP_CHOWN", "CAP_KILL"] for name in ("bounding", "effective", "permitted")},
            "inheritable": ["CAP_CHOWN", "CAP_FOWNER"], "ambient": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}],
        "noNewPrivileges": True, "oomScoreAdj": 7,
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5},
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3, "priority": 0, "runtime": 5, "period": 9,
                      "deadline": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        "execCPUAffinity": {"initial": "0", "final": "0-1"},
    },
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/t", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "size=64k", "rnoexec", "tmpcopyup", "shared"]},
        {"destination": "/b", "type": "bind", "source": "/usr",
         "options": ["rbind", "ro", "rnosuid", "rslave", "dev", "rexec"]},
        {"destination": "m", "type": "none", "source": "rootfs", "options": ["bind", "idmap"],
         "uidMappings": [dict(ONE[0])], "gidMappings": [dict(ONE[0])]},
    ],
    "hooks": {name: [HOOK] for name in (
        "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")},
    "linux": {
        "namespaces": [{"type": name} for name in (
            "user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time")],
        "uidMappings": ONE, "gidMappings": [{**ONE[0], "hostID": os.getgid()}],
        "timeOffsets": {"boottime": {"secs": 5, "nanosecs": 6}},
        "cgroupsPath": "user.slice:a:b",
        "rootfsPropagation": "rslave", "sysctl": {"kernel.domainname": "x"},
        "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
        "personality": {"domain": "LINUX32"},
        "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
        "devices": [
            {"type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 438, "uid": 0,
             "gid": 0},
            {"type": "p", "path": "/pipe", "fileMode": 384, "uid": 0, "gid": 0},
        ],
        "resources": {
            "memory": {"limit": 1 << 26, "reservation": 1 << 25, "swap": 1 << 27},
            "cpu": {"shares": 512, "quota": 50000, "burst": 100, "period": 100000, "cpus": "0",
                    "mems": "0", "idle": 0},
            "pids": {"limit": 30},
            "blockIO": {"weight": 100,
                        "weightDevice": [{"major": 8, "minor": 0, "weight": 50}],
                        **{f"throttle{name}Device": RATE
                           for name in ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")}},
            "devices": [{"allow": False, "access": "rwm"}],
            "hugepageLimits": [{"pageSize": "2MB", "limit": 1 << 21}],
            "rdma": {"mlx": {"hcaHandles": 1, "hcaObjects": 2}},
            "unified": {"memory.high": "100"},
        },
        "seccomp": {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"], "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "listenerPath": "/agent", "listenerMetadata": "m",
            "syscalls": [
                {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
                {"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7,
                 "args": [{"index": 1, "value": 3, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
            ],
        },
    },
}  # fmt: skip

# what has no effect in this configuration, and why that is right
NO_EFFECT = {
    "ociVersion": "checked, and otherwise the same for every 1.x",
    "root.path": "refused unless it is a directory; `compiled` looks at the rest",
    "process.capabilities.effective[*]": "exec makes them from the others, as capabilities(7) says",
    "process.capabilities.permitted[*]": "exec makes them from the others, as capabilities(7) says",
    "process.execCPUAffinity.initial": "the specification: not for a container's first process",
    "process.execCPUAffinity.final": "the specification: not for a container's first process",
    "linux.devices[0].uid": "everybody may read and write this node, whosever it is",
    "linux.devices[0].gid": "everybody may read and write this node, whosever it is",
    "linux.resources.devices[0].allow": "no node can be made inside that is not bound already",
    "linux.resources.devices[0].access": "no node can be made inside that is not bound already",
    "mounts[3].type": "with the option bind it is a bind mount, whatever the type says",
    "mounts[2].type": "with the option rbind it is a bind mount, whatever the type says",
    "linux.cgroupsPath": "names the cgroup when it is made, not in the plan",
    "linux.seccomp.listenerPath": "read when the container starts, from the kept configuration",
    "linux.seccomp.listenerMetadata": "read when the container starts, from the kept configuration",
    "hooks.prestart": "run by whoever calls, from the kept configuration",
    "hooks.createRuntime": "run by whoever calls, from the kept configuration",
    "hooks.poststart": "run by whoever calls, from the kept configuration",
    "hooks.poststop": "run by whoever calls, from the kept configuration",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle's directory; the cache of filters is beside it."""
    path = tmp_path_factory.mktemp("bundle")
    (path / "rootfs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path / "cache"))
        yield path


def compiled(directory: Path, text: str) -> tuple[Any, ...]:
    """What becomes of a configuration before a process is made.  Raises RootlessError."""
    (directory / "config.json").write_text(text)
    bundle = bundles.Bundle(str(directory))
    config = bundle.config
    program, flags = bundle.filter()
    told = json.dumps([config.get("annotations"), bundle.told])
    gate = launch_plan.Gate(4, config["hooks"], (told, told))
    plan = launch_plan.plan(
        config, [], filter_program=program, filter_flags=flags, single=bundle.single, gate=gate
    )
    orders = bundle.namespace_orders()
    plan_format.encode(plan, operations.NUMBERS)
    plan_format.encode(orders, to_helper.NUMBERS)
    limits = cgroups.resources(config["linux"].get("resources"))
    return plan, orders, {name: getattr(limits, name) for name in limits.__slots__}


def leaves(value: Any, path: str = "", keys: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(JSON path, keys) of everything that is neither a table nor a list."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}".lstrip("."), (*keys, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, f"{path}[{number}]", (*keys, number))
    else:
        yield path, keys


def replaced(config: Any, keys: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value there; or without it, for `...`."""
    made = copy.deepcopy(config)
    place = made
    for key in keys[:-1]:
        place = place[key]
    if value is ...:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return made


def excused(path: str) -> bool:
    names = (path, path.rsplit("[", 1)[0] + "[*]", ".".join(path.split("[")[0].split(".")[:2]))
    return any(name in NO_EFFECT for name in names)


@pytest.mark.parametrize(("path", "keys"), [pytest.param(*one, id=one[0]) for one in leaves(FULL)])
def test_no_field_is_dropped_in_silence(directory: Path, path: str, keys: tuple[Any, ...]) -> None:
    value = FULL
    for key in keys:
        value = value[key]
    if isinstance(value, bool):
        other: Any = not value
    elif isinstance(value, int):
        other = value + 1
    else:
        other = value + "x"
    before = compiled(directory, json.dumps(FULL))
    try:
        same = before == compiled(directory, json.dumps(replaced(FULL, keys, other)))
    except RootlessError as error:
        assert str(error)
        return
    assert not same or excused(path), f"{path}: {other!r} makes no difference"
    assert same or path not in NO_EFFECT, f"{path} has an effect after all"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("linux", "intelRdt"), {"closID": "x"}),
        (("linux", "netDevices"), {"eth0": {"name": "eth1"}}),
        (("linux", "mountLabel"), "label"),
        (("process", "selinuxLabel"), "label"),
        (("process", "apparmorProfile"), "profile"),
        (("process", "scheduler", "policy"), "SCHED_ISO"),
        (("linux", "personality", "flags"), ["x"]),
        (("linux", "resources", "network"), {"classID": 5}),
        (("linux", "resources", "memory", "kernel"), 5),
        (("linux", "resources", "memory", "swappiness"), 50),
        (("linux", "resources", "cpu", "realtimeRuntime"), 5),
        (("linux", "resources", "blockIO", "leafWeight"), 50),
        (("linux", "resources", "blockIO", "weightDevice", 0, "leafWeight"), 50),
        (("linux", "resources", "memory", "useHierarchy"), False),
        (("linux", "memoryPolicy", "mode"), "MPOL_FOO"),
        (("linux", "memoryPolicy", "nodes"), "0-9999999"),
        (("linux", "seccomp", "syscalls", 0, "errnoRet"), 5),
        (("linux", "seccomp", "defaultErrnoRet"), 5),
        (("linux", "devices", 0, "major"), 4000),
        (("linux", "devices", 0, "minor"), None),
        (("linux", "namespaces", 5), {"type": "pid"}),
        (("linux", "namespaces"), [{"type": "user"}, {"type": "mount"}]),
        (("mounts", 1, "options"), ["idmap"]),
        (("mounts", 2, "options"), ["tmpcopyup", "bind"]),
        (("mounts", 2, "options"), ["bind", "nonsense"]),
        (("mounts", 0), {"destination": "/c", "type": "cgroup", "options": ["memory"]}),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(
    directory: Path, keys: tuple[Any, ...], value: Any
) -> None:
    with pytest.raises(RootlessError) as found:
        compiled(directory, json.dumps(replaced(FULL, keys, value)))
    shown = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    names = {"linux.namespaces": "hostname", "linux.devices[0].major": "linux.devices[0]",
             "linux.namespaces[5]": "linux.namespaces[5].type"}  # fmt: skip
    assert names.get(shown[1:], shown[1:]) in found.value.message


ODD: some.SearchStrategy[Any] = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=20),
    some.sampled_from([
        "", "\0", "a\nb", "../..", "/", "relative/path", "\ud800", "4294967296", -1, 1 << 64,
        1e400, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, "x" * 5000, "CAP_FOO",
    ]),
    some.lists(some.integers(), max_size=3),
    some.dictionaries(some.text(max_size=5), some.integers(), max_size=3),
)  # fmt: skip
PLACES: list[tuple[Any, ...]] = []


def _places(value: Any, keys: tuple[Any, ...] = ()) -> None:
    if keys:
        PLACES.append(keys)
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in items:
            _places(one, (*keys, key))


_places(FULL)
MUTATIONS = some.lists(
    some.tuples(some.sampled_from(PLACES), some.one_of(some.just(...), ODD)), min_size=1, max_size=4
)


def told(error: RootlessError) -> None:
    """An error for a person: one line, no name of a Python exception but where the value has it."""
    text = re.sub(r'"(\\.|[^"\\])*"', "", error.message)
    assert text and "Error" not in text and "Traceback" not in text, error.message
    assert len(text) < 6000


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations=MUTATIONS)
@example(mutations=[(("process", "oomScoreAdj"), float("inf"))])
@example(mutations=[(("process", "oomScoreAdj"), float("nan"))])
@example(mutations=[(("linux", "sysctl"), {"a": "b\0c"})])
def test_a_changed_configuration_is_taken_or_refused(
    directory: Path, mutations: list[tuple[tuple[Any, ...], Any]]
) -> None:
    config = FULL
    for keys, value in mutations:
        try:
            config = replaced(config, keys, value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has removed the place
    try:
        compiled(directory, json.dumps(config))
    except RootlessError as error:
        told(error)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutation=some.tuples(some.sampled_from(PLACES), ODD))
def test_what_is_refused_is_named(directory: Path, mutation: tuple[tuple[Any, ...], Any]) -> None:
    keys, value = mutation
    try:
        compiled(directory, json.dumps(replaced(FULL, keys, value)))
    except RootlessError as error:
        told(error)
        # the place, or where it makes another value wrong
        top = [str(key) for key in keys if isinstance(key, str)]
        assert any(word in error.message for word in top) or "." in error.message, error.message


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=some.one_of(some.text(max_size=40), ODD.map(lambda one: json.dumps(one))))
@example(text='{"ociVersion": "1.0.0", "ociVersion": 7}')
@example(text="[" * 100_000)
def test_a_file_that_is_no_configuration_is_refused(directory: Path, text: str) -> None:
    try:
        (directory / "config.json").write_text(text)
    except UnicodeEncodeError:
        return
    with pytest.raises(RootlessError) as found:
        compiled(directory, text)
    told(found.value)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mutation=some.tuples(
        some.sampled_from([keys[1:] for keys in PLACES if keys[0] == "process" and keys[1:]]), ODD
    )
)
def test_the_process_of_exec_is_taken_or_refused(mutation: tuple[tuple[Any, ...], Any]) -> None:
    process = replaced(FULL["process"], *mutation)
    try:
        schema.check_process(process)
        process = bundles.without_unknown_capabilities(process, [])
        plan = launch_plan.join_plan(process, pid=1, start=2, namespaces=0)
        plan_format.encode(plan, operations.NUMBERS)
    except RootlessError as error:
        told(error)


WHOLE = launch_plan.join_plan(FULL["process"], pid=1, start=2, namespaces=0, cgroup="/c")


def test_what_a_further_process_alone_has() -> None:
    """execCPUAffinity: `initial` before the cgroup is entered, `final` after it."""
    names = [name for name, _ in WHOLE]
    assert [args for name, args in WHOLE if name == "affinity"] == [("0",), ("0", "1")]
    first, last = (at for at, name in enumerate(names) if name == "affinity")
    assert first < names.index("cgroup-join") < names.index("join") < last
    none = {**FULL["process"], "execCPUAffinity": {}}
    plan = launch_plan.join_plan(none, pid=1, start=2, namespaces=0)
    assert "affinity" not in [name for name, _ in plan]


def test_labels_are_set_when_the_command_is_executed() -> None:
    """Whether the kernel has such labels is asked where the bundle is read."""
    process = {**FULL["process"], "apparmorProfile": "profile", "selinuxLabel": "u:r:t:s0"}
    plan = launch_plan.join_plan(process, pid=1, start=2, namespaces=0)
    # before anything of the container could stand where the host's procfs is
    assert plan[:3] == [
        ("oom-score", ("7",)),
        ("label", ("exec", "u:r:t:s0")),
        ("label", ("apparmor/exec", "exec profile")),
    ]
    made = launch_plan.plan({**FULL, "process": process}, [], single=True)
    assert [name for name, _ in made[:3]] == ["umask", "oom-score", "label"]
    config = replaced(FULL, ("linux", "mountLabel"), "u:r:t:s0:c1,c2")
    data = [args[4] for name, args in launch_plan.plan(config, [], single=True) if name == "mount"]
    assert data == ["", 'size=64k,context="u:r:t:s0:c1,c2"']


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ro", "rw"], ("0", "0", "", "", "1")),
        (["rw", "ro"], ("1", "0", "")),
        (["noatime", "strictatime"], ("32", "0", "")),
        (["noatime", "relatime"], ("0", "0", "", "", "112")),
        (["nosuid", "suid", "nodev"], ("4", "0", "", "", "2")),
        (["rbind", "rro", "rsuid"], ("0", "1", "", "1", "", "2")),
        (["rro", "rrw"], ("0", "0", "", "", "", "1")),
        (["nosymfollow", "rslave"], (str(0x200000), "0", str(1 << 19 | 16384))),
        (["sync", "iversion", "silent", "lazytime", "mand", "dirsync", "defaults"], ("0", "0", "")),
    ],
)
def test_options_of_a_bind_count_from_the_first_to_the_last(
    words: list[str], expected: tuple[str, ...]
) -> None:
    mount = {"destination": "/b", "source": "/usr", "options": ["bind", *words]}
    [(name, args)] = mounts.operations({"mounts": [mount], "linux": {}}, own_pid=True, own_net=True)
    assert (name, args[:3], args[3:]) == ("bind", ("/usr", "/b", "auto"), expected)


@pytest.mark.parametrize(
    ("words", "flags", "more"),
    [
        (["ro", "rw", "nosuid"], 2, ()),
        (["sync", "dirsync", "mand", "nosymfollow", "silent"], 16 | 128 | 64 | 256 | 1 << 15, ()),
        (["iversion", "lazytime", "async", "noiversion", "nolazytime"], 0, ()),
        (["remount", "ro"], 33, ()),
        (["shared", "rnodev"], 0, ("4", "", str(1 << 20))),
    ],
)
def test_options_of_a_new_mount(words: list[str], flags: int, more: tuple[str, ...]) -> None:
    mount = {"destination": "t", "type": "tmpfs", "options": [*words, "size=1k"]}
    [(_, args)] = mounts.operations({"mounts": [mount], "linux": {}}, own_pid=True, own_net=True)
    assert args == ("tmpfs", "/t", "tmpfs", str(flags), "size=1k", *(more or ("0",)))


@pytest.mark.parametrize(
    ("key", "path"),
    [("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
     ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
     ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding")],
)  # fmt: skip
def test_names_of_sysctls(key: str, path: str) -> None:
    plan = launch_plan.plan(replaced(FULL, ("linux", "sysctl"), {key: "1"}), [], single=True)
    assert ("sysctl", (path, "1")) in plan


def test_tables_of_a_cgroup_are_written_line_by_line() -> None:
    """The kernel takes one device in a write; a name may be another file's on an old kernel."""
    made = cgroups.resources({
        "rdma": {"a": {"hcaHandles": 1}, "b": {"hcaObjects": 2}},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4}],
        "unified": {"io.max": "8:0 rbps=1\n8:16 wbps=2"},
    })  # fmt: skip
    assert limits.files(made) == [
        ("hugetlb.2MB.rsvd.max", "4"), ("hugetlb.2MB.max", "4"), ("rdma.max", "a hca_handle=1"),
        ("rdma.max", "b hca_object=2"), ("io.max", "8:0 rbps=1"), ("io.max", "8:16 wbps=2"),
    ]  # fmt: skip
    assert made.controllers() == {"hugetlb", "rdma", "io"}


def test_what_everybody_has_needs_no_cgroup() -> None:
    none = Manager("not here")
    shares = cgroups.resources({"cpu": {"shares": 1024}})
    assert cgroups.placing(none, "/x", "id", shares) is None
    with pytest.raises(RootlessError, match="cpu|limits"):
        cgroups.placing(none, "/x", "id", cgroups.resources({"cpu": {"shares": 512}}))
