"""More bad luck: a disk that fills up while containers run, ^C at any moment, very many at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Command, Place, leftovers

pytestmark = pytest.mark.usefixtures("everyone")

# a file system of its own, filled to the last byte and freed again
ON_A_SMALL_DISK = """
mount -t tmpfs -o size=24m,mode=711 none "$SMALL"
export ROOTLESS_DATA_DIR="$SMALL/data"
rl() { "$@"; }
full() { cat /dev/zero >"$SMALL/fill" 2>/dev/null || true; }
free() { rm -f "$SMALL/fill"; }
"""


def on_a_small_disk(rootless: Command, tar: Path, script: str) -> tuple[str, str]:
    """(output, errors) of a script in a user namespace with that disk; `rootless` is the command.

    It must succeed.
    """
    small = rootless.place.work / "small"
    small.mkdir()
    program = rootless.place.work / "rootless"
    quoted = " ".join(f"'{word}'" for word in rootless.words)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(0o755)
    words = ["unshare", "sh", "-euc", ON_A_SMALL_DISK + script]
    env = {"SMALL": str(small), "TAR": str(tar),
           "PATH": f"{rootless.place.work}:{rootless.place.env['PATH']}"}  # fmt: skip
    found = rootless(*words, env=env, timeout=200)
    return found.stdout, found.stderr


def test_a_disk_that_is_full_before_a_run(rootless: Command, busybox_tar: Path) -> None:
    script = """
    rootless import -q "$TAR" busybox >/dev/null
    rootless run --rm --network none busybox echo before
    full
    for name in a b c; do
        status=0
        rootless run --name $name --network none busybox echo never || status=$?
        test $status = 125
    done
    test -z "$(rootless ps -aq)"
    free
    rootless run --rm --name a --network none busybox echo after
    """
    out, err = on_a_small_disk(rootless, busybox_tar, script)
    assert out == "before\nafter\n"
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert all("no space left" in line for line in errors), errors
    assert "internal error" not in err


def test_a_disk_that_fills_up_under_a_container(rootless: Command, busybox_tar: Path) -> None:
    script = """
    rootless import -q "$TAR" busybox >/dev/null
    rootless run -d --name c --network none busybox \
        sh -c 'while :; do echo line; sleep 0.01; done' >/dev/null
    rootless run -d --name d --network none busybox sleep 1000 >/dev/null
    full
    # it writes to a log that cannot grow, and lives
    sleep 0.3
    rootless ps --format '{{.Names}} {{.State}}' | sort
    rootless logs c >/dev/null
    rootless stop -t 0 c
    rootless ps -a --format '{{.Names}} {{.State}}' --filter name=c
    rootless rm c
    rootless rm -f d
    rootless ps -aq
    free
    rootless run --rm --network none busybox echo after
    """
    out, err = on_a_small_disk(rootless, busybox_tar, script)
    assert out.splitlines() == ["c running", "d running", "c", "c exited", "c", "d", "after"], err


def maps_of(pid: int) -> str:
    """What is mapped into a process; what is waited for, when it has become another program."""
    try:
        if "python" not in os.readlink(f"/proc/{pid}/exe"):
            return "_json"
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return "_json"


def test_an_interrupt_at_any_moment(rootless: Command, busybox_image: str, place: Place) -> None:
    choice = random.Random(13)
    for number in range(12):
        words = ("run", "--rm", "--name", f"i{number}", "--init", busybox_image, "sleep", "0.3")
        front = rootless.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # the interpreter's own start is its own business; this module comes after ours
        while "_json" not in maps_of(front.pid):
            time.sleep(0.001)
        time.sleep(choice.uniform(0, 0.2))
        front.send_signal(signal.SIGINT)
        out, err = front.communicate(timeout=100)
        # before anything began, on the way, in the container, or too late
        assert front.returncode in (0, 130, -signal.SIGINT), err
        assert b"internal error" not in err, err
    end = time.monotonic() + 60
    while rootless("ps", "-aq").stdout or leftovers(place):
        assert time.monotonic() < end, (rootless("ps", "-a").stdout, leftovers(place))
        time.sleep(0.1)
    for number in range(12):
        rootless("create", "--name", f"i{number}", busybox_image, "true")


def test_an_interrupt_when_the_name_was_just_taken(
    rootless: Command, busybox_image: str, place: Place
) -> None:
    script = place.work / "interrupted.py"
    script.write_text(
        "import signal, sys\n"
        "def look(frame, event, _):\n"
        "    if event == 'return' and frame.f_code.co_qualname == 'take':\n"
        "        sys.setprofile(None)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "sys.setprofile(look)\n" + Path(rootless.words[-1]).read_text()
    )
    usual, rootless.words = rootless.words, [*rootless.words[:-1], str(script)]
    found = rootless("run", "--rm", "--name", "n", busybox_image, "true", code=None)
    assert found.code in (130, -signal.SIGINT), found
    rootless.words = usual
    assert leftovers(place) == []


@pytest.mark.slow
def test_two_hundred_containers_of_one_image(
    rootless: Command, busybox_image: str, place: Place, data_dir: Path
) -> None:
    import rootless as library

    engine = library.Engine()
    first = engine.containers.create(busybox_image, ["true"])

    def taken(path: Path) -> int:
        """Blocks of 512 bytes."""
        total = 0
        for directory, _, files in os.walk(path):
            for name in files:
                total += os.lstat(os.path.join(directory, name)).st_blocks
        return total

    layers = taken(data_dir / "layers")
    one = taken(data_dir / "containers" / first.id)
    for _ in range(199):
        engine.containers.create(busybox_image, ["true"])
    assert taken(data_dir / "layers") == layers
    # none has a copy of the image's program, which is a megabyte
    assert taken(data_dir / "containers") < 220 * max(one, 100) < 220 * 1000
    assert len(rootless("ps", "-aq").stdout.split()) == 200
    rootless("rm", "-a", timeout=200)
    assert rootless("ps", "-aq").stdout == ""
