"""`rootless top`."""

from __future__ import annotations

from rootless.cli.options import Verb
from rootless.cli.verbs._shared_options import LATEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "top",
    "CONTAINER [COLUMN,...]",
    "Display the running processes of a container",
    (LATEST,),
    minimum=1,
    stop_early=True,
    complete=("running", "user pid ppid pcpu etime tty time args hpid huser seccomp capeff"),
    text="Without COLUMN, and with columns alone, users, groups and PIDs are those that the "
    "container sees; hpid, huser and hgroup are the host's. Further columns: args, capamb, "
    "capbnd, capeff, capinh, capprm, comm, etime, group, groups, label, nice, pcpu, pgid, pid, "
    "ppid, rgroup, rss, ruser, seccomp, state, stime, time, tty, user, vsz. With options of "
    "ps(1), as -ef, aux or -o pid,comm, they are the host's.",
    examples="rootless top web\nrootless top web pid huser seccomp args\n"
    "rootless top web -eo pid,comm,rss",
)


def run(call: Call) -> None:
    """Print the table."""
    from rootless.cli import output
    from rootless.cli.verbs import _several

    name, rest = _several.first(call)
    found = call.engine().containers.get(name).top(rest or _usual())
    output.write(output.table(found["Titles"], found["Processes"]))


def _usual() -> list[str]:
    """podman's columns; docker's where that is who is called."""
    from rootless.cli import called

    if called.tool() == "docker":
        return ["-ef"]
    return ["user,pid,ppid,pcpu,etime,tty,time,args"]
