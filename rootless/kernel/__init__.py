"""The only road from Python into the kernel: one wrapper per system call, under its own name.

    from rootless import kernel
    fd = kernel.calls.openat2(root, "etc/passwd", os.O_RDONLY, resolve=kernel.RESOLVE_IN_ROOT)

`calls` is the seam: an object with the system calls.  Code reaches it as `kernel.calls.NAME` at the
moment of the call, so that a test may put a recorder there.  The extension is loaded when `calls`
is first touched; importing this package costs nothing.
"""

from __future__ import annotations

from rootless.kernel.constants import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.kernel.table import Kernel as Kernel
    from rootless.kernel.table import StatFs as StatFs

    calls: Kernel


def __getattr__(name: str) -> object:
    if name not in ("calls", "Kernel", "StatFs"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rootless.kernel import table

    found = globals()
    found["Kernel"], found["StatFs"] = table.Kernel, table.StatFs
    # another thread may have been first, and a recorder must not be thrown out
    found.setdefault("calls", table.Kernel())
    return found[name]
