"""`rootless wait`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "wait",
    "CONTAINER...",
    "Wait until containers end, and print their exit status",
    (
        text("--condition", "STATE", "stopped, running or removed",
             complete="stopped running removed"),
        flag("-i --ignore", "-1 for a container that does not exist"),
    ),
    minimum=1,
    complete=("container",),
)  # fmt: skip


def run(call: Call) -> int:
    """Wait for each in turn."""
    from rootless.cli import output
    from rootless.errors import ContainerNotFound, UsageError

    condition = call.options["condition"] or "stopped"
    known = ("stopped", "exited", "not-running", "next-exit", "running", "removed")
    if condition not in known:
        raise UsageError(f'unknown --condition "{condition}"', hint=", ".join(known))
    containers = call.engine().containers

    def work(word: str) -> str:
        try:
            return str(containers.get(word).wait(condition)["StatusCode"])
        except ContainerNotFound:
            if call.options["ignore"]:
                return "-1"
            raise

    return output.each(call.words, work)
