"""`rootless rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "rm",
    "CONTAINER...",
    "Remove one or more containers",
    (
        flag("-f --force", "Force the removal of running containers; ignore missing ones"),
        flag("-v --volumes", "Remove anonymous volumes associated with the container"),
        flag("-a --all", "Remove all containers"),
        flag("-i --ignore", "Ignore containers that do not exist"),
        number(
            "-t --time",
            "SECONDS",
            "Seconds to wait with --force before killing the container (default 0)",
        ),
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
