"""`rootless healthcheck run`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "healthcheck run",
    "CONTAINER",
    "Run the health check of a container",
    (
        flag("--ignore-result", "Exit with status 0 even if the check fails"),
        text("--driver", "NAME", "Origin of the check: timer or monitor (for internal use)"),
    ),
    minimum=1,
    maximum=1,
    complete=("running",),
    text="Exits with 0 if the check succeeds, with 1 if it fails, with 125 if the container "
    "has no check or is not running. The result is recorded as that of a scheduled check.",
)


def run(call: Call) -> int:
    """Check; print the state of health when the check failed."""
    from rootless.cli import output
    from rootless.engine.health import check as health_check

    container = call.engine().containers.get(call.words[0])
    if call.options["driver"]:
        return health_check.scheduled(container, call.options["driver"])
    outcome = health_check.check(container)
    if outcome.good:
        return 0
    output.line(outcome.status)
    return 0 if call.options["ignore_result"] else 1
