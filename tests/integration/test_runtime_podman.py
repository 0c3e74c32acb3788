"""podman with this runtime against podman with crun: the same list of checks, both columns.

Runs where podman does what it does for people: a user's systemd, in the machine of tests/vm.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Place

# tests/vm leaves this file out where the machine's release has no podman worth trying
pytestmark = pytest.mark.systemd


class Podman:
    """podman with one runtime and a store of this test."""

    def __init__(self, runtime: str, place: Place, number: int) -> None:
        # a daemon of the user's bus is asked for scopes, so the real directory is wanted
        self.env = {**os.environ, "HOME": str(place.home), "TERM": "xterm"}
        self.env["XDG_RUNTIME_DIR"] = f"/run/user/{os.getuid()}"
        base = place.base / f"podman{number}"
        self.words = ["podman", "--runtime", runtime, "--root", str(base / "root"), "--runroot",
                      str(base / "run"), "--events-backend", "file"]  # fmt: skip

    def __call__(self, *words: str, code: int | None = 0) -> str:
        found = subprocess.run(
            [*self.words, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=self.env, timeout=200,
        )  # fmt: skip
        said = f"{' '.join(words)}: {found.returncode}\n{found.stdout}\n{found.stderr}"
        assert code is None or found.returncode == code, said
        return found.stdout + (found.stderr if code else "")


def run_and_output(podman: Podman) -> None:
    assert podman("run", "--rm", "--network", "none", "bb", "sh", "-c", "id -u; hostname -s; pwd"
                  ).splitlines()[0] == "0"  # fmt: skip


def exit_status(podman: Podman) -> None:
    podman("run", "--rm", "--network", "none", "bb", "sh", "-c", "exit 42", code=42)


def missing_command(podman: Podman) -> None:
    said = podman("run", "--rm", "--network", "none", "bb", "nosuch", code=127)
    assert "nosuch" in said


def not_executable(podman: Podman) -> None:
    podman("run", "--rm", "--network", "none", "bb", "/etc", code=126)


def network(podman: Podman) -> None:
    assert "tap0" in podman("run", "--rm", "--network", "slirp4netns", "bb", "ip", "addr")


def detached(podman: Podman) -> None:
    # one sleep for all the time: top of podman fails if a process ends while it looks
    script = "trap 'echo bye; exit 3' TERM; echo up; sleep 1000 & wait"
    podman("run", "-d", "--name", "d", "--network", "none", "bb", "sh", "-c", script)
    assert podman("exec", "-e", "A=b", "-w", "/tmp", "d", "sh", "-c", "echo $A; pwd") == "b\n/tmp\n"
    podman("exec", "d", "sh", "-c", "exit 9", code=9)
    assert "sleep" in podman("top", "d")
    podman("stop", "-t", "10", "d")
    assert podman("logs", "d") == "up\nbye\n"
    assert podman("inspect", "--format", "{{.State.ExitCode}}", "d") == "3\n"
    podman("rm", "d")


def terminal(podman: Podman) -> None:
    words = " ".join([*podman.words, "run --rm -it --network none bb sh -c 'tty; stty size'"])
    found = subprocess.run(
        ["script", "-qec", words, "/dev/null"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True, env=podman.env, timeout=200,
    )  # fmt: skip
    assert "/dev/pts/0" in found.stdout, found.stdout
    assert found.returncode == 0, found.stdout


def limits(podman: Podman) -> None:
    words = ["--network", "none", "-m", "64m", "--pids-limit", "33", "bb", "cat"]
    files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"]
    assert podman("run", "--rm", *words, *files) == f"{64 << 20}\n33\n"


def paused(podman: Podman) -> None:
    podman("run", "-d", "--name", "p", "--network", "none", "bb", "sleep", "1000")
    podman("pause", "p")
    assert podman("inspect", "--format", "{{.State.Status}}", "p") == "paused\n"
    podman("unpause", "p")
    podman("kill", "p")
    podman("rm", "-f", "p")


def mounts(podman: Podman) -> None:
    script = "touch /t/x; grep -c ' /ro ' /proc/mounts; touch /ro/x || echo refused"
    found = podman("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/t", "-v",
                   "/usr:/ro:ro", "bb", "sh", "-c", script)  # fmt: skip
    assert found == "1\nrefused\n"


def rights(podman: Podman) -> None:
    script = "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status"
    found = podman("run", "--rm", "--network", "none", "--cap-drop", "all", "--cap-add", "chown",
                   "--security-opt", "no-new-privileges", "bb", "sh", "-c", script)  # fmt: skip
    assert re.findall(r"\S+$", found, re.MULTILINE) == ["0000000000000001", "1", "2"]


def users(podman: Podman) -> None:
    found = podman("run", "--rm", "--network", "none", "-u", "7:8", "--group-add", "9", "bb", "id")
    assert "uid=7" in found and "gid=8" in found and "9" in found


def pod(podman: Podman) -> None:
    podman("pod", "create", "--name", "po", "--infra-image", "bb", "--infra-command", "sleep 1000",
           "--network", "none")  # fmt: skip
    podman("run", "-d", "--pod", "po", "--name", "a", "bb", "sleep", "1000")
    first = podman("exec", "a", "readlink", "/proc/self/ns/net")
    assert podman("run", "--rm", "--pod", "po", "bb", "readlink", "/proc/self/ns/net") == first
    podman("pod", "rm", "-f", "-t", "0", "po")


CHECKS: tuple[Callable[[Podman], None], ...] = (
    run_and_output, exit_status, missing_command, not_executable, network, detached, terminal,
    limits, paused, mounts, rights, users, pod,
)  # fmt: skip


@pytest.fixture
def engines(place: Place, busybox_tar: Path, oci_entry: list[str]) -> Iterator[dict[str, Podman]]:
    """podman with crun and with this runtime, both with the image bb."""
    ours = place.base / "rootless-runtime"
    quoted = " ".join(f"'{word}'" for word in oci_entry)
    ours.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    ours.chmod(0o755)
    crun = shutil.which("crun") or "crun"
    found = {"crun": Podman(crun, place, 1), "rootless-runtime": Podman(str(ours), place, 2)}
    for podman in found.values():
        podman("import", "-q", str(busybox_tar), "bb")
    yield found
    for podman in found.values():
        podman("rm", "-f", "-a", "-t", "0", code=None)
    for podman, name in zip(found.values(), ("podman1", "podman2"), strict=True):
        base = place.base / name
        # newer ones mount their store over itself at the begin of each command, this one too
        podman("unshare", "sh", "-c", f"umount -l {base}/root/overlay 2>/dev/null; rm -rf {base}")


@pytest.mark.long
def test_podman_does_with_it_what_it_does_with_crun(
    engines: dict[str, Podman], capsys: pytest.CaptureFixture[str]
) -> None:
    table: dict[str, dict[str, str]] = {}
    for check in CHECKS:
        for name, podman in engines.items():
            try:
                check(podman)
                table.setdefault(check.__name__, {})[name] = "passed"
            except Exception as error:
                table.setdefault(check.__name__, {})[name] = f"failed: {error}"
                podman("rm", "-f", "-a", "-t", "0", code=None)
    lines = [f"{check:16} " + "  ".join(f"{row[name][:8]:8}" for name in engines)
             for check, row in table.items()]  # fmt: skip
    # past pytest's capturing: the list is wanted when all is well, too
    with capsys.disabled():
        print("\n".join(["", f"{'':16} " + "  ".join(engines), *lines]))
    worse = {check: row for check, row in table.items()
             if row["rootless-runtime"] != "passed"}  # fmt: skip
    assert not worse, json.dumps(worse, indent=1)
