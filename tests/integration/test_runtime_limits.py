"""linux.resources of a bundle and labels of AppArmor, where there are such things: a user's systemd
with controllers delegated, in the machine of tests/vm.  Every figure is read from inside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)
from test_systemd import as_user, kernel, outside, wait_for

pytestmark = [pytest.mark.systemd, pytest.mark.usefixtures("everyone")]

FILES = ("memory.max memory.swap.max memory.low cpu.max cpu.weight cpu.idle cpuset.cpus "
         "cpuset.mems pids.max io.max memory.high").split()  # fmt: skip


@pytest.fixture(params=["systemd", "cgroupfs"])
def limited(request: pytest.FixtureRequest, runtime: Runtime) -> Runtime:  # noqa: F811
    """A runtime under each manager of cgroups; `cgroupfs` in a scope that is delegated to it."""
    command = runtime.command
    if request.param == "cgroupfs":
        command.words = [*outside(), "-p", "Delegate=yes", "env",
                         f"XDG_RUNTIME_DIR={command.place.env['XDG_RUNTIME_DIR']}",
                         *command.words]  # fmt: skip
    command.words = [*command.words, "--cgroup-manager", request.param]
    return runtime


def seen(runtime: Runtime) -> dict[str, str]:  # noqa: F811
    """The files of its cgroup as the container sees them."""
    script = "cd /sys/fs/cgroup; " + "; ".join(f"echo {n} $(cat {n} 2>&1)" for n in FILES)
    lines = runtime.sh(script).splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def test_resources_are_what_was_asked_for(limited: Runtime) -> None:
    device = os.stat("/").st_dev
    disk = f"{os.major(device)}:{os.minor(device)}"
    rate = {"major": os.major(device), "minor": os.minor(device)}
    limited.config["linux"]["resources"] = {
        "memory": {"limit": 64 << 20, "swap": 80 << 20, "reservation": 16 << 20},
        "cpu": {"quota": 30000, "period": 50000, "shares": 512, "cpus": "0", "mems": "0"},
        "pids": {"limit": 44},
        "blockIO": {
            "throttleReadBpsDevice": [{**rate, "rate": 1 << 20}],
            "throttleWriteIOPSDevice": [{**rate, "rate": 500}],
        },
        "unified": {"memory.high": str(48 << 20)},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    found = seen(limited)
    assert found["memory.max"] == str(64 << 20)
    assert found["memory.swap.max"] == str(16 << 20)
    assert found["memory.low"] == str(16 << 20)
    assert found["memory.high"] == str(48 << 20)
    assert found["cpu.max"] == "30000 50000"
    assert 50 <= int(found["cpu.weight"]) <= 60
    assert (found["cpuset.cpus"], found["cpuset.mems"]) == ("0", "0")
    assert found["pids.max"] == "44"
    assert found["io.max"].startswith(disk) and "rbps=1048576" in found["io.max"]
    assert "wiops=500" in found["io.max"]
    # several lines of one file are several writes
    limited.config["linux"]["resources"] = {
        "unified": {"io.max": f"{disk} rbps=2097152\n{disk} wbps=4194304"},
    }
    assert "rbps=2097152 wbps=4194304" in seen(limited)["io.max"]
    # idle takes the place of a weight
    limited.config["linux"]["resources"] = {"cpu": {"idle": 1}}
    if kernel() >= (5, 15):
        assert seen(limited)["cpu.idle"] == "1"
    else:
        said = limited.run("true", code=1).stderr
        assert "the limit cpu.idle=1 cannot be applied: this cgroup has no such file" in said


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "hugetlb"),
        ({"rdma": {"mlx": {"hcaHandles": 1}}}, "rdma"),
        ({"unified": {"nonsense.max": "1"}}, "nonsense"),
        ({"unified": {"memory.nonsense": "1"}}, "memory.nonsense"),
        ({"cpu": {"cpus": "77"}}, "cpuset.cpus=77"),
        ({"cpu": {"quota": 1}}, "cpu.max"),
    ],
)
def test_what_is_not_delegated_or_not_there(
    runtime: Runtime,  # noqa: F811
    resources: dict[str, Any],
    said: str,
) -> None:
    runtime.command.words = [*runtime.command.words, "--cgroup-manager", "systemd"]
    runtime.config["linux"]["resources"] = resources
    assert said in runtime.run("true", code=1).stderr
    assert runtime("list", "-q").stdout == ""


def test_verbs_that_need_a_cgroup(runtime: Runtime) -> None:  # noqa: F811
    runtime.command.words = [*runtime.command.words, "--cgroup-manager", "systemd"]
    runtime.config["linux"]["resources"] = {"pids": {"limit": 50}}
    runtime.create("c", "sh", "-c", "sleep 1000 & sleep 1000; true")
    runtime("start", "c")
    wait_for("processes", lambda: len(runtime("ps", "--format", "json", "c").json()) == 3)
    runtime("pause", "c")
    assert runtime.state("c")["status"] == "paused"
    assert "is paused" in runtime("exec", "c", "true", code=1).stderr
    runtime("resume", "c")
    assert runtime("exec", "c", "cat", "/proc/self/cgroup").stdout == "0::/\n"
    runtime("update", "--memory", str(32 << 20), "--pids-limit", "20", "c")
    files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"]
    assert runtime("exec", "c", "cat", *files).stdout == f"{32 << 20}\n20\n"
    path = runtime.bundle / "resources.json"
    path.write_text(json.dumps({"memory": {"limit": 4096, "checkBeforeUpdate": True}}))
    assert "are in use" in runtime("update", "-r", path, "c", code=1).stderr
    path.write_text(json.dumps({"cpu": {"shares": 2}, "unified": {"memory.high": "16777216"}}))
    runtime("update", "-r", path, "c")
    assert runtime("exec", "c", "cat", "/sys/fs/cgroup/memory.high").stdout == "16777216\n"
    data = runtime("stats", "c").json()["data"]
    assert data["pids"]["limit"] == 20
    assert data["memory"]["usage"]["usage"] > 0
    assert runtime("events", "--stats", "c").json()["type"] == "stats"
    # all of it, by the cgroup
    runtime("kill", "--all", "c", "KILL")
    runtime.wait("c", "stopped", 30)
    runtime("delete", "c")


@pytest.mark.long
def test_little_memory(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    """How little is enough to start, beside others."""
    names = ["rootless-runtime", *(name for name in ("crun", "runc") if shutil.which(name))]
    command = runtime.command
    environment = {**os.environ, **command.place.env,
                   "XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}"}  # fmt: skip
    # old ones refuse a newer number, and systemd's units have names
    runtime.config.update(ociVersion="1.0.2")
    runtime.config["process"]["args"] = ["true"]
    runtime.config["root"]["readonly"] = True
    table: dict[str, dict[str, str]] = {}
    for kib in (512, 1024, 4096, 16384):
        limits = {"memory": {"limit": kib << 10}}
        runtime.config["linux"].update(resources=limits, cgroupsPath=f"user.slice:little:{kib}")
        runtime.write()
        for name in names:
            words = [name, "--systemd-cgroup", "--root", str(runtime.bundle / name)]
            if name == names[0]:
                words[:1] = command.words
            found = subprocess.run(
                [*words, "run", "--bundle", str(runtime.bundle), f"{name}-{kib}"],
                env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=200,
            )  # fmt: skip
            said = found.stderr.strip().splitlines()
            result = "starts" if found.returncode == 0 else f"fails: {said[-1:]}"
            table.setdefault(f"{kib} KiB", {})[name] = result
    with capsys.disabled():
        print(f"\n{'memory limit':14}" + "".join(f"{name:20}" for name in names))
        for limit, row in table.items():
            print(f"{limit:14}" + "".join(f"{row[name][:18]:20}" for name in names))
    assert table["1024 KiB"]["rootless-runtime"] == "starts", table


PROFILE = """profile rootless-test flags=(attach_disconnected) {
  file, capability, signal, mount, umount, network, ptrace, unix,
  deny /forbidden r,
}
"""


def test_a_profile_of_apparmor(runtime: Runtime) -> None:  # noqa: F811
    (runtime.bundle / "rootfs/forbidden").write_text("text\n")
    load = f"cat >/tmp/profile <<'END'\n{PROFILE}END\napparmor_parser -r /tmp/profile"
    done = as_user("root", load)
    assert done.returncode == 0, done.stdout
    try:
        runtime.config["process"]["apparmorProfile"] = "rootless-test"
        script = "cat /proc/self/attr/current; cat /forbidden; true"
        assert runtime.sh(script) == "rootless-test (enforce)\n"
        runtime.create("c", "sleep", "1000")
        runtime("start", "c")
        assert runtime("exec", "c", "sh", "-c", script).stdout == "rootless-test (enforce)\n"
        runtime("delete", "--force", "c")
        runtime.config["process"]["apparmorProfile"] = "unconfined"
        assert runtime.sh(script) == "unconfined\ntext\n"
        runtime.create("d", "sleep", "1000")
        runtime("start", "d")
        found = runtime("exec", "--apparmor", "rootless-test", "d", "sh", "-c", script)
        assert found.stdout == "rootless-test (enforce)\n"
        runtime.config["process"]["apparmorProfile"] = "not-there"
        found = runtime.run("true", code=1)
        assert 'process.apparmorProfile: "not-there"' in found.stderr
    finally:
        as_user("root", "apparmor_parser -R /tmp/profile")
