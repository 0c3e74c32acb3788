"""Run shell lines one after another, and say how each ended.

As a program it does so for a parent that cannot run them itself: podman wants a hierarchy of
control groups and a user namespace of its own, which one process holds while all its lines run.
Requests and answers are JSON, one a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import Any


def run_line(line: str, env: dict[str, str], cwd: str, seconds: float) -> dict[str, Any]:
    """Run a line with the shell.  `status` is -1 if it had to be ended.

    Its output goes to files: what a container's monitor keeps open is not waited for.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["sh", "-c", line], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = -1
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
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
