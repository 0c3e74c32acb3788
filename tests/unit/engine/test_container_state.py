"""What is believed of a container's state: only what /proc bears out."""

from __future__ import annotations

import json
import os
from pathlib import Path

from rootless.engine.common import processes
from rootless.engine.containers import state as container_state


def written(directory: Path, **changes: object) -> container_state.State:
    """The state read from a file of a running container, with changes."""
    me, started = os.getpid(), processes.start_time(os.getpid())
    value = {
        "status": "running", "pid": me, "pidStart": started, "monitor": me, "monitorStart": started,
        "boot": processes.boot_id(), "startedAt": 5, "finishedAt": 0, "exitCode": 0,
        "oomKilled": False,
        "restarts": 0, "sidecar": 0, "servers": [], "failed": False,
    }  # fmt: skip
    (directory / "state").write_text(json.dumps({**value, **changes}))
    return container_state.read(str(directory))


def test_without_a_file_it_was_created(tmp_path: Path) -> None:
    found = container_state.read(str(tmp_path))
    assert found.status == "created"
    assert not found.alive


def test_a_damaged_file_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "state").write_text('{"status":')
    found = container_state.read(str(tmp_path))
    assert found.status == "dead"
    assert found.damage is not None
    assert str(found.damage) == f"the document {tmp_path}/state is damaged: it is not JSON"


def test_running_is_believed_while_both_processes_live(tmp_path: Path) -> None:
    found = written(tmp_path)
    assert (found.status, found.alive, found.lost) == ("running", True, False)


def test_a_pid_that_another_process_got_counts_for_nothing(tmp_path: Path) -> None:
    found = written(tmp_path, pidStart=1, monitorStart=1)
    assert (found.status, found.alive, found.lost) == ("exited", False, True)
    assert found.exit_code == 137


def test_after_a_reboot_nothing_runs(tmp_path: Path) -> None:
    found = written(tmp_path, boot="another")
    assert (found.status, found.pid, found.lost) == ("exited", 0, True)


def test_a_container_whose_monitor_was_killed_still_runs(tmp_path: Path) -> None:
    found = written(tmp_path, monitorStart=1)
    assert (found.status, found.alive, found.monitor) == ("running", True, 0)


def test_how_it_ended_is_kept(tmp_path: Path) -> None:
    found = written(tmp_path, status="exited", pid=0, exitCode=3, finishedAt=9, oomKilled=True)
    assert (found.status, found.exit_code, found.finished, found.oom_killed) == (
        "exited", 3, 9, True,
    )  # fmt: skip
    assert not found.lost


def test_processes_that_are_not_there(tmp_path: Path) -> None:
    assert processes.start_time(2**22 + 1) == 0
    assert processes.start_time(os.getpid()) > 0


def test_a_monitor_of_an_earlier_version_names_the_sidecar_otherwise(tmp_path: Path) -> None:
    started = processes.start_time(1)
    new = written(tmp_path, sidecar=1, sidecarStart=started)
    value = json.loads((tmp_path / "state").read_text())
    value["slirp"], value["slirpStart"] = value.pop("sidecar"), value.pop("sidecarStart")
    (tmp_path / "state").write_text(json.dumps(value))
    old = container_state.read(str(tmp_path))
    assert (old.sidecar, old.sidecar_start) == (new.sidecar, new.sidecar_start) == (1, started)
    value["slirp"] = -1
    (tmp_path / "state").write_text(json.dumps(value))
    assert container_state.read(str(tmp_path)).network_lost
