"""A disk that is full costs log, and never what is known of how a container ended."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from conftest import Command, Place

pytestmark = pytest.mark.usefixtures("everyone")

# a file system that only this script sees; what is left of it is filled by the log
SCRIPT = """
mount -t tmpfs -o size=16m,mode=711 none {data} || exit 99
r() {{ {words} --root {data} "$@"; }}
r import {tar} busybox >/dev/null || exit 98
r create --name c --network none --log-driver {driver} --restart on-failure:1 busybox sh -c \\
    'yes {line} | head -c 25000000; exit 7' >/dev/null
r create --name d --network none busybox true >/dev/null
r start -a c >/dev/null 2>said; echo "start $?"
echo "wait $(r wait c)"
df -k {data} | awk 'NR == 2 {{ print "left " $4 }}'
r inspect -f '{{{{json .State}}}}' c
r ps -a --filter name=^c --format '{{{{.Status}}}}'
r start d; echo "start $?"
r logs --tail 1 c | head -c 100 >/dev/null
r rm c; echo "rm $?"
r start -a d; echo "start $?"
r rm d
"""


@pytest.mark.parametrize("driver", ["k8s-file", "json-file"])
def test_the_exit_status_is_recorded_although_the_log_filled_the_disk(
    rootless: Command, busybox_tar: Path, place: Place, driver: str
) -> None:
    words = shlex.join(rootless.words)
    script = SCRIPT.format(
        data=place.data, words=words, tar=busybox_tar, driver=driver, line="x" * 1000
    )
    found = rootless("unshare", "sh", "-c", script)
    lines = found.stdout.splitlines()
    state = json.loads(lines.pop(3))
    assert lines[:3] == ["start 7", "wait 7", "left 0"], str(found)
    assert state["ExitCode"] == 7
    assert state["Status"] == "exited"
    assert lines[3].startswith("Exited (7) ")
    # whose state has no room is not started, and the sentence says why
    assert lines[4] == "start 125"
    assert "error: the disk is full: cannot write " in found.stderr
    # what frees the room needs none
    assert lines[5:] == ["c", "rm 0", "start 0", "d"], str(found)
