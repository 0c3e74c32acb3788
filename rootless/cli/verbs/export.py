"""`rootless export`."""

from __future__ import annotations

from rootless.cli.words import Verb, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "export",
    "CONTAINER",
    "Write a container's file system to a tar",
    (text("-o --output", "FILE", "write there instead of standard output", complete="file"),),
    minimum=1,
    maximum=1,
    complete=("container",),
    text="The container may run or not. What is mounted in it is left out.",
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
