"""`rootless volume mount`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume mount",
    "NAME...",
    "Print the directories of volumes",
    minimum=1,
    complete=("volume",),
    text="A volume is a directory, so nothing needs to be mounted; `rootless unshare` shows "
    "its files with the owners that a container sees.",
    examples="rootless unshare ls -l $(rootless volume mount papers)",
)


def run(call: Call) -> int:
    """Print each."""
    from rootless.cli import output

    return output.each(call.words, call.engine().volumes.mount)
