"""A pod of podman that shares its processes, with this runtime: a way in that wants control groups.

What is tried inside and the table are those of tests/ways_in; see test_ways_in.py there.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from integration.test_systemd_units import call, write
from integration.test_systemd_units import home as home
from integration.test_systemd_ways_in import judge
from integration.test_systemd_ways_in import stage as stage
from ways_in.stage import DEFAULT_CAPABILITIES, Column, Stage, Told, image
from ways_in.test_ways_in import Record, keep
from ways_in.test_ways_in import programs as programs

# tests/vm leaves this file out where the machine's release has no podman worth trying
pytestmark = pytest.mark.systemd


@pytest.mark.long
def test_a_pod_that_shares_its_processes_reaches_nothing_of_the_host(
    stage: Stage, programs: Path, busybox_tar: Path, oci_entry: list[str], record_property: Record
) -> None:
    """podman's --share pid: it joins the pid namespace of one in which somebody looks."""
    script = f'#!/bin/sh\nexec {shlex.join(oci_entry)} "$@"\n'
    runtime = write(stage.base / "rootless-runtime", script)
    runtime.chmod(0o755)
    base = stage.base / "podman"

    def column(program: str) -> Column:
        podman = ["podman", "--runtime", program, "--root", str(base / "root"), "--runroot",
                  str(base / "run"), "--events-backend", "file"]  # fmt: skip

        def way(stage: Stage) -> Told:
            stage.rooms = None
            call(*podman, "import", "-q", image(programs, busybox_tar), "ways")
            call(*podman, "pod", "create", "--name", "po", "--share", "pid,net,ipc,uts",
                 "--network", "none", *stage.mounts(), "--infra-image", "ways", "--infra-command",
                 shlex.join(stage.lurk()))  # fmt: skip
            call(*podman, "pod", "start", "po")
            stage.appears("lurk", 60)
            return stage.lead([*podman, "run", "--rm", "--pod", "po", "ways",
                               *stage.attack(caps=DEFAULT_CAPABILITIES)])  # fmt: skip

        try:
            return stage.column(way, lurking=True)
        finally:
            call(*podman, "pod", "rm", "-f", "-t", "0", "-a", code=None)
            script = f"umount -l {base}/root/overlay 2>/dev/null; rm -rf {base}"
            call(*podman, "unshare", "sh", "-c", script, code=None)
            (stage.results / "lurk").unlink(missing_ok=True)

    theirs = column(shutil.which("crun") or "crun")
    keep(record_property, "podman pod --share pid, crun", theirs)
    ours = column(str(runtime))
    judge(record_property, "podman pod --share pid, rootless-runtime", ours, programs, theirs)
