"""`rootless quadlet rm`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag
from rootless.cli.verbs.quadlet_install import RELOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

VERB = Verb(
    "quadlet rm",
    "NAME...",
    "Remove unit files",
    (
        flag("-a --all", "Remove all unit files of the user"),
        flag("-f --force", "Stop running services first"),
        flag("-i --ignore", "Ignore files that do not exist"),
        RELOAD,
    ),
    complete=("quadlet",),
    text="NAME is the name of a file, of its service or of an application. Volumes created by "
    "the services are not removed.",
)


def run(call: Call) -> None:
    """Remove, tell systemd, print the names."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.systemd import quadlet as systemd_quadlet
    from rootless.errors import UsageError

    given = call.options
    names = call.words
    if given["all"]:
        names = [one.name for one in systemd_quadlet.own()]
    elif not names:
        raise UsageError("no unit file is named", hint="name one, or use --all")
    reloads = truth("--reload-systemd", given["reload_systemd"] or "true")
    for name in systemd_quadlet.remove(
        names, force=bool(given["force"]), ignore=bool(given["ignore"]), reloads=reloads
    ):
        output.line(name)
