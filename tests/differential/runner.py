"""Run shell lines one after another, and say how each ended.

As a program it does so for a parent that cannot run them itself: podman wants a hierarchy of
control groups and a user namespace of its own, which one process holds while all its lines run.
Requests and answers are JSON, one a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any


def run_line(
    line: str, env: dict[str, str], cwd: str, seconds: float, terminal: bool = False
) -> dict[str, Any]:
    """Run a line with the shell.  `status` is -1 if it had to be ended.

    Its output goes to files: what a container's monitor keeps open is not waited for.  With a
    terminal as its input somebody presses Ctrl-D there until it ends.
    """
    master, slave = pty.openpty() if terminal else (-1, os.open(os.devnull, os.O_RDONLY))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["sh", "-c", line], env=env, cwd=cwd, stdin=slave, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        end = time.monotonic() + seconds
        status = None
        while status is None and time.monotonic() < end:
            try:
                status = process.wait(0.5 if terminal else seconds)
            except subprocess.TimeoutExpired:
                if terminal:
                    os.write(master, b"\x04")
        if status is None:
            status = -1
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if terminal:
            os.close(master)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(1 << 22).decode(errors="replace"))
    return {"status": status, "out": texts[0], "err": texts[1]}


def main() -> None:
    """Answer requests until the parent closes its end."""
    for request in sys.stdin:
        print(json.dumps(run_line(**json.loads(request))), flush=True)


if __name__ == "__main__":
    main()
