"""`rootless export`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._shared_options import OUTPUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "export",
    "CONTAINER",
    "Export a container's file system as a tar archive",
    (OUTPUT,),
    minimum=1,
    maximum=1,
    complete=("container",),
    text="The container may be running or stopped. Mounts are not included.",
    examples="rootless export web | tar t\nrootless export -o web.tar web",
)


def run(call: Call) -> None:
    """Write the tar."""
    import os

    from rootless.errors import UsageError

    output = call.options["output"]
    if not output and os.isatty(1):
        raise UsageError(
            "standard output is a terminal, which is no place for an archive",
            hint="use -o FILE, or a pipe",
        )
    call.engine().containers.get(call.words[0]).export(output or 1)
