"""`rootless volume unmount`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "volume unmount",
    "NAME...",
    "Unmount volumes (there is nothing to unmount)",
    minimum=1,
    complete=("volume",),
    text="Only checks that the volumes exist.",
)


def run(call: Call) -> int:
    """Print each name."""
    from rootless.cli import output

    volumes = call.engine().volumes
    return output.each(call.words, lambda word: str(volumes.get(word)["Name"]))
