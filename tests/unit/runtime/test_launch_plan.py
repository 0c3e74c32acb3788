"""OCI configuration -> launch plan, without any privilege."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from rootless.errors import UsageError
from rootless.runtime import launch_plan

CONFIG: dict[str, Any] = {
    "hostname": "box",
    "root": {"path": "/rootfs"},
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["A=1"],
        "cwd": "/",
        "capabilities": {"bounding": ["CAP_KILL"]},
    },
    "mounts": [
        {"type": "proc", "source": "proc", "destination": "/proc", "options": ["nosuid"]},
        {"type": "tmpfs", "source": "tmpfs", "destination": "/dev", "options": ["mode=755"]},
    ],
    "linux": {
        "namespaces": [{"type": one} for one in ("user", "mount", "pid", "network", "uts")],
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
        "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
    },
}


def names(plan: list[Any]) -> list[str]:
    return [name for name, _ in plan]


def changed(**process: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["process"].update(process)
    return config


def test_the_order_that_security_depends_on() -> None:
    plan = names(launch_plan.plan(CONFIG, [], filter_program=b"x" * 8))
    for first, second in (
        ("propagation", "root"),
        ("root", "mount"),
        ("mount", "pivot"),
        ("pivot", "sysctl"),
        ("sysctl", "readonly"),
        ("readonly", "mask"),
        ("bounding", "user"),
        ("user", "pdeathsig"),
        ("user", "seccomp"),
        ("seccomp", "exec"),
    ):
        assert plan.index(first) < plan.index(second), (first, second)
    assert plan[-1] == "exec"


def test_a_user_with_a_single_id_gets_a_nested_namespace() -> None:
    config = changed(user={"uid": 33, "gid": 33, "additionalGids": [7]})
    plan = launch_plan.plan(config, [], single=True)
    assert ("nest", ("33", "33")) in plan
    assert dict(plan)["user"] == ("33", "33", "0")


def test_groups_are_set_where_they_can_be() -> None:
    config = changed(user={"uid": 33, "gid": 33, "additionalGids": [7, 8]})
    assert dict(launch_plan.plan(config, []))["user"] == ("33", "33", "1", "7", "8")


def test_an_unknown_namespace_is_named_by_its_path() -> None:
    config = copy.deepcopy(CONFIG)
    config["linux"]["namespaces"][2]["type"] = "foo"
    with pytest.raises(UsageError) as caught:
        launch_plan.plan(config, [])
    assert str(caught.value) == 'linux.namespaces[2].type: unknown namespace "foo"'


def test_an_unknown_bind_option_is_named() -> None:
    config = copy.deepcopy(CONFIG)
    config["mounts"].append(
        {"type": "bind", "source": "/a", "destination": "/b", "options": ["bind", "shiny"]}
    )
    with pytest.raises(UsageError, match=r'mounts\[2\].options: unknown option "shiny"'):
        launch_plan.plan(config, [])


def test_the_proc_of_a_shared_pid_namespace_is_bound() -> None:
    config = copy.deepcopy(CONFIG)
    config["linux"]["namespaces"] = [{"type": "user"}, {"type": "mount"}]
    plan = launch_plan.plan(config, [])
    assert any(name == "bind" and arguments[:2] == ("/proc", "/proc") for name, arguments in plan)
    assert not any(name == "loopback" for name, _ in plan)


def test_joining_enters_before_anything_is_given_up() -> None:
    plan = launch_plan.join_plan(CONFIG["process"], pid=7, start=9, namespaces=3, cgroup="/sys/x")
    assert names(plan)[:3] == ["cgroup-join", "join", "root-ids"]
    assert plan[1] == ("join", ("7", "9", "3"))
    other = {**CONFIG["process"], "user": {"uid": 33, "gid": 34}}
    plan = launch_plan.join_plan(other, pid=7, start=9, namespaces=3, single=True)
    assert plan[0] == ("join", ("7", "9", "3", "33", "34"))
