"""`rootless quadlet rm`."""

from __future__ import annotations

from rootless.cli.verbs.quadlet_install import RELOAD
from rootless.cli.words import Verb, flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

VERB = Verb(
    "quadlet rm",
    "NAME...",
    "Remove unit files",
    (
        flag("-a --all", "all that are yours"),
        flag("-f --force", "stop their services first"),
        flag("-i --ignore", "no error for a file that does not exist"),
        RELOAD,
    ),
    complete=("quadlet",),
    text="NAME is that of a file, of its service or of an application.  Volumes that services made "
    "stay.",
)


def run(call: Call) -> None:
    """Remove, tell systemd, print the names."""
    from rootless.cli import output
    from rootless.cli.words import truth
    from rootless.engine import quadlets
    from rootless.errors import UsageError
    from rootless.units import places

    given = call.options
    names = call.words
    if given["all"]:
        own = places.own() + "/"
        names = [one.name for one in quadlets.installed() if one.path.startswith(own)]
    elif not names:
        raise UsageError("no unit file is named", hint="name one, or use --all")
    reloads = truth("--reload-systemd", given["reload_systemd"] or "true")
    for name in quadlets.remove(
        names, force=bool(given["force"]), ignore=bool(given["ignore"]), reloads=reloads
    ):
        output.line(name)
