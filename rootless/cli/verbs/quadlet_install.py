"""`rootless quadlet install`."""

from __future__ import annotations

from rootless.cli.options import Verb, flag, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.cli.options import Call

RELOAD = text("--reload-systemd", "BOOL", "Reload systemd (default true)")

VERB = Verb(
    "quadlet install",
    "FILE|DIRECTORY [FILE...]",
    "Install unit files (.container, .volume, .image, ...)",
    (flag("-r --replace", "Replace existing files of the same name"), RELOAD),
    minimum=1,
    complete=("file",),
    text="Unit files are copied to ~/.config/rootless/units. A directory, or a unit file "
    "followed by files of other kinds, is an application and is removed as a whole. A "
    "file with an error is not installed.",
    examples="rootless quadlet install web.container web.socket\n"
    "systemctl --user start web.service",
)


def run(call: Call) -> None:
    """Copy, tell systemd, print where they are."""
    from rootless.cli import output
    from rootless.cli.options import truth
    from rootless.engine.systemd import quadlet as systemd_quadlet

    reloads = truth("--reload-systemd", call.options["reload_systemd"] or "true")
    for path in systemd_quadlet.install(
        call.words, replace=bool(call.options["replace"]), reloads=reloads
    ):
        output.line(path)
