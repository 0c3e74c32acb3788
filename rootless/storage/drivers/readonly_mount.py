"""Layers mounted read-only, by a process that is root of the namespace they belong to.

For `image mount` from inside `rootless unshare`, and for what packs a whole image.
"""

from __future__ import annotations

from rootless import kernel

_DETACH = 2  # MNT_DETACH, umount2(2)


def mount(path: str, base: str, lowers: list[str]) -> None:
    """Mount the layers (topmost first, below `base`) at `path`.  Raises OSError."""
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
    if len(lowers) == 1:
        kernel.calls.mount(lowers[0], path, "", kernel.MS_BIND)
        kernel.calls.mount("", path, "", kernel.MS_BIND | kernel.MS_REMOUNT | flags)
        return
    if not lowers:
        kernel.calls.mount("none", path, "tmpfs", flags)
        return
    from rootless.storage.drivers import registry

    problem = OSError(0, "too many layers for the kernel, and no fuse-overlayfs")
    for driver in registry.all_drivers():
        try:
            if driver.mount_read_only(path, base, lowers):
                return
        except OSError as error:
            problem = error
    raise problem


def unmount(path: str, *, lazy: bool = False) -> None:
    """Unmount; `lazy` also while somebody uses it.  Raises OSError."""
    kernel.calls.umount2(path, _DETACH if lazy else 0)
