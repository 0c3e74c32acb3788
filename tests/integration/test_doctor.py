"""`doctor` on hosts that lack something: each is made for the test, by namespaces and flags."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from conftest import Command

pytestmark = pytest.mark.usefixtures("everyone")
Checks = dict[str, dict[str, Any]]


def examine(rootless: Command, *before: str, code: int = 0, **env: str) -> Checks:
    """The lines by name, of `doctor` started by these words."""
    done = subprocess.run(
        [*before, *rootless.words, "doctor", "--format", "json"],
        env={**rootless.place.env, **env}, cwd=rootless.place.work, capture_output=True,
        stdin=subprocess.DEVNULL, timeout=200,
    )  # fmt: skip
    assert done.returncode == code, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["works"] == (code == 0)
    for line in found["checks"]:
        assert line["status"] in ("fine", "limited", "missing")
        # what is wrong has a sentence that says how it works then
        assert line["text"] and not line["text"].endswith(".")
    return {line["name"]: line for line in found["checks"]}


def host(script: str, *unshared: str) -> list[str]:
    """Words that change the host as the script says, for what follows them alone."""
    return ["unshare", "--user", "--map-root-user", *unshared, "sh", "-ec", f'{script}; exec "$@"',
            "sh"]  # fmt: skip


def test_here_everything_that_is_required_is_fine(rootless: Command) -> None:
    checks = examine(rootless)
    assert all(line["status"] == "fine" for line in checks.values() if line["required"])
    text = rootless("doctor").stdout
    assert text.endswith("containers can run here\n")
    for name, line in checks.items():
        assert f"  {name} " in text or f"  {name}\n" in text
        if line["status"] != "fine" and line["command"]:
            # alone on its line, so that it can be copied
            assert line["command"] in line["remedy"]
            assert line["command"] in map(str.strip, text.splitlines())


def test_programs_for_single_files(rootless: Command) -> None:
    names = ("squashfuse", "mksquashfs", "fuse-python")
    checks = examine(rootless)
    assert {checks[name]["status"] for name in names} == {"fine"}
    hide = "for i in {}; do mount --bind /dev/null /usr/bin/$i; done"
    words = host(hide.format("squashfuse squashfuse_ll mksquashfs"), "--mount")
    without = examine(rootless, *words)
    assert without["squashfuse"]["status"] == without["mksquashfs"]["status"] == "limited"
    assert "apt-get install squashfs-tools" in without["mksquashfs"]["remedy"]
    older = examine(rootless, *host(hide.format("squashfuse_ll"), "--mount"))
    assert "not squashfuse_ll" in older["squashfuse"]["text"]
    assert older["mksquashfs"] == checks["mksquashfs"]


def test_user_namespaces_that_are_switched_off(rootless: Command) -> None:
    words = host("echo 0 >/proc/sys/user/max_user_namespaces")
    line = examine(rootless, *words, code=125)["user namespaces"]
    assert line["status"] == "missing"
    assert "user.max_user_namespaces=28633" in line["remedy"]
    text = subprocess.run(
        [*words, *rootless.words, "doctor"], env=rootless.place.env, capture_output=True, text=True
    ).stdout
    assert text.endswith("containers cannot run here\n")
    first, how, command = text.splitlines()[:3]
    assert first.startswith("missing  user namespaces ")
    assert how.strip() == "fix, as root:"
    assert command.strip() == line["command"]
    # problems first
    marks = [row[:7] for row in text.splitlines() if row[:7] in ("missing", "limited", "ok     ")]
    assert marks == sorted(marks, key=["missing", "limited", "ok     "].index)


def test_no_new_privileges_take_the_helpers_away(rootless: Command) -> None:
    checks = examine(rootless, "setpriv", "--no-new-privs")
    mine = examine(rootless)
    if mine["newuidmap"]["text"] == "not needed":
        assert checks["newuidmap"] == mine["newuidmap"]
    else:
        assert checks["newuidmap"]["status"] == "limited"
        assert "single id" in checks["newuidmap"]["text"]


def test_subordinate_ids(rootless: Command) -> None:
    line = examine(rootless)["subordinate ids"]
    with open("/etc/subuid") as file:
        given = any(row.startswith(f"{os.environ['USER']}:") for row in file)
    assert line["status"] == ("fine" if given else "limited")
    if not given:
        words = line["remedy"].split()
        assert words[2:4] == ["usermod", "--add-subuids"]
        first, last = (int(number) for number in words[4].split("-"))
        assert last - first + 1 == 65536
        for path in ("/etc/subuid", "/etc/subgid"):
            with open(path) as file:
                for begin, count in (map(int, row.split(":")[1:]) for row in file):
                    assert begin > last or begin + count <= first, "somebody else's"
        # an error says the same
        done = rootless("run", "--rm", "--userns", "auto", "rootless/hello", code=125)
        assert line["remedy"] in done.stderr


def test_a_directory_that_other_programs_have_elsewhere(rootless: Command) -> None:
    line = examine(rootless)["directories"]
    assert line["status"] == "fine"
    line = examine(rootless, XDG_CONFIG_HOME="relative")["directories"]
    assert line["status"] == "limited"
    assert "XDG_CONFIG_HOME=relative is relative and ignored" in line["text"]
    assert line["remedy"] == f"export XDG_CONFIG_HOME={rootless.place.home}/.config"


def test_devices_that_are_not_there(rootless: Command) -> None:
    script = (
        "mount -t tmpfs none /mnt; for n in null zero random urandom tty; do touch /mnt/$n;"
        "mount --bind /dev/$n /mnt/$n; done; mount --rbind /mnt /dev"
    )
    checks = examine(rootless, *host(script, "--mount"))
    for name, module in (("/dev/fuse", "fuse"), ("/dev/net/tun", "tun")):
        assert checks[name]["status"] == "limited"
        # in somebody else's container the remedy is that one's
        contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
        wanted = f"--device {name}" if contained else f"modprobe {module}"
        assert wanted in checks[name]["remedy"]


def test_programs_that_are_not_there(rootless: Command) -> None:
    script = "for p in slirp4netns fuse-overlayfs; do mount --bind /dev/null /usr/bin/$p; done"
    checks = examine(rootless, *host(script, "--mount"))
    assert checks["slirp4netns"]["status"] == "limited"
    assert "apt-get install slirp4netns" in checks["slirp4netns"]["remedy"]


def test_a_runtime_directory_that_is_not_there_or_not_ours(rootless: Command) -> None:
    line = examine(rootless, "env", "-u", "XDG_RUNTIME_DIR")["XDG_RUNTIME_DIR"]
    assert line["status"] == "limited"
    assert f"is not set: /tmp/rootless-{os.getuid()} is used instead" in line["text"]
    line = examine(rootless, XDG_RUNTIME_DIR="/root")["XDG_RUNTIME_DIR"]
    assert "/root is not yours to write to" in line["text"]


def test_ping_and_low_ports(rootless: Command) -> None:
    sysctls = "/proc/sys/net/ipv4"
    open_host = host(f"echo 0 >{sysctls}/ip_unprivileged_port_start;"
                     f"echo '0 0' >{sysctls}/ping_group_range", "--net")  # fmt: skip
    checks = examine(rootless, *open_host)
    assert (checks["ping"]["status"], checks["low ports"]["status"]) == ("fine", "fine")
    # a new network namespace lets no group ping
    closed_host = host(f"echo 1024 >{sysctls}/ip_unprivileged_port_start", "--net")
    checks = examine(rootless, *closed_host)
    assert (checks["ping"]["status"], checks["low ports"]["status"]) == ("limited", "limited")
    assert "net.ipv4.ping_group_range=" in checks["ping"]["remedy"]
    assert "net.ipv4.ip_unprivileged_port_start=80" in checks["low ports"]["remedy"]


def test_a_home_that_cannot_hold_containers(rootless: Command) -> None:
    data = rootless.place.data
    full = examine(rootless, *host(f"mount -t tmpfs -o size=1m none {data}", "--mount"))
    assert full["home file system"]["status"] == "limited"
    assert "0.0 GB left" in full["home file system"]["text"]
    noexec = host(f"mount -t tmpfs -o noexec none {data}", "--mount")
    line = examine(rootless, *noexec, code=125)["home file system"]
    assert line["status"] == "missing"
    assert "is mounted noexec" in line["text"]


def test_no_cgroups_are_told(rootless: Command) -> None:
    line = examine(rootless, *host("mount -t tmpfs none /sys/fs/cgroup", "--mount"))["cgroups"]
    assert line["status"] == "limited"
    assert "no limits, no pause" in line["text"]
    assert "Delegate=cpu cpuset io memory pids" in line["remedy"]
