"""A file system for measuring: ext4 in a file on the host's disk, in a mount namespace of our own.

What others write to the host's disk meanwhile is not waited for by syncfs(2), and what they remove
costs nothing here.  (An ext4 without a journal passes over the inodes that were freed in the last
minutes, one by one, at every creation of a file: one round of a benchmark that cleans up makes the
next one ten times slower, whoever runs it.)
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from start import run


def own_disk() -> str:
    """An ext4 of our own, mounted in this mount namespace, with which it goes.  Needs root."""
    if os.environ.get("ROOTLESS_BENCH_INSIDE") != "1":
        return ""  # `become` starts us once more, in the namespace
    fd, image = tempfile.mkstemp(prefix="rootless-bench-", suffix=".img", dir="/var/tmp")
    mount_point = "/mnt"
    try:
        os.truncate(fd, 12 << 30)
        # everything at once: what the kernel would initialise later would be measured as ours
        lazy = "lazy_itable_init=0,lazy_journal_init=0"
        run(["mkfs.ext4", "-q", "-F", "-i", "32768", "-E", lazy, image])
        run(["mount", "-o", "loop,noatime", image, mount_point])
    finally:
        os.close(fd)
        os.unlink(image)  # the loop device keeps it
    os.chmod(mount_point, 0o1777)
    return mount_point


@contextmanager
def own_runtime_directory() -> Iterator[None]:
    """Podman keeps a process with its namespaces for later commands; the one of another day would
    not see our file system, and ours must not outlive it."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    directory = tempfile.mkdtemp(prefix="rlb-", dir="/var/tmp")
    os.environ["XDG_RUNTIME_DIR"] = directory
    try:
        yield
    finally:
        try:
            os.kill(int(Path(directory, "libpod/tmp/pause.pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass
        shutil.rmtree(directory, ignore_errors=True)
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
