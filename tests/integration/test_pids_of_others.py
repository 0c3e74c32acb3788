"""A pid that was a container's when it was read, and is another process's when it is used."""

from __future__ import annotations

import os

import pytest
from conftest import Command
from weaken import Change, Engine, engine  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("everyone")


def test_cp_reaches_no_files_of_another(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    rootless: Command,
) -> None:
    quiet = ["run", "-d", "--network", "none", busybox_image, "sleep", "1000"]
    first, second = (rootless(*quiet).stdout.strip() for _ in range(2))
    rootless("exec", second, "sh", "-c", "echo of another >/tmp/note")
    pid = rootless("inspect", "--format", "{{.State.Pid}}", second).stdout.strip()
    reused = Change(
        "rootless/engine/containers/copy.py",
        "    pid, start = container.process()\n",
        f"    pid, start = {pid}, container.process()[1]\n",
    )
    found = engine(reused)("cp", f"{first}:/tmp/note", "-", code=None)
    assert found.code == 125 and not found.out and "has ended" in found.stderr, found
    believed = Change(
        "rootless/engine/containers/copy.py", "processes.start_time(pid) == start", "True"
    )
    assert b"of another" in engine(reused, believed)("cp", f"{first}:/tmp/note", "-").out


def test_a_restart_joins_nobody_elses_namespaces(
    engine: Engine,  # noqa: F811
    busybox_image: str,
    rootless: Command,
) -> None:
    quiet = ["run", "-d", "--network", "none", busybox_image, "sleep", "1000"]
    first, second = (rootless(*quiet).stdout.strip() for _ in range(2))
    pid = rootless("inspect", "--format", "{{.State.Pid}}", second).stdout.strip()
    reused = Change(
        "rootless/engine/containers/start.py", "str(found.pid).encode(), str", f'b"{pid}", str'
    )
    join = ["run", "--rm", "--network", f"container:{first}", busybox_image,
            "readlink", "/proc/self/ns/net"]  # fmt: skip
    found = engine(reused)(*join, code=None)
    assert found.code == 125 and "No such process" in found.stderr, found
    believed = Change(
        "rootless/engine/containers/start.py", '*((start,) if name == "join" else ()),', ""
    )
    theirs = os.readlink(f"/proc/{pid}/ns/net")
    assert engine(reused, believed)(*join).stdout.strip() == theirs
