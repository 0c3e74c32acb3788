"""`rootless rm`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, number

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
        number("-t --time", "SECONDS", "with --force: how long it may take to end by itself (0)"),
    ),
    complete=("container",),
)


def run(call: Call) -> int:
    """Remove each."""
    from rootless.cli.verbs import _several

    force, volumes = call.options["force"], call.options["volumes"]
    call.options["ignore"] = call.options["ignore"] or force
    seconds = call.options["time"]
    return _several.side_by_side(
        call,
        lambda one: one.remove(
            force=force or seconds is not None, volumes=volumes, timeout=seconds
        ),
        everything=True,
        missing=1,
        damaged=True,
    )
