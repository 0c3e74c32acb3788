"""`rootless quadlet install`."""

from __future__ import annotations

from rootless.cli.words import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.words import Call

RELOAD = text("--reload-systemd", "BOOL", "let systemd read its units anew (true)")

VERB = Verb(
    "quadlet install",
    "FILE|DIRECTORY [FILE...]",
    "Install unit files (.container, .volume, .image, ...)",
    (flag("-r --replace", "overwrite files of the same names"), RELOAD),
    minimum=1,
    complete=("file",),
    text="They are copied to ~/.config/rootless/units.  A directory, or a unit file with files of "
    "other kinds after it, is an application and will be removed as a whole.  A file with a "
    "mistake is not installed.",
    examples="rootless quadlet install web.container web.socket\n"
    "systemctl --user start web.service",
)


def run(call: Call) -> None:
    """Copy, tell systemd, print where they are."""
    from rootless.cli import output
    from rootless.cli.words import truth
    from rootless.engine import quadlets

    reloads = truth("--reload-systemd", call.options["reload_systemd"] or "true")
    for path in quadlets.install(
        call.words, replace=bool(call.options["replace"]), reloads=reloads
    ):
        output.line(path)
