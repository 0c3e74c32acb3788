"""`rootless unshare`."""

from __future__ import annotations

from rootless.cli.words import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "unshare",
    "[COMMAND [ARGUMENT...]]",
    "Run a command in your user namespace, as its root",
    stop_early=True,
    text="Files of containers belong to subordinate ids of yours; here they can be looked at and "
    "removed. Without a command a shell is started.",
    examples="rootless unshare rm -r left-over\nrootless unshare cat /proc/self/uid_map",
)


def run(call: Call) -> int:
    """Become the command."""
    call.engine().unshare(call.words)
    return 125
