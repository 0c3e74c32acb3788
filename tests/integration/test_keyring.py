"""Keys of whoever starts a container are not the container's: keyrings(7)."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import TREE, Command, Place
from test_runtime import Runtime
from test_runtime_probe import probe  # noqa: F401  (a fixture)
from weaken import Change, Engine, Variant, engine, variant  # noqa: F401  (fixtures)

pytestmark = pytest.mark.usefixtures("everyone")

KEYCTL = {"x86_64": "250"}.get(os.uname().machine, "219")
# KEYCTL_READ of the key, KEYCTL_GET_KEYRING_ID of the session's and of the user's keyring
READ = ["call", KEYCTL, "11", "@KEY@", "0"]
TRY = [
    "sh",
    "-c",
    'echo $0; exec /probe "$@"',
    "@USER@",
    *READ,
    "call",
    KEYCTL,
    "0",
    "-3",
    "0",
    "call",
    KEYCTL,
    "0",
    "-4",
    "1",
]
CALLERS = Change("rootless/runtime/launch_plan.py", "    if keyring:\n", "    if False:\n")


@pytest.fixture(scope="session")
def keys(scratch: Path) -> Path:
    """tests/probe/keys.c."""
    made = scratch / "keys"
    compiler = shutil.which("musl-gcc") or "gcc"
    words = [compiler, "-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o", made]
    if "musl" in compiler:
        words += [
            "-idirafter",
            "/usr/include",
            "-idirafter",
            f"/usr/include/{os.uname().machine}-linux-gnu",
        ]
    found = subprocess.run([*words, TREE / "tests/probe/keys.c"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return made


def answers(text: str) -> list[Any]:
    """The probe's lines."""
    return [json.loads(line) for line in text.splitlines()]


def test_the_engine(
    engine: Engine,  # noqa: F811
    place: Place,
    busybox_image: str,
    keys: Path,
    probe: Path,  # noqa: F811
) -> None:
    shutil.copy(probe, place.work / "probe")
    open_to_keys = ["--security-opt", "seccomp=unconfined"]
    bind = ["-v", f"{place.work}/probe:/probe", busybox_image]

    def seen(*changes: Change) -> list[list[Any]]:
        command = engine(*changes)
        caller = Command([str(keys), *command.words], place)
        name = f"c{len(changes)}"
        found = [answers(caller("run", "--rm", *open_to_keys, *bind, *TRY).stdout)]
        caller("run", "-d", "--name", name, *open_to_keys, *bind, "sleep", "1000")
        found.append(answers(caller("exec", name, *TRY).stdout))
        found.append(answers(caller("exec", "-u", "7", name, *TRY).stdout))
        return found

    for callers, read, session, user in seen():
        assert read == [-1, errno.EACCES]
        assert session[0] > 0 and user[0] > 0 and user[0] != callers
    for _, read, _, _ in seen(CALLERS):
        assert read == [len("secret"), 0]
    # nobody gets as far as a key with the default profile
    caller = Command([str(keys), *engine().words], place)
    found = caller("run", "--rm", *bind, "/probe", *READ)
    assert answers(found.stdout) == [[-1, errno.EPERM]]


def test_a_bundle(variant: Variant, keys: Path, probe: Path) -> None:  # noqa: F811
    def of(*changes: Change) -> Runtime:
        runtime = variant(*changes)
        runtime.config["linux"].pop("seccomp", None)
        shutil.copy(probe, runtime.bundle / "rootfs/probe")
        # the number of the key is known when the command is started
        edit = f'sed -i "s/@[K]EY@/@KEY@/" {runtime.bundle}/config.json; exec "$@"'
        runtime.command.words = [str(keys), "/bin/sh", "-c", edit, "sh", *runtime.command.words]
        return runtime

    def seen(runtime: Runtime, *words: str) -> list[Any]:
        read = ["/probe", *READ]
        runtime.config["process"]["args"] = read
        runtime.write()
        found = [runtime("run", *words, "--bundle", runtime.bundle, "r").stdout]
        output = runtime.create("c", *read, words=words)
        runtime("start", "c")
        runtime.wait("c", "stopped")
        found.append(output.read_text())
        runtime.create("e", "sleep", "1000", words=words)
        runtime("start", "e")
        found.append(runtime("exec", "e", *read).stdout)
        return [answers(text)[0] for text in found]

    assert seen(of()) == [[-1, errno.EACCES]] * 3
    assert seen(of(), "--no-new-keyring") == [[6, 0]] * 3
    assert seen(of(CALLERS)) == [[6, 0]] * 3
