"""Layers mounted for a person to look at, from inside the namespace of `rootless unshare`."""

from __future__ import annotations

import os
import subprocess

from rootless import host, kernel

_ROOM = 4000
"""Bytes of options that mount(2) takes: a page, less what else stands there."""
_DETACH = 2  # MNT_DETACH, umount2(2)


def show(path: str, base: str, lowers: list[str]) -> None:
    """Mount the layers (topmost first, below `base`) read-only at `path`.  Raises OSError."""
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    if len(lowers) == 1:
        kernel.calls.mount(lowers[0], path, "", kernel.MS_BIND)
        kernel.calls.mount("", path, "", kernel.MS_BIND | kernel.MS_REMOUNT | flags)
        return
    if not lowers:
        kernel.calls.mount("none", path, "tmpfs", flags)
        return
    # relative names, because the options have to fit into a page
    names = ":".join(os.path.relpath(one, base) for one in lowers)
    problem: OSError | None = None
    if len(names) < _ROOM:
        before = os.getcwd()
        try:
            os.chdir(base)
            kernel.calls.mount("overlay", path, "overlay", flags, f"lowerdir={names},userxattr")
            return
        except OSError as error:
            problem = error
        finally:
            os.chdir(before)
    _serve(path, lowers, problem)


def _serve(path: str, lowers: list[str], problem: OSError | None) -> None:
    """By fuse-overlayfs, where the kernel will not."""
    program = host.current().fuse_overlayfs
    if not program:
        raise problem or OSError(0, "too many layers for the kernel, and no fuse-overlayfs")
    options = "ro,lowerdir=" + ":".join(lowers)
    done = subprocess.run([program, "-o", options, path], capture_output=True, text=True)
    if done.returncode:
        raise OSError(0, f"fuse-overlayfs: {done.stderr.strip()}")


def hide(path: str, *, lazy: bool = False) -> None:
    """Unmount; `lazy` also while somebody uses it.  Raises OSError."""
    kernel.calls.umount2(path, _DETACH if lazy else 0)
