"""`rootless unshare`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "unshare",
    "[COMMAND [ARGUMENT...]]",
    "Run a command in the user namespace of containers",
    stop_early=True,
    text="Files of containers belong to your subordinate IDs; in this namespace you can read "
    "and remove them. Without COMMAND, starts a shell.",
    examples="rootless unshare rm -r left-over\nrootless unshare cat /proc/self/uid_map",
)


def run(call: Call) -> int:
    """Become the command."""
    call.engine().unshare(call.words)
    return 125
