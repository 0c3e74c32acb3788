"""`rootless top`."""

from __future__ import annotations

from rootless.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "top",
    "CONTAINER [COLUMN,...]",
    "Display the running processes of a container",
    minimum=1,
    stop_early=True,
    complete=("running", "uid pid ppid c stime tty time cmd"),
    text="Columns have the names of ps(1), alone or after -o; -ef and aux select the usual "
    "ones. PIDs are those of the host.",
    examples="rootless top web\nrootless top web -eo pid,comm,rss",
)


def run(call: Call) -> None:
    """Print the table."""
    from rootless.cli import output

    found = call.engine().containers.get(call.words[0]).top(call.words[1:])
    output.write(output.table(found["Titles"], found["Processes"]))
