"""`rootless healthcheck run`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "healthcheck run",
    "CONTAINER",
    "Check the health of a container now",
    (
        flag("--ignore-result", "exit with 0 also when the check fails"),
        text("--driver", "NAME", "who asks: timer or monitor, for the engine's own use"),
    ),
    minimum=1,
    maximum=1,
    complete=("running",),
    text="Exits with 0 when the check succeeds, with 1 when it fails, with 125 when there is none "
    "or the container does not run.  The result counts like that of a check at its time.",
)


def run(call: Call) -> int:
    """Check; print the state of health when the check failed."""
    from rootless.cli import output
    from rootless.engine import checking

    container = call.engine().containers.get(call.words[0])
    if call.options["driver"]:
        return checking.scheduled(container, call.options["driver"])
    outcome = checking.check(container)
    if outcome.good:
        return 0
    output.line(outcome.status)
    return 0 if call.options["ignore_result"] else 1
