"""`rootless rm`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "rm",
    "CONTAINER...",
    "Remove containers",
    (
        flag("-f --force", "also if it runs; no error if it does not exist"),
        flag("-v --volumes", "with its anonymous volumes"),
        flag("-a --all", "all containers"),
        flag("-i --ignore", "no error for a container that does not exist"),
    ),
    complete=("container",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli.verbs import _several

    force, volumes = call.options["force"], call.options["volumes"]
    call.options["ignore"] = call.options["ignore"] or force
    return _several.side_by_side(
        call, lambda one: one.remove(force=force, volumes=volumes), everything=True
    )
