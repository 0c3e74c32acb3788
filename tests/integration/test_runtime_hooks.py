"""What a hook gets of the runtime, and how long the runtime waits for it; and the other programs
that are executed: they get the descriptors that they are told of, and no other."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Command, Place
from test_runtime import Runtime, runtime  # noqa: F401  (a fixture)
from test_runtime_probe import Seen, probe, seen, setting  # noqa: F401  (fixtures)

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def leak() -> None:
    """Descriptors of the caller's own, of low and of high numbers, as a program leaves them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for fd in (7, 1023, 1024, 1500, 4000):
        os.dup2(0, fd)


def test_a_hook_gets_its_input_and_nothing_more(
    runtime: Runtime,  # noqa: F811
    probe: Path,  # noqa: F811
) -> None:
    shutil.copy(probe, runtime.bundle / "rootfs/probe")
    runtime.config["hooks"] = {}
    for kind in KINDS:
        path = "/probe" if kind == "startContainer" else str(runtime.bundle / "rootfs/probe")
        runtime.config["hooks"][kind] = [{"path": path, "env": [f"KIND={kind}"]}]
    # one that is the image's program does not find them with the process that it was started by
    looks = {"path": "/probe", "args": ["probe", "open", "/proc/1/fd/0", "r"]}
    runtime.config["hooks"]["startContainer"].append(looks)
    runtime.config["process"]["args"] = ["sleep", "1000"]
    runtime.write()
    log = runtime.bundle / "log"
    for words in (["create", "--bundle", runtime.bundle], ["start"], ["delete", "--force"]):
        # what a hook prints goes to the runtime's standard error
        with open(log, "ab") as file:
            started = runtime.command.start(
                "--root", runtime.root, *words, "c", stdin=subprocess.DEVNULL, stdout=file,
                stderr=file, preexec_fn=leak, close_fds=False,
            )  # fmt: skip
        assert started.wait(60) == 0, log.read_text()
    lines = log.read_text().splitlines()
    lines.remove(str(errno.EACCES))
    found = [json.loads(line) for line in lines]
    assert [(one["env"], one["descriptors"]) for one in found] == [
        ([f"KIND={kind}"], [0, 1, 2]) for kind in KINDS
    ]


@pytest.mark.parametrize("kind", ["createRuntime", "startContainer"])
def test_the_time_of_a_hook_that_does_not_read(runtime: Runtime, kind: str) -> None:  # noqa: F811
    """Its input is the state, which can be longer than a pipe holds."""
    runtime.config["annotations"] = {"long": "x" * 300_000}
    hook = {"path": "/bin/sleep", "args": ["sleep", "600"], "timeout": 1}
    runtime.config["hooks"] = {kind: [hook]}
    assert "took" in runtime.run("true", code=1).stderr
    # and who reads has all of it, also when somebody left behind keeps the input open
    script = "sleep 600 <&0 >/dev/null 2>&1 & echo $! >&2; wc -c >&2"
    runtime.config["hooks"] = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}]
    }
    (runtime.bundle / "rootfs/bin/wc").symlink_to("busybox")
    left, count = runtime.run("true").stderr.split()
    assert int(count) > 300_000
    if kind == "createRuntime":  # the other ended with its pid namespace
        os.kill(int(left), 9)


def listing(directory: Path, name: str, real: str) -> Path:
    """A program in front of another of this name: lists its descriptors in the returned file."""
    log = directory / f"{name}.descriptors"
    path = directory / name
    path.write_text(f'#!/bin/sh\n/bin/ls /proc/$$/fd >>{log}\nexec {real} "$@"\n')
    path.chmod(0o755)
    return log


SHELL = (10, 11)  # where it has its script and keeps its output meanwhile


def numbers(log: Path) -> set[int]:
    return set(map(int, log.read_text().split()))


def test_programs_that_map_ids(seen: Seen, place: Place) -> None:  # noqa: F811
    """newuidmap and newgidmap are root's."""
    if seen.setting != "mapped":
        return  # nobody is asked
    log = listing(place.base, "newuidmap", "/usr/bin/newuidmap")
    env = {"PATH": f"{place.base}:{place.env['PATH']}"}
    seen.process["args"] = ["/probe"]
    seen.runtime.write()
    words = ["--root", seen.runtime.root, "run", "--bundle", seen.runtime.bundle, "c"]
    started = seen.runtime.command.start(
        *words, env=env, stdout=subprocess.DEVNULL, preexec_fn=leak, close_fds=False
    )
    assert started.wait(60) == 0
    assert numbers(log) <= {0, 1, 2, *SHELL}


def test_a_network_that_stays(rootless: Command, busybox_image: str, place: Place) -> None:
    """slirp4netns has the descriptors that tell of its beginning and its end, and the network
    namespace, by which it is started again without the container."""
    log = listing(place.base, "slirp4netns", "/usr/bin/slirp4netns")
    env = {"PATH": f"{place.base}:{place.env['PATH']}"}
    words = ["run", "--rm", "--network", "slirp4netns", busybox_image, "true"]
    started = rootless.start(*words, env=env, preexec_fn=leak, close_fds=False)
    assert started.wait(60) == 0
    assert numbers(log) <= {0, 1, 2, 3, 4, 5, *SHELL}
